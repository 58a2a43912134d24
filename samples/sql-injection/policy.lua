-- Lesson: refusing requests for what they ask.
--
-- `pkt.request` is a request whose head is complete and has not left yet. `split_uri()` gives its
-- parts, `args` the query's names and values, each decoded once. `pkt:respond{}` answers in the
-- server's place: the server never sees the request. A form lies in the body, `request.data`, which
-- comes after the head; a `streamed` rule waits for it, and what it waits for doesn't leave.
--
-- The words below catch what is easy to recognise. A real policy knows what its application expects
-- of each parameter, and refuses everything else.

local FORM_MAX = 16384

-- A pattern that tries a "find the end" at each beginning takes the square of the text's length:
-- whoever writes the text could stop the engine with it. So comments are looked for in turn.
local function without_comments(text)
    local parts, at = {}, 1
    while true do
        local from = text:find("/*", at, true)
        local _, to = text:find("*/", from and from + 2 or #text + 1, true)
        parts[#parts + 1] = text:sub(at, to and from - 1 or #text)
        if not to then return table.concat(parts, " ") end
        at = to + 1
    end
end

-- As a database would see it: comments are spaces, letters have no case.
local function is_injection(value)
    local text = " " .. without_comments(value:lower()):gsub("%s+", " ")
    local quote = text:find("'", 1, true)
    return text:find("[^%w]union select ") or text:find("' ?or [%w']+ ?=")
        or text:find("' ?; ?drop ") or (quote and text:find("--", quote, true))
end

local function check(pkt, args)
    for _, arg in ipairs(args) do
        if is_injection(arg.value) then
            haka.alert{
                description = ("SQL injection in parameter %q"):format(arg.name),
                severity = "high",
                sources = haka.alert.address(pkt.connection.srcip, pkt.connection.srcport),
                targets = haka.alert.service("tcp/80", "http"),
                method = { ref = "CWE-89" },
            }
            return false
        end
    end
    return true
end

haka.rule{
    hooks = { 'tcp-connection-new' },
    eval = function (self, pkt)
        if pkt.tcp.dstport == 80 then pkt.next_dissector = "http" end
    end
}

haka.rule{
    name = "queries",
    hooks = { 'http-request' },
    eval = function (self, pkt)
        if not check(pkt, pkt.request:split_uri().args) then
            pkt:respond{ status = 403, body = "This request is refused.\n" }
        end
    end
}

haka.rule{
    name = "forms",
    hooks = { 'http-request' },
    streamed = true,
    eval = function (self, pkt)
        local request = pkt.request
        local kind = (request.headers["Content-Type"] or ""):lower()
        if not kind:find("application/x-www-form-urlencoded", 1, true) then return end
        -- Until the body's end; what is longer can't be looked at as a whole.
        local is_long = request.data:wait(FORM_MAX + 1) > FORM_MAX
        local form = http.uri.split("?" .. (request.data:peek() or ""))
        if is_long or not check(pkt, form.args) then pkt:reset() end
    end
}

haka.rule{
    name = "what the servers answer",
    hooks = { 'http-response' },
    readonly = true,
    eval = function (self, pkt)
        print(pkt.request.method, pkt.request.uri, pkt.response.status)
    end
}
