-- The worker's life as policies see it: which worker they are in, and what runs at its end.
local core = ...

local FUNCTIONS_MAX = 1024

local exit = {}
local functions = {}

---Has `f()` called when the input has ended; all are called, in order of registration.
function exit.register(f)
    core.check_function("haka.on_exit", f)
    if #functions == FUNCTIONS_MAX then
        return core.fail("haka.on_exit: %d functions are the most there can be", FUNCTIONS_MAX)
    end
    functions[#functions + 1] = f
end

-- What haka.log.fatal raises isn't text and goes on as it is: the engine knows it.
local function with_traceback(problem)
    if type(problem) == "userdata" then return problem end
    return (debug.traceback(tostring(problem), 2):gsub("\t", "    "))
end

local function log_error(problem)
    core.modules.log.error("policy", "haka.on_exit: %s", problem)
end

-- Runs what was registered, each once; those that an exit function registers run too. An error
-- goes to `report_error(message with traceback)`, by default the log, and doesn't stop the next.
function exit.run(report_error)
    report_error = report_error or log_error
    local i = 1
    while functions[i] do
        local done, problem = xpcall(functions[i], with_traceback)
        if not done then
            if type(problem) == "userdata" then
                functions = {}
                return error(problem, 0)
            end
            report_error(problem)
        end
        i = i + 1
    end
    functions = {}
end

---The worker's number, from 0.
function exit.current_thread()
    return core.context.worker
end

return exit
