---@meta
-- The globals of a policy, for editors that speak LuaLS. Checked against the library by tests/meta.lua.

---@class haka.buffer
---@field [integer] integer byte i from 1; its size is `#`
local buffer = {}

---The bytes from `first` to `last`, counted from 1.
---@param first integer
---@param last? integer
---@return haka.buffer
function buffer:sub(first, last) end

---Subtracting gives seconds.
---@class haka.time
---@field seconds integer
---@field micro_seconds integer
local time = {}

---@return number seconds since 1970
function time:toseconds() end

---@class haka.rule_definition
---@field hooks string[]
---@field eval fun(self: table, pkt: any): any
---@field name? string
---@field readonly? boolean promises to change nothing
---@field streamed? boolean runs beside the stream, as a coroutine

---@class haka.group_definition
---@field name? string
---@field init? fun(self: table, pkt: any)
---@field continue? fun(self: table, pkt: any, ret: any): boolean
---@field fini? fun(self: table, pkt: any)

---@class haka.group
---@field rule fun(self: haka.group, definition: haka.rule_definition)

---@class haka.dissector_definition
---@field name string
---@field dissect fun(below: any): table?
---@field hooks? string[]

---@class haka.alert_definition
---@field description? string
---@field severity? "low"|"medium"|"high"
---@field confidence? "low"|"medium"|"high"|number
---@field completion? "failed"|"successful"
---@field start_time? haka.time|number
---@field end_time? haka.time|number
---@field method? { description: string?, ref: string|string[]? }
---@field sources? any
---@field targets? any
---@field ref? string|string[]

---@alias haka.level "fatal"|"error"|"warning"|"info"|"debug"

---@class haka.log
---@overload fun(module: string, format: string, ...: any) at level info
local log = {}

---Ends the run with status 1.
---@param module string
---@param format string
---@param ... any
function log.fatal(module, format, ...) end

---@param module string
---@param format string
---@param ... any
function log.error(module, format, ...) end

---@param module string
---@param format string
---@param ... any
function log.warning(module, format, ...) end

---@param module string
---@param format string
---@param ... any
function log.info(module, format, ...) end

---@param module string
---@param format string
---@param ... any
function log.debug(module, format, ...) end

---Of all modules, or of one: what lies below is never formatted.
---@overload fun(level: haka.level)
---@param module string
---@param level haka.level
function log.setlevel(module, level) end

---@class haka.alert
---@overload fun(definition: haka.alert_definition): any what update() takes
local alert = {}

---Says more of an alert; what is left out stays.
---@param reference any what `haka.alert{...}` returned
---@param definition haka.alert_definition
function alert.update(reference, definition) end

---@param ... any addresses, texts and numbers
---@return table
function alert.address(...) end

---@param ... any texts and numbers
---@return table
function alert.service(...) end

---@type table
haka = { packet = { NORMAL = "normal", PASSTHROUGH = "pass-through" }, log = log, alert = alert }

---The parts of `text` between each plain `delimiter`.
---@param text string
---@param delimiter string not empty
---@return string[]
function string.split(text, delimiter) end

---@param definition haka.rule_definition
function haka.rule(definition) end

---@param definition haka.group_definition
---@return haka.group
function haka.rule_group(definition) end

---Runs a hook's rules; false: evaluation must stop.
---@param name string
---@param pkt table
---@return boolean
function haka.rule_hook(name, pkt) end

---@param definition haka.dissector_definition
---@return table
function haka.dissector(definition) end

---@param name string
function haka.disable_dissector(name) end

---The packet's time.
---@return haka.time
function haka.time() end

---@param value integer|string a size, or the bytes
---@return haka.buffer
function haka.buffer(value) end

---Called when the input has ended.
---@param f fun()
function haka.on_exit(f) end

---The worker's number, from 0.
---@return integer
function haka.current_thread() end

---@param size? integer
---@return haka.raw
function haka.packet.new(size) end

---`haka.packet.NORMAL` or `haka.packet.PASSTHROUGH`.
---@return string
function haka.packet.mode() end
