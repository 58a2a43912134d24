-- haka.alert: checks what a policy says about an alert and brings it into the one shape that
-- src/script/alert_binding.cc reads.
local core = ...

local ffi, native = core.ffi, core.native
local fail, show = core.fail, core.show
local raw_metatable = debug.getmetatable
local address, time = core.modules.address, core.modules.time

local LEVELS = { low = 0, medium = 1, high = 2 }
local COMPLETIONS = { failed = 0, successful = 1 }
local KINDS = { address = 0, service = 1 }
local SECONDS_MAX = 9.2e9  -- What an int64_t of nanoseconds holds.

local FIELDS = {
    start_time = true, end_time = true, description = true, severity = true, confidence = true,
    completion = true, method = true, sources = true, targets = true, ref = true,
}
local METHOD_FIELDS = { description = true, ref = true }

local reference_t
reference_t = core.class("struct haka_alert_reference", {
    fields = "const double number_;",
    name = "alert reference",
    eq = function(a, b)
        return ffi.istype(reference_t, a) and ffi.istype(reference_t, b) and a.number_ == b.number_
    end,
    tostring = function(self) return ("%d"):format(self.number_) end,
})

-- An endpoint or service: an array of texts with its kind.
local Node = {
    __index = function(_, key) return fail("alert node has no field %s", show(key)) end,
    __newindex = function() return fail("alert node can't be written") end,
    __tostring = function(self) return table.concat(self, " ") end,
    __metatable = "alert node",
}

local function node(what, kind, ...)
    local count = select("#", ...)
    if count == 0 then return fail("%s: expected at least one value", what) end
    local result = { kind = kind, ... }
    for i = 1, count do
        local value = result[i]
        if type(value) == "number" or address.is(value) then
            result[i] = tostring(value)
        elseif type(value) ~= "string" then
            return fail("%s: value %d: expected an address, a string or a number, got %s", what, i,
                show(value))
        end
    end
    return setmetatable(result, Node)
end

local function is_node(value)
    return type(value) == "table" and raw_metatable(value) == Node
end

local function text_of(what, value)
    if type(value) == "string" then return value end
    if type(value) == "number" or address.is(value) then return tostring(value) end
    return fail("%s: expected a string, got %s", what, show(value))
end

local function node_of(what, value)
    if is_node(value) then return value end
    return fail("%s: expected haka.alert.address(...) or haka.alert.service(...), got %s", what,
        show(value))
end

-- One value or a list of them, each through `convert`; nil stays nil.
local function list_of(what, value, convert)
    if value == nil then return nil end
    if type(value) ~= "table" or is_node(value) then return { convert(what, value) } end
    local result = {}
    for i = 1, #value do
        local element = rawget(value, i)
        result[i] = convert(("%s[%d]"):format(what, i), element)
    end
    for key in pairs(value) do
        if type(key) ~= "number" or not result[key] then
            return fail("%s: expected one value or a list, got a table with the field %s", what,
                show(key))
        end
    end
    return result
end

local function word_of(what, value, words)
    if value == nil then return nil end
    local number = type(value) == "string" and words[value]
    if number then return number end
    local hint = type(value) == "string" and core.nearest(value, words)
    local names = {}
    for name in pairs(words) do names[#names + 1] = show(name) end
    table.sort(names, function(a, b) return words[a:sub(2, -2)] < words[b:sub(2, -2)] end)
    return fail("%s: unknown value %s, expected one of %s%s", what, show(value),
        table.concat(names, ", "), hint and (" (nearest: %s)"):format(show(hint)) or "")
end

-- Seconds and nanoseconds of a time, or of a number of seconds since 1970.
local function time_of(what, value)
    if value == nil then return nil end
    if time.is(value) then return time.split(value) end
    if type(value) == "number" and value >= -SECONDS_MAX and value <= SECONDS_MAX then
        local seconds = math.floor(value)
        return seconds, math.floor((value - seconds) * 1e9)
    end
    return fail("%s: expected a time or seconds since 1970, got %s", what, show(value))
end

local function set_confidence(what, value, alert)
    if type(value) ~= "number" then
        alert.confidence = word_of(what, value, LEVELS)
    elseif value ~= value or value == math.huge or value == -math.huge then
        fail("%s: expected a finite number, got %s", what, show(value))
    else
        alert.confidence_number = value
    end
end

local function set_method(what, method, alert)
    if method == nil then return end
    core.check_fields(what, method, METHOD_FIELDS)
    if method.description ~= nil then
        alert.method_description = text_of(what .. ".description", method.description)
    end
    alert.method_references = list_of(what .. ".ref", method.ref, text_of)
end

-- What to call each field in an error, made once.
local function names_of(what)
    local names = {}
    for field in pairs(FIELDS) do names[field] = what .. ": " .. field end
    return names
end
local NAMES = {
    ["haka.alert"] = names_of("haka.alert"),
    ["haka.alert.update"] = names_of("haka.alert.update"),
}

local function send(what, given, reference)
    core.check_fields(what, given, FIELDS)
    if next(given) == nil then return fail("%s: the table is empty, an alert says something", what) end
    local names = NAMES[what]
    local alert = {
        reference = reference,
        severity = word_of(names.severity, given.severity, LEVELS),
        completion = word_of(names.completion, given.completion, COMPLETIONS),
        sources = list_of(names.sources, given.sources, node_of),
        targets = list_of(names.targets, given.targets, node_of),
        references = list_of(names.ref, given.ref, text_of),
    }
    if given.description ~= nil then
        alert.description = text_of(names.description, given.description)
    end
    alert.start_seconds, alert.start_nanos = time_of(names.start_time, given.start_time)
    alert.end_seconds, alert.end_nanos = time_of(names.end_time, given.end_time)
    set_confidence(names.confidence, given.confidence, alert)
    set_method(names.method, given.method, alert)
    local number = native.alert(alert)
    if not number then return fail("%s: this event's rules have written lua.output_max bytes", what) end
    return number
end

-- What policies see; sandbox.lua makes it callable.
local alert = {}

---Raises an alert. Every field may be left out, but not all of them. `haka.alert{...}` calls this.
---@param fields table
---@return userdata reference for haka.alert.update, valid as long as it is kept
function alert.raise(fields)
    return reference_t(send("haka.alert", fields, nil))
end

---Says more about an alert raised before; fields that are left out stay as they were.
function alert.update(reference, fields)
    if not ffi.istype(reference_t, reference) then
        return fail("haka.alert.update: expected what haka.alert{...} returned, got %s",
            show(reference))
    end
    send("haka.alert.update", fields, reference.number_)
end

---An endpoint for `sources` and `targets`: addresses, texts and numbers, e.g. an address and a port.
function alert.address(...)
    return node("haka.alert.address", KINDS.address, ...)
end

---A service for `sources` and `targets`, e.g. ("tcp/22", "ssh").
function alert.service(...)
    return node("haka.alert.service", KINDS.service, ...)
end

return alert
