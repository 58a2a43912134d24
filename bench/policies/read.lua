-- Reads every stream; could change it, so out-of-order bytes are held.
haka.rule{
    hooks = { "tcp-connection-up" },
    eval = function (self, pkt) pkt.stream:read() end
}
