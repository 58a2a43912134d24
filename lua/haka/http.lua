-- The messages of HTTP that a rule sees: pkt.request and pkt.response on http-request, http-response,
-- http-up and http-down. Heads lie in the stream; everything is read there when it is asked for.
local core = ...
local ffi, api, context, fail = core.ffi, core.api, core.context, core.fail
local layer, connection, stream = core.modules.packet, core.modules.connection, core.modules.stream
local uri = core.modules.uri

local http = {}
local METHOD, URI, VERSION, STATUS, REASON = 0, 1, 2, 3, 4
local SET, ADD, REMOVE = 0, 1, 2
local WHICH = { [0] = "request", [1] = "response" }
local text, value = ffi.new("struct haka_text[1]"), ffi.new("struct haka_text[1]")

-- Parentheses around calls of C keep them from being tail calls, behind which a trace ends.
local function check(self)
    if self.streamed_ ~= 0 then
        if context.streamed ~= self.streamed_ then fail("http is no longer valid") end
    elseif context.event ~= self.event_ then
        fail("http is no longer valid")
    end
end

local function change(status, what)
    if status == 22 then
        api.http_problem(context, text)
        local problem = ffi.string(text[0].data, text[0].size)
        if problem == "none" then problem = "the head would end early" end
        return fail("%s: the head would be refused (%s)", what, problem)
    end
    layer.check(status, what)
end

-- Parts of the head.
local function part(self, number)
    check(self)
    if api.http_part(context, self.which_, number, text) ~= 0 then
        return fail("http: the %s's head is not at hand", WHICH[self.which_])
    end
    return (ffi.string(text[0].data, text[0].size))
end

local function check_writable(self, what)
    check(self)
    if context.http_readonly ~= 0 then fail("%s: this rule promised `readonly = true`", what) end
end

-- What may stand in a head: texts, numbers, and what has a text of its own, such as an address.
local function text_for(what, given)
    local kind = type(given)
    if kind == "string" then return given end
    local own = kind == "cdata" or getmetatable(given) ~= nil
    if kind ~= "number" and kind ~= "boolean" and not own then
        fail("%s: expected a text, got %s", what, core.show(given))
    end
    return tostring(given)
end

local function set_part(self, what, number, new)
    check_writable(self, what)
    new = text_for(what, new)
    change(api.http_set_part(context, self.which_, number, new, #new), what)
end

local function only(self, which, name)
    if self.which_ ~= which then
        return fail("http.%s has no field %q", WHICH[self.which_], name)
    end
end

local headers_ref

local message_ref = core.class("struct haka_http_message", {
    fields = "const uint32_t event_; const uint32_t streamed_; const uint32_t which_;",
    name = "http.message",
    get = {
        method = function(self) only(self, 0, "method") return part(self, METHOD) end,
        uri = function(self) only(self, 0, "uri") return part(self, URI) end,
        version = function(self) return part(self, VERSION) end,
        status = function(self) only(self, 1, "status") return tonumber(part(self, STATUS)) end,
        reason = function(self) only(self, 1, "reason") return part(self, REASON) end,
        headers = function(self)
            check(self)
            return (headers_ref(self.event_, self.streamed_, self.which_))
        end,
        data = function(self)
            check(self)
            layer.check(api.http_open_body(context, self.which_), "http.data")
            return stream.body(2 + self.which_, self.streamed_)
        end,
    },
    set = {
        method = function(self, new)
            only(self, 0, "method")
            set_part(self, "http.request.method", METHOD, new)
        end,
        uri = function(self, new)
            only(self, 0, "uri")
            set_part(self, "http.request.uri", URI, new)
        end,
        version = function(self, new) set_part(self, "http.version", VERSION, new) end,
        status = function(self, new)
            only(self, 1, "status")
            core.check_integer("http.response.status", new, 100, 999)
            set_part(self, "http.response.status", STATUS, ("%d"):format(new))
        end,
        reason = function(self, new)
            only(self, 1, "reason")
            set_part(self, "http.response.reason", REASON, new)
        end,
    },
    methods = {
        ---The target's parts, see http.uri.split.
        split_uri = function(self)
            only(self, 0, "split_uri")
            return uri.uri.split_target(part(self, URI))
        end,
        ---Names and values of all Cookie headers.
        split_cookies = function(self)
            only(self, 0, "split_cookies")
            local all = headers_ref(self.event_, self.streamed_, self.which_):all("Cookie")
            return uri.cookies.split(table.concat(all, ";"))
        end,
        ---Prints the head.
        dump = function(self)
            local first = self.which_ == 0
                and ("%s %s %s"):format(part(self, METHOD), part(self, URI), part(self, VERSION))
                or ("%s %s %s"):format(part(self, VERSION), part(self, STATUS), part(self, REASON))
            core.native.print(first)
            for name, content in headers_ref(self.event_, self.streamed_, self.which_):each() do
                core.native.print(("%s: %s"):format(name, content))
            end
        end,
    },
})

local function check_name(name)
    if type(name) ~= "string" then core.check_string("http.headers: name", name) end
    return name
end

local function next_header(self, index)
    check(self)
    if api.http_item(context, self.which_, index, text, value) == 0 then return nil end
    return ffi.string(text[0].data, text[0].size), ffi.string(value[0].data, value[0].size)
end

local function write(self, how, name, content)
    check_name(name)
    check_writable(self, "http.headers")
    local status = api.http_set_header(context, self.which_, how, name, #name, content, #content)
    if status ~= 0 then change(status, "http.headers[" .. core.show(name) .. "]") end
end

local header_methods = {
    ---All values of a header, in order.
    all = function(self, name)
        check(self)
        check_name(name)
        local result, index = {}, -1
        while true do
            index = api.http_find(context, self.which_, name, #name, index + 1, value)
            if index < 0 then return result end
            result[#result + 1] = ffi.string(value[0].data, value[0].size)
        end
    end,
    ---Iterates over names and values as they stand in the head.
    each = function(self)
        check(self)
        local index = -1
        return function()
            index = index + 1
            return next_header(self, index)
        end
    end,
    ---Appends a header, whether or not there is one of that name.
    add = function(self, name, content) write(self, ADD, name, text_for("http.headers:add", content)) end,
}

http.header_methods = header_methods

-- Any name is a field, so this class is not one of core.class.
ffi.cdef("struct haka_http_headers { const uint32_t event_; const uint32_t streamed_; const uint32_t which_; };")
local guarded = {}
for name, method in pairs(header_methods) do
    guarded[name] = function(self, ...)
        if not ffi.istype("struct haka_http_headers", self) then
            return fail("http.headers:%s: call it as headers:%s(...)", name, name)
        end
        return method(self, ...)
    end
end
headers_ref = ffi.metatype("struct haka_http_headers", {
    __index = function(self, name)
        local method = guarded[name]
        if method then return method end
        check(self)
        if type(name) ~= "string" then core.check_string("http.headers: name", name) end
        if api.http_find(context, self.which_, name, #name, 0, value) < 0 then return nil end
        return (ffi.string(value[0].data, value[0].size))
    end,
    __newindex = function(self, name, content)
        if content == nil then return write(self, REMOVE, name, "") end
        return write(self, SET, name, text_for("http.headers", content))
    end,
    __metatable = "http.headers",
    __tostring = function() return "http.headers" end,
})

-- Of an answer, whose head nobody else looks at.
local function check_line(what, new)
    if new:find("[%z\1-\8\10-\31\127]") then
        fail("%s: control characters (a line end, for instance) can't stand in a head", what)
    end
    return new
end

local function check_token(name)
    core.check_string("http:respond: header", name)
    if not name:find("^[%w!#$%%&'*+%-.^_`|~]+$") then
        fail("http:respond: %s is not a header's name", core.show(name))
    end
end

local REASONS = { [200] = "OK", [204] = "No Content", [301] = "Moved Permanently", [302] = "Found",
    [303] = "See Other", [307] = "Temporary Redirect", [400] = "Bad Request", [401] = "Unauthorized",
    [403] = "Forbidden", [404] = "Not Found", [429] = "Too Many Requests",
    [500] = "Internal Server Error", [503] = "Service Unavailable" }
local ANSWER_FIELDS = { status = 1, reason = 1, headers = 1, body = 1 }
local FRAMING = { ["content-length"] = true, ["transfer-encoding"] = true, connection = true }

-- The text of an answer. Headers: a table {name = value} or a list of {name, value}.
local function answer_of(definition)
    local what = "http:respond"
    core.check_fields(what, definition, ANSWER_FIELDS)
    local status = core.check_integer(what .. ": status", definition.status or 200, 200, 999)
    local body = text_for(what .. ": body", definition.body or "")
    local reason = text_for(what .. ": reason", definition.reason or REASONS[status] or "")
    check_line(what .. ": reason", reason)
    local lines, listed = { ("HTTP/1.1 %d %s\r\n"):format(status, reason) }, {}
    local headers = definition.headers or {}
    if type(headers) ~= "table" then
        fail("%s: headers: expected a table, got %s", what, core.show(headers))
    end
    for name, content in pairs(headers) do
        if type(name) == "number" then
            if type(content) ~= "table" then
                fail("%s: headers: expected { name, value }, got %s", what, core.show(content))
            end
            name, content = content[1], content[2]
        end
        check_token(name)
        if FRAMING[name:lower()] then
            fail("%s: %s is set by the engine", what, core.show(name))
        end
        listed[#listed + 1] = ("%s: %s\r\n"):format(name, check_line(what, text_for(what, content)))
    end
    table.sort(listed)   -- `pairs` has no order of its own.
    lines[#lines + 1] = table.concat(listed)
    local bodiless = status == 204 or status == 304
    if not bodiless then lines[#lines + 1] = ("Content-Length: %d\r\n"):format(#body) end
    lines[#lines + 1] = "Connection: close\r\n\r\n"
    local is_head = api.http_part(context, 0, METHOD, text) == 0
        and ffi.string(text[0].data, text[0].size) == "HEAD"
    if not bodiless and not is_head then lines[#lines + 1] = body end
    return table.concat(lines)
end

local function end_event()
    context.ended = 1
    context.event = context.event + 1
end

local function message(self, which)
    check(self)
    if context.http == 0 or (which == 1 and context.http ~= 2) then return nil end
    local unasked = which == 0 and context.http == 2 and api.http_part(context, 0, METHOD, text) ~= 0
    if unasked then return nil end
    return (message_ref(self.event_, self.streamed_, which))
end

local event_ref = core.class("struct haka_http_ref", {
    fields = "const uint32_t event_; const uint32_t streamed_;",
    name = "http",
    get = {
        dissector = function() return "http" end,
        next_dissector = function(self) check(self) return nil end,
        connection = function(self)
            check(self)
            return connection.handle(api.connection_touch(context))
        end,
        request = function(self) return message(self, 0) end,
        response = function(self) return message(self, 1) end,
    },
    methods = {
        valid = function(self)
            if self.streamed_ ~= 0 then return context.streamed == self.streamed_ end
            return context.event == self.event_
        end,
        drop = function(self)
            check(self)
            layer.check(api.connection_drop(context, api.connection_touch(context)), "http:drop")
            end_event()
        end,
        reset = function(self)
            check(self)
            layer.check(api.connection_reset(context, api.connection_touch(context)), "http:reset")
            end_event()
        end,
        ---Lets the body of the message at hand change its length. Before the first wait only.
        edit_body = function(self)
            check_writable(self, "http:edit_body")
            if self.streamed_ == 0 then
                fail("http:edit_body: only in a rule with `streamed = true`")
            end
            change(api.http_edit_body(context), "http:edit_body")
        end,
        ---Answers a request in the server's place; the server never sees it.
        respond = function(self, definition)
            check_writable(self, "http:respond")
            local answer = answer_of(definition)
            layer.check(api.http_respond(context, answer, #answer), "http:respond")
            end_event()
        end,
        forge = function(self) check(self) return nil end,
    },
})

function http.event(streamed) return (event_ref(context.event, streamed or 0)) end

http.module = { uri = { split = uri.uri.split, normalize = uri.uri.normalize,
    decode = uri.uri.decode }, cookies = uri.cookies }

return http
