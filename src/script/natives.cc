// Tested by: script_test.cc
#include "script/natives.h"

#include <filesystem>

#include <luajit-2.1/lua.hpp>

#include "script/alert_binding.h"
#include "script/api.h"
#include "script/library.h"
#include "script/script.h"

namespace haka::script {

// What the classic functions may touch of a Script. Each takes it from its first upvalue.
struct Natives {
    static Script& script_of(lua_State* lua) {
        return *static_cast<Script*>(lua_touserdata(lua, lua_upvalueindex(1)));
    }

    static std::string_view text(lua_State* lua, int index) {
        std::size_t size = 0;
        const char* data = luaL_checklstring(lua, index, &size);
        return {data, size};
    }

    static int print(lua_State* lua) {
        const std::string_view line = text(lua, 1);
        lua_pushboolean(lua, script_of(lua).host_->print(line) ? 1 : 0);
        return 1;
    }

    // Ends the engine: nothing catches it for long, every entry checks the flag.
    static int fatal(lua_State* lua) {
        Script& script = script_of(lua);
        script.fatal_ = true;
        script.fatal_message_ = lua_isstring(lua, 1) != 0 ? text(lua, 1) : std::string_view();
        script.context_->ended = 1;
        lua_pushlightuserdata(lua, &script);
        return lua_error(lua);
    }

    static int rule_registered(lua_State* lua) {
        const std::string_view name = text(lua, 2);
        const std::string_view place = text(lua, 3);
        script_of(lua).rules_.push_back({std::string(name), std::string(place)});
        return 0;
    }

    static int next_dissector(lua_State* lua) {
        const std::string_view name = script_of(lua).host_->next_dissector();
        if (name.empty()) {
            return 0;
        }
        lua_pushlstring(lua, name.data(), name.size());
        return 1;
    }

    static int register_proto(lua_State* lua) {
        script_of(lua).protocols_.at(static_cast<std::size_t>(luaL_checkinteger(lua, 1)) & 255) =
            true;
        return 0;
    }

    static int disable_dissector(lua_State* lua) {
        script_of(lua).disabled_.emplace_back(text(lua, 1));
        return 0;
    }

    static int coroutine_failed(lua_State* lua) {
        script_of(lua).coroutine_trace_ = text(lua, 1);
        return 0;
    }
};

namespace {

void set_text(lua_State* lua, const char* field, std::string_view value) {
    lua_pushlstring(lua, value.data(), value.size());
    lua_setfield(lua, -2, field);
}

void set_flag(lua_State* lua, const char* field, bool value) {
    lua_pushboolean(lua, value ? 1 : 0);
    lua_setfield(lua, -2, field);
}

void set_number(lua_State* lua, const char* field, double value) {
    lua_pushnumber(lua, value);
    lua_setfield(lua, -2, field);
}

void set_function(lua_State* lua, const char* field, lua_CFunction function, void* upvalue) {
    lua_pushlightuserdata(lua, upvalue);
    lua_pushcclosure(lua, function, 1);
    lua_setfield(lua, -2, field);
}

void set_hooks(lua_State* lua) {
    lua_newtable(lua);
    for (std::size_t hook = 0; hook < kHookCount; ++hook) {
        const std::string name(hook_name(static_cast<Hook>(hook)));
        set_number(lua, name.c_str(), static_cast<double>(hook));
    }
    lua_setfield(lua, -2, "hooks");
}

}  // namespace

void push_natives(lua_State* lua, Script& script, AlertBinding& alerts, haka_context& context,
                  const Options& options) {
    lua_newtable(lua);
    set_text(lua, "cdef", kAbiText);
    lua_pushlightuserdata(lua, &context);
    lua_setfield(lua, -2, "context");
    lua_pushlightuserdata(lua, const_cast<haka_api*>(&api()));  // NOLINT: Lua only reads it.
    lua_setfield(lua, -2, "api");
    const std::string directory = std::filesystem::path(options.policy).parent_path().string();
    set_text(lua, "directory", directory.empty() ? "." : directory);
    set_flag(lua, "unsafe", options.lua.unsafe);
    set_flag(lua, "profile", options.profile);
    // Lua numbers hold 53 bits of the seed exactly.
    set_number(lua, "seed", static_cast<double>(options.seed & ((1ULL << 53) - 1)));
    set_number(lua, "memory_max", static_cast<double>(options.lua.memory_max));
    lua_newtable(lua);
    for (const auto& [module, level] : options.log_levels) {
        set_text(lua, module.c_str(), level);
    }
    lua_setfield(lua, -2, "log_levels");
    lua_newtable(lua);
    for (const std::string& rule : options.disabled_rules) {
        set_flag(lua, rule.c_str(), true);
    }
    lua_setfield(lua, -2, "disabled_rules");
    set_hooks(lua);
    alerts.push_alert(lua);
    lua_setfield(lua, -2, "alert");
    set_function(lua, "print", Natives::print, &script);
    set_function(lua, "fatal", Natives::fatal, &script);
    set_function(lua, "rule_registered", Natives::rule_registered, &script);
    set_function(lua, "next_dissector", Natives::next_dissector, &script);
    set_function(lua, "register_proto", Natives::register_proto, &script);
    set_function(lua, "disable_dissector", Natives::disable_dissector, &script);
    set_function(lua, "coroutine_failed", Natives::coroutine_failed, &script);
}

}  // namespace haka::script
