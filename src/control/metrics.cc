#include "control/metrics.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>

#include <luajit-2.1/luajit.h>
#include <sys/resource.h>
#include <unistd.h>

namespace haka::control {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

struct Label {
    std::string name;
    std::string value;
};

// A rule's name may hold any bytes; the page is UTF-8 and a scrape of anything else fails.
std::string printable(std::string_view text) {
    std::string result;
    for (const char c : text) {
        result += c >= ' ' && c <= '~' ? c : '?';
    }
    return result;
}

std::vector<ClientMetric::Label> labels_of(const std::vector<Label>& labels) {
    std::vector<ClientMetric::Label> result;
    for (const Label& label : labels) {
        result.push_back({.name = label.name, .value = printable(label.value)});
    }
    return result;
}

class Page {
public:
    void begin(std::string name, std::string help, MetricType type) {
        families_.push_back(
            {.name = std::move(name), .help = std::move(help), .type = type, .metric = {}});
    }
    void add(double value, const std::vector<Label>& labels = {}) {
        ClientMetric metric;
        metric.label = labels_of(labels);
        metric.counter.value = value;
        metric.gauge.value = value;
        families_.back().metric.push_back(std::move(metric));
    }
    void add(const report::RuleTime& time, const std::vector<Label>& labels) {
        ClientMetric metric;
        metric.label = labels_of(labels);
        std::uint64_t count = 0;
        for (std::size_t i = 0; i < report::kRuleTimeBounds.size(); ++i) {
            count += time.classes.at(i);
            const double bound = static_cast<double>(report::kRuleTimeBounds.at(i).ns) / 1e9;
            metric.histogram.bucket.push_back({.cumulative_count = count, .upper_bound = bound});
        }
        metric.histogram.sample_count = time.calls;
        metric.histogram.sample_sum = static_cast<double>(time.total.ns) * 1e-9;
        families_.back().metric.push_back(std::move(metric));
    }
    // One family with one number.
    void counter(std::string name, std::string help, std::uint64_t value) {
        begin(std::move(name), std::move(help), MetricType::Counter);
        add(static_cast<double>(value));
    }
    void gauge(std::string name, std::string help, double value) {
        begin(std::move(name), std::move(help), MetricType::Gauge);
        add(value);
    }
    // One number for each worker.
    template <typename Get>
    void by_worker(const Figures& figures, std::string name, std::string help, MetricType type,
                   Get get) {
        begin(std::move(name), std::move(help), type);
        for (std::size_t i = 0; i < figures.workers.size(); ++i) {
            add(static_cast<double>(get(figures.workers[i])), {{"worker", std::to_string(i)}});
        }
    }
    void by_event(const std::array<std::uint64_t, kEventCount>& counts, const char* label) {
        for (std::size_t i = 1; i < counts.size(); ++i) {  // 0 is none.
            add(static_cast<double>(counts.at(i)),
                {{label, std::string(event_name(static_cast<Event>(i)))}});
        }
    }
    std::vector<MetricFamily> take() { return std::move(families_); }

private:
    std::vector<MetricFamily> families_;
};

void add_packets(Page& page, const Figures& figures, const report::Summary& all) {
    page.by_worker(figures, "haka_packets_received_total", "Packets that came.",
                   MetricType::Counter,
                   [](const WorkerSight& w) { return w.figures.summary.packets_in; });
    page.by_worker(figures, "haka_bytes_received_total", "Bytes of the packets that came.",
                   MetricType::Counter,
                   [](const WorkerSight& w) { return w.figures.summary.bytes_in; });
    page.counter("haka_packets_sent_total", "Packets that left, injected ones included.",
                 all.packets_out);
    page.counter("haka_bytes_sent_total", "Bytes of the packets that left.", all.bytes_out);
    page.begin("haka_packets_dropped_total", "Packets that the engine dropped, by reason.",
               MetricType::Counter);
    page.by_event(all.drops, "reason");
    page.begin("haka_packets_modified_total", "Packets that left with other bytes, by reason.",
               MetricType::Counter);
    page.by_event(all.changes, "reason");
    page.counter("haka_packets_injected_total", "Packets that the engine or the policy made.",
                 all.packets_injected);
    page.counter("haka_packets_absorbed_total",
                 "Packets of edited streams whose bytes left in others, or not at all.",
                 all.packets_absorbed);
    page.counter("haka_packets_malformed_total", "Packets with an impossible header.",
                 all.malformed_frames);
    page.counter("haka_checksum_errors_total", "Packets with a wrong checksum.",
                 all.checksum_errors);
    page.begin("haka_events_total", "What the engine remarked on, by event.", MetricType::Counter);
    page.by_event(all.events, "event");
}

void add_connections(Page& page, const Figures& figures, const report::Summary& all) {
    page.begin("haka_connections_active", "Connections in the tables, by state.",
               MetricType::Gauge);
    for (std::size_t i = 0; i < flow::kStateCount; ++i) {
        std::uint64_t count = 0;
        for (const WorkerSight& worker : figures.workers) {
            count += worker.figures.connections.at(i);
        }
        page.add(static_cast<double>(count),
                 {{"state", std::string(flow::to_string(static_cast<flow::State>(i)))}});
    }
    page.counter("haka_connections_created_total", "Connections that began.", all.connections);
    page.begin("haka_connections_ended_total", "Connections that ended, by reason.",
               MetricType::Counter);
    for (std::size_t i = 0; i < all.connections_ended.size(); ++i) {
        page.add(static_cast<double>(all.connections_ended.at(i)),
                 {{"reason", std::string(flow::to_string(static_cast<flow::EndReason>(i)))}});
    }
    page.counter("haka_stream_bytes_total", "Bytes of streams that were put in order.",
                 all.stream_bytes);
    page.counter("haka_stream_gaps_total", "Holes in streams that were never filled.",
                 all.stream_gaps);
}

void add_memory(Page& page, const Figures& figures) {
    using enum MetricType;
    page.by_worker(figures, "haka_stream_memory_bytes", "Bytes that streams hold.", Gauge,
                   [](const WorkerSight& w) { return w.figures.stream_memory; });
    page.by_worker(figures, "haka_lua_memory_bytes", "Bytes that the policy's Lua holds.", Gauge,
                   [](const WorkerSight& w) { return w.figures.lua_memory; });
    page.by_worker(figures, "haka_table_memory_bytes", "Bytes of the connection table.", Gauge,
                   [](const WorkerSight& w) { return w.figures.table_memory; });
    page.by_worker(figures, "haka_queue_depth", "Packets that wait in the kernel.", Gauge,
                   [](const WorkerSight& w) { return w.queue_depth; });
    page.by_worker(figures, "haka_kernel_drops_total",
                   "Packets lost before the engine saw them: a full queue or ring.", Counter,
                   [](const WorkerSight& w) { return w.kernel_drops; });
    page.by_worker(figures, "haka_worker_answers",
                   "1 when the worker answered this scrape, 0 when its figures are old.", Gauge,
                   [](const WorkerSight& w) { return w.answered ? 1 : 0; });
}

// Rules of one name are one series, whatever worker or generation they belong to. Those of the
// newest policy are there before they have run.
void add_rules(Page& page, const Figures& figures, const report::Summary& all) {
    struct Sum {
        std::uint64_t errors = 0;
        report::RuleTime time;
    };
    std::map<std::string, Sum> rules;
    for (const WorkerSight& worker : figures.workers) {
        for (const engine::RuleFigures& rule : worker.figures.rules) {
            rules.try_emplace(printable(rule.name));
        }
    }
    for (const auto& [name, errors] : all.errors_by_rule) {
        rules[printable(name)].errors += errors;
    }
    for (const auto& [name, time] : all.lua_time) {
        rules[printable(name)].time += time;
    }
    page.begin("haka_rule_errors_total", "Errors that a rule raised.", MetricType::Counter);
    for (const auto& [name, sum] : rules) {
        page.add(static_cast<double>(sum.errors), {{"rule", name}});
    }
    page.begin("haka_rule_duration_seconds", "Time that calls of a rule took.",
               MetricType::Histogram);
    for (const auto& [name, sum] : rules) {
        page.add(sum.time, {{"rule", name}});
    }
    const auto counts = [&page](const report::RuleCounts& by_rule) {
        std::map<std::string, std::uint64_t> merged;
        for (const auto& [name, count] : by_rule) {
            merged[printable(name)] += count;
        }
        for (const auto& [name, count] : merged) {
            page.add(static_cast<double>(count), {{"rule", name}});
        }
    };
    page.begin("haka_rule_drops_total", "Packets that a rule dropped.", MetricType::Counter);
    counts(all.drops_by_rule);
    page.begin("haka_alerts_total", "Alerts, by rule.", MetricType::Counter);
    counts(all.alerts_by_rule);
}

void add_policy(Page& page, const PolicyFigures& policy) {
    page.gauge("haka_policy_generation", "Of the policy that new connections get.",
               static_cast<double>(policy.generation));
    page.gauge("haka_policy_generations_live", "Policies that still have connections.",
               static_cast<double>(policy.generations_live));
    page.begin("haka_policy_reloads_total", "Reloads, by result.", MetricType::Counter);
    page.add(static_cast<double>(policy.reloads_done), {{"result", "done"}});
    page.add(static_cast<double>(policy.reloads_failed), {{"result", "failed"}});
    page.gauge("haka_policy_last_reload_timestamp_seconds", "When it was, since 1970; 0: never.",
               policy.last_reload_seconds);
}

}  // namespace

ProcessFigures process_figures() {
    ProcessFigures process;
    std::uint64_t size = 0;
    std::uint64_t resident = 0;
    if (std::ifstream statm("/proc/self/statm"); statm >> size >> resident) {
        process.resident_bytes =
            static_cast<double>(resident) * static_cast<double>(sysconf(_SC_PAGESIZE));
    }
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    for (const timeval& time : {usage.ru_utime, usage.ru_stime}) {
        process.cpu_seconds +=
            static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
    }
    std::error_code error;
    for (std::filesystem::directory_iterator files("/proc/self/fd", error), end;
         !error && files != end; files.increment(error)) {
        process.open_files += 1;
    }
    return process;
}

std::vector<MetricFamily> metric_families(const Status& status, const Figures& figures,
                                          const ProcessFigures& process) {
    report::Summary all;
    for (const WorkerSight& worker : figures.workers) {
        all += worker.figures.summary;
    }
    Page page;
    page.begin("haka_build_info", "Always 1; the labels say which build this is.",
               MetricType::Gauge);
    page.add(1,
             {{"version", status.version}, {"revision", status.revision}, {"lua", LUAJIT_VERSION}});
    page.gauge("haka_uptime_seconds", "Since the run began.", status.uptime_seconds);
    add_packets(page, figures, all);
    add_connections(page, figures, all);
    add_memory(page, figures);
    add_rules(page, figures, all);
    add_policy(page, figures.policy);
    page.gauge("process_resident_memory_bytes", "Memory of the process.", process.resident_bytes);
    page.begin("process_cpu_seconds_total", "Processor time of the process.", MetricType::Counter);
    page.add(process.cpu_seconds);
    page.gauge("process_open_fds", "Files that the process has open.", process.open_files);
    return page.take();
}

}  // namespace haka::control
