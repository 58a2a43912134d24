-- The annotations in share/haka/meta name what the library has, and nothing else: every class with
-- its fields and methods, every function of every module, what tables given to them may have.
local SOURCE, META = "lua/haka/", "share/haka/meta/"
local ffi = require("ffi")

local function read(path)
    local file = assert(io.open(path))
    local text = file:read("*a")
    file:close()
    return text
end

-- Loads the library as the program does, and notes what it makes.
local function library()
    local found = {}
    local function note(class, ...)
        found[class] = found[class] or {}
        for _, names in ipairs { ... } do
            for name in pairs(names) do found[class][name] = true end
        end
    end
    local abi = read("src/script/abi.h"):match("// %[abi\n(.*)// abi%]")
    local function nothing() end
    local hooks = {}
    for name in read("src/script/hook.h"):gmatch('return "([%w-]+)"') do hooks[name] = 1 end
    local native = setmetatable({ cdef = abi, context = nil, api = nil, directory = ".", seed = 1,
        memory_max = 1, log_levels = {}, hooks = hooks, unsafe = false, profile = false },
        { __index = function() return nothing end })
    ffi.cdef(abi)
    local memory = ffi.new("struct haka_context[1]")
    local functions = ffi.new("struct haka_api[1]")
    memory[0].packets = ffi.new("struct haka_packet[1]")
    native.context, native.api = ffi.cast("void *", memory), ffi.cast("void *", functions)
    local real_cdef = ffi.cdef
    ffi.cdef = function(text) if text ~= abi then return real_cdef(text) end end
    local core, environment
    for name in read("cmake/embed_lua.cmake"):match("set%(order ([^)]*)%)"):gmatch("[%w_]+") do
        local chunk = assert(loadstring(read(SOURCE .. name .. ".lua"), "=haka/" .. name .. ".lua"))
        if not core then
            core = chunk(native)
            local class = core.class
            core.class = function(ctype, definition)
                note(definition.name, definition.get or {}, definition.set or {},
                    definition.methods or {})
                return class(ctype, definition)
            end
        else
            if name == "init" then
                local readonly = core.modules.sandbox.readonly
                core.modules.sandbox.readonly = function(module, functions_of)
                    note("module " .. module, functions_of)
                    return readonly(module, functions_of)
                end
            end
            local module = chunk(core)
            core.modules[name] = module
            if name == "log" or name == "alert" then
                note("module haka." .. name, module)
                found["module haka." .. name].raise = nil   -- It is the call.
            end
            if name == "init" then environment = module end
        end
    end
    for name in pairs(environment.string) do
        if not string[name] then note("module string", { [name] = true }) end
    end
    ffi.cdef = real_cdef
    -- What isn't made by core.class.
    local function table_of(file, name)
        return assert(loadstring("return " .. read(SOURCE .. file):match("\nlocal " .. name .. " = (%b{})")))()
    end
    note("http_headers", core.modules.http.header_methods)
    note("uri", core.modules.uri.methods, { args = true })
    for _, name in ipairs(table_of("uri.lua", "NAMES")) do note("uri", { [name] = true }) end
    note("group", core.modules.rule.rule_group {})
    note("rule_definition", table_of("rule.lua", "RULE_FIELDS"))
    note("group_definition", table_of("rule.lua", "GROUP_FIELDS"))
    note("dissector_definition", table_of("dissector.lua", "FIELDS"))
    note("alert_definition", table_of("alert.lua", "FIELDS"))
    note("answer", table_of("http.lua", "ANSWER_FIELDS"))
    -- What policies can't ask for fields.
    for _, class in ipairs { "mark", "alert reference" } do found[class] = nil end
    return found
end

local function annotated()
    local found, class = {}, nil
    for _, name in ipairs { "haka", "ip", "tcp", "http" } do
        local text = read(META .. name .. ".lua")
        assert(text:sub(1, 9) == "---@meta\n", name)
        assert(loadstring(text, name))
        for line in text:gmatch("[^\n]+") do
            local declared = line:match("^%-%-%-@class ([%w_.]+)")
            if declared then
                class = declared
                found[class] = found[class] or {}
            end
            local field = line:match("^%-%-%-@field ([%w_]+)")
            if field then found[class][field] = true end
            local owner, mark, member = line:match("^function ([%w_.]+)([.:])([%w_]+)%(")
            if owner then
                local is_local = owner == "log" or owner == "alert"
                if mark == ":" or is_local then owner = "haka." .. owner end
                found[owner] = found[owner] or {}
                found[owner][member] = true
            end
            if line:match("^%-%-%-@type") then class = nil end
        end
    end
    return found
end

local meta, failures = annotated(), 0
local function compare(what, wanted, got)
    if not got then
        failures = failures + 1
        print(what .. ": not annotated")
        return
    end
    for name in pairs(wanted) do
        if not got[name] then failures = failures + 1 print(what .. "." .. name .. ": not annotated") end
    end
    for name in pairs(got) do
        if not wanted[name] then failures = failures + 1 print(what .. "." .. name .. ": not there") end
    end
end

-- Modules within modules, and values that aren't functions.
local KEPT = { ["haka.packet"] = true, ["http.uri"] = true, ["http.cookies"] = true,
    ["haka.log"] = true, ["haka.alert"] = true, ["haka.packet.NORMAL"] = true, ["haka.packet.PASSTHROUGH"] = true }
for class, members in pairs(library()) do
    local module = class:match("^module (.*)")
    if module then
        local got = meta[module] or {}
        for name in pairs(members) do
            if KEPT[module .. "." .. name] then got[name] = true end
        end
        compare(module, members, got)
    else
        compare(class, members, meta["haka." .. class:gsub("[^%w]", "_")])
    end
end
assert(failures == 0, "share/haka/meta differs from lua/haka")
