-- Streams: a rule's cursor over the in-order bytes of one direction of a connection.
--
--      base              mark       position                 limit         base + size
--      |------ kept -----|----------|------- available ------|-------------|  (eof: nothing behind)
--
-- Behind the limit lies what a rule before this one holds back.
-- Offsets count delivered bytes as Lua numbers (exact up to 2^53). The bytes lie in C++ memory and
-- move between hooks; only offsets are kept here.
local core = ...
local ffi, api, context, fail = core.ffi, core.api, core.context, core.fail
local buffer, layer = core.modules.buffer, core.modules.packet
local yield = coroutine.yield

local stream = {}

-- A handle made for a plain rule lives for one hook event; one made for a streamed rule lives as
-- long as its coroutine runs.
local function here(self)
    if self.streamed_ ~= 0 then
        if context.streamed ~= self.streamed_ then fail("stream is no longer valid") end
    elseif context.event ~= self.event_ then
        fail("stream is no longer valid")
    end
    local s = context.streams[self.half_]
    return s, s.cursors[context.cursor]
end

local function available(self)
    local _, c = here(self)
    return c.limit - c.position
end

local function check_count(what, n, left)
    if n == nil then return left end
    core.check_integer(what, n, 0, 2 ^ 53)
    return n < left and n or left
end

local methods = { available = available }

function methods.read(self, n)
    local s, c = here(self)
    local left = c.limit - c.position
    n = check_count("stream:read", n, left)
    if left == 0 or n == 0 then return nil end
    local result = buffer.from(s.data + (c.position - s.base), n)
    c.position = c.position + n
    return result
end

function methods.peek(self, n)
    local s, c = here(self)
    n = check_count("stream:peek", n, c.limit - c.position)
    return ffi.string(s.data + (c.position - s.base), n)
end

function methods.getchar(self)
    local s, c = here(self)
    local at = c.position
    if at >= c.limit then return -1 end
    c.position = at + 1
    return s.data[at - s.base]
end

function methods.advance(self, n)
    local _, c = here(self)
    if n == nil then fail("stream:advance: expected a number of bytes, got nil") end
    n = check_count("stream:advance", n, c.limit - c.position)
    c.position = c.position + n
    return n
end

local partial_out = ffi.new("size_t[1]")

-- Offset of `text` from the cursor, or nil. With `keep`, a possible partial match at the end stays
-- held until more bytes come.
function methods.find(self, text, keep)
    if type(text) ~= "string" or #text == 0 then
        fail("stream:find: expected a text of at least one byte, got %s", core.show(text))
    end
    local s, c = here(self)
    local at = c.position - s.base
    local found = api.find(s.data + at, c.limit - c.position, text, #text, partial_out)
    if found >= 0 then return found end
    local ended = s.eof ~= 0 and c.limit == s.base + s.size   -- Nothing can complete it.
    if keep and not ended and partial_out[0] ~= 0 then
        local tail = c.limit - tonumber(partial_out[0])
        if c.tail < c.position or tail < c.tail then c.tail = tail end
    end
    return nil
end

-- Marks: rare, so they live in Lua, by connection, direction and rule: {number =, offset =}.
local marks, mark_count = {}, 0
local mark_ref = core.class("struct haka_mark", {
    fields = "const uint32_t half_; const uint32_t cursor_; const uint32_t number_;",
    name = "mark",
})

local function mark_list(self)
    local slot = api.connection_touch(context)
    local of_connection = marks[slot]
    if not of_connection then
        of_connection = {}
        marks[slot] = of_connection
    end
    local key = self.half_ * 65536 + context.cursor
    local list = of_connection[key]
    if not list then
        list = {}
        of_connection[key] = list
    end
    return list
end

local function lowest(list)
    local low = -1
    for i = 1, #list do
        local offset = list[i].offset
        if low < 0 or offset < low then low = offset end
    end
    return low
end

function methods.mark(self, readonly)
    if readonly ~= nil then core.check_boolean("stream:mark: readonly", readonly) end
    local _, c = here(self)
    if self.half_ > 1 and self.streamed_ == 0 then
        fail("stream:mark: of a message's body only in a rule with `streamed = true`")
    end
    local list = mark_list(self)
    if #list >= 64 then fail("stream:mark: at most 64 marks at a time") end
    mark_count = (mark_count + 1) % 4294967296
    local mark = mark_ref(self.half_, context.cursor, mark_count)
    list[#list + 1] = { number = mark_count, offset = c.position }
    c.mark = lowest(list)
    return mark
end

local function mark_place(self, mark, what)
    if not ffi.istype("struct haka_mark", mark) then
        fail("%s: expected a mark of stream:mark(), got %s", what, core.show(mark))
    end
    local list = mark_list(self)
    for i = 1, #list do
        if list[i].number == mark.number_ then return list, i end
    end
    return fail("%s: the mark is not one of this rule and stream, or was unmarked", what)
end

function methods.unmark(self, mark)
    local _, c = here(self)
    local list, i = mark_place(self, mark, "stream:unmark")
    table.remove(list, i)
    c.mark = lowest(list)
end

function methods.seek(self, mark, unmark)
    local s, c = here(self)
    local list, i = mark_place(self, mark, "stream:seek")
    c.position = math.max(list[i].offset, s.base)   -- Bytes before a gap aren't there any more.
    if unmark then
        table.remove(list, i)
        c.mark = lowest(list)
    end
end

-- Which cursors belong to rules that promised not to change the stream.
local readonly = {}
function stream.promised() return readonly end   -- Of both directions: by cursor.
function stream.promise(half, cursor, is_readonly)
    readonly[half * 65536 + cursor] = is_readonly or nil
end

-- A new message: marks in the last one's body are void.
function stream.forget_marks(slot, half, cursor)
    local of_connection = marks[slot]
    if of_connection then of_connection[half * 65536 + cursor] = nil end
end

-- Marks behind an edit move with their bytes; those in erased bytes to where these stood.
local function shift_marks(self, at, erased, inserted)
    local of_connection = marks[context.connection]
    if not of_connection then return end
    local cursors = context.streams[self.half_].cursors
    for key, list in pairs(of_connection) do
        if math.floor(key / 65536) == self.half_ then
            local cursor = key % 65536
            -- Rules before this one have let these bytes go: what comes in stands before their marks.
            local stays = cursor < context.cursor and at + inserted or at
            for i = 1, #list do
                local mark = list[i]
                if mark.offset >= at + erased and (mark.offset > at or cursor < context.cursor) then
                    mark.offset = mark.offset + inserted - erased
                elseif mark.offset > at then
                    mark.offset = stays
                end
            end
            if #list > 0 then cursors[cursor].mark = lowest(list) end
        end
    end
end

local SIGNED = 15

local function bytes_of(what, data)
    if type(data) == "string" then return data end
    if buffer.is(data) then return tostring(data) end
    return fail("%s: expected a string or a buffer, got %s", what, core.show(data))
end

local function edit(self, what, erase, data)
    local _, c = here(self)
    local kind = self.half_ > 1 and self.half_ or 0   -- Both directions have the same rules.
    if readonly[kind * 65536 + context.cursor] then
        fail("%s: this rule promised `readonly = true`", what)
    end
    if context.pass_through ~= 0 then layer.pass_through(what) end
    api.connection_touch(context)
    local at = c.position
    local status = api.stream_edit(context, self.half_, at, erase, data, #data)
    if status == SIGNED then   -- Nothing is changed, and the cursor goes on all the same.
        c.position = at + erase
        return 0
    end
    layer.check(status, what)
    shift_marks(self, at, erase, #data)
    return erase
end

---Puts bytes before the cursor, which stands behind them then.
---@param data string|buffer
function methods.insert(self, data)
    data = bytes_of("stream:insert", data)
    if #data ~= 0 then edit(self, "stream:insert", 0, data) else here(self) end
end

---Takes away at most the next `n` bytes. Returns how many.
---@param n integer
---@return integer
function methods.erase(self, n)
    local _, c = here(self)
    if n == nil then fail("stream:erase: expected a number of bytes, got nil") end
    n = check_count("stream:erase", n, c.limit - c.position)
    if n == 0 then return 0 end
    return edit(self, "stream:erase", n, "")
end

---Puts `data` in the place of at most the next `n` bytes; the cursor stands behind it then.
---Returns how many bytes were taken away.
---@param n integer
---@param data string|buffer
---@return integer
function methods.replace(self, n, data)
    local _, c = here(self)
    data = bytes_of("stream:replace", data)
    if n == nil then fail("stream:replace: expected a number of bytes, got nil") end
    n = check_count("stream:replace", n, c.limit - c.position)
    if n == 0 and #data == 0 then return 0 end
    return edit(self, "stream:replace", n, data)
end

-- In a streamed rule: suspends until `n` bytes are available or nothing more can come; returns how
-- many are available.
function methods.wait(self, n)
    core.check_integer("stream:wait", n, 0, 2 ^ 31)
    if self.streamed_ == 0 then
        fail("stream:wait: only in a rule with `streamed = true`")
    end
    while true do
        local s, c = here(self)
        local left = c.limit - c.position
        if left >= n or (s.eof ~= 0 and c.limit == s.base + s.size) then return left end
        yield()
    end
end

local stream_ref = core.class("struct haka_stream_ref", {
    fields = "const uint32_t event_; const uint32_t streamed_; const uint32_t half_;",
    name = "stream",
    get = {
        eof = function(self)
            local s, c = here(self)
            return s.eof ~= 0 and c.position == s.base + s.size
        end,
        gap = function(self)
            local _, c = here(self)
            local lost = c.gap
            c.gap = 0
            return lost
        end,
        direction = function(self) here(self) return self.half_ == 0 end,
    },
    methods = methods,
})

-- The stream of one direction (0: client to server) of the connection at hand.
function stream.at_hand(half, streamed)
    if context.streams == nil or context.http ~= 0 then
        return fail("stream: no stream here; it is there on tcp-connection-up")
    end
    return stream_ref(context.event, streamed, half)
end

-- The body of the message at hand (2: of a request, 3: of a response), which is open.
function stream.body(half, streamed)
    if context.hook == core.hooks["http-up"] or context.hook == core.hooks["http-down"] then
        return fail("http.data: no body here; it is there on http-request and http-response")
    end
    return stream_ref(context.event, streamed, half)
end

function stream.forget(slot) marks[slot] = nil end

-- What cursor number `number` holds, those behind it (up to number `last`) don't see.
local function narrow_one(half, number, last, not_at_hand)
    local cursors = context.streams[half].cursors
    local c = cursors[number]
    local hold = c.limit
    if c.mark >= 0 then
        hold = c.mark < c.position and c.mark or c.position
    elseif c.tail >= c.position then
        hold = c.tail
    elseif not_at_hand then   -- What was left there is held.
        hold = c.position
    end
    for later = number + 1, last do
        local other = cursors[later]
        if other.limit > hold then
            other.limit = hold > other.position and hold or other.position
        end
    end
end

-- Called behind the rule of cursor number `number`, for either direction.
function stream.narrow(number, last)
    if context.shows_kept ~= 0 then return end
    for half = 0, 1 do narrow_one(half, number, last, half == context.direction) end
end

-- The same for the body of the message at hand.
function stream.narrow_body(half, number, last)
    if context.streams[half].cursors ~= nil then narrow_one(half, number, last, false) end
end

-- Cursors number `first` to `last`, of either direction, stay where they are.
function stream.keep_rest(first, last)
    for half = 0, 1 do
        local cursors = context.streams[half].cursors
        for number = first, last do cursors[number].limit = cursors[number].position end
    end
end

return stream
