#include "script/script.h"

#include <algorithm>
#include <filesystem>
#include <fmt/format.h>

#include <luajit-2.1/lua.hpp>

#include "script/api.h"
#include "script/library.h"
#include "script/natives.h"

namespace haka::script {
namespace {

// Where things lie in the Lua stack while a policy runs.
constexpr int kHandler = 1;                                         // Adds the traceback.
constexpr int kEntries = 2;                                         // One function a hook.
constexpr int kProtocol = kEntries + static_cast<int>(kHookCount);  // Then those of `seal`.
constexpr int kStream = kProtocol + 1;
constexpr int kForget = kProtocol + 2;
constexpr int kWaits = kProtocol + 3;
constexpr int kExit = kProtocol + 4;
constexpr int kSetLevel = kProtocol + 5;
constexpr int kListing = kProtocol + 6;
constexpr int kBody = kProtocol + 7;
constexpr int kTop = kBody;

// Turns any error value into text with a traceback.
int add_traceback(lua_State* lua) {
    if (lua_type(lua, 1) == LUA_TLIGHTUSERDATA) {
        return 1;  // haka.log.fatal: not an error of the policy.
    }
    if (!lua_isstring(lua, 1)) {
        if (luaL_callmeta(lua, 1, "__tostring") == 0) {
            lua_pushfstring(lua, "(error object is a %s value)", luaL_typename(lua, 1));
        }
        lua_replace(lua, 1);
    }
    luaL_traceback(lua, lua, lua_tostring(lua, 1), 1);
    // The log shows tabs escaped, as it does all control characters.
    luaL_gsub(lua, lua_tostring(lua, -1), "\t", "    ");
    return 1;
}

std::string text_at(lua_State* lua, int index) {
    std::size_t size = 0;
    const char* text = lua_tolstring(lua, index, &size);
    return text == nullptr ? std::string("(no message)") : std::string(text, size);
}

std::string first_line(const std::string& text) {
    return text.substr(0, text.find('\n'));
}

}  // namespace

void Script::Close::operator()(lua_State* state) const {
    lua_close(state);
}

Script::Script(const Options& options, Host& host, haka_context& context)
    : options_(options),
      host_(&host),
      context_(&context),
      memory_(options.lua.memory_max),
      alerts_(host) {}

void Script::serve(Host& host) {
    host_ = &host;
    alerts_.serve(host);
    context_->host = &host;
}

Script::~Script() {
    context_->host = nullptr;
}  // Finalizers still run: they leave it alone.

Script::Loaded Script::load(const Options& options, Host& host, haka_context& context) {
    std::unique_ptr<Script> script(new Script(options, host, context));
    std::string error = script->prepare();
    if (error.empty()) {
        error = script->load_library();
    }
    if (error.empty()) {
        error = script->load_policy();
    }
    if (error.empty()) {
        error = script->seal();
    }
    if (!error.empty()) {
        return {nullptr, std::move(error), script->fatal_};
    }
    return {std::move(script), {}, false};
}

std::string Script::prepare() {
    lua_.reset(lua_newstate(LuaMemory::allocate, &memory_));
    if (lua_ == nullptr) {
        return fmt::format("lua.memory_max ({} bytes) is too small to start Lua",
                           options_.lua.memory_max);
    }
    lua_State* lua = lua_.get();
    memory_.serve(lua, &context_->rule);
    context_->host = host_;
    context_->worker = options_.worker;
    context_->pass_through = options_.pass_through ? 1 : 0;
    context_->held_segments_max = options_.held_segments_max;
    context_->edits_max = options_.edits_max;
    const auto open = [](lua_State* state) {
        luaL_openlibs(state);
        return 0;
    };
    lua_pushcfunction(lua, add_traceback);
    lua_pushcfunction(lua, open);
    if (lua_pcall(lua, 0, 0, kHandler) != 0) {
        return text_at(lua, -1);
    }
    // Room for the traces of large policies; what LuaJIT reserves by default is soon full.
    const char* tune =
        "require('jit.opt').start('maxtrace=4000', 'maxrecord=8000', 'maxmcode=16384', "
        "'sizemcode=64', 'loopunroll=60')";
    if (luaL_loadstring(lua, tune) != 0 || lua_pcall(lua, 0, 0, kHandler) != 0) {
        return text_at(lua, -1);
    }
    return {};
}

std::string Script::load_library() {
    lua_State* lua = lua_.get();
    push_natives(lua, *this, alerts_, *context_, options_);
    const int natives = lua_gettop(lua);
    int core = 0;
    for (const LibraryFile& file : library()) {
        const std::string chunk = fmt::format("=haka/{}.lua", file.name);
        if (luaL_loadbuffer(lua, file.source.data(), file.source.size(), chunk.c_str()) != 0) {
            return text_at(lua, -1);
        }
        lua_pushvalue(lua, core == 0 ? natives : core);
        const int results = file.name == "init" ? 2 : 1;
        if (lua_pcall(lua, 1, results, kHandler) != 0) {
            return text_at(lua, -1);
        }
        if (core == 0) {
            core = lua_gettop(lua);
        } else if (results == 1) {
            lua_getfield(lua, core, "modules");
            lua_insert(lua, -2);
            lua_setfield(lua, -2, std::string(file.name).c_str());
            lua_pop(lua, 1);
        }
    }
    // Left behind: the policy's environment and `seal`, at kEntries and kEntries + 1.
    lua_replace(lua, kEntries + 1);
    lua_replace(lua, kEntries);
    lua_settop(lua, kEntries + 1);
    return {};
}

std::string Script::load_policy() {
    lua_State* lua = lua_.get();
    const std::string chunk = options_.policy;
    const int status = luaL_loadfilex(lua, chunk.c_str(), "t");
    if (status != 0) {
        const std::string message = text_at(lua, -1);
        // Of bytecode, Lua says neither where it is nor what it is.
        return message.find(chunk) != std::string::npos
                   ? message
                   : fmt::format("{}: {}; a policy is a text", chunk, message);
    }
    lua_pushvalue(lua, kEntries);
    lua_setfenv(lua, -2);
    entries_.fetch_add(1, std::memory_order_relaxed);
    const int run = lua_pcall(lua, 0, 0, kHandler);
    entries_.fetch_add(1, std::memory_order_relaxed);
    if (fatal_) {
        return fmt::format("{}: haka.log.fatal while loading: {}", chunk, fatal_message_);
    }
    const bool overrun = memory_.has_overrun();
    memory_.reset();
    if (run != 0 || overrun) {
        const std::string message = text_at(lua, -1);
        return run == LUA_ERRMEM || overrun
                   ? fmt::format("{}: loading needs more than lua.memory_max ({} bytes)", chunk,
                                 memory_.bytes_max())
                   : message;
    }
    return {};
}

std::string Script::seal() {
    lua_State* lua = lua_.get();
    lua_pushvalue(lua, kEntries + 1);
    if (lua_pcall(lua, 0, 1, kHandler) != 0) {
        return text_at(lua, -1);
    }
    const int sealed = lua_gettop(lua);
    lua_getfield(lua, sealed, "cursors");
    stream_rules_ = static_cast<std::uint32_t>(lua_tointeger(lua, -1));
    lua_getfield(lua, sealed, "streamed");
    has_streamed_rules_ = lua_toboolean(lua, -1) != 0;
    lua_getfield(lua, sealed, "editing");
    edits_streams_ = lua_toboolean(lua, -1) != 0;
    lua_getfield(lua, sealed, "readonly");
    readonly_cursors_.assign(std::size_t{stream_rules_} + 1, false);  // The last: a dissector's.
    for (std::uint32_t cursor = 0; cursor < stream_rules_; ++cursor) {
        lua_rawgeti(lua, -1, static_cast<int>(cursor));
        readonly_cursors_[cursor] = lua_toboolean(lua, -1) != 0;
        lua_pop(lua, 1);
    }
    lua_getfield(lua, sealed, "http_editing");
    edits_http_ = lua_toboolean(lua, -1) != 0;
    constexpr std::array kBodyRules = {"request_rules", "response_rules"};
    for (const std::size_t which : {0U, 1U}) {
        lua_getfield(lua, sealed, kBodyRules.at(which));
        body_rules_.at(which) = static_cast<std::uint32_t>(lua_tointeger(lua, -1));
    }
    lua_getfield(lua, sealed, "entries");
    const int entries = lua_gettop(lua);
    std::array<int, kHookCount> references{};
    for (std::size_t hook = 0; hook < kHookCount; ++hook) {
        lua_rawgeti(lua, entries, static_cast<int>(hook));
        if (lua_isfunction(lua, -1) && !is_disabled_hook(hook_name(static_cast<Hook>(hook)))) {
            hooks_ |= 1U << hook;
        }
        references.at(hook) = luaL_ref(lua, LUA_REGISTRYINDEX);
    }
    std::array<int, 8> functions{};
    constexpr std::array kNames = {"protocol", "stream",    "forget",  "waits",
                                   "exit",     "set_level", "listing", "body"};
    for (std::size_t i = 0; i < kNames.size(); ++i) {
        lua_getfield(lua, sealed, kNames.at(i));
        functions.at(i) = luaL_ref(lua, LUA_REGISTRYINDEX);
    }
    lua_settop(lua, kHandler);
    for (const int reference : references) {
        lua_rawgeti(lua, LUA_REGISTRYINDEX, reference);
    }
    for (const int reference : functions) {
        lua_rawgeti(lua, LUA_REGISTRYINDEX, reference);
    }
    return {};
}

RunStatus Script::call(int index, int arguments, int results) {
    lua_State* lua = lua_.get();
    if (memory_.is_over() && index != kForget) [[unlikely]] {
        return refuse_call();
    }
    lua_pushvalue(lua, index);
    if (arguments > 0) {
        lua_insert(lua, -arguments - 1);
    }
    const std::uint64_t entry = entries_.load(std::memory_order_relaxed);
    entries_.store(entry + 1, std::memory_order_relaxed);
    const int status = lua_pcall(lua, arguments, results, kHandler);
    entries_.store(entry + 2, std::memory_order_relaxed);
    if (status == 0 && !fatal_ && !memory_.has_overrun()) [[likely]] {
        return RunStatus::Done;
    }
    return report_failure(status);
}

RunStatus Script::report_failure(int status) {
    lua_State* lua = lua_.get();
    const std::uint32_t at_work = memory_.has_overrun() ? memory_.overrun_rule() : context_->rule;
    const std::uint32_t number = at_work < rules_.size() ? at_work : 0;
    failed_rule_ = number;
    __atomic_store_n(&context_->rule, 0U, __ATOMIC_RELAXED);  // The watchdog may look just now.
    context_->streamed = 0;
    if (fatal_) {
        lua_settop(lua, kTop);
        return RunStatus::Fatal;
    }
    const bool is_memory = status == LUA_ERRMEM || memory_.has_overrun();
    std::string message =
        coroutine_trace_.empty() && status != 0 ? text_at(lua, -1) : coroutine_trace_;
    coroutine_trace_.clear();
    lua_settop(lua, kTop);
    failure_ = is_memory ? Event::LuaMemory : Event::RuleError;
    if (is_memory) {
        message = fmt::format("not enough memory: {} bytes in use, lua.memory_max is {}",
                              memory_.used(), memory_.bytes_max());
        memory_.reset();
        collect();
    }
    report_error(number, std::move(message));
    return RunStatus::Failed;
}

// What the policy keeps is more than it may: its rules fail without being run until a collection,
// now and then, finds that connections or rules have let go of some.
RunStatus Script::refuse_call() {
    constexpr std::uint64_t kTryEvery = 1024;
    if (refused_calls_++ % kTryEvery == 0) {
        lua_gc(lua_.get(), LUA_GCCOLLECT, 0);
        used_after_collection_ = memory_.used();
    }
    context_->rule = 0;
    failed_rule_ = memory_.overrun_rule();
    failure_ = Event::LuaMemory;
    lua_settop(lua_.get(), kTop);
    report_error(failed_rule_,
                 fmt::format("not enough memory: {} bytes in use, lua.memory_max is {}",
                             memory_.used(), memory_.bytes_max()));
    return RunStatus::Failed;
}

// A full collection, unless hardly anything came since the last: a policy that keeps what it has
// would pay for one in every event.
void Script::collect() {
    if (memory_.used() > used_after_collection_ + memory_.bytes_max() / 16) {
        lua_gc(lua_.get(), LUA_GCCOLLECT, 0);
        used_after_collection_ = memory_.used();
    }
}

// With the traceback the first time, then the second, fourth, eighth ... time in one line.
void Script::report_error(std::uint32_t number, std::string message) {
    RuleInfo& rule = rules_.at(number);
    rule.errors += 1;
    if ((rule.errors & (rule.errors - 1)) != 0) {
        return;
    }
    if (rule.errors > 1) {
        message = fmt::format("{} (its error number {})", first_line(message), rule.errors);
    }
    const std::string who =
        number == 0 ? std::string("the policy") : fmt::format("rule \"{}\"", rule.name);
    host_->log(report::LogLevel::Error, "lua",
               fmt::format("{} on packet {}: {}", who, context_->packet_number, message));
}

RunStatus Script::run(Hook hook) {
    context_->hook = static_cast<std::uint32_t>(hook);
    return call(kEntries + static_cast<int>(hook), 0, 0);
}

RunStatus Script::run_protocol(std::uint8_t ip_version, std::uint8_t protocol) {
    lua_pushinteger(lua_.get(), ip_version);
    lua_pushinteger(lua_.get(), protocol);
    return call(kProtocol, 2, 0);
}

RunStatus Script::run_stream(std::string_view name) {
    context_->cursor = stream_rules_;
    lua_pushlstring(lua_.get(), name.data(), name.size());
    return call(kStream, 1, 0);
}

RunStatus Script::run_body(std::uint32_t which) {
    context_->hook =
        static_cast<std::uint32_t>(which == 0 ? Hook::HttpRequest : Hook::HttpResponse);
    lua_pushinteger(lua_.get(), which);
    return call(kBody, 1, 0);
}

bool Script::waits(std::uint32_t connection, bool from_client) {
    lua_State* lua = lua_.get();
    lua_pushinteger(lua, connection);
    lua_pushinteger(lua, from_client ? 0 : 1);
    if (call(kWaits, 2, 1) != RunStatus::Done) {
        return false;
    }
    const bool waits = lua_toboolean(lua, -1) != 0;
    lua_pop(lua, 1);
    return waits;
}

void Script::forget(std::uint32_t connection) {
    lua_pushinteger(lua_.get(), connection);
    memory_.set_lenient(true);
    (void)call(kForget, 1, 0);
    memory_.set_lenient(false);
}

RunStatus Script::run_exit() {
    return call(kExit, 0, 0);
}

void Script::set_log_level(std::string_view module, report::LogLevel level) {
    const std::string_view name = report::to_string(level);
    lua_pushlstring(lua_.get(), module.data(), module.size());
    lua_pushlstring(lua_.get(), name.data(), name.size());
    (void)call(kSetLevel, 2, 0);
}

bool Script::is_disabled(std::string_view dissector) const {
    return std::ranges::find(disabled_, dissector) != disabled_.end();
}

// A hook that its dissector, or the one below, will never run.
bool Script::is_disabled_hook(std::string_view hook) const {
    return std::ranges::any_of(disabled_, [hook](const std::string& name) {
        return hook.starts_with(name) &&
               (hook.substr(name.size()) == "-up" || hook.substr(name.size()) == "-down" ||
                hook.starts_with("tcp-connection-"));
    });
}

std::vector<Script::Listing> Script::listing() {
    std::vector<Listing> result;
    lua_State* lua = lua_.get();
    if (call(kListing, 0, 1) != RunStatus::Done) {
        return result;
    }
    const int by_hook = lua_gettop(lua);
    for (lua_pushnil(lua); lua_next(lua, by_hook) != 0; lua_pop(lua, 1)) {
        const std::string hook = lua_tostring(lua, -2);
        for (std::size_t i = 1; i <= lua_objlen(lua, -1); ++i) {
            lua_rawgeti(lua, -1, static_cast<int>(i));
            const auto text = [lua](const char* field) {
                lua_getfield(lua, -1, field);
                std::string value = text_at(lua, -1);
                lua_pop(lua, 1);
                return value;
            };
            const auto flag = [lua](const char* field) {
                lua_getfield(lua, -1, field);
                const bool value = lua_toboolean(lua, -1) != 0;
                lua_pop(lua, 1);
                return value;
            };
            result.push_back({hook, text("group"), text("name"), text("place"), flag("readonly"),
                              flag("streamed")});
            lua_pop(lua, 1);
        }
    }
    lua_settop(lua, kTop);
    return result;
}

}  // namespace haka::script
