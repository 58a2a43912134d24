local t = ...
local test, equal, contains, policy, failure = t.test, t.equal, t.contains, t.policy, t.failure
local at = t.modules.time.at

test("the packet's time is told in parts", function()
    t.core.context.now = 1795422000123456789LL
    equal(policy "return haka.time().seconds", 1795422000)
    equal(policy "return haka.time().micro_seconds", 123456)
    equal(("%.6f"):format(policy "return haka.time():toseconds()"), "1795422000.123457")
end)

test("times print as dates", function()
    local dates = {
        ["1970-01-01 00:00:00.000000"] = 0LL,
        ["2026-11-23 10:00:00.123456"] = 1795428000123456789LL,
        ["2000-02-29 23:59:59.999999"] = 951868799999999999LL,
        ["2000-03-01 00:00:00.000000"] = 951868800000000000LL,
        ["2100-02-28 12:00:00.000000"] = 4107499200000000000LL,
        ["2100-03-01 00:00:00.000000"] = 4107542400000000000LL,
        ["1969-12-31 23:59:59.999999"] = -1LL,
        ["2262-04-11 23:47:16.854775"] = 0x7fffffffffffffffLL,
        ["1677-09-21 00:12:43.145224"] = -0x7fffffffffffffffLL - 1,
    }
    for text, ns in pairs(dates) do equal(tostring(at(ns)), text) end
end)

test("dates agree with os.date", function()
    for i = -3000, 3000 do
        local seconds = i * 1000003
        equal(tostring(at(seconds * 1000000000LL)), os.date("!%Y-%m-%d %H:%M:%S.000000", seconds))
    end
end)

test("times before 1970 have whole seconds below and microseconds above", function()
    equal(at(-1LL).seconds, -1)
    equal(at(-1LL).micro_seconds, 999999)
    equal(at(-1000000000LL).seconds, -1)
    equal(at(-1000000000LL).micro_seconds, 0)
end)

test("times compare and subtract", function()
    local a, b = at(1000000000LL), at(3500000000LL)
    equal(a < b and a <= b and b > a and a ~= b and a == at(1000000000LL), true)
    equal(b - a, 2.5)
    equal(a - b, -2.5)
    equal(a == nil or a == 1 or a == "x" or nil == a, false)
    contains(failure("return ... < 1", a), "time <: expected two times")
    contains(failure("return ... - 1", a), "time -: expected two times")
    -- Nanoseconds that a number can't hold still tell two times apart.
    equal(at(1795428000123456788LL) < at(1795428000123456789LL), true)
    equal(at(1795428000123456788LL) == at(1795428000123456789LL), false)
end)

test("times can't be changed and name unknown fields", function()
    contains(failure "return haka.time().second", "time has no field \"second\" (nearest: \"seconds\")")
    contains(failure "haka.time().seconds = 1", "time.seconds can't be written")
    contains(failure "haka.time().ns = 1", "time has no field \"ns\"")
    contains(failure "return haka.time().toseconds()", "time:toseconds(")
end)
