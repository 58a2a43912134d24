#include "flow/timer_wheel.h"

#include <algorithm>
#include <map>
#include <random>
#include <tuple>

#include <gtest/gtest.h>

namespace haka::flow {
namespace {

constexpr std::int64_t kTick = std::int64_t{1} << 27;
constexpr std::int64_t kHour = 3600 * kSecond.ns;

// A table with connections whose ids are 1, 2, ..., and the wheel over it.
class World {
public:
    explicit World(std::uint32_t connections) {
        TcpSettings settings;
        settings.half_open_percent = 100;
        table_ = std::make_unique<ConnectionTable>(settings, 1);
        wheel_ = std::make_unique<TimerWheel>(*table_);
        for (std::uint32_t id = 1; id <= connections; ++id) {
            FlowKey key;
            store_be32(&key.low.address[12], id);
            places_.push_back(table_->create(key, table_->hash(key), Instant{}, id));
        }
    }

    [[nodiscard]] TimerWheel& wheel() { return *wheel_; }
    [[nodiscard]] Connection& connection(std::uint64_t id) { return *places_[id - 1]; }
    [[nodiscard]] std::uint32_t size() const { return static_cast<std::uint32_t>(places_.size()); }

    void arm(std::uint64_t id, std::int64_t deadline_ns) {
        wheel_->arm(connection(id), Instant{deadline_ns});
    }

    // The ids that are reported at `now`.
    [[nodiscard]] std::vector<std::uint64_t> expire(std::int64_t now_ns) {
        wheel_->expire(Instant{now_ns}, out_);
        std::vector<std::uint64_t> ids;
        for (const std::uint32_t index : out_) {
            EXPECT_FALSE(TimerWheel::is_armed(table_->at(index)));
            ids.push_back(table_->at(index).id);
        }
        return ids;
    }

private:
    std::unique_ptr<ConnectionTable> table_;
    std::unique_ptr<TimerWheel> wheel_;
    std::vector<Connection*> places_;
    std::vector<std::uint32_t> out_;
};

using Ids = std::vector<std::uint64_t>;

TEST(TimerWheelTest, ReportsAtTheFirstTickThatIsNotEarly) {
    World world(2);
    EXPECT_TRUE(world.expire(0).empty());
    world.arm(1, 5 * kTick);
    world.arm(2, 5 * kTick + 1);
    EXPECT_TRUE(world.expire(5 * kTick - 1).empty());
    EXPECT_FALSE(world.wheel().due(Instant{5 * kTick - 1}));
    EXPECT_TRUE(world.wheel().due(Instant{5 * kTick}));
    EXPECT_EQ(world.expire(5 * kTick), Ids{1});
    EXPECT_TRUE(world.expire(6 * kTick - 1).empty());
    EXPECT_EQ(world.expire(6 * kTick), Ids{2});
}

TEST(TimerWheelTest, OrdersByDeadlineThenId) {
    World world(5);
    world.arm(5, 100);
    world.arm(3, kHour);
    world.arm(4, 100);
    world.arm(1, kHour - 1);
    world.arm(2, 99);
    EXPECT_EQ(world.expire(2 * kHour), (Ids{2, 4, 5, 1, 3}));
    EXPECT_TRUE(world.expire(3 * kHour).empty());
}

TEST(TimerWheelTest, CancelledAndMovedOnesAreNotReported) {
    World world(3);
    EXPECT_TRUE(world.expire(0).empty());
    for (std::uint64_t id = 1; id <= 3; ++id) {
        world.arm(id, kHour);
    }
    world.wheel().cancel(world.connection(2));
    world.wheel().cancel(world.connection(2));
    EXPECT_FALSE(TimerWheel::is_armed(world.connection(2)));
    world.arm(3, 2 * kHour);
    EXPECT_EQ(world.expire(kHour + kTick), Ids{1});
    EXPECT_EQ(world.expire(2 * kHour + kTick), Ids{3});
}

TEST(TimerWheelTest, JumpsOfYearsAndTheEndsOfTimeAreOneStep) {
    World world(4);
    world.arm(1, 30 * kSecond.ns);
    world.arm(2, 24 * 365 * kHour);
    world.arm(3, INT64_MAX);
    world.arm(4, INT64_MIN);
    EXPECT_EQ(world.expire(INT64_MIN), Ids{4});
    EXPECT_EQ(world.expire(24 * 366 * kHour), (Ids{1, 2}));
    EXPECT_TRUE(world.expire(INT64_MAX).empty()) << "the end of time never comes";
    EXPECT_FALSE(world.wheel().due(Instant{INT64_MAX - 1}));
}

TEST(TimerWheelTest, TimeMayRunBackwards) {
    World world(3);
    EXPECT_TRUE(world.expire(100 * kHour).empty());
    world.arm(1, 100 * kHour + kSecond.ns);
    EXPECT_TRUE(world.expire(kHour).empty());
    world.arm(2, 2 * kHour);
    world.arm(3, 3 * kHour);
    EXPECT_FALSE(world.wheel().due(Instant{2 * kHour - 1}));
    EXPECT_TRUE(world.wheel().due(Instant{2 * kHour + kTick}));
    EXPECT_EQ(world.expire(2 * kHour + kTick), Ids{2});
    EXPECT_TRUE(world.expire(0).empty());
    world.wheel().cancel(world.connection(3));
    EXPECT_FALSE(world.wheel().due(Instant{4 * kHour}));
    EXPECT_EQ(world.expire(101 * kHour), Ids{1});
}

TEST(TimerWheelTest, AMillionInOneCallStayInOrder) {
    World world(1'000'000);
    std::mt19937_64 random(1);
    for (std::uint64_t id = 1; id <= world.size(); ++id) {
        world.arm(id, static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(kHour)));
    }
    const Ids ids = world.expire(2 * kHour);
    ASSERT_EQ(ids.size(), world.size());
    EXPECT_TRUE(std::ranges::is_sorted(
        ids, {}, [&](std::uint64_t id) { return std::tuple(world.connection(id).deadline, id); }));
}

// What the wheel must be equal to: every armed deadline, looked at in every call.
class Model {
public:
    void arm(std::uint64_t id, std::int64_t deadline) { deadlines_[id] = deadline; }
    void cancel(std::uint64_t id) { deadlines_.erase(id); }

    Ids expire(std::int64_t now) {
        std::vector<std::pair<std::int64_t, std::uint64_t>> due;
        for (const auto& [id, deadline] : deadlines_) {
            // Written as a division, unlike the wheel's shifts.
            const std::int64_t floor = now / kTick - (now % kTick < 0 ? 1 : 0);
            const std::int64_t ceiling = deadline / kTick + (deadline % kTick > 0 ? 1 : 0);
            if (floor >= ceiling) {
                due.emplace_back(deadline, id);
            }
        }
        std::ranges::sort(due);
        Ids ids;
        for (const auto& [deadline, id] : due) {
            ids.push_back(id);
            deadlines_.erase(id);
        }
        return ids;
    }

private:
    std::map<std::uint64_t, std::int64_t> deadlines_;
};

// A step of 0 to 2^`bits_max` ns, every magnitude as likely.
std::int64_t random_step(std::mt19937_64& random, unsigned bits_max) {
    const auto bits = static_cast<unsigned>(random() % bits_max);
    return static_cast<std::int64_t>(random() >> (63 - bits));
}

TEST(TimerWheelTest, EqualsANaiveModel) {
    for (unsigned seed = 1; seed <= 60; ++seed) {
        SCOPED_TRACE(seed);
        std::mt19937_64 random(seed);
        World world(60);
        Model model;
        const bool goes_back = seed % 2 == 0;
        const unsigned bits_max = seed % 3 == 0 ? 55 : 40;
        std::int64_t now = seed % 5 == 0 ? -kHour : 1'700'000'000 * kSecond.ns;
        for (int step = 0; step < 3000; ++step) {
            const std::uint64_t id = 1 + random() % world.size();
            switch (random() % 8) {
                case 0:
                    world.wheel().cancel(world.connection(id));
                    model.cancel(id);
                    break;
                case 1:
                case 2:
                case 3: {
                    const std::int64_t sign = random() % 16 == 0 ? -1 : 1;
                    const std::int64_t deadline = now + sign * random_step(random, bits_max);
                    world.arm(id, deadline);
                    model.arm(id, deadline);
                    break;
                }
                default: {
                    const std::int64_t sign = goes_back && random() % 3 == 0 ? -1 : 1;
                    now += sign * random_step(random, bits_max);
                    const bool due = world.wheel().due(Instant{now});
                    const Ids expected = model.expire(now);
                    ASSERT_TRUE(due || expected.empty()) << "step " << step;
                    if (due) {
                        ASSERT_EQ(world.expire(now), expected) << "step " << step;
                    }
                }
            }
            now = std::clamp(now, -(std::int64_t{1} << 61), std::int64_t{1} << 61);
        }
    }
}

// Two workers, each with half of the connections, together report what one reports.
TEST(TimerWheelTest, WhoSharesTheWheelChangesNothing) {
    std::mt19937_64 random(7);
    World one(40);
    World even(40);
    World odd(40);
    std::int64_t now = 0;
    for (int step = 0; step < 5000; ++step) {
        const std::uint64_t id = 1 + random() % one.size();
        const std::int64_t deadline = now + random_step(random, 38);
        one.arm(id, deadline);
        (id % 2 == 0 ? even : odd).arm(id, deadline);
        now += (random() % 4 == 0 ? -1 : 1) * random_step(random, 36);
        Ids expected;
        Ids both;
        if (one.wheel().due(Instant{now})) {
            expected = one.expire(now);
        }
        for (World* half : {&even, &odd}) {
            if (half->wheel().due(Instant{now})) {
                const Ids ids = half->expire(now);
                both.insert(both.end(), ids.begin(), ids.end());
            }
        }
        std::ranges::sort(expected);
        std::ranges::sort(both);
        ASSERT_EQ(both, expected) << "step " << step;
    }
}

}  // namespace
}  // namespace haka::flow
