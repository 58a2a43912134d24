// A policy, loaded: one Lua state of one worker, the rules it registered, and how hooks enter it.
//
// The engine fills context() and the packet slots, then calls run(). Lua is only ever entered in
// protected mode; a rule that fails is reported here (traceback once per rule, then counted) and
// run() says so, the verdict is the engine's business.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/settings.h"
#include "script/abi.h"
#include "script/alert_binding.h"
#include "script/hook.h"
#include "script/host.h"
#include "script/lua_memory.h"

struct lua_State;

namespace haka::script {

struct Options {
    std::string policy;  // Path of the policy's file.
    LuaSettings lua;
    std::map<std::string, std::string> log_levels;  // Module (or "default") to level.
    std::uint64_t seed = 0;
    std::uint32_t worker = 0;
    std::uint32_t held_segments_max = TcpSettings().held_segments_max;  // Of tcp.stream().
    std::uint32_t edits_max = TcpSettings().edits_max;                  // The same.
    bool pass_through = false;
    bool profile = false;
    std::vector<std::string> disabled_rules{};  // By name; they are left out.
};

// A rule, or a part of a group, or a dissector: whatever may run and fail. Number 0 is nobody.
struct RuleInfo {
    std::string name;
    std::string place;  // file:line
    std::uint64_t errors = 0;
};

enum class RunStatus : std::uint8_t {
    Done,
    Failed,  // An error, already reported.
    Fatal    // haka.log.fatal: the engine must end.
};

class Script {
public:
    struct Loaded {
        std::unique_ptr<Script> script;  // Null on failure.
        std::string error;               // What is wrong with the policy, with file and line.
        bool fatal = false;              // Nothing is wrong: it called haka.log.fatal.
    };
    // `host` and `context` must outlive the script; the context's packets are in place already.
    [[nodiscard]] static Loaded load(const Options& options, Host& host, haka_context& context);

    ~Script();
    Script(const Script&) = delete;
    Script& operator=(const Script&) = delete;

    // From here on another host answers, and hears what the policy says. It must outlive the
    // script.
    void serve(Host& host);

    [[nodiscard]] bool listens(Hook hook) const {
        return (hooks_ >> static_cast<unsigned>(hook) & 1U) != 0;
    }
    // Number of rules on tcp-connection-up: each has a cursor of its own. One more cursor belongs
    // to the connection's dissector in Lua.
    [[nodiscard]] std::uint32_t stream_rules() const { return stream_rules_; }
    [[nodiscard]] bool has_streamed_rules() const { return has_streamed_rules_; }
    // Of each cursor, whether it is of a rule that promised not to change the stream.
    [[nodiscard]] const std::vector<bool>& readonly_cursors() const { return readonly_cursors_; }
    // Whether any of them may change a stream: it isn't `readonly`.
    [[nodiscard]] bool edits_streams() const { return edits_streams_; }
    // Number of rules on http-request [0] and http-response [1]: cursors in a message's body.
    [[nodiscard]] std::uint32_t body_rules(std::size_t which) const {
        return body_rules_.at(which);
    }
    // Whether any rule of HTTP isn't `readonly`.
    [[nodiscard]] bool edits_http() const { return edits_http_; }
    [[nodiscard]] bool has_protocol(std::uint8_t protocol) const { return protocols_[protocol]; }
    [[nodiscard]] bool is_disabled(std::string_view dissector) const;
    [[nodiscard]] bool is_disabled_hook(std::string_view hook) const;
    [[nodiscard]] const std::vector<RuleInfo>& rules() const { return rules_; }

    // Runs all rules of a hook. Precondition: listens(hook).
    RunStatus run(Hook hook);
    // Runs the Lua dissector registered for an IP protocol on the packet at hand.
    RunStatus run_protocol(std::uint8_t ip_version, std::uint8_t protocol);
    // Runs the Lua dissector `name` on the stream at hand.
    RunStatus run_stream(std::string_view name);
    // Resumes the streamed rules of the request (0) or response (1) at hand.
    RunStatus run_body(std::uint32_t which);
    // Whether a streamed rule of that connection still waits for bytes of that direction.
    [[nodiscard]] bool waits(std::uint32_t connection, bool from_client);
    // A connection that Lua touched is gone.
    void forget(std::uint32_t connection);
    // haka.on_exit functions, in order.
    RunStatus run_exit();

    // From now on; module "default" stands for all that have no level of their own.
    void set_log_level(std::string_view module, report::LogLevel level);

    // What the last Failed was: RuleError or LuaMemory.
    [[nodiscard]] Event failure() const { return failure_; }
    // The rule that the last Failed was about; 0: none of them.
    [[nodiscard]] std::uint32_t failed_rule() const { return failed_rule_; }

    // For the watchdog, read from another thread: odd while Lua runs, changes with every entry.
    [[nodiscard]] const std::atomic<std::uint64_t>& entries() const { return entries_; }
    // A rule needed so much memory at once that it can't even fail: its thread is lost.
    [[nodiscard]] bool is_stuck() const { return memory_.is_stuck(); }
    [[nodiscard]] std::uint64_t memory_used() const { return memory_.used(); }

    // What `haka check` prints.
    struct Listing {
        std::string hook;
        std::string group;
        std::string name;
        std::string place;
        bool readonly = false;
        bool streamed = false;
    };
    [[nodiscard]] std::vector<Listing> listing();

private:
    struct Close {
        void operator()(lua_State* state) const;
    };
    friend struct Natives;

    Script(const Options& options, Host& host, haka_context& context);
    [[nodiscard]] std::string prepare();
    [[nodiscard]] std::string load_library();
    [[nodiscard]] std::string load_policy();
    [[nodiscard]] std::string seal();
    RunStatus call(int index, int arguments, int results);
    RunStatus report_failure(int status);
    void report_error(std::uint32_t number, std::string message);
    void collect();
    RunStatus refuse_call();

    Options options_;
    Host* host_;
    haka_context* context_;
    LuaMemory memory_;
    AlertBinding alerts_;  // Outlives the Lua state.
    std::unique_ptr<lua_State, Close> lua_;
    std::vector<RuleInfo> rules_{1};
    std::vector<std::string> disabled_;
    std::array<bool, 256> protocols_{};
    std::uint32_t hooks_ = 0;
    std::uint32_t stream_rules_ = 0;
    bool has_streamed_rules_ = false;
    bool edits_streams_ = false;
    std::vector<bool> readonly_cursors_;
    bool edits_http_ = false;
    std::array<std::uint32_t, 2> body_rules_{};
    std::uint64_t used_after_collection_ = 0;
    std::uint64_t refused_calls_ = 0;
    Event failure_ = Event::RuleError;
    bool fatal_ = false;
    std::string fatal_message_;
    std::uint32_t failed_rule_ = 0;
    std::string coroutine_trace_;
    std::atomic<std::uint64_t> entries_{0};
};

}  // namespace haka::script
