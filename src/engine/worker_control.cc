#include "engine/worker_control.h"

#include <algorithm>

#include "engine/worker.h"
#include "report/flow_id.h"

namespace haka::engine {

namespace {

std::uint64_t flow_id_of(const flow::Connection& connection) {
    return report::make_flow_id(connection.start,
                                report::flow_hash(connection.key, wire::kProtocolTcp));
}

std::string address_text(const flow::Endpoint& end) {
    const bool mapped = end.address[10] == 0xff && end.address[11] == 0xff &&
                        std::all_of(end.address.begin(), end.address.begin() + 10,
                                    [](std::uint8_t byte) { return byte == 0; });
    return mapped ? Address::ipv4(load_be32(end.address.data() + 12)).text()
                  : Address::ipv6(end.address.data()).text();
}

}  // namespace

bool Network::contains(const std::array<std::uint8_t, 16>& other) const {
    const std::size_t whole = bits / 8;
    if (!std::equal(other.begin(), other.begin() + static_cast<std::ptrdiff_t>(whole),
                    address.bytes.begin())) {
        return false;
    }
    const unsigned rest = bits % 8;
    return rest == 0 || (other.at(whole) ^ address.bytes.at(whole)) >> (8 - rest) == 0;
}

bool ConnectionFilter::matches(const flow::Connection& connection) const {
    const flow::Endpoint& from = connection.client();
    const flow::Endpoint& to = connection.server();
    return (!state || connection.state == *state) &&
           (!port || from.port == *port || to.port == *port) &&
           (!client || client->contains(from.address)) &&
           (!server || server->contains(to.address)) &&
           (!either || either->contains(from.address) || either->contains(to.address)) &&
           (!id || flow_id_of(connection) == *id);
}

WorkerFigures Worker::figures() const {
    WorkerFigures figures;
    figures.summary = summary();
    figures.connections = by_state_;
    figures.stream_memory = stream_memory_.used();
    for (const auto& policy : policies_) {
        figures.lua_memory += policy->script->memory_used();
    }
    figures.table_memory = table_.memory_bytes();
    figures.generations = policies_.size();
    const auto& rules = newest().script->rules();
    for (std::size_t i = 1; i < rules.size(); ++i) {  // 0 is nobody.
        figures.rules.push_back({.name = rules[i].name,
                                 .place = rules[i].place,
                                 .errors = rules[i].errors,
                                 .time = newest().rule_times[i]});
    }
    return figures;
}

bool Worker::list(const ConnectionFilter& filter, Instant now, Listed& listed) const {
    table_.for_each_from(listed.next_place, kPlacesAtOnce, [&](const flow::Connection& connection) {
        if (listed.is_cut || !filter.matches(connection)) {
            return;
        }
        if (listed.rows.size() >= listed.rows_max) {
            listed.is_cut = true;
            return;
        }
        listed.rows.push_back({.id = flow_id_of(connection),
                               .worker = options_.index,
                               .state = connection.state,
                               .client = address_text(connection.client()),
                               .server = address_text(connection.server()),
                               .client_port = connection.client().port,
                               .server_port = connection.server().port,
                               .age = now - connection.start,
                               .idle = now - connection.last_seen,
                               .bytes = connection.bytes,
                               .packets = connection.packets,
                               .dissector = dissectors_[connection.dissector]});
    });
    listed.next_place = std::min(table_.places(), listed.next_place + kPlacesAtOnce);
    return !listed.is_cut && listed.next_place < table_.places();
}

ConnectionFate Worker::end_connection(const EndRequest& request, Instant now, Journal& journal) {
    const flow::Connection* found = nullptr;
    if (request.next_place < table_.places()) {
        table_.for_each_from(
            request.next_place, kPlacesAtOnce, [&](const flow::Connection& connection) {
                // A remnant has the id of what it was.
                if (flow_id_of(connection) == request.id && (found == nullptr || found->ended)) {
                    found = &connection;
                }
            });
    }
    if (found == nullptr) {
        return table_.places() > request.next_place + kPlacesAtOnce ? ConnectionFate::Searching
                                                                    : ConnectionFate::Unknown;
    }
    if (found->ended) {
        return ConnectionFate::EndedBefore;
    }
    if (options_.settings.pass_through) {
        return ConnectionFate::PassesThrough;
    }
    journal_ = &journal;
    now_ = now;
    context_->now = now.ns;
    item_ = nullptr;
    connection_ = nullptr;
    decisions_.push_back(
        {.kind = request.kind == EndKind::Reset ? DecisionKind::Reset : DecisionKind::Drop,
         .index = found->index,
         .id = found->id});
    settle_decisions(nullptr);
    if (!to_send_.empty() || !resets_.empty()) {
        send_pending();
    }
    journal_->commit();
    journal_ = nullptr;
    return ConnectionFate::Ended;
}

void Worker::set_log_level(std::string_view module, report::LogLevel level, Journal& journal) {
    journal_ = &journal;
    for (const auto& policy : policies_) {
        use(*policy);
        script_->set_log_level(module, level);
    }
    journal_->commit();
    journal_ = nullptr;
}

}  // namespace haka::engine
