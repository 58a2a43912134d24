-- Points in packet time: `haka.time()` and the timestamps of packets.
local core = ...

local ffi = core.ffi
local fail, show = core.fail, core.show
local istype, floor = ffi.istype, math.floor

local BILLION = 1000000000LL
local time_t

-- Whole seconds since 1970, rounded down, and the nanoseconds above them.
local function split(self)
    local seconds, rest = self.ns_ / BILLION, self.ns_ % BILLION
    if rest < 0 then seconds, rest = seconds - 1, rest + BILLION end
    return tonumber(seconds), tonumber(rest)
end

-- Year, month and day of a day counted from 1970-01-01. Years begin in March here, so that the
-- leap day is a year's last; 146097 days make the 400 years after which the calendar repeats.
local function date_of(day)
    local shifted = day + 719468  -- From 0000-03-01.
    local era = floor(shifted / 146097)
    local of_era = shifted - era * 146097
    local year_of_era = floor((of_era - floor(of_era / 1460) + floor(of_era / 36524) -
        floor(of_era / 146096)) / 365)
    local of_year = of_era - (365 * year_of_era + floor(year_of_era / 4) - floor(year_of_era / 100))
    local march_month = floor((5 * of_year + 2) / 153)
    local month = march_month < 10 and march_month + 3 or march_month - 9
    local year = year_of_era + era * 400 + (month <= 2 and 1 or 0)
    return year, month, of_year - floor((153 * march_month + 2) / 5) + 1
end

local function text(self)
    local seconds, nanos = split(self)
    local day = floor(seconds / 86400)
    local of_day = seconds - day * 86400
    local year, month, day_of_month = date_of(day)
    return ("%04d-%02d-%02d %02d:%02d:%02d.%06d"):format(year, month, day_of_month,
        floor(of_day / 3600), floor(of_day / 60) % 60, of_day % 60, floor(nanos / 1000))
end

local function check_pair(a, b, operator)
    if not (istype(time_t, a) and istype(time_t, b)) then
        return fail("time %s: expected two times, got %s and %s", operator, show(a), show(b))
    end
end

local function less(a, b)
    check_pair(a, b, "<")
    return a.ns_ < b.ns_
end

local function less_or_equal(a, b)
    check_pair(a, b, "<=")
    return a.ns_ <= b.ns_
end

local get = {
    seconds = function(self)
        local seconds = split(self)
        return seconds
    end,
    micro_seconds = function(self)
        local _, nanos = split(self)
        return floor(nanos / 1000)
    end,
}

time_t = core.class("struct haka_time", {
    fields = "const int64_t ns_;",
    name = "time",
    get = get,
    methods = {
        toseconds = function(self)
            local seconds, nanos = split(self)
            return seconds + nanos / 1e9  -- All nanoseconds are more than a number holds exactly.
        end,
    },
    eq = function(a, b) return istype(time_t, a) and istype(time_t, b) and a.ns_ == b.ns_ end,
    lt = less,
    le = less_or_equal,
    -- The seconds between two times, however far apart.
    sub = function(a, b)
        check_pair(a, b, "-")
        local a_seconds, a_nanos = split(a)
        local b_seconds, b_nanos = split(b)
        return (a_seconds - b_seconds) + (a_nanos - b_nanos) / 1e9
    end,
    tostring = text,
})

return {
    ---The time of the packet at hand, the one clock of policies.
    now = function() return time_t(core.context.now) end,
    -- `ns`: nanoseconds since 1970 as int64_t.
    at = function(ns) return time_t(ns) end,
    is = function(value) return istype(time_t, value) end,
    split = split,
}
