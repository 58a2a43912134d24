#include "app/setting.h"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>

#include "app/nearest.h"
#include "app/setting_kind.h"

namespace haka::app {
namespace {

constexpr std::uint32_t kManyConnections = 1U << 26;
constexpr std::uint32_t kManyPieces = 1U << 20;
constexpr std::uint32_t kManyPackets = 1U << 20;
constexpr std::uint32_t kGibibyte = 1U << 30;
constexpr std::uint64_t kTebibyte = 1ULL << 40;
constexpr Range<Duration> kTimeout = {.min = kMillisecond, .max = kSecond * 30 * 86'400};

void add_tcp(std::vector<Setting>& table, TcpSettings& tcp) {
    const auto add = [&table](std::string_view key, Setting::Set set) {
        table.emplace_back("tcp", key, std::move(set));
    };
    add("midstream", one_of<Midstream>(tcp.midstream, {{"drop", Midstream::Drop},
                                                       {"ignore", Midstream::Ignore},
                                                       {"accept", Midstream::Accept}}));
    add("normalise", one_of<Normalise>(tcp.normalise, {{"listened", Normalise::Listened},
                                                       {"all", Normalise::All}}));
    add("clear_urgent", yes_or_no(tcp.clear_urgent));
    add("clear_reserved", yes_or_no(tcp.clear_reserved));
    add("ttl_min", count(tcp.ttl_min, {.min = 0, .max = 255}));
    add("connections_max", count(tcp.connections_max, {.min = 1, .max = kManyConnections}));
    add("half_open_percent", count(tcp.half_open_percent, {.min = 1, .max = 100}));
    add("held_bytes_max", size(tcp.held_bytes_max, {.min = 1, .max = kGibibyte}));
    add("held_segments_max", count(tcp.held_segments_max, {.min = 1, .max = kManyPieces}));
    add("edits_max", count(tcp.edits_max, {.min = 1, .max = 65'536}));
    add("edited_bytes_max", size(tcp.edited_bytes_max, {.min = 1, .max = kGibibyte}));
    add("undecided_bytes_max", size(tcp.undecided_bytes_max, {.min = 1, .max = kGibibyte}));
    add("undecided_time_max", time(tcp.undecided_time_max, kTimeout));
    add("stream_memory_max", size(tcp.stream_memory_max, {.min = 65'536, .max = kTebibyte}));
    add("early_ack_packets", count(tcp.early_ack_packets, {.min = 0, .max = 65'536}));
    add("syn_timeout", time(tcp.syn_timeout, kTimeout));
    add("syn_ack_timeout", time(tcp.syn_ack_timeout, kTimeout));
    add("established_timeout", time(tcp.established_timeout, kTimeout));
    add("half_closed_timeout", time(tcp.half_closed_timeout, kTimeout));
    add("time_wait_timeout", time(tcp.time_wait_timeout, kTimeout));
    add("dropped_timeout", time(tcp.dropped_timeout, kTimeout));
    add("midstream_after_restart",
        time(tcp.midstream_after_restart, {.min = {}, .max = kTimeout.max}));
}

void add_fragments(std::vector<Setting>& table, FragmentSettings& fragments) {
    const auto add = [&table](std::string_view key, Setting::Set set) {
        table.emplace_back("fragments", key, std::move(set));
    };
    add("datagrams_max", count(fragments.datagrams_max, {.min = 1, .max = kManyPieces}));
    add("fragments_per_datagram_max",
        count(fragments.fragments_per_datagram_max, {.min = 2, .max = 8192}));
    add("bytes_max", size(fragments.bytes_max, {.min = 65'536, .max = kGibibyte}));
    add("timeout", time(fragments.timeout, kTimeout));
}

void add_exceptions(std::vector<Setting>& table, ExceptionSettings& exceptions) {
    using enum Exception;
    const auto add = [&table](std::string_view key, Setting::Set set) {
        table.emplace_back("exceptions", key, std::move(set));
    };
    add("table_full",
        one_of<Exception>(exceptions.table_full,
                          {{"drop", Drop}, {"pass", Pass}, {"reset", Reset}, {"bypass", Bypass}}));
    // Bytes that can't be held can't be decided on: the connection ends, or goes on unseen.
    add("hold",
        one_of<Exception>(exceptions.hold, {{"drop", Drop}, {"reset", Reset}, {"bypass", Bypass}}));
    add("memory", one_of<Exception>(exceptions.memory,
                                    {{"drop", Drop}, {"reset", Reset}, {"bypass", Bypass}}));
    // Anybody can send one in another's name: it concerns no connection.
    add("malformed", one_of<Exception>(exceptions.malformed, {{"drop", Drop}, {"pass", Pass}}));
}

void add_lua(std::vector<Setting>& table, LuaSettings& lua) {
    const auto add = [&table](std::string_view key, Setting::Set set) {
        table.emplace_back("lua", key, std::move(set));
    };
    add("memory_max", size(lua.memory_max, {.min = 1U << 20, .max = kTebibyte}));
    add("rule_timeout", time(lua.rule_timeout, {.min = kMillisecond, .max = kSecond * 86'400}));
    add("output_max", size(lua.output_max, {.min = 1024, .max = kTebibyte}));
    add("packets_max", count(lua.packets_max, {.min = 1, .max = kManyPackets}));
    add("on_error",
        one_of<Exception>(lua.on_error, {{"drop", Exception::Drop}, {"accept", Exception::Pass}}));
    add("unsafe", yes_or_no(lua.unsafe));
}

void add_live(std::vector<Setting>& table, LiveSettings& live, NfqueueSettings& nfqueue) {
    table.emplace_back("live", "ring_frames", count(live.ring_frames, {.min = 15, .max = 65'536}));
    table.emplace_back("live", "send_buffer",
                       size(live.send_buffer, {.min = 65'536, .max = kGibibyte}));
    table.emplace_back("live", "records_bytes_max",
                       size(live.records_bytes_max, {.min = 65'536, .max = kGibibyte}));
    table.emplace_back("live", "af_xdp", yes_or_no(live.af_xdp));
    const auto add = [&table](std::string_view key, Setting::Set set) {
        table.emplace_back("nfqueue", key, std::move(set));
    };
    add("length_max", count(nfqueue.length_max, {.min = 1, .max = kManyPackets}));
    add("copy_range", size(nfqueue.copy_range, {.min = 128, .max = 65'531}));
    add("socket_buffer", size(nfqueue.socket_buffer, {.min = 65'536, .max = kGibibyte}));
    add("mark", count(nfqueue.mark, {.min = 1, .max = UINT32_MAX}));
    add("fail_open", yes_or_no(nfqueue.fail_open));
}

void add_http(std::vector<Setting>& table, HttpSettings& http) {
    const auto add = [&table](std::string_view key, Setting::Set set) {
        table.emplace_back("http", key, std::move(set));
    };
    const auto action = [&http](Event offence) {
        using enum Exception;
        return one_of<Exception>(http.action(offence),
                                 {{"drop", Drop}, {"reset", Reset}, {"pass", Pass}});
    };
    add("head_bytes_max", size(http.head_bytes_max, {.min = 64, .max = 1U << 24}));
    add("line_bytes_max", size(http.line_bytes_max, {.min = 64, .max = 1U << 24}));
    add("headers_max", count(http.headers_max, {.min = 1, .max = 65'536}));
    add("pipeline_max", count(http.pipeline_max, {.min = 1, .max = 65'536}));
    add("not_http", action(Event::HttpNotHttp));
    add("bad_request_line", action(Event::HttpBadRequestLine));
    add("bad_status_line", action(Event::HttpBadStatusLine));
    add("bad_version", action(Event::HttpBadVersion));
    add("bad_target", action(Event::HttpBadTarget));
    add("host_mismatch", action(Event::HttpHostMismatch));
    add("bad_host", action(Event::HttpBadHost));
    add("no_host", action(Event::HttpNoHost));
    add("bare_lf", action(Event::HttpBareLf));
    add("bare_cr", action(Event::HttpBareCr));
    add("nul", action(Event::HttpNul));
    add("space_before_colon", action(Event::HttpSpaceBeforeColon));
    add("bad_header", action(Event::HttpBadHeader));
    add("obs_fold", action(Event::HttpObsFold));
    add("two_framings", action(Event::HttpTwoFramings));
    add("differing_lengths", action(Event::HttpDifferingLengths));
    add("bad_length", action(Event::HttpBadLength));
    add("bad_transfer_encoding", action(Event::HttpBadTransferEncoding));
    add("excluded_body", action(Event::HttpExcludedBody));
    add("bad_chunk", action(Event::HttpBadChunk));
    add("bad_trailer", action(Event::HttpBadTrailer));
    add("line_too_long", action(Event::HttpLineTooLong));
    add("head_too_long", action(Event::HttpHeadTooLong));
    add("too_many_headers", action(Event::HttpTooManyHeaders));
    add("pipeline_limit", action(Event::HttpPipelineLimit));
    add("unasked_response", action(Event::HttpUnasked));
    add("unasked_switch", action(Event::HttpUnaskedSwitch));
    add("cut_head", action(Event::HttpCutHead));
    add("cut_short", action(Event::HttpCutShort));
    add("gap", action(Event::HttpGap));
}

void add_control(std::vector<Setting>& table, ControlSettings& control) {
    const auto add = [&table](std::string_view key, Setting::Set set) {
        table.emplace_back("control", key, std::move(set));
    };
    add("socket", plain_text(control.socket, 107));  // What a unix socket's address holds.
    add("clients_max", count(control.clients_max, {.min = 1, .max = 1024}));
    add("line_max", size(control.line_max, {.min = 256, .max = 1U << 24}));
    add("rows_max", count(control.rows_max, {.min = 1, .max = kManyPieces}));
    add("timeout", time(control.timeout, kTimeout));
}

void add_policy(std::vector<Setting>& table, PolicySettings& policy) {
    const auto add = [&table](std::string_view key, Setting::Set set) {
        table.emplace_back("policy", key, std::move(set));
    };
    add("generations_max", count(policy.generations_max, {.min = 2, .max = 64}));
    add("generation_deadline", time(policy.generation_deadline, kTimeout));
}

void add_supervisor(std::vector<Setting>& table, SupervisorSettings& supervisor) {
    const auto add = [&table](std::string_view key, Setting::Set set) {
        table.emplace_back("supervisor", key, std::move(set));
    };
    add("enabled", yes_or_no(supervisor.enabled));
    add("fail_open", yes_or_no(supervisor.fail_open));
    add("rule_faults_max", count(supervisor.rule_faults_max, {.min = 1, .max = 1000}));
    add("rule_faults_time", time(supervisor.rule_faults_time, kTimeout));
    add("last_packets", count(supervisor.last_packets, {.min = 0, .max = 65'536}));
    add("captures", [&at = supervisor.captures](const SettingValue& value) {
        const auto* const text = std::get_if<std::string>(&value);
        if (text == nullptr) {
            return std::string("must be the name of a folder");
        }
        at = *text;
        return std::string();
    });
}

bool in_section(const std::vector<Setting>& table, std::string_view section) {
    return std::any_of(table.begin(), table.end(),
                       [&](const Setting& setting) { return setting.section() == section; });
}

}  // namespace

SettingValue value_of(std::string_view text) {
    if (text == "true" || text == "false") {
        return text == "true";
    }
    const char* end = text.data() + text.size();
    std::int64_t whole = 0;
    if (const auto [rest, error] = std::from_chars(text.data(), end, whole);
        error == std::errc() && rest == end) {
        return whole;
    }
    double number = 0;
    if (const auto [rest, error] = std::from_chars(text.data(), end, number);
        error == std::errc() && rest == end) {
        return number;
    }
    if (text.size() >= 2 && (text.front() == '"' || text.front() == '\'') &&
        text.back() == text.front()) {
        text = text.substr(1, text.size() - 2);
    }
    return std::string(text);
}

std::string Setting::full_name() const {
    return section_.empty() ? std::string(key_) : fmt::format("{}.{}", section_, key_);
}

std::vector<Setting> settings_table(Settings& settings) {
    std::vector<Setting> table;
    add_tcp(table, settings.tcp);
    add_fragments(table, settings.fragments);
    add_exceptions(table, settings.exceptions);
    add_lua(table, settings.lua);
    add_live(table, settings.live, settings.nfqueue);
    add_http(table, settings.http);
    add_control(table, settings.control);
    add_policy(table, settings.policy);
    add_supervisor(table, settings.supervisor);
    table.emplace_back("eve", "ipv6_compress", yes_or_no(settings.eve_ipv6_compress));
    table.emplace_back("", "checksums",
                       one_of<ChecksumMode>(settings.checksums, {{"auto", ChecksumMode::Auto},
                                                                 {"all", ChecksumMode::All},
                                                                 {"none", ChecksumMode::None}}));
    table.emplace_back("", "pass_through", yes_or_no(settings.pass_through));
    table.emplace_back("", "seed", count(settings.seed, {.min = 0, .max = INT64_MAX}));
    table.emplace_back("", "workers", count(settings.workers, {.min = 1, .max = kWorkersMax}));
    return table;
}

std::string set_from_text(const std::vector<Setting>& table, std::string_view text) {
    const std::size_t equals = text.find('=');
    if (equals == std::string_view::npos || equals == 0) {
        return fmt::format("\"{}\" is not of the form section.key=value", text);
    }
    const std::string_view name = text.substr(0, equals);
    const std::size_t dot = name.find('.');
    const std::string_view section = dot == std::string_view::npos ? "" : name.substr(0, dot);
    const std::string_view key = dot == std::string_view::npos ? name : name.substr(dot + 1);
    for (const Setting& setting : table) {
        if (setting.section() == section && setting.key() == key) {
            const std::string error = setting.set(value_of(text.substr(equals + 1)));
            return error.empty() ? error : fmt::format("{} {}", setting.full_name(), error);
        }
    }
    return unknown_setting(table, section, key);
}

std::string unknown_setting(const std::vector<Setting>& table, std::string_view section,
                            std::string_view key) {
    std::vector<std::string_view> names;
    if (!in_section(table, section)) {
        for (const Setting& setting : table) {
            if (names.empty() || names.back() != setting.section()) {
                names.push_back(setting.section());
            }
        }
        const std::string_view best = nearest(section, names);
        return fmt::format("unknown section [{}]{}", section,
                           best.empty() ? "" : fmt::format("; did you mean [{}]?", best));
    }
    std::vector<std::string> all;
    all.reserve(table.size());
    for (const Setting& setting : table) {
        all.push_back(setting.full_name());
    }
    names.assign(all.begin(), all.end());
    const std::string name =
        section.empty() ? std::string(key) : fmt::format("{}.{}", section, key);
    return fmt::format("unknown setting {}{}", name, did_you_mean(name, names));
}

}  // namespace haka::app
