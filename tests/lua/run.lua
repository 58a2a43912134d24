-- Runs the tests of the Lua library under plain LuaJIT, with a native side made of Lua:
--     luajit tests/lua/run.lua [ROOT [PART_OF_A_TEST_FILE'S_NAME]]
-- A test file is a chunk that is given the harness `t` and calls t.test(sentence, function).
local ffi = require("ffi")

local root = arg[1] or "."
local only = arg[2] or ""

local function read(path)
    local file = assert(io.open(path, "rb"))
    local text = file:read("*a")
    file:close()
    return text
end

local t = { root = root, logged = {}, printed = {}, alerts = {}, status = 0 }

-- The native side: what the library gets from C++ in the engine.
local context = ffi.new("uint64_t[128]")
t.native = {
    cdef = assert(read(root .. "/src/script/abi.h"):match("// %[abi%s(.-)// abi%]")),
    context = ffi.cast("void *", context),
    api = ffi.cast("void *", context),
    log_levels = { default = "info", loud = "debug" },
    memory_max = 1048576,
    disabled_rules = {},
    seed = 42,
    print = function(text)
        t.printed[#t.printed + 1] = text
        return t.status == 0
    end,
    fatal = function() error("the engine ends", 0) end,
    alert = function(alert)
        if t.status ~= 0 then return nil end
        t.alerts[#t.alerts + 1] = alert
        return alert.reference or #t.alerts
    end,
}

local function chunk(name, ...)
    local path = root .. "/lua/haka/" .. name .. ".lua"
    return assert(loadstring(read(path), "=haka/" .. name .. ".lua"))(...)
end

local core = chunk("core", t.native)
core.modules = {}
core.context.worker = 3
core.api = {
    log = function(_, level, module, _, text, size)
        if t.silent then return 0 end
        assert(#text == size)
        t.logged[#t.logged + 1] = { level = level, module = module, text = text }
        return t.status
    end,
}
t.core = core
for _, name in ipairs { "address", "time", "buffer", "log", "alert", "exit", "sandbox" } do
    core.modules[name] = chunk(name, core)
end
t.modules = core.modules

local modules, readonly = t.modules, t.modules.sandbox.readonly
local globals = {
    haka = readonly("haka", {
        log = modules.log.log,
        alert = modules.alert.alert,
        time = modules.time.now,
        buffer = modules.buffer.new,
        on_exit = modules.exit.register,
        current_thread = modules.exit.current_thread,
    }),
    ipv4 = readonly("ipv4", modules.address.ipv4),
    ipv6 = readonly("ipv6", modules.address.ipv6),
}

-- A new world for a policy in `directory`.
function t.environment(directory)
    return modules.sandbox.environment {
        directory = directory,
        protocols = { ipv4 = globals.ipv4 },
        globals = globals,
    }
end

-- Runs `code` as a policy and returns what it returns. `t.policy_environment` is made once.
function t.policy(code, ...)
    local run = assert(load(code, "@policy.lua", "t", t.policy_environment))
    return run(...)
end

-- The message of the error that `code` ends with.
function t.failure(code, ...)
    local done, message = pcall(t.policy, code, ...)
    if done then error("no error from: " .. code, 2) end
    return tostring(message)
end

function t.equal(actual, expected)
    if actual ~= expected then
        error(("expected %s, got %s"):format(core.show(expected), core.show(actual)), 2)
    end
end

-- `text` holds `part`, taken plainly.
function t.contains(text, part)
    if type(text) ~= "string" or not text:find(part, 1, true) then
        error(("expected %s to contain %s"):format(core.show(text), core.show(part)), 2)
    end
end

-- Giving up for these reasons is part of finding where a trace should begin. One that begins in a
-- metamethod can't return from it, but the loop around it compiles all the same.
local HARMLESS = {
    ["NYI: return to lower frame"] = true,
    ["loop unroll limit reached"] = true,
    ["leaving loop in root trace"] = true,
    ["inner loop in root trace"] = true,
    ["retry recording"] = true,
}
local EXITS_MAX = 200

-- Runs `code`, a policy's hot loop, twice, and fails when the JIT compiler gave up on something in
-- it or when the second run didn't stay in compiled code.
function t.compiles(code, ...)
    local vmdef = require("jit.vmdef")
    local aborts, traces, exits = {}, 0, 0
    local function watch(what, _, _, _, reason, detail)
        if what == "stop" then traces = traces + 1 end
        if what ~= "abort" then return end
        local text = type(reason) == "number" and vmdef.traceerr[reason] or reason
        text = tostring(text):gsub("%%[sd]", tostring(detail))
        if not HARMLESS[text] then aborts[#aborts + 1] = text end
    end
    local function count_exit() exits = exits + 1 end
    local run = assert(load(code, "@policy.lua", "t", t.policy_environment))
    jit.flush()
    t.silent = true
    jit.attach(watch, "trace")
    local done, problem = pcall(run, ...)
    if done then
        jit.attach(count_exit, "texit")
        done, problem = pcall(run, ...)
        jit.attach(count_exit)
    end
    jit.attach(watch)
    t.silent = false
    if not done then error(problem, 0) end
    if #aborts > 0 then error("trace aborted: " .. table.concat(aborts, "; "), 2) end
    if traces == 0 then error("nothing was compiled", 2) end
    if exits > EXITS_MAX then error(exits .. " exits from compiled code", 2) end
end

local passed, failed = 0, 0
function t.test(sentence, body)
    t.logged, t.printed, t.alerts, t.status = {}, {}, {}, 0
    core.context.now = 1
    local done, problem = xpcall(body, debug.traceback)
    if done then
        passed = passed + 1
    else
        failed = failed + 1
        print(("FAILED %s: %s\n%s"):format(t.file, sentence, problem))
    end
end

t.policy_environment = t.environment(root .. "/tests/lua/modules")
for _, name in ipairs { "address", "time", "buffer", "log", "alert", "sandbox", "exit", "jit" } do
    if name:find(only, 1, true) then
        t.file = name .. "_test.lua"
        local path = root .. "/tests/lua/" .. t.file
        assert(loadstring(read(path), "@" .. path))(t)
    end
end
print(("%d passed, %d failed"):format(passed, failed))
os.exit(failed == 0 and passed > 0 and 0 or 1)
