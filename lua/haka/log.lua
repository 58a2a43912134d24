-- haka.log: messages with a level per module. What lies above a module's level costs two table
-- lookups and is never formatted.
local core = ...

local native, api, context = core.native, core.api, core.context
local fail, show = core.fail, core.show
local find, format = string.find, string.format

local FATAL, ERROR, WARNING, INFO, DEBUG = 0, 1, 2, 3, 4
local LEVELS = { fatal = FATAL, error = ERROR, warning = WARNING, info = INFO, debug = DEBUG }

local levels = {}
local default_level = INFO

-- C++ asks nobody when even the most talkative module says less.
local function refresh_maximum()
    local maximum = default_level
    for _, level in pairs(levels) do maximum = math.max(maximum, level) end
    context.log_level_max = maximum
end

local function check_level(what, level)
    if type(level) == "string" and LEVELS[level] then return LEVELS[level] end
    local hint = type(level) == "string" and core.nearest(level, LEVELS)
    return fail("%s: unknown level %s%s", what, show(level),
        hint and (" (nearest: %s)"):format(show(hint)) or "")
end

-- Says what is wrong with a format in the policy's words: the C function counts its own arguments.
local function bad_format(name, template, problem)
    if type(problem) ~= "string" then return error(problem, 0) end
    local number, detail = problem:match("^bad argument #(%d+) to '[^']*' %((.*)%)$")
    if number then
        return fail("haka.log.%s: value %d of the format %s: %s", name, number - 1, show(template),
            detail)
    end
    local option = problem:match("^invalid option '(.*)' to ")
    if option then
        return fail("haka.log.%s: the format %s has the unknown option %s", name, show(template),
            show(option))
    end
    return error(problem, 0)  -- A value's own tostring failed, and says where.
end

local function emit(level, name, module, template, ...)
    if type(module) ~= "string" then
        return fail("haka.log.%s: expected a module's name first, got %s", name, show(module))
    end
    if type(template) ~= "string" then
        return fail("haka.log.%s: expected a module and a format, got %s and %s", name,
            show(module), show(template))
    end
    local text = template
    if select("#", ...) > 0 or find(template, "%", 1, true) then
        local done
        done, text = pcall(format, template, ...)
        if not done then return bad_format(name, template, text) end
    end
    if api.log(context, level, module, #module, text, #text) ~= 0 then
        return fail("haka.log.%s: this event's rules have written lua.output_max bytes", name)
    end
    return text
end

local log = {}

-- One function for each level, so that the level is a constant of its trace.
---@param module string who speaks; levels are set by it
---@param fmt string as string.format
function log.error(module, fmt, ...)
    if ERROR > (levels[module] or default_level) then return end
    emit(ERROR, "error", module, fmt, ...)
end

function log.warning(module, fmt, ...)
    if WARNING > (levels[module] or default_level) then return end
    emit(WARNING, "warning", module, fmt, ...)
end

function log.info(module, fmt, ...)
    if INFO > (levels[module] or default_level) then return end
    emit(INFO, "info", module, fmt, ...)
end

function log.debug(module, fmt, ...)
    if DEBUG > (levels[module] or default_level) then return end
    emit(DEBUG, "debug", module, fmt, ...)
end

---Logs, then ends the engine with exit code 1. Every level shows it.
function log.fatal(module, fmt, ...)
    return native.fatal(("%s: %s"):format(module, emit(FATAL, "fatal", module, fmt, ...)))
end

---Sets the level of one module, or of all that have none of their own.
---@param module string may be left out
---@param level "fatal"|"error"|"warning"|"info"|"debug"
function log.setlevel(module, level)
    if level == nil then
        default_level = check_level("haka.log.setlevel", module)
    else
        core.check_string("haka.log.setlevel: module", module)
        levels[module] = check_level("haka.log.setlevel", level)
    end
    refresh_maximum()
end

-- As command lines say it: "default" is all modules that have no level of their own.
function core.set_log_level(module, level)
    if module == "default" then
        log.setlevel(level)
    else
        log.setlevel(module, level)
    end
end

for module, level in pairs(native.log_levels or {}) do core.set_log_level(module, level) end
refresh_maximum()

return log
