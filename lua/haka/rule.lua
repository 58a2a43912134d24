-- Rules, groups, and the function that runs all rules of one hook.
--
-- For each hook that has rules one Lua function is generated, with every rule unrolled in it: the
-- JIT compiler then sees straight code. `context.rule` names the rule at work for errors and hangs;
-- `context.ended` is set by whatever decides the packet, and ends the hook.
local core = ...
local api, context, fail = core.api, core.context, core.fail
local connection, stream = core.modules.connection, core.modules.stream
local http, layer = core.modules.http, core.modules.packet

local rule = {}
local hooks = {}          -- name -> list of { group =, rules = {...} } in order of creation
local groups = {}         -- in order of creation; the first is `default`
local infos = {}          -- rule number -> { name =, hooks =, file = }
local sealed = false

local RULE_FIELDS = { name = 1, hooks = 1, eval = 1, readonly = 1, streamed = 1 }
local GROUP_FIELDS = { name = 1, init = 1, fini = 1, continue = 1 }
local STREAM_HOOKS = { ["tcp-connection-up"] = true }
-- Messages: each rule has a cursor in the body, which is the stream of that number.
local BODY_HOOKS = { ["http-request"] = 2, ["http-response"] = 3 }
local HTTP_HOOKS = { "http-up", "http-request", "http-response", "http-down" }
local IS_HTTP = {}
for _, name in ipairs(HTTP_HOOKS) do IS_HTTP[name] = true end

local function place_of_policy()
    local level = 2
    while true do
        local info = debug.getinfo(level, "Sl")
        if not info then return "?" end
        if info.what ~= "C" and info.source:sub(1, 6) ~= "=haka/" then
            return ("%s:%d"):format(info.short_src, info.currentline)
        end
        level = level + 1
    end
end

-- A number for whatever may run and fail: a rule's eval, a group's init, fini, continue.
local function register(name, place)
    infos[#infos + 1] = { name = name, place = place }
    core.native.rule_registered(#infos, name, place)
    return #infos
end

local function check_hooks(what, list)
    if type(list) ~= "table" then
        return fail("%s: hooks: expected a list of hook names, got %s", what, core.show(list))
    end
    if #list == 0 then
        return fail("%s: hooks: the list is empty; a rule needs a hook, such as { 'tcp-up' }", what)
    end
    for _, name in ipairs(list) do
        core.check_string(what .. ": hooks", name)
        if not core.hooks[name] then
            return fail("%s: no dissector declares the hook %s (nearest: %s)", what,
                core.show(name), core.show(core.nearest(name, core.hooks)))
        end
    end
end

local function add_rule(group, what, definition)
    core.check_fields(what, definition, RULE_FIELDS)
    if sealed then
        return fail("%s: rules are made while the policy loads, not when packets flow", what)
    end
    check_hooks(what, definition.hooks)
    core.check_function(what .. ": eval", definition.eval)
    if definition.name ~= nil then core.check_string(what .. ": name", definition.name) end
    for _, field in ipairs { "readonly", "streamed" } do
        if definition[field] ~= nil then
            core.check_boolean(what .. ": " .. field, definition[field])
        end
    end
    local place = place_of_policy()
    if core.native.disabled_rules[definition.name or place] then
        return definition   -- It has hung or crashed the engine too often.
    end
    local entry = {
        definition = definition, group = group,
        number = register(definition.name or place, place),
    }
    for _, name in ipairs(definition.hooks) do
        if definition.streamed and not STREAM_HOOKS[name] and not BODY_HOOKS[name] then
            return fail("%s: streamed = true is for stream hooks (tcp-connection-up, "
                .. "http-request, http-response), not %s", what, core.show(name))
        end
        local list = hooks[name] or {}
        hooks[name] = list
        list[group] = list[group] or {}
        table.insert(list[group], entry)
    end
    return definition
end

rule.register = register

groups[1] = { name = "default", definition = {} }

function rule.rule(definition) add_rule(groups[1], "haka.rule", definition) end

function rule.rule_group(definition)
    core.check_fields("haka.rule_group", definition, GROUP_FIELDS)
    if sealed then return fail("haka.rule_group: groups are made while the policy loads") end
    for _, field in ipairs { "init", "fini", "continue" } do
        if definition[field] ~= nil then
            core.check_function("haka.rule_group: " .. field, definition[field])
        end
    end
    if definition.name ~= nil then core.check_string("haka.rule_group: name", definition.name) end
    local place = place_of_policy()
    local name = definition.name or place
    local group = { name = name, definition = definition }
    for _, field in ipairs { "init", "fini", "continue" } do
        if definition[field] then
            group[field .. "_number"] = register(("%s.%s"):format(name, field), place)
        end
    end
    groups[#groups + 1] = group
    definition.rule = function(self, of_rule)
        if self ~= definition then return fail("group:rule{...}: called with a dot?") end
        add_rule(group, "group:rule", of_rule)
    end
    return definition
end

-- Streamed rules: one coroutine for each rule, connection and direction; FINISHED in its place once
-- it has come to its end, so that what it held is free before the connection is.
local routines, token = {}, 0
local FINISHED = { finished = true }

local function start(eval, self)
    local mine = coroutine.create(eval)
    token = token % 4294967295 + 1
    return { thread = mine, token = token, self = self }
end

local function resume(routine, event)
    context.streamed = routine.token
    local first = not routine.started
    routine.started = true
    local ok, problem
    if first then
        ok, problem = coroutine.resume(routine.thread, routine.self, event(routine.token))
    else
        ok, problem = coroutine.resume(routine.thread)
    end
    context.streamed = 0
    if not ok then
        routine.finished = true
        core.native.coroutine_failed(debug.traceback(routine.thread, tostring(problem)):gsub("\t", "    "))
        return error(problem, 0)
    end
    if coroutine.status(routine.thread) == "dead" then routine.finished = true end
end

-- Runs the streamed rule of cursor number `cursor` on the bytes at hand.
function rule.run_streamed(cursor, eval, self)
    local slot = api.connection_touch(context)
    local of_connection = routines[slot]
    if not of_connection then
        of_connection = {}
        routines[slot] = of_connection
    end
    local half = context.direction ~= 0 and 0 or 1
    local key = half * 65536 + cursor
    local routine = of_connection[key]
    if not routine then
        routine = start(eval, self)
        of_connection[key] = routine
    end
    local c = context.streams[half].cursors[cursor]
    if routine.finished then return end
    c.mark = -1
    of_connection[key] = FINISHED   -- Stays so when it fails.
    resume(routine, connection.event)
    if routine.finished then
        c.mark = -1
        return
    end
    of_connection[key] = routine
    -- What it has not read stays while it waits, and so does what its own marks hold.
    if c.mark < 0 or c.mark > c.position then c.mark = c.position end
end

-- A message's streamed rule of cursor number `cursor`: starts it with the head, or goes on with the
-- body (`eval` is nil). True: it waits for more.
local function run_body(half, cursor, eval, self)
    local slot = api.connection_touch(context)
    local of_connection = routines[slot]
    if not of_connection then
        of_connection = {}
        routines[slot] = of_connection
    end
    local key = half * 65536 + cursor
    local routine = of_connection[key]
    if eval then
        stream.forget_marks(slot, half, cursor)
        routine = start(eval, self)
    elseif not routine or routine.finished then
        return false
    else
        context.streams[half].cursors[cursor].mark = -1
    end
    of_connection[key] = FINISHED   -- Stays so when it fails.
    resume(routine, http.event)
    local body = context.streams[half]
    if routine.finished then
        if body.cursors ~= nil then body.cursors[cursor].mark = -1 end
        return false
    end
    of_connection[key] = routine
    if body.cursors == nil then   -- It waits for what it has not looked at yet.
        layer.check(api.http_open_body(context, half - 2), "http.data")
    end
    local c = body.cursors[cursor]
    if c.mark < 0 or c.mark > c.position then c.mark = c.position end
    return true
end

function rule.start_body(half, cursor, eval, self)
    if run_body(half, cursor, eval, self) then context.http_waits = context.http_waits + 1 end
end

local bodies = { [2] = {}, [3] = {} }   -- The streamed rules of each: {cursor, number, readonly}.

-- Goes on with the streamed rules that wait for the body of the message at hand.
function rule.resume_bodies(which)
    local half = 2 + which
    local list = bodies[half]
    for i = 1, #list do
        local entry = list[i]
        context.cursor, context.rule = entry.cursor, entry.number
        context.http_readonly = entry.readonly and 1 or 0
        if run_body(half, entry.cursor) then context.http_waits = context.http_waits + 1 end
        if context.ended ~= 0 then break end
        if not entry.readonly then stream.narrow_body(half, entry.cursor, list.last) end
    end
    context.rule = 0
end

function rule.forget(slot) routines[slot] = nil end

-- True when a streamed rule of the connection at hand still waits on direction `half`.
function rule.waits(slot, half)
    local of_connection = routines[slot]
    if not of_connection then return false end
    for key, routine in pairs(of_connection) do
        if math.floor(key / 65536) == half and not routine.finished then return true end
    end
    return false
end

-- Text of the function that runs every rule of hook `name` on `pkt`.
local function generate(name)
    local out, values, cursors = {}, {}, 0
    local half = BODY_HOOKS[name]
    local has_cursors = STREAM_HOOKS[name] or half
    local is_http = IS_HTTP[name]
    local function emit(...) out[#out + 1] = table.concat { ... } end
    local function bind(value)
        values[#values + 1] = value
        return "v[" .. #values .. "]"
    end
    local locals = {}
    -- A function has room for 60 upvalues: the first values get one each, the rest share the table.
    local function bound(value)
        local source = bind(value)
        if #values > 50 then return source end
        local variable = "l" .. #values
        locals[#locals + 1] = ("local %s = %s\n"):format(variable, source)
        return variable
    end
    -- `unseen`: the cursor of the first rule that hasn't run by then.
    local function call(number, text, target, unseen)
        emit("context.rule = ", number, "\n")
        if core.native.profile then
            emit("do local before = api.clock()\n", target or "", text, "\n",
                "api.rule_time(context, ", number, ", api.clock() - before) end\n")
        else
            emit(target or "", text, "\n")
        end
        -- Rules that don't run because the packet is dropped keep what they have not seen.
        emit("if context.ended ~= 0 then context.rule = 0 ",
            STREAM_HOOKS[name] and ("keep_rest(%d, last) "):format(unseen or cursors) or "",
            "return end\n")
    end
    -- A group is left by goto: a loop that runs once would keep the JIT compiler from seeing the
    -- whole hook as one trace.
    for place, group in ipairs(groups) do
        local entries = hooks[name] and hooks[name][group]
        if entries then
            local g = group.definition
            emit("do\n")
            local self, narrows = bound(g), {}
            if has_cursors then emit("context.cursor = ", cursors, "\n") end
            if g.init then call(group.init_number, ("%s(%s, pkt)"):format(bound(g.init), self)) end
            for _, entry in ipairs(entries) do
                local eval, of_rule = bound(entry.definition.eval), bound(entry.definition)
                if has_cursors then
                    emit("context.cursor = ", cursors, "\n")
                end
                if is_http then
                    emit("context.http_readonly = ", entry.definition.readonly and 1 or 0, "\n")
                end
                if entry.definition.streamed and half then
                    call(entry.number, ("start_body(%d, %d, %s, %s)"):format(half, cursors, eval,
                        of_rule))
                    emit("ret = nil\n")
                    table.insert(bodies[half], { cursor = cursors, number = entry.number,
                        readonly = entry.definition.readonly })
                elseif entry.definition.streamed then
                    call(entry.number, ("run_streamed(%d, %s, %s)"):format(cursors, eval, of_rule),
                        nil, cursors + 1)
                    emit("ret = nil\n")
                else
                    call(entry.number, ("%s(%s, pkt)"):format(eval, of_rule), "ret = ", cursors + 1)
                end
                if STREAM_HOOKS[name] and not entry.definition.readonly then
                    local narrow = ("narrow(%d, last)\n"):format(cursors)
                    emit(narrow)
                    if g.continue then narrows[#narrows + 1] = narrow end
                elseif half and entry.definition.streamed and not entry.definition.readonly then
                    emit(("narrow_body(%d, %d, last)\n"):format(half, cursors))
                end
                if has_cursors then
                    stream.promise(half or 0, cursors, entry.definition.readonly)
                    cursors = cursors + 1
                end
                if g.continue then
                    local more = bound(g.continue)
                        call(group.continue_number, ("%s(%s, pkt, ret)"):format(more, self), "go = ")
                    emit("if not go then goto group_", place, " end\n")
                    emit("ret = nil\n")
                end
            end
            if g.fini then call(group.fini_number, ("%s(%s, pkt)"):format(bound(g.fini), self)) end
            -- Rules that `continue` left out hold what they held before.
            emit("end ::group_", place, "::\n", table.concat(narrows))
        end
    end
    if half then bodies[half].last = cursors - 1 end
    local source = "local v, context, api, run_streamed, start_body, narrow, narrow_body, keep_rest, " ..
        "last = ...\n" ..
        table.concat(locals) ..
        "return function(pkt) local ret, go\n" .. table.concat(out) .. "context.rule = 0\nend\n"
    local compiled = assert(loadstring(source, "=haka/hook:" .. name))
    -- The cursor behind those of the rules is the dissector's.
    return compiled(values, context, api, rule.run_streamed, rule.start_body, stream.narrow,
        stream.narrow_body, stream.keep_rest, half and cursors - 1 or cursors), cursors
end

local function any_edits(name)
    for _, entries in pairs(hooks[name] or {}) do
        for _, entry in ipairs(entries) do
            if not entry.definition.readonly then return true end
        end
    end
    return false
end

-- Called once the policy is loaded: returns {hook name -> function(pkt)}, number of stream rules,
-- whether any of them may edit, whether any is streamed; the same of HTTP: number of rules on each
-- of its messages, whether any rule may edit.
function rule.seal()
    sealed = true
    local functions, cursors, streamed, editing = {}, 0, false, false
    local on_http = { editing = false }
    for name, of_groups in pairs(hooks) do
        local run, count = generate(name)
        functions[name] = run
        if BODY_HOOKS[name] then on_http[name] = count end
        if STREAM_HOOKS[name] then
            cursors = count
            for _, entries in pairs(of_groups) do
                for _, entry in ipairs(entries) do
                    streamed = streamed or entry.definition.streamed or false
                    editing = editing or not entry.definition.readonly
                end
            end
        end
    end
    for _, name in ipairs(HTTP_HOOKS) do on_http.editing = on_http.editing or any_edits(name) end
    rule.functions = functions
    return functions, cursors, streamed, editing, on_http
end

-- haka.rule_hook(name, pkt): runs a hook from a dissector written in Lua; false: stop.
function rule.rule_hook(name, pkt)
    core.check_string("haka.rule_hook: name", name)
    if not core.hooks[name] then
        return fail("haka.rule_hook: no dissector declares the hook %s (nearest: %s)",
            core.show(name), core.show(core.nearest(name, core.hooks)))
    end
    if IS_HTTP[name] then
        return fail("haka.rule_hook: %s is run by the engine, for each message", name)
    end
    if STREAM_HOOKS[name] and (context.streams == nil or context.http ~= 0) then
        return fail("haka.rule_hook: %s needs a stream, and there is none here", name)
    end
    local run = rule.functions and rule.functions[name]
    if run then
        local outer, cursor = context.rule, context.cursor
        run(pkt)
        context.rule, context.cursor = outer, cursor
    end
    return context.ended == 0
end

-- For `haka check`: hook -> list of rule names in the order in which they run.
function rule.listing()
    local result = {}
    for name in pairs(hooks) do
        local list = {}
        for _, group in ipairs(groups) do
            for _, entry in ipairs(hooks[name][group] or {}) do
                local d = entry.definition
                local info = infos[entry.number]
                list[#list + 1] = { group = group.name, name = info.name, place = info.place,
                    readonly = d.readonly or false, streamed = d.streamed or false }
            end
        end
        result[name] = list
    end
    return result
end

return rule
