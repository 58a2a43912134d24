-- Dissectors written in Lua: haka.dissector{...}, ipv4.register_proto, haka.disable_dissector.
local core = ...
local context, fail = core.context, core.fail
local rule, connection = core.modules.rule, core.modules.connection

local dissector = {}
local FIELDS = { name = 1, dissect = 1, hooks = 1 }

-- Every dissector by name: those of the engine, then the policy's.
core.dissectors = {
    raw = {}, ipv4 = {}, ipv6 = {}, tcp = {}, ["tcp-connection"] = {}, udp = {}, icmp = {},
    http = {},
}
core.registered_protocols = {}

function dissector.dissector(definition)
    core.check_fields("haka.dissector", definition, FIELDS)
    local name = core.check_string("haka.dissector: name", definition.name)
    core.check_function("haka.dissector: dissect", definition.dissect)
    if core.dissectors[name] then
        return fail("haka.dissector: there is a dissector named %s already", core.show(name))
    end
    local hooks = definition.hooks or {}
    if type(hooks) ~= "table" then
        return fail("haka.dissector: hooks: expected a list of hook names, got %s", core.show(hooks))
    end
    for _, hook in ipairs { name .. "-up", name .. "-down", unpack(hooks) } do
        core.check_string("haka.dissector: hooks", hook)
        core.hooks[hook] = core.hooks[hook] or -1   -- -1: run by Lua alone
    end
    local info = debug.getinfo(definition.dissect, "S")
    definition.number = nil
    core.dissectors[name] = {
        name = name, dissect = definition.dissect, definition = definition, enabled = true,
        number = rule.register(("dissector %s"):format(name),
            ("%s:%d"):format(info.short_src, info.linedefined)),
    }
    return definition
end

-- Runs one Lua dissector on the object of the layer below: dissect, NAME-up, what comes next,
-- NAME-down, forge. Stops as soon as something was dropped.
local function run(d, below, depth)
    if depth > 16 then return fail("dissector %s: more than 16 layers", d.name) end
    context.rule = d.number
    local pkt = d.dissect(below)
    if pkt == nil or context.ended ~= 0 then return end
    if type(pkt) ~= "table" then
        return fail("dissector %s: dissect() must return a table or nil, got %s", d.name,
            core.show(pkt))
    end
    if not rule.rule_hook(d.name .. "-up", pkt) then return end
    local next_name = pkt.next_dissector
    if next_name ~= nil then
        local following = core.dissectors[next_name]
        if not following or not following.dissect then
            return fail("no dissector written in Lua is named %s (nearest: %s)",
                core.show(next_name), core.show(core.nearest(tostring(next_name), core.dissectors)))
        end
        if following.enabled then run(following, pkt, depth + 1) end
        if context.ended ~= 0 then return end
    end
    if type(pkt.valid) == "function" and not pkt:valid() then return end
    if not rule.rule_hook(d.name .. "-down", pkt) then return end
    context.rule = d.number
    if type(pkt.forge) == "function" then pkt:forge() end
    context.rule = 0
end

function dissector.run_protocol(protocol, below)
    local d = core.registered_protocols[protocol]
    if d and d.enabled then run(d, below, 1) end
end

function dissector.run_stream(name)
    local d = core.dissectors[name]
    if d and d.enabled then run(d, connection.event(0), 1) end
end

function dissector.register_proto(number, definition)
    core.check_integer("ipv4.register_proto: number", number, 0, 255)
    local d
    for _, candidate in pairs(core.dissectors) do
        if candidate.definition and candidate.definition == definition then d = candidate end
    end
    if not d then
        return fail("ipv4.register_proto: expected a dissector of haka.dissector{...}, got %s",
            core.show(definition))
    end
    if number == 1 or number == 6 or number == 17 or number == 58 then
        return fail("ipv4.register_proto: protocol %d has a dissector of the engine", number)
    end
    core.registered_protocols[number] = d
    core.native.register_proto(number)
end

local DISABLED = { ["tcp-connection"] = true, tcp = true, udp = true, icmp = true, ipv4 = true,
    ipv6 = true, http = true }

function dissector.disable(name)
    core.check_string("haka.disable_dissector: name", name)
    local d = core.dissectors[name]
    if not d or name == "raw" then
        return fail("haka.disable_dissector: no dissector is named %s (nearest: %s)",
            core.show(name), core.show(core.nearest(name, core.dissectors)))
    end
    if DISABLED[name] and rule.functions then
        return fail("haka.disable_dissector: %s can be disabled while the policy loads, not when "
            .. "packets flow", core.show(name))
    end
    if DISABLED[name] then core.native.disable_dissector(name) else d.enabled = false end
end

return dissector
