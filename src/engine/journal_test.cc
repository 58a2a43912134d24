#include "engine/journal.h"

#include <atomic>
#include <string>
#include <thread>

#include <gtest/gtest.h>

namespace haka::engine {
namespace {

RecordHead of_packet(std::uint64_t packet, RecordKind kind = RecordKind::Print) {
    return {.order = {.packet = packet}, .kind = kind};
}

struct Taken {
    std::uint64_t packet = 0;
    std::string first;
    std::string second;

    friend bool operator==(const Taken&, const Taken&) = default;
};

std::vector<Taken> take(Journal& journal) {
    std::vector<std::uint8_t> bytes;
    journal.take(bytes);
    std::vector<Taken> records;
    for (RecordReader reader(bytes); !reader.done(); reader.next()) {
        records.push_back({reader.head().order.packet, std::string(reader.first()),
                           std::string(reader.second())});
    }
    return records;
}

TEST(OrderTest, PutsTimersBeforeThePacketAndTheDeadlineBeforeTheConnection) {
    const Order packet{.packet = 7};
    const Order early{.packet = 7, .deadline = 10, .id = 3};
    const Order late{.packet = 7, .deadline = 11, .id = 1};
    const Order same_time{.packet = 7, .deadline = 10, .id = 4};
    EXPECT_LT(early, same_time);
    EXPECT_LT(same_time, late);
    EXPECT_LT(late, packet);
    EXPECT_LT(packet, (Order{.packet = 8, .deadline = INT64_MIN, .id = 0}));
}

TEST(JournalTest, ShowsNothingBeforeItIsCommitted) {
    Journal journal;
    journal.stage(of_packet(1), "one");
    EXPECT_GT(journal.staged_bytes(), 3U);
    EXPECT_TRUE(journal.empty());
    EXPECT_TRUE(take(journal).empty());
    journal.commit();
    EXPECT_EQ(journal.staged_bytes(), 0U);
    EXPECT_FALSE(journal.empty());
    EXPECT_EQ(take(journal), (std::vector<Taken>{{1, "one", ""}}));
}

TEST(JournalTest, KeepsBothPartsOfARecordWhateverTheirBytes) {
    Journal journal;
    const std::string odd("a\0b\n\xff", 5);
    journal.stage(of_packet(1, RecordKind::Packet), odd, "second");
    journal.stage(of_packet(2), {}, odd);
    journal.stage(of_packet(3), {}, {});
    journal.stage(of_packet(4), "x");
    journal.commit();
    EXPECT_EQ(take(journal),
              (std::vector<Taken>{{1, odd, "second"}, {2, "", odd}, {3, "", ""}, {4, "x", ""}}));
}

TEST(JournalTest, KeepsWhatTheHeadSays) {
    Journal journal;
    journal.stage({.order = {.packet = 5, .deadline = 6, .id = 7},
                   .when = {8},
                   .interface = 9,
                   .original_size = 10,
                   .kind = RecordKind::Alert,
                   .event = Event::TcpGap,
                   .once = true},
                  "text");
    journal.commit();
    std::vector<std::uint8_t> bytes;
    journal.take(bytes);
    const RecordHead head = RecordReader(bytes).head();
    EXPECT_EQ(head.order, (Order{.packet = 5, .deadline = 6, .id = 7}));
    EXPECT_EQ(head.when, Instant{8});
    EXPECT_EQ(head.interface, 9U);
    EXPECT_EQ(head.original_size, 10U);
    EXPECT_EQ(head.kind, RecordKind::Alert);
    EXPECT_EQ(head.event, Event::TcpGap);
    EXPECT_TRUE(head.once);
}

TEST(JournalTest, AppendsToWhatNobodyTookYetAndGivesItOnce) {
    Journal journal;
    journal.stage(of_packet(1), "a");
    journal.commit();
    journal.stage(of_packet(2), "b");
    journal.stage(of_packet(3), "c");
    journal.commit();
    EXPECT_EQ(take(journal), (std::vector<Taken>{{1, "a", ""}, {2, "b", ""}, {3, "c", ""}}));
    EXPECT_TRUE(take(journal).empty());
    EXPECT_TRUE(journal.empty());
}

TEST(JournalTest, TakeReplacesWhatItIsGiven) {
    Journal journal;
    std::vector<std::uint8_t> bytes(100, 1);
    journal.take(bytes);
    EXPECT_TRUE(bytes.empty());
}

// Two records a packet, each carrying its number: whoever reads sees both or none.
TEST(JournalTest, GivesBackWhatOneLargeTakeNeeded) {
    constexpr std::size_t kLarge = std::size_t{4} << 20;
    Journal journal;
    std::vector<std::uint8_t> taken;
    for (const std::size_t size : {kLarge, std::size_t{10}, std::size_t{10}, std::size_t{10}}) {
        journal.stage({.kind = RecordKind::Print}, std::string(size, 'x'));
        journal.commit();
        journal.take(taken);
        EXPECT_GE(taken.size(), size);
    }
    EXPECT_LT(taken.capacity(), kLarge);
}

TEST(JournalTest, ShowsWholePacketsToAnotherThread) {
    constexpr std::uint64_t kPackets = 2000;
    Journal journal;
    std::atomic<bool> done{false};
    std::thread writer([&] {
        for (std::uint64_t packet = 1; packet <= kPackets; ++packet) {
            journal.stage(of_packet(packet), "first");
            journal.stage(of_packet(packet), "second", "part");
            journal.commit();
        }
        done.store(true);
    });
    std::vector<Taken> all;
    bool is_whole = true;
    for (bool last = false; !last;) {
        last = done.load();
        const std::vector<Taken> records = take(journal);
        is_whole = is_whole && records.size() % 2 == 0;
        all.insert(all.end(), records.begin(), records.end());
    }
    writer.join();
    EXPECT_TRUE(is_whole);
    ASSERT_EQ(all.size(), 2 * kPackets);
    for (std::uint64_t i = 0; i < kPackets; ++i) {
        ASSERT_EQ(all[2 * i], (Taken{i + 1, "first", ""}));
        ASSERT_EQ(all[2 * i + 1], (Taken{i + 1, "second", "part"}));
    }
}

}  // namespace
}  // namespace haka::engine
