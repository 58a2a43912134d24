---@meta
-- Packets and IP layers, for editors that speak LuaLS. Checked against the library by tests/meta.lua.

---@class haka.raw
---@field mark integer the kernel's, of a packet from a queue
---@field [integer] integer byte i from 1; its size is `#`
---@field dissector string
---@field length integer
---@field next_dissector string?
---@field number integer
---@field timestamp haka.time
local raw = {}

---The remaining rules of this hook don't run.
function raw:accept() end

---Drops it; no further rule sees it.
function raw:drop() end

---Changes the size, in bytes, 0 to 65535.
---@param size integer
function raw:resize(size) end

---Lets a packet that the policy made leave behind the one at hand.
function raw:send() end

---Whether it may still be used.
---@return boolean
function raw:valid() end

---Equal addresses are the same table key; `<` orders those of one family.
---@class haka.address
local address = {}

---@class haka.network
---@field mask haka.address
---@field net haka.address
local network = {}

---Whether the address is in the network; false for the other family.
---@param address haka.address
---@return boolean
function network:contains(address) end

---@class haka.ip_payload
---@field [integer] integer byte i from 1; its size is `#`
local ip_payload = {}

---Changes the size, in bytes, 0 to 65535.
---@param size integer
function ip_payload:resize(size) end

---@class haka.ipv4_flags
---@field all integer
---@field df boolean
---@field mf boolean
---@field rb boolean
local ipv4_flags = {}

---@class haka.ipv4
---@field mark integer the kernel's, of a packet from a queue
---@field checksum integer
---@field dissector string
---@field dst haka.address
---@field flags haka.ipv4_flags
---@field frag_offset integer bytes
---@field hdr_len integer bytes
---@field id integer
---@field len integer
---@field next_dissector string?
---@field payload haka.ip_payload
---@field proto integer
---@field raw haka.raw
---@field src haka.address
---@field tos integer
---@field ttl integer
---@field version integer
local ipv4 = {}

---Sets the checksum now.
function ipv4:compute_checksum() end

---Drops it; no further rule sees it.
function ipv4:drop() end

---For dissectors in Lua: the lower layer's object, ready to leave.
---@return any
function ipv4:forge() end

---Lets a packet that the policy made leave behind the one at hand.
function ipv4:send() end

---Whether it may still be used.
---@return boolean
function ipv4:valid() end

---Whether the checksum is right.
---@return boolean
function ipv4:verify_checksum() end

---@class haka.ipv6
---@field mark integer the kernel's, of a packet from a queue
---@field dissector string
---@field dst haka.address
---@field flow_label integer
---@field hop_limit integer
---@field next_dissector string?
---@field next_header integer
---@field payload haka.ip_payload
---@field payload_len integer
---@field raw haka.raw
---@field src haka.address
---@field traffic_class integer
---@field version integer
local ipv6 = {}

---Drops it; no further rule sees it.
function ipv6:drop() end

---For dissectors in Lua: the lower layer's object, ready to leave.
---@return any
function ipv6:forge() end

---Lets a packet that the policy made leave behind the one at hand.
function ipv6:send() end

---Whether it may still be used.
---@return boolean
function ipv6:valid() end

ipv4, ipv6 = {}, {}

---@param text string|integer "192.0.2.1", a number, or the first of four bytes
---@param b? integer
---@param c? integer
---@param d? integer
---@return haka.address
function ipv4.addr(text, b, c, d) end

---@param text string|haka.address "10.0.0.0/8", or an address
---@param bits? integer
---@return haka.network
function ipv4.network(text, bits) end

---Writes an IPv4 header into a raw packet that the policy made.
---@param raw haka.raw
---@return haka.ipv4
function ipv4.create(raw) end

---@param number integer an IP protocol that the engine has no dissector for
---@param dissector table of haka.dissector
function ipv4.register_proto(number, dissector) end

---@param text string
---@return haka.address
function ipv6.addr(text) end

---@param text string|haka.address
---@param bits? integer
---@return haka.network
function ipv6.network(text, bits) end

---@param raw haka.raw
---@return haka.ipv6
function ipv6.create(raw) end
