---@meta
-- Transport layers, connections and streams, for editors that speak LuaLS. Checked against the library by tests/meta.lua.

---@class haka.payload
---@field [integer] integer byte i from 1; its size is `#`
local payload = {}

---Changes the size, in bytes, 0 to 65535.
---@param size integer
function payload:resize(size) end

---@class haka.tcp_flags
---@field ack boolean
---@field all integer
---@field cwr boolean
---@field ecn boolean ECE
---@field fin boolean
---@field psh boolean
---@field rst boolean
---@field syn boolean
---@field urg boolean
local tcp_flags = {}

---@class haka.tcp_options
---@field mss integer?
---@field window_scale integer?
---@field sack_permitted boolean
---@field timestamp { value: integer, echo: integer }?

---@class haka.tcp
---@field ack_seq integer
---@field checksum integer
---@field dissector string
---@field dstport integer
---@field flags haka.tcp_flags
---@field hdr_len integer bytes
---@field ip haka.ipv4|haka.ipv6
---@field next_dissector string?
---@field options haka.tcp_options
---@field payload haka.payload
---@field res integer
---@field seq integer
---@field srcport integer
---@field urgent_pointer integer
---@field window_size integer
local tcp = {}

---Sets the checksum now.
function tcp:compute_checksum() end

---Drops it; no further rule sees it.
function tcp:drop() end

---For dissectors in Lua: the lower layer's object, ready to leave.
---@return any
function tcp:forge() end

---The connection, its direction (true: client to server), whether it was dropped.
---@return haka.connection?, boolean?, boolean
function tcp:getconnection() end

---Makes the connection of this SYN; an error if there is one.
---@return haka.connection
function tcp:newconnection() end

---Lets a packet that the policy made leave behind the one at hand.
function tcp:send() end

---Whether it may still be used.
---@return boolean
function tcp:valid() end

---Whether the checksum is right.
---@return boolean
function tcp:verify_checksum() end

---@class haka.udp
---@field checksum integer
---@field dissector string
---@field dstport integer
---@field ip haka.ipv4|haka.ipv6
---@field length integer
---@field next_dissector string?
---@field payload haka.payload
---@field srcport integer
local udp = {}

---Sets the checksum now.
function udp:compute_checksum() end

---Drops it; no further rule sees it.
function udp:drop() end

---For dissectors in Lua: the lower layer's object, ready to leave.
---@return any
function udp:forge() end

---Lets a packet that the policy made leave behind the one at hand.
function udp:send() end

---Whether it may still be used.
---@return boolean
function udp:valid() end

---Whether the checksum is right.
---@return boolean
function udp:verify_checksum() end

---@class haka.icmp
---@field checksum integer
---@field code integer
---@field dissector string
---@field ip haka.ipv4|haka.ipv6
---@field next_dissector string?
---@field payload haka.payload
---@field type integer
local icmp = {}

---Sets the checksum now.
function icmp:compute_checksum() end

---Drops it; no further rule sees it.
function icmp:drop() end

---For dissectors in Lua: the lower layer's object, ready to leave.
---@return any
function icmp:forge() end

---Lets a packet that the policy made leave behind the one at hand.
function icmp:send() end

---Whether it may still be used.
---@return boolean
function icmp:valid() end

---Whether the checksum is right.
---@return boolean
function icmp:verify_checksum() end

---@class haka.mark

---@class haka.stream
---@field direction boolean true: client to server
---@field eof boolean nothing comes behind the cursor
---@field gap integer bytes lost before the cursor, told once
local stream = {}

---Skips at most n bytes; returns how many.
---@param n integer
---@return integer
function stream:advance(n) end

---Bytes between the cursor and the end of what has come.
---@return integer
function stream:available() end

---Takes away at most the next n bytes; returns how many.
---@param n integer
---@return integer
function stream:erase(n) end

---Distance to the text. With `keep` a possible beginning of it at the end stays held.
---@param text string
---@param keep? boolean
---@return integer?
function stream:find(text, keep) end

---The next byte, -1 when there is none.
---@return integer
function stream:getchar() end

---Puts bytes before the cursor.
---@param data string|haka.buffer
function stream:insert(data) end

---A place to come back to; bytes behind it are kept.
---@param readonly? boolean
---@return haka.mark
function stream:mark(readonly) end

---At most n bytes, without moving.
---@param n? integer
---@return string
function stream:peek(n) end

---At most n bytes, all without n; nil when there are none.
---@param n? integer
---@return haka.buffer?
function stream:read(n) end

---Puts data in the place of at most the next n bytes; returns how many were taken away.
---@param n integer
---@param data string|haka.buffer
---@return integer
function stream:replace(n, data) end

---Moves the cursor to the mark.
---@param mark haka.mark
---@param unmark? boolean
function stream:seek(mark, unmark) end

---Takes the mark away.
---@param mark haka.mark
function stream:unmark(mark) end

---In streamed rules: returns when n bytes are there or no more can come; how many are.
---@param n integer
---@return integer
function stream:wait(n) end

---@class haka.connection
---@field data any yours, kept as long as the connection
---@field dstip haka.address the server's
---@field dstport integer
---@field id integer
---@field srcip haka.address the client's
---@field srcport integer
---@field state string
local connection = {}

---Stops following it.
function connection:close() end

---Drops the connection, silently, both directions.
function connection:drop() end

---Drops the connection; each end gets one RST that it believes.
function connection:reset() end

---Either direction's stream, on stream hooks of this connection.
---@param direction boolean
---@return haka.stream
function connection:stream(direction) end

---Whether it may still be used.
---@return boolean
function connection:valid() end

---@class haka.tcp_connection
---@field connection haka.connection
---@field direction boolean true: client to server
---@field dissector string
---@field next_dissector string?
---@field stream haka.stream
---@field tcp haka.tcp
local tcp_connection = {}

---Drops the connection, silently, both directions.
function tcp_connection:drop() end

---For dissectors in Lua: the lower layer's object, ready to leave.
---@return any
function tcp_connection:forge() end

---Drops the connection; each end gets one RST that it believes.
function tcp_connection:reset() end

---Whether it may still be used.
---@return boolean
function tcp_connection:valid() end

---@class haka.tcp_connection_end
---@field connection haka.connection
---@field dissector string
---@field reason string
local tcp_connection_end = {}

---Whether it may still be used.
---@return boolean
function tcp_connection_end:valid() end

---A free-standing stream of segments; see the guide.
---@class haka.tcp_stream: haka.stream
---@type haka.tcp_stream

tcp, udp, icmp = {}, {}, {}

---@param ip haka.ipv4|haka.ipv6 made by the policy
---@return haka.tcp
function tcp.create(ip) end

---@return haka.tcp_stream
function tcp.stream() end

---@param ip haka.ipv4|haka.ipv6
---@return haka.udp
function udp.create(ip) end

---@param ip haka.ipv4|haka.ipv6
---@return haka.icmp
function icmp.create(ip) end
