#include "flow/connection_table.h"

#include <algorithm>
#include <map>
#include <random>

#include <gtest/gtest.h>

namespace haka::flow {
namespace {

constexpr std::uint64_t kSeed = 0x5eed;

FlowKey key_of(std::uint64_t number) {
    FlowKey key;
    detail::map_ipv4(key.low.address, std::array<std::uint8_t, 4>{10, 0, 0, 1}.data());
    detail::map_ipv4(key.high.address, std::array<std::uint8_t, 4>{10, 0, 0, 2}.data());
    store_be32(&key.high.address[12], static_cast<std::uint32_t>(number >> 16));
    key.low.port = 80;
    key.high.port = static_cast<std::uint16_t>(number);
    return key;
}

TcpSettings limits(std::uint32_t connections_max, std::uint32_t half_open_percent) {
    TcpSettings settings;
    settings.connections_max = connections_max;
    settings.half_open_percent = half_open_percent;
    return settings;
}

Connection* create(ConnectionTable& table, std::uint64_t id) {
    const FlowKey key = key_of(id);
    return table.create(key, table.hash(key), Instant{static_cast<std::int64_t>(id)}, id);
}

Connection* find(ConnectionTable& table, std::uint64_t id) {
    const FlowKey key = key_of(id);
    table.prefetch(table.hash(key));
    table.prefetch_connection(table.hash(key));
    return table.find(key, table.hash(key));
}

// Most entries of `hashes` that share one home in an index of 2^18 slots.
std::uint32_t most_in_one_home(const std::vector<std::uint64_t>& hashes) {
    std::vector<std::uint32_t> counts(1U << 18);
    for (const std::uint64_t hash : hashes) {
        ++counts[hash >> (64 - 18)];
    }
    return std::ranges::max(counts);
}

TEST(ConnectionTableTest, CreatesWhatItThenFinds) {
    ConnectionTable table(limits(10, 100), kSeed);
    EXPECT_EQ(find(table, 7), nullptr);
    Connection* made = create(table, 7);
    ASSERT_NE(made, nullptr);
    EXPECT_EQ(find(table, 7), made);
    EXPECT_EQ(find(table, 8), nullptr);
    EXPECT_EQ(made->key, key_of(7));
    EXPECT_EQ(made->id, 7U);
    EXPECT_EQ(made->start.ns, 7);
    EXPECT_EQ(made->last_seen.ns, 7);
    EXPECT_EQ(&table.at(ConnectionTable::index_of(*made)), made);
    EXPECT_TRUE(made->half_open);
    table.remove(*made);
    EXPECT_EQ(find(table, 7), nullptr);
    EXPECT_EQ(table.size(), 0U);
    EXPECT_EQ(table.half_open(), 0U);
}

TEST(ConnectionTableTest, GivesAFreedPlaceOutAgainAsNew) {
    ConnectionTable table(limits(10, 100), kSeed);
    Connection* first = create(table, 1);
    first->bytes[0] = 99;
    first->state = State::Dropped;
    table.remove(*first);
    Connection* second = create(table, 2);
    EXPECT_EQ(second, first);
    EXPECT_EQ(second->bytes[0], 0U);
    EXPECT_EQ(second->state, State::SynSent);
    EXPECT_EQ(second->timer_next, kNoIndex);
}

TEST(ConnectionTableTest, HoldsExactlyTheLimit) {
    constexpr std::uint32_t kMax = 1000;
    ConnectionTable table(limits(kMax, 25), kSeed);
    for (std::uint64_t id = 1; id <= kMax; ++id) {
        Connection* made = create(table, id);
        ASSERT_NE(made, nullptr) << id;
        table.leave_half_open(*made);
    }
    EXPECT_EQ(table.eviction_candidate(), nullptr) << "an established connection must not go";
    EXPECT_EQ(create(table, kMax + 1), nullptr);
    EXPECT_EQ(table.size(), kMax);
    EXPECT_EQ(find(table, kMax + 1), nullptr);
    table.remove(*find(table, 500));
    EXPECT_NE(create(table, kMax + 1), nullptr);
    EXPECT_EQ(table.size(), kMax);
}

TEST(ConnectionTableTest, OldestHalfOpenOneGoesAtTheHalfOpenLimit) {
    ConnectionTable table(limits(100, 25), kSeed);
    EXPECT_EQ(table.half_open_max(), 25U);
    for (std::uint64_t id = 1; id <= 25; ++id) {
        EXPECT_EQ(table.eviction_candidate(), nullptr) << id;
        ASSERT_NE(create(table, id), nullptr);
    }
    EXPECT_EQ(create(table, 26), nullptr);
    ASSERT_NE(table.eviction_candidate(), nullptr);
    EXPECT_EQ(table.eviction_candidate()->id, 1U);
    table.leave_half_open(*find(table, 1));
    table.leave_half_open(*find(table, 1));
    EXPECT_EQ(table.half_open(), 24U);
    EXPECT_EQ(table.eviction_candidate(), nullptr);
    ASSERT_NE(create(table, 26), nullptr);
    ASSERT_NE(table.eviction_candidate(), nullptr);
    EXPECT_EQ(table.eviction_candidate()->id, 2U);
    table.remove(*find(table, 3));
    table.remove(*find(table, 2));
    table.remove(*find(table, 26));
    ASSERT_NE(create(table, 27), nullptr);
    ASSERT_NE(create(table, 28), nullptr);
    ASSERT_NE(create(table, 29), nullptr);
    ASSERT_NE(table.eviction_candidate(), nullptr);
    EXPECT_EQ(table.eviction_candidate()->id, 4U);
}

TEST(ConnectionTableTest, OldestHalfOpenOneGoesWhenTheTableIsFull) {
    ConnectionTable table(limits(10, 50), kSeed);
    for (std::uint64_t id = 1; id <= 10; ++id) {
        Connection* made = create(table, id);
        ASSERT_NE(made, nullptr);
        if (id != 4 && id != 6) {
            table.leave_half_open(*made);
        }
    }
    ASSERT_NE(table.eviction_candidate(), nullptr);
    EXPECT_EQ(table.eviction_candidate()->id, 4U);
    table.remove(*table.eviction_candidate());
    EXPECT_NE(create(table, 11), nullptr);
}

TEST(ConnectionTableTest, SmallLimitsStillWork) {
    ConnectionTable none(limits(0, 25), kSeed);
    EXPECT_EQ(none.eviction_candidate(), nullptr);
    EXPECT_EQ(create(none, 1), nullptr);
    ConnectionTable one(limits(1, 0), kSeed);
    ASSERT_NE(create(one, 1), nullptr);
    ASSERT_NE(one.eviction_candidate(), nullptr);
    EXPECT_EQ(one.eviction_candidate()->id, 1U);
    EXPECT_EQ(ConnectionTable(limits(10, 1000), kSeed).half_open_max(), 10U);
}

TEST(ConnectionTableTest, StaysTrueToAModelUnderRandomUse) {
    for (const unsigned seed : {1U, 2U, 3U}) {
        SCOPED_TRACE(seed);
        std::mt19937 random(seed);
        ConnectionTable table(limits(20'000, 100), seed);
        std::map<std::uint64_t, Connection*> model;
        std::uint64_t next_id = 1;
        for (int step = 0; step < 60'000; ++step) {
            const bool grows = step / 15'000 % 2 == 0;
            if (model.empty() || random() % 8 < (grows ? 6U : 2U)) {
                Connection* made = create(table, next_id);
                ASSERT_NE(made, nullptr);
                model[next_id++] = made;
            } else {
                auto it = model.lower_bound(random() % next_id);
                it = it == model.end() ? model.begin() : it;
                ASSERT_EQ(find(table, it->first), it->second);
                table.remove(*it->second);
                ASSERT_EQ(find(table, it->first), nullptr);
                model.erase(it);
            }
        }
        ASSERT_EQ(table.size(), model.size());
        ASSERT_EQ(table.half_open(), model.size());
        std::vector<std::uint32_t> expected;
        for (const auto& [id, connection] : model) {
            ASSERT_EQ(find(table, id), connection);
            expected.push_back(ConnectionTable::index_of(*connection));
        }
        EXPECT_EQ(table.indices_by_id(), expected);
    }
}

TEST(ConnectionTableTest, AMillionIdleConnectionsCostAtMost320BytesEach) {
    const TcpSettings defaults;
    ConnectionTable table(defaults, kSeed);
    EXPECT_LT(table.memory_bytes(), 100'000U) << "an empty table must be small";
    for (std::uint64_t id = 1; id <= defaults.connections_max; ++id) {
        Connection* made = create(table, id);
        ASSERT_NE(made, nullptr) << id;
        table.leave_half_open(*made);
    }
    EXPECT_EQ(create(table, defaults.connections_max + 1), nullptr);
    EXPECT_LE(table.memory_bytes() / table.size(), 320U);
}

TEST(ConnectionTableTest, TuplesThatCollideUnderOneSeedDontUnderAnother) {
    // An attacker who knew the seed: 100,000 tuples with their homes in a 64th of the index.
    const HashKey known = HashKey::from_seed(1);
    std::vector<std::uint64_t> hashes;
    std::vector<std::uint64_t> other_hashes;
    for (std::uint64_t number = 0; hashes.size() < 100'000; ++number) {
        const FlowKey key = key_of(number);
        const std::uint64_t hash = hash_flow(key, known);
        if (hash >> (64 - 6) == 5) {
            hashes.push_back(hash);
            other_hashes.push_back(hash_flow(key, HashKey::from_seed(2)));
        }
    }
    std::mt19937_64 random(3);
    std::vector<std::uint64_t> random_hashes(hashes.size());
    std::ranges::generate(random_hashes, random);
    EXPECT_GT(most_in_one_home(hashes), 40U);
    EXPECT_LE(most_in_one_home(other_hashes), most_in_one_home(random_hashes) + 3);
}

TEST(ConnectionTableTest, TheHashTellsApartWhatDiffersInOneBit) {
    const HashKey secret = HashKey::from_seed(kSeed);
    const FlowKey key = key_of(0x1234'5678);
    const std::uint64_t hash = hash_flow(key, secret);
    int flipped = 0;
    for (std::size_t bit = 0; bit < sizeof key * 8; ++bit) {
        std::array<std::uint8_t, sizeof key> bytes{};
        std::memcpy(bytes.data(), &key, sizeof key);
        bytes[bit / 8] = static_cast<std::uint8_t>(bytes[bit / 8] ^ 1U << bit % 8);
        FlowKey changed;
        std::memcpy(&changed, bytes.data(), sizeof changed);
        const int bits = std::popcount(hash ^ hash_flow(changed, secret));
        EXPECT_GE(bits, 12) << "bit " << bit;
        flipped += bits;
    }
    EXPECT_NEAR(flipped / static_cast<double>(sizeof key * 8), 32.0, 1.5);
}

}  // namespace
}  // namespace haka::flow
