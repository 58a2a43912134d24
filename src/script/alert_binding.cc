#include "script/alert_binding.h"

#include <charconv>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <luajit-2.1/lua.hpp>

namespace haka::script {

namespace {

constexpr std::size_t kAddressTextMax = 45;
constexpr double kReferenceMax = 9007199254740992.0;  // 2^53, what a Lua number holds exactly.
constexpr double kSecondsMax = 9.3e9;                 // A little more than an Instant holds.

// The functions below that touch Lua may leave by a Lua error, so none keeps an object with a
// destructor: texts go straight into the alert.

// Valid until the value leaves the stack.
std::string_view text_at(lua_State* lua, int index) {
    std::size_t size = 0;
    const char* text = lua_tolstring(lua, index, &size);
    return {text, size};
}

void read_text(lua_State* lua, int table, const char* field, std::string& text) {
    lua_getfield(lua, table, field);
    if (lua_type(lua, -1) == LUA_TSTRING) {
        text.assign(text_at(lua, -1));
    }
    lua_pop(lua, 1);
}

// Appends the texts of the array at `table`.
void read_array(lua_State* lua, int table, std::vector<std::string>& texts) {
    const auto count = static_cast<int>(lua_objlen(lua, table));
    for (int i = 1; i <= count; ++i) {
        lua_rawgeti(lua, table, i);
        if (lua_type(lua, -1) == LUA_TSTRING) {
            texts.emplace_back(text_at(lua, -1));
        }
        lua_pop(lua, 1);
    }
}

void read_texts(lua_State* lua, int table, const char* field, std::vector<std::string>& texts) {
    lua_getfield(lua, table, field);
    if (lua_istable(lua, -1)) {
        read_array(lua, lua_gettop(lua), texts);
    }
    lua_pop(lua, 1);
}

// False when the field is no number; then `number` is untouched.
bool read_number(lua_State* lua, int table, const char* field, double& number) {
    lua_getfield(lua, table, field);
    const bool is_number = lua_type(lua, -1) == LUA_TNUMBER;
    if (is_number) {
        number = lua_tonumber(lua, -1);
    }
    lua_pop(lua, 1);
    return is_number;
}

template <typename Enum>
void read_enum(lua_State* lua, int table, const char* field, Enum last,
               std::optional<Enum>& value) {
    double number = 0;
    if (read_number(lua, table, field, number) && number >= 0 &&
        number <= static_cast<double>(last)) {
        value = static_cast<Enum>(number);
    }
}

void read_time(lua_State* lua, int table, const char* seconds_field, const char* nanos_field,
               std::optional<Instant>& time) {
    double seconds = 0;
    double nanos = 0;
    if (!read_number(lua, table, seconds_field, seconds) ||
        !read_number(lua, table, nanos_field, nanos)) {
        return;
    }
    // Written so that NaN is refused as well.
    if (!(seconds >= -kSecondsMax && seconds <= kSecondsMax && nanos >= 0 && nanos < 1e9)) {
        return;
    }
    // An instant's lowest second begins below what int64_t holds: start one second up.
    const bool is_negative = seconds < 0;
    const std::int64_t whole = static_cast<std::int64_t>(seconds) + (is_negative ? 1 : 0);
    const std::int64_t rest = static_cast<std::int64_t>(nanos) - (is_negative ? kSecond.ns : 0);
    std::int64_t ns = 0;
    if (__builtin_mul_overflow(whole, kSecond.ns, &ns)) {
        ns = is_negative ? INT64_MIN : INT64_MAX;
    }
    time = Instant{ns} + Duration{rest};
}

void read_nodes(lua_State* lua, int table, const char* field, std::vector<report::Node>& nodes) {
    lua_getfield(lua, table, field);
    if (!lua_istable(lua, -1)) {
        lua_pop(lua, 1);
        return;
    }
    const int list = lua_gettop(lua);
    const auto count = static_cast<int>(lua_objlen(lua, list));
    for (int i = 1; i <= count; ++i) {
        lua_rawgeti(lua, list, i);
        if (lua_istable(lua, -1)) {
            const int element = lua_gettop(lua);
            report::Node& node = nodes.emplace_back();
            // A policy sees this table: raw access, its metatable raises errors.
            lua_pushliteral(lua, "kind");
            lua_rawget(lua, element);
            const bool is_service = lua_type(lua, -1) == LUA_TNUMBER && lua_tonumber(lua, -1) == 1;
            lua_pop(lua, 1);
            node.kind = is_service ? report::Node::Kind::Service : report::Node::Kind::Address;
            read_array(lua, element, node.values);
            complete_endpoint(node);
        }
        lua_pop(lua, 1);
    }
    lua_pop(lua, 1);
}

std::optional<std::uint16_t> parse_port(std::string_view text) {
    std::uint16_t port = 0;
    const char* end = text.data() + text.size();
    const auto result = std::from_chars(text.data(), end, port);
    if (result.ec != std::errc{} || result.ptr != end) {
        return std::nullopt;
    }
    return port;
}

void read_alert(lua_State* lua, int table, report::Alert& alert) {
    double number = 0;
    if (read_number(lua, table, "reference", number) && number >= 1 && number <= kReferenceMax) {
        alert.reference = static_cast<std::uint64_t>(number);
        alert.is_update = true;
    }
    read_text(lua, table, "description", alert.description);
    read_time(lua, table, "start_seconds", "start_nanos", alert.start_time);
    read_time(lua, table, "end_seconds", "end_nanos", alert.end_time);
    read_enum(lua, table, "severity", report::Level::High, alert.severity);
    read_enum(lua, table, "confidence", report::Level::High, alert.confidence);
    if (read_number(lua, table, "confidence_number", number)) {
        alert.confidence_number = number;
    }
    read_enum(lua, table, "completion", report::Completion::Successful, alert.completion);
    read_text(lua, table, "method_description", alert.method_description);
    read_texts(lua, table, "method_references", alert.method_references);
    read_nodes(lua, table, "sources", alert.sources);
    read_nodes(lua, table, "targets", alert.targets);
    read_texts(lua, table, "references", alert.references);
}

}  // namespace

void complete_endpoint(report::Node& node) {
    if (node.kind != report::Node::Kind::Address) {
        return;
    }
    for (const std::string& value : node.values) {
        if (!node.address) {
            if (value.size() <= kAddressTextMax && value.find('\0') == std::string::npos) {
                node.address = Address::parse(value);
            }
        } else if (!node.port) {
            node.port = parse_port(value);
        }
    }
}

void AlertBinding::push_alert(lua_State* lua) {
    lua_pushlightuserdata(lua, this);
    lua_pushcclosure(lua, &AlertBinding::raise, 1);
}

int AlertBinding::raise(lua_State* lua) {
    auto* self = static_cast<AlertBinding*>(lua_touserdata(lua, lua_upvalueindex(1)));
    luaL_checktype(lua, 1, LUA_TTABLE);
    luaL_checkstack(lua, LUA_MINSTACK, "alert");
    self->alert_ = {};  // An error may have left half of an earlier one.
    read_alert(lua, 1, self->alert_);
    const std::uint64_t number = self->host_->alert(self->alert_);
    self->alert_ = {};
    if (number == 0) {
        lua_pushnil(lua);
    } else {
        lua_pushnumber(lua, static_cast<lua_Number>(number));
    }
    return 1;
}

}  // namespace haka::script
