// Tested by: run_test.cc
#include "engine/rule_watch.h"

#include <fmt/format.h>

namespace haka::engine {

RuleWatch::Clock::duration RuleWatch::inside(std::size_t index, Clock::time_point now) {
    Entry& entry = entries_[index];
    const std::uint64_t current =
        workers_[index]->script().entries().load(std::memory_order_relaxed);
    if (current != entry.number) {
        entry = {.number = current, .since = now, .processor = workers_[index]->thread_time()};
    }
    return current % 2 == 1 ? now - entry.since : Clock::duration::zero();
}

bool RuleWatch::is_too_long(std::size_t index, Clock::duration lasted) const {
    const auto limit = std::chrono::nanoseconds(settings_.rule_timeout.ns);
    if (lasted <= limit) {
        return false;
    }
    const Duration worked = workers_[index]->thread_time() - entries_[index].processor;
    return worked.ns * 2 > settings_.rule_timeout.ns || lasted > limit * kWaitPatience;
}

RuleWatch::Hang RuleWatch::hang(std::size_t index, const std::string& what) const {
    Worker& worker = *workers_[index];
    const Worker::AtWork at_work = worker.at_work();
    const auto& rules = worker.script().rules();
    std::string name;
    std::string who = fmt::format("packet {}", at_work.packet);
    if (at_work.rule != 0 && at_work.rule < rules.size()) {
        const script::RuleInfo& rule = rules[at_work.rule];
        name = rule.name;
        who = fmt::format("rule \"{}\" ({}) on packet {}", rule.name, rule.place, at_work.packet);
    }
    return {.worker = index,
            .packet = at_work.packet,
            .rule = std::move(name),
            .what = fmt::format(fmt::runtime(what), who)};
}

std::optional<RuleWatch::Hang> RuleWatch::look(Clock::time_point now,
                                               std::optional<Clock::time_point> stopping_since) {
    for (std::size_t i = 0; i < workers_.size(); ++i) {
        const auto lasted = inside(i, now);
        if (workers_[i]->script().is_stuck()) {
            return hang(i, fmt::format("{{}} needs many times lua.memory_max ({} bytes) at once: "
                                       "everything before that packet is written, the run ends "
                                       "here",
                                       settings_.memory_max));
        }
        if (is_too_long(i, lasted)) {
            return hang(i, fmt::format("{{}} ran longer than lua.rule_timeout ({} s): everything "
                                       "before that packet is written, the run ends here",
                                       static_cast<double>(settings_.rule_timeout.ns) * 1e-9));
        }
        if (stopping_since && lasted > kStopPatience && now - *stopping_since > kStopPatience) {
            return hang(
                i, "interrupted while {} was at work: everything before that packet is written");
        }
    }
    return std::nullopt;
}

}  // namespace haka::engine
