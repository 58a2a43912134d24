-- Lesson: a virtual patch, which keeps a known hole shut until the server itself is mended.
--
-- CVE-2011-3192: many overlapping ranges make some servers use up their memory. Nobody needs more
-- than a few, and a server may always answer a request for ranges with the whole, so the header is
-- taken out and the request goes on. Two more checks keep others of its kind out.

local RANGES_MAX = 5

haka.rule{
    hooks = { 'tcp-connection-new' },
    eval = function (self, pkt)
        if pkt.tcp.dstport == 80 then pkt.next_dissector = "http" end
    end
}

local function alert(pkt, description, ref)
    haka.alert{
        description = description,
        severity = "medium",
        method = { ref = ref },
        sources = haka.alert.address(pkt.connection.srcip),
    }
end

haka.rule{
    name = "many ranges",
    hooks = { 'http-request' },
    eval = function (self, pkt)
        local headers = pkt.request.headers
        for _, name in ipairs{ "Range", "Request-Range" } do
            local _, commas = table.concat(headers:all(name), ","):gsub(",", "")
            if commas >= RANGES_MAX then
                alert(pkt, ("%d ranges asked for"):format(commas + 1), "cve/2011-3192")
                headers[name] = nil
            end
        end
    end
}

haka.rule{
    name = "function definitions",
    hooks = { 'http-request' },
    eval = function (self, pkt)
        for name, value in pkt.request.headers:each() do
            if value:find("^%(%)%s*{") then
                alert(pkt, "a function definition in header " .. name, "cve/2014-6271")
                return pkt:respond{ status = 400 }
            end
        end
    end
}

haka.rule{
    name = "status",
    hooks = { 'http-response' },
    readonly = true,
    eval = function (self, pkt)
        print(pkt.request.uri, tostring(pkt.request.headers.range), pkt.response.status)
    end
}
