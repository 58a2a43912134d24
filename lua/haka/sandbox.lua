-- The world a policy's code sees: Lua's functions without those that reach the machine, other
-- code's environments or bytecode, and library tables that can't be changed.
local core = ...

local native = core.native
local fail, show = core.fail, core.show
local open = io.open
local set_string_metatable = debug.setmetatable
local load_text, loadfile, tostring, select, type = load, loadfile, tostring, select, type

local sandbox = {}

local function hint_for(key, names)
    local nearest = type(key) == "string" and core.nearest(key, names)
    return nearest and (" (nearest: %s)"):format(show(nearest)) or ""
end

-- A view of `fields` that policies can read and call (`call`, without the view itself as argument)
-- but not change; a name it lacks is an error. `fields` may still be filled by its owner; it gets
-- a metatable here and must have had none.
function sandbox.readonly(name, fields, call)
    assert(getmetatable(fields) == nil)
    setmetatable(fields, {
        __index = function(_, key)
            return fail("%s has no field %s%s", name, show(key), hint_for(key, fields))
        end,
    })
    return setmetatable({}, {
        __index = fields,
        __newindex = function(_, key)
            if rawget(fields, key) ~= nil then return fail("%s.%s can't be written", name, key) end
            return fail("%s has no field %s%s", name, show(key), hint_for(key, fields))
        end,
        __call = call and function(_, ...) return call(...) end,
        __tostring = function() return name end,
        __metatable = name,
    })
end

local function copy(source, names)
    local target = {}
    if names then
        for name in names:gmatch("%S+") do target[name] = source[name] end
    else
        for name, value in pairs(source) do target[name] = value end
    end
    return target
end

---The parts of `text` between each plain `delimiter`; ("a,,b", ",") has three.
---@param text string
---@param delimiter string not empty
---@return string[]
local function split(text, delimiter)
    core.check_string("string.split: text", text)
    core.check_string("string.split: delimiter", delimiter)
    if delimiter == "" then return fail("string.split: the delimiter is empty") end
    local parts, at = {}, 1
    while true do
        local from, to = text:find(delimiter, at, true)
        parts[#parts + 1] = text:sub(at, (from or 0) - 1)
        if not from then return parts end
        at = to + 1
    end
end

local function print(...)
    local words = { ... }
    for i = 1, select("#", ...) do words[i] = tostring(words[i]) end
    if native.print(table.concat(words, " ")) == false then
        return fail("print: this event's rules have written lua.output_max bytes")
    end
end

-- Loads text only: bytecode is not checked by anyone and could do anything.
local function loader(environment)
    local function policy_load(chunk, name, _, chunk_environment)
        if type(chunk) ~= "string" and type(chunk) ~= "function" then
            return fail("load: expected a string or a function, got %s", type(chunk))
        end
        if name == nil then name = type(chunk) == "string" and chunk or "=(load)" end
        return load_text(chunk, name, "t", chunk_environment or environment)
    end
    return policy_load, function(text, name)
        core.check_string("loadstring", text)
        return policy_load(text, name)
    end
end

-- Where the source of module `name` may lie below the policy's directory; nil and why not.
local function path_of(directory, name)
    if name == "" or name:find("[%z\\]") then return nil, "the name is malformed" end
    if name:sub(1, 1) == "/" then return nil, "the path is absolute" end
    for part in (name .. "/"):gmatch("([^/]*)/") do
        if part == ".." then return nil, "the path leaves the policy's directory" end
    end
    return ("%s/%s.lua"):format(directory, (name:gsub("%.", "/")))
end

local function read_source(path)
    local file, problem = open(path, "rb")
    if not file then return nil, problem end
    local source
    source, problem = file:read("*a")
    file:close()
    return source, problem
end

local function requirer(options, environment)
    local protocols, loaded, loading = options.protocols or {}, {}, {}

    local function run(name, path, source)
        local chunk, problem = load_text(source:gsub("^#[^\n]*", "", 1), "@" .. path, "t",
            environment)
        if not chunk then return error(problem, 0) end
        loading[#loading + 1] = name
        local done, result = pcall(chunk, name)
        loading[#loading] = nil
        if not done then return error(result, 0) end
        if result == nil then result = true end
        loaded[name] = result
        return result
    end

    return function(name)
        core.check_string("require", name)
        local protocol = name:match("^protocol[./](.+)$")
        if protocol then
            local module = rawget(protocols, protocol)
            if module then return module end
            return fail("require: no protocol %s%s", show(protocol), hint_for(protocol, protocols))
        end
        if loaded[name] ~= nil then return loaded[name] end
        for _, other in ipairs(loading) do
            if other == name then
                return fail("require: %s is being loaded (%s -> %s)", show(name),
                    table.concat(loading, " -> "), name)
            end
        end
        local path, problem = path_of(options.directory or ".", name)
        if not path then return fail("require: module %s: %s", show(name), problem) end
        local source
        source, problem = read_source(path)
        if not source then
            return fail("require: module %s not found: tried protocol/NAME and %s (%s)", show(name),
                path, tostring(problem))
        end
        return run(name, path, source)
    end
end

local function collect(option, argument)
    option = option or "collect"
    if option == "count" or option == "collect" or option == "step" then
        return collectgarbage(option, argument)
    end
    return fail("collectgarbage: policies may ask for \"count\", \"collect\" or \"step\", got %s",
        show(option))
end

-- Gives policies a `string` table of their own. What they add to it becomes a method too, as in plain
-- Lua; what they replace doesn't, for the library calls those methods.
local function guarded_strings()
    local strings = copy(string)
    strings.dump, strings.split = nil, split
    local methods = copy(strings)
    set_string_metatable("", { __index = methods, __metatable = "string" })
    return setmetatable(strings, {
        __newindex = function(self, name, value)
            rawset(self, name, value)
            if string[name] == nil then methods[name] = value end
        end,
        __metatable = "string",
    })
end

-- Everything of LuaJIT; only the functions that load code must be told where its globals are.
local function open_environment(environment, options)
    function environment.load(chunk, name, mode, other)
        return load_text(chunk, name, mode, other or environment)
    end
    function environment.loadstring(text, name)
        return load_text(core.check_string("loadstring", text), name, nil, environment)
    end
    function environment.loadfile(path, mode, other)
        return loadfile(path, mode, other or environment)
    end
    function environment.dofile(path)
        return assert(loadfile(path, nil, environment))()
    end
    string.split = split
    local plain, guarded = require, requirer(options, environment)
    function environment.require(name)
        core.check_string("require", name)
        local path = path_of(options.directory or ".", name)
        local file = path and open(path, "rb")
        if file then file:close() end
        if file or name:find("^protocol[./]") then return guarded(name) end
        return plain(name)
    end
end

local function closed_environment(environment, options)
    environment.collectgarbage = collect
    environment.load, environment.loadstring = loader(environment)
    environment.math = copy(math)
    environment.table = copy(table)
    environment.coroutine = copy(coroutine)
    environment.bit = copy(require("bit"))
    environment.os = copy(os, "clock date difftime getenv time")
    environment.string = guarded_strings()
    environment.require = requirer(options, environment)
end

-- The environment of a policy. `options`: directory (where `require` looks), protocols (name ->
-- module), globals (name -> value). With `native.unsafe` nothing is taken away.
function sandbox.environment(options)
    if native.seed then math.randomseed(native.seed) end
    local environment
    if native.unsafe then
        environment = copy(_G)
        open_environment(environment, options)
    else
        environment = copy(_G, [[assert error getmetatable ipairs next pairs pcall rawequal rawget
            rawset select setmetatable tonumber tostring type unpack xpcall _VERSION]])
        closed_environment(environment, options)
    end
    environment._G = environment
    environment.print = print
    for name, value in pairs(options.globals or {}) do environment[name] = value end
    return environment
end

-- What policies see of the two modules that can be called, and that load before this one.
local log, alert = core.modules.log, core.modules.alert
core.modules.log = {
    log = sandbox.readonly("haka.log", log, log.info),
    warning = log.warning,
    error = log.error,
}
core.modules.alert = { alert = sandbox.readonly("haka.alert", alert, alert.raise) }

return sandbox
