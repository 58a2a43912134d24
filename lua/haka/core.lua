-- What every file of the library stands on: the shared structs, errors that point at the policy's
-- line, and classes whose unknown fields are errors.
local native = ...   -- made by src/script: cdef, context, api, and the classic functions

local ffi = require("ffi")
local getinfo = debug.getinfo

ffi.cdef(native.cdef)

local core = {
    ffi = ffi,
    native = native,
    context = ffi.cast("struct haka_context *", native.context),
    api = ffi.cast("struct haka_api *", native.api),
    modules = {},           -- the library's files by name, in order of loading
    hooks = native.hooks,   -- name -> number, for those that C++ runs
}

-- Raises an error at the innermost line that isn't the library's own ("=haka..." chunks).
function core.fail(format, ...)
    local message = select("#", ...) > 0 and format:format(...) or format
    local level = 2
    while true do
        local info = getinfo(level, "S")
        if not info then return error(message, 0) end
        if info.what ~= "C" and info.source:sub(1, 6) ~= "=haka/" then
            error(message, level)  -- Not a tail call: `level` counts this function.
        end
        level = level + 1
    end
end
local fail = core.fail

-- How a value is shown in an error message.
function core.show(value)
    if type(value) == "string" then
        if #value > 40 then value = value:sub(1, 37) .. "..." end
        return ("%q"):format(value):gsub("\\\n", "\\n")
    end
    local text = tostring(value)
    local kind = type(value)
    return text:find("^" .. kind .. ": ") and "a " .. kind or text   -- An address says nothing.
end
local show = core.show

-- The distance of two words in edits, for "did you mean".
local function distance(a, b)
    local row = {}
    for j = 0, #b do row[j] = j end
    for i = 1, #a do
        local diagonal
        diagonal, row[0] = row[0], i
        for j = 1, #b do
            local cost = a:byte(i) == b:byte(j) and 0 or 1
            diagonal, row[j] = row[j], math.min(row[j] + 1, row[j - 1] + 1, diagonal + cost)
        end
    end
    return row[#b]
end

-- The name in `names` (an array or a set) nearest to `wrong`; nil when there is none.
function core.nearest(wrong, names)
    local best, best_distance
    for key, value in pairs(names) do
        local name = type(key) == "number" and value or key
        local d = distance(wrong:sub(1, 64), name)
        if not best or d < best_distance or (d == best_distance and name < best) then
            best, best_distance = name, d
        end
    end
    return best
end

local function unknown_field(class, key, known)
    local hint = type(key) == "string" and core.nearest(key, known)
    return fail("%s has no field %s%s", class, show(key),
        hint and (" (nearest: %s)"):format(show(hint)) or "")
end

-- A cdata's own fields come before those of its class and are open to whoever knows their names, so
-- all of them end in `_`, as no field that policies know does.
local function declare(ctype, fields)
    for field in fields:gmatch("([%w_]+)%s*[,;]") do
        assert(field:sub(-1) == "_", field)
    end
    ffi.cdef(("%s { %s };"):format(ctype, fields))
end

-- Makes a class of cdata handles. `definition`: name, fields (the struct's, as C),
-- get = {field = function(self)}, set = {field = function(self, value)},
-- methods = {name = function(self, ...)}, and optional
-- index(self, i), newindex(self, i, value) for number keys, len(self), eq, lt, le, sub, tostring.
-- Returns the constructor. The two accessors are compiled anew for each class: the JIT compiler
-- folds what a function refers to only while the function has a single closure. The parentheses
-- keep the calls from being tail calls, of which a trace may hold fifteen.
local CLASS_ACCESSORS = [[
local get, set, methods, index, newindex, unknown, read_only = ...
return function(self, key)
    local getter = get[key]
    if getter then return (getter(self)) end
    local method = methods[key]
    if method then return method end
    if index and type(key) == "number" then return (index(self, key)) end
    return unknown(key)
end, function(self, key, value)
    local setter = set[key]
    if setter then return setter(self, value) end
    if newindex and type(key) == "number" then return newindex(self, key, value) end
    return read_only(key)
end
]]

-- A method may be called with anything as `self`. Only a handle of its own class gets through, for a
-- table with the same fields could name memory that is nobody's.
local METHOD = [[
local istype, ctype, method, wrong = ...
return function(self, a, b, c)
    if not istype(ctype, self) then return wrong() end
    return method(self, a, b, c)
end
]]

local function guarded_methods(class, ctype, methods)
    local guarded, istype = {}, ffi.istype
    for name, method in pairs(methods) do
        local function wrong()
            return fail("%s:%s: call it as %s:%s(...)", class, name, class, name)
        end
        guarded[name] = assert(loadstring(METHOD, "=haka/method"))(istype, ctype, method, wrong)
    end
    return guarded
end

function core.class(ctype, definition)
    declare(ctype, definition.fields)
    local name, get, set = definition.name, definition.get or {}, definition.set or {}
    local methods = guarded_methods(name, ffi.typeof(ctype), definition.methods or {})
    local known = {}
    for _, fields in ipairs({ get, set, methods }) do
        for key in pairs(fields) do known[key] = true end
    end
    local function unknown(key) return unknown_field(name, key, known) end
    local function read_only(key)
        if known[key] then return fail("%s.%s can't be written", name, key) end
        return unknown(key)
    end
    local compiled = assert(loadstring(CLASS_ACCESSORS, "=haka/class"))
    local read, write = compiled(get, set, methods, definition.index or false,
        definition.newindex or false, unknown, read_only)
    return ffi.metatype(ctype, {
        __index = read,
        __newindex = write,
        __len = definition.len,
        __eq = definition.eq,
        __lt = definition.lt,
        __le = definition.le,
        __sub = definition.sub,
        __metatable = name,
        __tostring = definition.tostring or function() return name end,
    })
end

-- Compiles `source` (an expression or function text) with `names` bound to `values`; used to give
-- each field's getter a function of its own.
function core.compile(source, names, ...)
    local text = "local " .. names .. " = ... return " .. source
    return assert(loadstring(text, "=haka/field"))(...)
end

-- Checks of arguments: `what` names the function or field, then the value.
function core.check_integer(what, value, low, high)
    if type(value) ~= "number" or value % 1 ~= 0 or value < low or value > high then
        return fail("%s: expected an integer from %d to %d, got %s", what, low, high, show(value))
    end
    return value
end

function core.check_string(what, value)
    if type(value) ~= "string" then
        return fail("%s: expected a string, got %s", what, type(value))
    end
    return value
end

function core.check_function(what, value)
    if type(value) ~= "function" then
        return fail("%s: expected a function, got %s", what, type(value))
    end
    return value
end

function core.check_boolean(what, value)
    if type(value) ~= "boolean" then
        return fail("%s: expected true or false, got %s", what, show(value))
    end
    return value
end

-- Checks that a definition table has no field beyond `allowed` (a set).
function core.check_fields(what, definition, allowed)
    if type(definition) ~= "table" then
        return fail("%s: expected a table, got %s", what, type(definition))
    end
    for key in pairs(definition) do
        if not allowed[key] then
            local hint = type(key) == "string" and core.nearest(key, allowed)
            return fail("%s: unknown field %s%s", what, show(key),
                hint and (" (nearest: %s)"):format(show(hint)) or "")
        end
    end
end

return core
