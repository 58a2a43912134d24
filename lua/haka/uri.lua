-- http.uri and http.cookies: plain functions on texts. Whatever the text, they have an answer.
local core = ...
local ffi, api = core.ffi, core.api

local uri, cookies = {}, {}

local NAMES = { "scheme", "authority", "userinfo", "user", "pass", "host", "port", "path", "query",
    "fragment" }
local parts = ffi.new("struct haka_text[?]", #NAMES)
local out = ffi.new("struct haka_text[1]")

local function decode(text)
    api.uri_decode(text, #text, out)
    return ffi.string(out[0].data, out[0].size)
end

-- Of "a=1&b=2": {a = "1", b = "2", {name = "a", value = "1"}, ...}; a name's first value counts.
local function split_query(query)
    local args = {}
    for pair in query:gmatch("[^&]+") do
        local name, value = pair:match("^([^=]*)=(.*)$")
        name = decode(((name or pair):gsub("+", " ")))
        value = decode(((value or ""):gsub("+", " ")))
        args[#args + 1] = { name = name, value = value }
        if args[name] == nil then args[name] = value end
    end
    return args
end

local methods, class = {}, {}
class.__index = methods
class.__metatable = "uri"

local function split(text, is_target)
    api.uri_split(text, #text, is_target, parts)
    local result = { args = {} }
    for i = 1, #NAMES do
        local part = parts[i - 1]
        if part.data ~= nil then result[NAMES[i]] = ffi.string(part.data, part.size) end
    end
    if result.query then result.args = split_query(result.query) end
    return setmetatable(result, class)
end

local function text_of(self)
    local result = {}
    local function add(...)
        for i = 1, select("#", ...) do result[#result + 1] = tostring((select(i, ...))) end
    end
    if self.scheme then add(self.scheme, ":") end
    if self.host then
        add("//")
        if self.userinfo then add(self.userinfo, "@") end
        add(self.host)
        if self.port then add(":", self.port) end
    end
    add(self.path or "")
    if self.query then add("?", self.query) end
    if self.fragment then add("#", self.fragment) end
    return table.concat(result)
end
class.__tostring = text_of

local function normalize(text, is_target)
    api.uri_normalize(text, #text, is_target, out)
    return ffi.string(out[0].data, out[0].size)
end

---Gives the parts the one spelling of all that mean the same, in place; returns itself.
function methods:normalize()
    local is_target = self.host == nil and 1 or 0
    local normal = split(normalize(text_of(self), is_target), is_target)
    for i = 1, #NAMES do self[NAMES[i]] = normal[NAMES[i]] end
    self.args = normal.args
    return self
end

---Splits a URI into its parts (RFC 3986); one that isn't there is nil, `path` always is.
function uri.split(text) return split(core.check_string("http.uri.split", text), 0) end

---The one spelling of all URIs that mean the same (RFC 3986, 6.2.2). Nothing is decoded twice.
function uri.normalize(text) return normalize(core.check_string("http.uri.normalize", text), 0) end

---Replaces every %XX, once.
function uri.decode(text) return decode(core.check_string("http.uri.decode", text)) end

function uri.split_target(text) return split(text, 1) end

-- "%s*$" behind "(.-)" would look at white space as often as there is some.
local function trimmed(text)
    local first = text:find("%S")
    return first and text:match("^.*%S", first) or ""
end

---Names and values of a Cookie header (RFC 6265); a name's first value counts.
function cookies.split(text)
    local result = {}
    for pair in core.check_string("http.cookies.split", text):gmatch("[^;]+") do
        local equals = pair:find("=", 1, true)
        local name = equals and trimmed(pair:sub(1, equals - 1)) or ""
        if name ~= "" and result[name] == nil then result[name] = trimmed(pair:sub(equals + 1)) end
    end
    return result
end

return { uri = uri, cookies = cookies, methods = methods }
