---@meta
-- HTTP, for editors that speak LuaLS. Checked against the library by tests/meta.lua.

---@class haka.answer
---@field status? integer 200 without
---@field reason? string
---@field headers? table<string, string> or a list of { name, value }
---@field body? string

---@class haka.http_headers
---@field [string] string? the first of that name, in any case; nil removes all
local http_headers = {}

---All values of a header, in order.
---@param name string
---@return string[]
function http_headers:all(name) end

---Iterates over names and values as they stand in the head.
---@return fun(): string?, string?
function http_headers:each() end

---Appends a header.
---@param name string
---@param value string
function http_headers:add(name, value) end

---@class haka.uri
---@field scheme string?
---@field authority string?
---@field userinfo string?
---@field user string?
---@field pass string?
---@field host string?
---@field port string?
---@field path string
---@field query string?
---@field fragment string?
---@field args table by name the first value; as a list { name, value } in order
local uri = {}

---Gives the parts the one spelling of all that mean the same.
---@return haka.uri
function uri:normalize() end

---@class haka.http_message
---@field data haka.stream
---@field headers haka.http_headers
---@field method string
---@field reason string
---@field status integer
---@field uri string
---@field version string
local http_message = {}

---Prints the head.
function http_message:dump() end

---Names and values of all Cookie headers.
---@return table<string, string>
function http_message:split_cookies() end

---The target's parts.
---@return haka.uri
function http_message:split_uri() end

---@class haka.http
---@field connection haka.connection
---@field dissector string
---@field next_dissector string?
---@field request haka.http_message?
---@field response haka.http_message?
local http = {}

---Drops the connection, silently, both directions.
function http:drop() end

---Lets the message's body change its length. In streamed rules, before the first wait.
function http:edit_body() end

---For dissectors in Lua: the lower layer's object, ready to leave.
---@return any
function http:forge() end

---Drops the connection; each end gets one RST that it believes.
function http:reset() end

---Answers the request in the server's place.
---@param answer haka.answer
function http:respond(answer) end

---Whether it may still be used.
---@return boolean
function http:valid() end

---@type table
_G.http = { uri = {}, cookies = {} }

---@param text string
---@return haka.uri
function http.uri.split(text) end

---@param text string
---@return string
function http.uri.normalize(text) end

---Replaces every %XX, once.
---@param text string
---@return string
function http.uri.decode(text) end

---@param text string a Cookie header's value
---@return table<string, string>
function http.cookies.split(text) end
