-- Puts the library together: what policies see, and the functions that C++ calls for each hook.
local core = ...
local context, api = core.context, core.api
local m = core.modules
local packet, ip, transport, connection = m.packet, m.ip, m.tcp, m.connection
local rule, dissector, sandbox = m.rule, m.dissector, m.sandbox

local haka = {
    rule = rule.rule,
    rule_group = rule.rule_group,
    rule_hook = rule.rule_hook,
    dissector = dissector.dissector,
    disable_dissector = dissector.disable,
    packet = sandbox.readonly("haka.packet", packet.module),
    log = m.log.log,
    alert = m.alert.alert,
    time = m.time.now,
    buffer = m.buffer.new,
    on_exit = m.exit.register,
    current_thread = function() return context.worker end,
}

local protocols = {
    ipv4 = sandbox.readonly("ipv4", {
        addr = m.address.ipv4.addr, network = m.address.ipv4.network,
        create = ip.create_v4, register_proto = dissector.register_proto,
    }),
    ipv6 = sandbox.readonly("ipv6", {
        addr = m.address.ipv6.addr, network = m.address.ipv6.network, create = ip.create_v6,
    }),
    tcp = sandbox.readonly("tcp", { create = transport.create_tcp, stream = m.tcp_stream.new }),
    udp = sandbox.readonly("udp", { create = transport.create_udp }),
    icmp = sandbox.readonly("icmp", { create = transport.create_icmp }),
    http = sandbox.readonly("http", {
        uri = sandbox.readonly("http.uri", m.http.module.uri),
        cookies = sandbox.readonly("http.cookies", m.http.module.cookies),
    }),
}

local entries = {}

-- How each hook's argument is made; the functions below run once a hook event.
local ARGUMENTS = {
    raw = "packet.raw(0)", ipv4 = "ip.v4(0)", ipv6 = "ip.v6(0)", tcp = "transport.tcp(0)",
    udp = "transport.udp(0)", icmp = "transport.icmp(0)",
}

local function entry_for(name, run)
    local layer = name:match("^(%w+)%-%w+$")
    local argument = ARGUMENTS[layer]
    if name == "tcp-connection-end" then
        argument = "connection.ended()"
    elseif name:match("^tcp%-connection%-") then
        argument = "connection.event(0)"
    elseif layer == "http" then
        argument = "http.event(0)"
    end
    local text = "function() run(" .. argument .. ") end"
    return core.compile(text, "run, packet, ip, transport, connection, http", run, packet, ip,
        transport, connection, m.http)
end

-- Called once the policy is loaded: hands the functions of each hook to C++.
local function seal()
    local functions, cursors, streamed, editing, on_http = rule.seal()
    for name, number in pairs(core.hooks) do
        if number >= 0 and functions[name] then
            entries[number] = entry_for(name, functions[name])
        end
    end
    return {
        entries = entries,
        cursors = cursors,
        streamed = streamed,
        editing = editing,
        readonly = m.stream.promised(),
        http_editing = on_http.editing,
        request_rules = on_http["http-request"] or 0,
        response_rules = on_http["http-response"] or 0,
        body = rule.resume_bodies,
        protocol = function(version, protocol)
            return dissector.run_protocol(protocol, version == 4 and ip.v4(0) or ip.v6(0))
        end,
        stream = function(name) return dissector.run_stream(name) end,
        forget = connection.forget,
        waits = rule.waits,
        exit = m.exit.run,
        set_level = core.set_log_level,
        listing = rule.listing,
    }
end

local globals = { haka = sandbox.readonly("haka", haka) }
for name, module in pairs(protocols) do globals[name] = module end
return sandbox.environment {
    directory = core.native.directory, protocols = protocols, globals = globals,
}, seal
