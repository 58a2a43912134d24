local t = ...
local test, equal, contains, policy, failure = t.test, t.equal, t.contains, t.policy, t.failure
local exit = t.modules.exit

test("all run in order, once, and a failing one doesn't stop the next", function()
    local seen, errors = {}, {}
    policy([[
        local seen = ...
        haka.on_exit(function() seen[#seen + 1] = "a" end)
        haka.on_exit(function() error("broken") end)
        haka.on_exit(function() error() end)
        haka.on_exit(function() seen[#seen + 1] = "b" end)
    ]], seen)
    local function report(problem) errors[#errors + 1] = problem end
    exit.run(report)
    exit.run(report)
    equal(table.concat(seen, " "), "a b")
    equal(#errors, 2)
    contains(errors[1], "policy.lua:3: broken")
    contains(errors[1], "traceback")
end)

test("without a reporter errors are logged", function()
    policy "haka.on_exit(function() error('broken') end)"
    exit.run()
    contains(t.logged[1].text, "haka.on_exit: policy.lua:1: broken")
    equal(t.logged[1].level, 1)
end)

test("the end of the engine is not an error of the policy", function()
    local sentinel = io.stdout  -- Any userdata.
    policy("local s = ... haka.on_exit(function() error(s) end)", sentinel)
    local done, problem = pcall(exit.run)
    equal(done, false)
    equal(problem, sentinel)
    equal(#t.logged, 0)
end)

test("only functions are taken, and not without end", function()
    contains(failure "haka.on_exit(5)", "haka.on_exit: expected a function, got number")
    policy "for i = 1, 1024 do haka.on_exit(print) end"
    contains(failure "haka.on_exit(print)", "1024 functions are the most")
    exit.run(print)
    policy "haka.on_exit(print)"
    exit.run(print)
end)

test("a policy learns its worker", function()
    equal(policy "return haka.current_thread()", 3)
end)
