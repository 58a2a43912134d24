// Tested by: worker_policy_test.cc
#include "engine/policy.h"

#include "engine/journal.h"
#include "report/eve.h"
#include "report/text.h"

namespace haka::engine {

namespace {

using script::Hook;

// Keeps what a policy says while it loads, and refuses what needs packets: there are none.
class LoadingHost final : public script::Host {
public:
    LoadingHost(const WorkerOptions& options, Journal& journal, std::uint32_t generation)
        : options_(options), journal_(journal) {
        where_.generation = generation;
    }

    bool log(report::LogLevel level, std::string_view module, std::string_view text) override {
        std::string line;
        report::append_log(line, {.when = {}, .level = level, .module = module, .text = text},
                           options_.log_style);
        return stage(RecordKind::Log, line);
    }
    bool print(std::string_view line) override {
        std::string text;
        report::append_print(text, line, options_.out_style);
        return stage(RecordKind::Print, text);
    }
    std::uint64_t alert(report::Alert& alert) override {
        if (!alert.is_update) {
            alert.reference = ++alerts_;
        }
        std::string text;
        std::string eve;
        if (options_.shows_alerts) {
            report::append_alert(text, alert, where_, options_.out_style);
        }
        if (options_.writes_eve) {
            report::append_alert(eve, alert, where_, report::EveOptions{});
        }
        return stage(RecordKind::Alert, text, eve) ? alert.reference : 0;
    }
    int packet_new(std::uint32_t, std::uint32_t&) override { return HAKA_NOT_A_PACKET; }
    int packet_resize(std::uint32_t, std::uint32_t) override { return HAKA_NOT_A_PACKET; }
    int packet_take(std::uint32_t, std::uint32_t&) override { return HAKA_NOT_A_PACKET; }
    int packet_send(std::uint32_t) override { return HAKA_NOT_A_PACKET; }
    void packet_drop(std::uint32_t) override {}
    void packet_keep(std::uint32_t, bool) override {}
    void packet_parse(std::uint32_t) override {}
    bool checksum_ok(std::uint32_t, bool) override { return false; }
    void checksum_set(std::uint32_t, bool) override {}
    std::uint32_t packet_mark(std::uint32_t) override { return 0; }
    int packet_set_mark(std::uint32_t, std::uint32_t) override { return HAKA_NO_MARKS; }
    std::uint32_t connection_touch() override { return HAKA_NONE; }
    std::uint32_t connection_of(std::uint32_t, bool&, bool&) override { return HAKA_NONE; }
    int connection_new(std::uint32_t, std::uint32_t&) override { return HAKA_NOT_A_PACKET; }
    void connection_refresh(std::uint32_t) override {}
    int connection_drop(std::uint32_t) override { return HAKA_NOT_A_PACKET; }
    int connection_reset(std::uint32_t) override { return HAKA_NOT_A_PACKET; }
    int connection_close(std::uint32_t) override { return HAKA_NOT_A_PACKET; }
    int stream_edit(std::uint32_t, double, std::uint32_t, std::string_view) override {
        return HAKA_NO_STREAM;
    }
    int http_part(std::uint32_t, std::uint32_t, std::string_view&) override {
        return HAKA_HTTP_NO_MESSAGE;
    }
    int http_find(std::uint32_t, std::string_view, std::uint32_t, std::string_view&) override {
        return HAKA_HTTP_NO_MESSAGE;
    }
    bool http_item(std::uint32_t, std::uint32_t, std::string_view&, std::string_view&) override {
        return false;
    }
    int http_set_part(std::uint32_t, std::uint32_t, std::string_view) override {
        return HAKA_HTTP_NO_MESSAGE;
    }
    int http_set_header(std::uint32_t, int, std::string_view, std::string_view) override {
        return HAKA_HTTP_NO_MESSAGE;
    }
    int http_open_body(std::uint32_t) override { return HAKA_HTTP_NO_MESSAGE; }
    int http_edit_body() override { return HAKA_HTTP_NO_MESSAGE; }
    int http_respond(std::string_view) override { return HAKA_HTTP_NO_MESSAGE; }
    [[nodiscard]] std::string_view http_problem() const override { return {}; }
    void choose_dissector(std::string_view) override {}
    [[nodiscard]] std::string_view next_dissector() const override { return {}; }
    void rule_time(std::uint32_t, double) override {}

private:
    bool stage(RecordKind kind, std::string_view first, std::string_view second = {}) {
        const std::size_t size = first.size() + second.size();
        if (journal_.staged_bytes() + size > options_.settings.lua.output_max) {
            return false;
        }
        journal_.stage({.kind = kind}, first, second);
        return true;
    }

    const WorkerOptions& options_;
    Journal& journal_;
    report::Where where_;  // No packet: only whose alert it is.
    std::uint64_t alerts_ = 0;
};

}  // namespace

Policy::Loaded Policy::load(const WorkerOptions& options, haka_packet* packets,
                            std::uint32_t generation) {
    auto policy = std::make_unique<Policy>();
    Journal journal;
    policy->generation = generation;
    policy->loading_host = std::make_unique<LoadingHost>(options, journal, generation);
    policy->context.packets = packets;
    policy->context.connection = HAKA_NONE;
    auto loaded = script::Script::load(options.script, *policy->loading_host, policy->context);
    if (loaded.script == nullptr) {
        return {nullptr, std::move(loaded.error), loaded.fatal};
    }
    policy->script = std::move(loaded.script);
    const script::Script& script = *policy->script;
    for (const Hook down : {Hook::TcpConnectionDown, Hook::TcpDown, Hook::UdpDown, Hook::IcmpDown,
                            Hook::Ipv4Down, Hook::Ipv6Down, Hook::RawDown}) {
        policy->has_down_hooks = policy->has_down_hooks || script.listens(down);
    }
    policy->ipv4_on = !script.is_disabled("ipv4");
    policy->ipv6_on = !script.is_disabled("ipv6");
    policy->tcp_on = !script.is_disabled("tcp");
    policy->connections_on = policy->tcp_on && !script.is_disabled("tcp-connection");
    policy->http_on = !script.is_disabled("http");
    policy->http = {.cursor = script.stream_rules(),
                    .body_rules = {script.body_rules(0), script.body_rules(1)},
                    .hooks = 0,
                    .writes_eve = options.writes_eve};
    for (const Hook hook : {Hook::HttpUp, Hook::HttpRequest, Hook::HttpResponse, Hook::HttpDown}) {
        policy->http.hooks |= script.listens(hook) ? 1U << static_cast<unsigned>(hook) : 0;
    }
    policy->drops_by_rule.resize(script.rules().size());
    policy->rule_times.resize(script.rules().size());
    journal.commit();
    journal.take(policy->loading_journal);
    return {std::move(policy), {}, false};
}

void add_counts(const Policy& policy, report::Summary& summary) {
    const auto& rules = policy.script->rules();
    for (std::size_t i = 0; i < rules.size(); ++i) {
        if (policy.drops_by_rule[i] != 0) {
            report::of_rule(summary.drops_by_rule, i == 0 ? "(engine)" : rules[i].name) +=
                policy.drops_by_rule[i];
        }
        if (rules[i].errors != 0) {
            report::of_rule(summary.errors_by_rule, rules[i].name) += rules[i].errors;
        }
        if (policy.rule_times[i].calls != 0) {
            report::of_rule(summary.lua_time, rules[i].name) += policy.rule_times[i];
        }
    }
}

}  // namespace haka::engine
