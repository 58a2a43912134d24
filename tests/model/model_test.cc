// model_test [--histories N] [--seed S] [--policies FIRST-LAST] [--with PART-OF-A-PLAN]: random
// histories; exit status 1 when one fails. It is shrunk and printed as a plan that replays it:
// model_test [--trace] --replay PLAN
#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <fmt/format.h>
#include <ostream>
#include <rapidcheck.h>
#include <string>

#include "history.h"
#include "policies.h"

namespace haka::model {

// For rapidcheck, which prints what failed.
static void showValue(const Plan& plan, std::ostream& out) {
    out << to_text(plan);
}

namespace {

struct Options {
    std::uint64_t histories = 10'000;
    std::uint64_t seed = 1;
    std::uint32_t first = 0;
    std::uint32_t last = kPolicyCount - 1;
    std::string fixed{};  // Part of a plan.
    std::string replay{};
    bool replays = false;
    bool trace = false;
};

bool read_number(std::string_view text, std::uint64_t& number) {
    const char* const end = text.data() + text.size();
    return std::from_chars(text.data(), end, number).ptr == end && !text.empty();
}

bool read_policies(std::string_view text, Options& options) {
    const std::size_t dash = text.find('-');
    std::uint64_t first = 0;
    std::uint64_t last = 0;
    if (dash == std::string_view::npos || !read_number(text.substr(0, dash), first) ||
        !read_number(text.substr(dash + 1), last) || first > last || last >= kPolicyCount) {
        return false;
    }
    options.first = static_cast<std::uint32_t>(first);
    options.last = static_cast<std::uint32_t>(last);
    return true;
}

bool read_options(int argc, char** argv, Options& options) {
    for (int i = 1; i < argc; ++i) {
        const std::string_view name = argv[i];
        if (name == "--trace") {
            options.trace = true;
            continue;
        }
        const std::string_view value = i + 1 < argc ? argv[++i] : "";
        if (name == "--replay") {
            options.replays = true;
            options.replay = value;
        } else if (name == "--with") {
            Plan plan;
            options.fixed = value;
            if (!change(value, plan)) {
                return false;
            }
        } else if (!(name == "--histories" && read_number(value, options.histories)) &&
                   !(name == "--seed" && read_number(value, options.seed)) &&
                   !(name == "--policies" && read_policies(value, options))) {
            return false;
        }
    }
    return true;
}

int replay(const Options& options) {
    Plan plan;
    if (!change(options.replay, plan)) {
        fmt::print(stderr, "no plan: {}\n", options.replay);
        return 2;
    }
    Engines engines;
    std::string trace;
    const Outcome outcome = run(plan, engines, options.trace ? &trace : nullptr);
    fmt::print("{}policy '{}': {}\n", trace, policies()[plan[Field::Policy]].name,
               outcome.wrong.empty() ? "all is well" : outcome.wrong);
    return outcome.wrong.empty() ? 0 : 1;
}

Plan draw(const Options& options) {
    Plan plan;
    for (std::size_t i = 0; i < kFieldCount; ++i) {
        if (static_cast<Field>(i) == Field::Seed) {
            // Of all sizes: a small seed isn't simpler.
            plan.values.at(i) = *rc::gen::noShrink(
                rc::gen::resize(rc::kNominalSize, rc::gen::inRange(0U, kFieldCounts.at(i))));
        } else if (static_cast<Field>(i) == Field::Policy) {
            plan.values.at(i) = *rc::gen::resize(rc::kNominalSize,
                                                 rc::gen::inRange(options.first, options.last + 1));
        } else {
            plan.values.at(i) = *rc::gen::inRange(0U, kFieldCounts.at(i));
        }
    }
    (void)change(options.fixed, plan);
    return plan;
}

int check(const Options& options) {
    setenv("RC_PARAMS",
           fmt::format("seed={} max_success={}", options.seed, options.histories).c_str(), 1);
    Engines engines;
    std::uint64_t steps = 0;
    Duration longest;
    const bool right = rc::check("both ends get exactly what the policy makes", [&] {
        const Plan plan = *rc::gen::exec([&] { return draw(options); });
        const Outcome outcome = run(plan, engines, nullptr);
        steps += outcome.steps;
        longest = std::max(longest, outcome.took);
        if (!outcome.wrong.empty()) {
            RC_FAIL(fmt::format("policy '{}': {}\nmodel_test --trace --replay '{}'",
                                policies()[plan[Field::Policy]].name, outcome.wrong,
                                to_text(plan)));
        }
    });
    fmt::print("{} histories from seed {}, {} steps, the longest took {} simulated seconds\n",
               options.histories, options.seed, steps, longest.ns / kSecond.ns);
    return right ? 0 : 1;
}

}  // namespace
}  // namespace haka::model

int main(int argc, char** argv) {
    haka::model::Options options;
    if (!haka::model::read_options(argc, argv, options)) {
        fmt::print(stderr,
                   "usage: model_test [--histories N] [--seed S] [--policies FIRST-LAST]\n"
                   "                  [--with PART-OF-A-PLAN]\n"
                   "       model_test [--trace] --replay PLAN\n");
        return 2;
    }
    return options.replays ? haka::model::replay(options) : haka::model::check(options);
}
