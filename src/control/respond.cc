#include "control/respond.h"

#include <algorithm>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <optional>

#include "control/filter.h"

namespace haka::control {
namespace {

using Json = nlohmann::ordered_json;

// Names come from policies: bytes that aren't UTF-8 are replaced.
std::string line_of(const Json& json) {
    return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string answer(bool done, Json message) {
    Json json;
    json["return"] = done ? "OK" : "NOK";
    json["message"] = std::move(message);
    return line_of(json);
}

std::string answer(const Outcome& outcome) {
    return answer(outcome.done, outcome.message);
}

double seconds(Duration span) {
    return static_cast<double>(span.ns) * 1e-9;
}

Json policy_of(const PolicyFigures& policy) {
    return {
        {"generation", policy.generation},           {"generations_live", policy.generations_live},
        {"reloads_done", policy.reloads_done},       {"reloads_failed", policy.reloads_failed},
        {"last_reload", policy.last_reload_seconds}, {"last_error", policy.last_error}};
}

Json status_of(Engine& engine) {
    const Status status = engine.status();
    return {{"version", status.version},       {"revision", status.revision},
            {"policy", status.policy},         {"generation", status.generation},
            {"source", status.source},         {"workers", status.workers},
            {"uptime", status.uptime_seconds}, {"connections", status.connections},
            {"packets", status.packets},       {"pass_through", status.pass_through},
            {"log_levels", status.log_levels}};
}

// Counters by event, those that are zero left out.
Json by_event(const std::array<std::uint64_t, kEventCount>& counts) {
    Json json = Json::object();
    for (std::size_t i = 0; i < counts.size(); ++i) {
        if (counts.at(i) != 0) {
            json[std::string(event_name(static_cast<Event>(i)))] = counts.at(i);
        }
    }
    return json;
}

Json by_state(const std::array<std::uint64_t, flow::kStateCount>& counts) {
    Json json = Json::object();
    for (std::size_t i = 0; i < counts.size(); ++i) {
        json[std::string(flow::to_string(static_cast<flow::State>(i)))] = counts.at(i);
    }
    return json;
}

Json by_end(const report::Summary& summary) {
    Json json = Json::object();
    for (std::size_t i = 0; i < summary.connections_ended.size(); ++i) {
        json[std::string(flow::to_string(static_cast<flow::EndReason>(i)))] =
            summary.connections_ended.at(i);
    }
    return json;
}

Json packets_of(const report::Summary& all) {
    return {{"in", all.packets_in},
            {"out", all.packets_out},
            {"dropped", all.packets_dropped},
            {"changed", all.packets_changed()},
            {"injected", all.packets_injected},
            {"absorbed", all.packets_absorbed},
            {"malformed", all.malformed_frames},
            {"wrong_checksums", all.checksum_errors}};
}

Json stats_of(Engine& engine) {
    const Figures figures = engine.figures();
    report::Summary all;
    std::array<std::uint64_t, flow::kStateCount> states{};
    Json workers = Json::array();
    for (const WorkerSight& worker : figures.workers) {
        all += worker.figures.summary;
        for (std::size_t i = 0; i < states.size(); ++i) {
            states.at(i) += worker.figures.connections.at(i);
        }
        workers.push_back({{"packets_in", worker.figures.summary.packets_in},
                           {"queue_depth", worker.queue_depth},
                           {"kernel_drops", worker.kernel_drops},
                           {"stream_memory", worker.figures.stream_memory},
                           {"lua_memory", worker.figures.lua_memory},
                           {"table_memory", worker.figures.table_memory},
                           {"answered", worker.answered}});
    }
    return {{"packets", packets_of(all)},
            {"bytes", {{"in", all.bytes_in}, {"out", all.bytes_out}}},
            {"drops", by_event(all.drops)},
            {"changes", by_event(all.changes)},
            {"drops_by_rule", all.drops_by_rule},
            {"events", by_event(all.events)},
            {"alerts_by_rule", all.alerts_by_rule},
            {"connections", by_state(states)},
            {"connections_begun", all.connections},
            {"connections_ended", by_end(all)},
            {"streams", {{"bytes", all.stream_bytes}, {"gaps", all.stream_gaps}}},
            {"policy", policy_of(figures.policy)},
            {"workers", std::move(workers)}};
}

Json row_of(const engine::ConnectionRow& row) {
    return {{"id", row.id},
            {"worker", row.worker},
            {"state", flow::to_string(row.state)},
            {"client", row.client},
            {"client_port", row.client_port},
            {"server", row.server},
            {"server_port", row.server_port},
            {"age", seconds(row.age)},
            {"idle", seconds(row.idle)},
            {"packets_to_server", row.packets[0]},
            {"packets_to_client", row.packets[1]},
            {"bytes_to_server", row.bytes[0]},
            {"bytes_to_client", row.bytes[1]},
            {"dissector", row.dissector}};
}

Json rules_of(Engine& engine) {
    struct Sum {
        std::uint64_t errors = 0;
        report::RuleTime time;
    };
    // In the order of the policy; every worker has the same rules.
    std::vector<std::pair<std::pair<std::string, std::string>, Sum>> rules;
    for (const WorkerSight& worker : engine.figures().workers) {
        for (const engine::RuleFigures& rule : worker.figures.rules) {
            const std::pair key(rule.name, rule.place);
            auto known =
                std::ranges::find_if(rules, [&key](const auto& each) { return each.first == key; });
            if (known == rules.end()) {
                known = rules.insert(rules.end(), {key, {}});
            }
            known->second.errors += rule.errors;
            known->second.time += rule.time;
        }
    }
    Json json = Json::array();
    for (const auto& [key, sum] : rules) {
        json.push_back({{"name", key.first},
                        {"place", key.second},
                        {"errors", sum.errors},
                        {"calls", sum.time.calls},
                        {"seconds", seconds(sum.time.total)}});
    }
    return {{"rules", std::move(json)}};
}

std::string list(const Json& arguments, Engine& engine, std::size_t rows_max) {
    std::string text;
    if (const auto filter = arguments.find("filter"); filter != arguments.end()) {
        if (!filter->is_string()) {
            return refusal("\"filter\" must be a text, such as \"port=443\"");
        }
        text = filter->get_ref<const std::string&>();
    }
    const ParsedFilter parsed = parse_filter(text);
    if (!parsed.error.empty()) {
        return refusal(parsed.error);
    }
    const Listing listing = engine.connections(parsed.filter, rows_max);
    Json rows = Json::array();
    for (const engine::ConnectionRow& row : listing.rows) {
        rows.push_back(row_of(row));
    }
    return answer(true, {{"connections", std::move(rows)}, {"cut", listing.is_cut}});
}

std::string end(const Json& arguments, Engine& engine, engine::EndKind kind) {
    const auto id = arguments.find("id");
    if (id == arguments.end() || !id->is_number_unsigned()) {
        return refusal("\"id\" must be a number, a connection's flow_id as `connections` lists it");
    }
    return answer(engine.end_connection(id->get<std::uint64_t>(), kind));
}

std::string set_level(const Json& arguments, Engine& engine) {
    using enum report::LogLevel;
    std::string module = "default";
    if (const auto given = arguments.find("module"); given != arguments.end()) {
        if (!given->is_string() || given->get_ref<const std::string&>().empty()) {
            return refusal("\"module\" must be a module's name");
        }
        module = given->get_ref<const std::string&>();
    }
    const auto level = arguments.find("level");
    if (level != arguments.end() && level->is_string()) {
        for (const report::LogLevel each : {Fatal, Error, Warning, Info, Debug}) {
            if (level->get_ref<const std::string&>() == report::to_string(each)) {
                return answer(engine.set_log_level(module, each));
            }
        }
    }
    return refusal("\"level\" must be fatal, error, warning, info or debug");
}

std::string obey(std::string_view command, const Json& arguments, Engine& engine,
                 std::size_t rows_max) {
    if (command == "status") {
        return answer(true, status_of(engine));
    }
    if (command == "stats") {
        return answer(true, stats_of(engine));
    }
    if (command == "connections") {
        return list(arguments, engine, rows_max);
    }
    if (command == "drop") {
        return end(arguments, engine, engine::EndKind::Drop);
    }
    if (command == "reset") {
        return end(arguments, engine, engine::EndKind::Reset);
    }
    if (command == "rules") {
        return answer(true, rules_of(engine));
    }
    if (command == "reload") {
        return answer(engine.reload());
    }
    if (command == "log-level") {
        return set_level(arguments, engine);
    }
    if (command == "stop") {
        return answer(engine.stop());
    }
    return refusal(
        fmt::format("unknown command \"{}\"; there are {}", command, fmt::join(kCommands, ", ")));
}

}  // namespace

std::string refusal(std::string_view why) {
    return answer(false, std::string(why));
}

std::string respond(std::string_view request, Engine& engine, std::size_t rows_max) {
    const Json json = Json::parse(request.begin(), request.end(), nullptr, false);
    if (json.is_discarded() || !json.is_object()) {
        return refusal("a request is a JSON object on one line, such as {\"command\": \"status\"}");
    }
    const auto command = json.find("command");
    if (command == json.end() || !command->is_string()) {
        return refusal("a request has a \"command\", a text, such as \"status\"");
    }
    static const Json kNone = Json::object();
    const auto arguments = json.find("arguments");
    if (arguments != json.end() && !arguments->is_object()) {
        return refusal("\"arguments\" must be an object, such as {\"id\": 1234}");
    }
    return obey(command->get_ref<const std::string&>(),
                arguments == json.end() ? kNone : *arguments, engine, rows_max);
}

}  // namespace haka::control
