local t = ...
local test, equal, contains, policy, failure = t.test, t.equal, t.contains, t.policy, t.failure

test("a message goes out with its level, module and text", function()
    policy [[
        haka.log("a", "one %d", 1)
        haka.log.info("a", "two %s", "x")
        haka.log.warning("b", "three")
        haka.log.error("c", "%5.1f|%-4s|", 4, "y")
    ]]
    equal(#t.logged, 4)
    equal(t.logged[1].level, 3)
    equal(t.logged[1].module, "a")
    equal(t.logged[1].text, "one 1")
    equal(t.logged[2].text, "two x")
    equal(t.logged[3].level, 2)
    equal(t.logged[4].level, 1)
    equal(t.logged[4].text, "  4.0|y   |")
end)

test("what lies above the level is neither sent nor formatted", function()
    policy "haka.log.debug('a', '%d', 'not a number')"
    equal(#t.logged, 0)
    policy "haka.log.debug('loud', 'heard')"
    equal(#t.logged, 1)
end)

test("setlevel sets one module or all the others", function()
    policy [[
        haka.log.setlevel("quiet", "error")
        haka.log.warning("quiet", "no")
        haka.log.error("quiet", "yes")
        haka.log.setlevel("warning")
        haka.log.info("a", "no")
        haka.log.debug("loud", "yes")
        haka.log.setlevel("fatal")
        haka.log.error("a", "no")
        haka.log.setlevel("info")
    ]]
    equal(#t.logged, 2)
end)

test("C++ learns the most verbose level", function()
    equal(t.core.context.log_level_max, 4)
    policy "haka.log.setlevel('loud', 'info')"
    equal(t.core.context.log_level_max, 3)
    policy "haka.log.setlevel('loud', 'debug')"
    equal(t.core.context.log_level_max, 4)
end)

test("an unknown level is refused with the nearest", function()
    contains(failure "haka.log.setlevel('warn')", "unknown level \"warn\" (nearest: \"warning\")")
    contains(failure "haka.log.setlevel('a', 7)", "unknown level 7")
    contains(failure "haka.log.setlevel(1, 'info')", "module: expected a string, got number")
    contains(failure "haka.log.warn('a', 'b')", "haka.log has no field \"warn\"")
end)

test("a bad format is an error at its line, in the policy's own count", function()
    equal(failure "\n\nhaka.log.info('a', '%d', 'x')\nreturn",
        "policy.lua:3: haka.log.info: value 1 of the format \"%d\": number expected, got string")
    contains(failure "haka.log('a', '%s %s', 1)", "haka.log.info: value 2 of the format")
    contains(failure "haka.log.error('a', '100%')", "haka.log.error: the format \"100%\" has")
    contains(failure "haka.log.error('a', '%y', 1)", "unknown option \"%y\"")
    equal(#t.logged, 0)
end)

test("module and format are needed, and are text", function()
    contains(failure "haka.log('text')", "expected a module and a format, got \"text\" and nil")
    contains(failure "haka.log()", "expected a module's name first, got nil")
    contains(failure "haka.log.error({}, 'x')", "expected a module's name first")
    contains(failure "haka.log.error('m', {})", "expected a module and a format")
end)

test("texts of any bytes are kept whole and objects are shown by their tostring", function()
    policy [[
        haka.log("a", "%s|", "x\0y")
        haka.log("a", "x\0y")
        haka.log("a", "%s %s %s", ipv4.addr("10.0.0.1"), nil, setmetatable({}, {
            __tostring = function() return "mine" end }))
        haka.log("a", ("long"):rep(100000))
    ]]
    equal(t.logged[1].text, "x\0y|")
    equal(t.logged[2].text, "x\0y")
    equal(t.logged[3].text, "10.0.0.1 nil mine")
    equal(#t.logged[4].text, 400000)
end)

test("an error in a value's tostring is passed on", function()
    contains(failure [[haka.log("a", "%s", setmetatable({}, {
        __tostring = function() error("inside") end }))]], "inside")
end)

test("full output is an error that names the limit", function()
    t.status = 9
    contains(failure "haka.log('a', 'b')", "lua.output_max")
end)

test("fatal logs whatever the level, then ends the engine", function()
    contains(failure "haka.log.setlevel('a', 'fatal') haka.log.fatal('a', 'last %s', 'words')",
        "the engine ends")
    equal(t.logged[1].text, "last words")
    equal(t.logged[1].level, 0)
end)
