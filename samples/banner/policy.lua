-- Lesson: a streamed rule reads a stream from its beginning, as a program reads a file.
--
-- With `streamed = true` the rule is started once for each direction of a connection and runs as a
-- coroutine: `stream:wait(n)` returns when n bytes are there, or when nothing more can come. What
-- segments the bytes come in makes no difference. Both ends of an ssh connection first say in one
-- line which program they are (RFC 4253, 4.2); the rule reads that line and ends.

local LINE_MAX = 255   -- RFC 4253: the line's end included.

-- The next line without its end; nil when there is none of at most LINE_MAX bytes.
local function read_line(stream)
    local size = 1
    while size <= LINE_MAX do
        local available = stream:wait(size)
        local at = stream:find("\n")
        if at and at < LINE_MAX then
            return (tostring(stream:read(at + 1)):gsub("\r?\n$", ""))
        end
        if available < size then return nil end   -- The stream has ended.
        size = available + 1
    end
end

haka.rule{
    name = "ssh banner",
    hooks = { 'tcp-connection-up' },
    readonly = true,
    streamed = true,
    eval = function (self, pkt)
        local connection = pkt.connection
        if connection.dstport ~= 22 then return end
        local who = pkt.direction and "client" or "server"
        local line = read_line(pkt.stream)
        if line and line:find("^SSH%-2%.0%-") then
            print(who .. ": " .. line)
        else
            haka.alert{
                description = ("the %s on port 22 doesn't speak ssh"):format(who),
                severity = "medium",
                sources = haka.alert.address(connection.srcip, connection.srcport),
                targets = haka.alert.address(connection.dstip, connection.dstport),
            }
        end
    end
}
