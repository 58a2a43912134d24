#include "engine/conveyor.h"

#include <map>
#include <set>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "engine/test_input.h"
#include "wire/ethernet.h"

namespace haka::engine {
namespace {

using namespace std::chrono_literals;
constexpr std::uint64_t kRoom = 1 + Conveyor::kSpareStages;  // With one worker.
constexpr auto kLong = 60'000ms;  // Longer than any machine needs: only a failure waits for it.

// Several blocks of connections from many ports, both directions.
std::vector<test::Packet> many_blocks() {
    std::vector<test::Packet> packets;
    const std::string payload(1400, 'x');
    for (std::uint16_t port = 0; port < 200; ++port) {
        test::Conversation talk(static_cast<std::uint16_t>(1000 + port));
        for (int i = 0; i < 5; ++i) {
            packets.push_back({.bytes = talk.send(payload)});
            packets.push_back({.bytes = talk.answer(payload)});
        }
    }
    return packets;
}

class ConveyorTest : public testing::Test {
protected:
    void put(const std::vector<test::Packet>& packets) {
        count_ = packets.size();
        const std::string path = test::write_capture(folder_.file("in.pcap"), packets);
        reader_ = capture::FileReader::open(path).reader;
    }
    // A worker that says of each of its frames what number it has.
    static void work(Conveyor& conveyor, std::uint16_t index) {
        std::uint64_t sequence = 0;
        while (Stage* stage = conveyor.enter(sequence++)) {
            for (const Frame& frame : stage->block.frames) {
                if (frame.worker == index) {
                    stage->journals[index].stage({.order = {.packet = frame.number}}, "packet");
                    stage->journals[index].commit();
                }
            }
            conveyor.leave(*stage);
        }
    }
    // The writer: the numbers told in each block, by all journals.
    static std::vector<std::set<std::uint64_t>> write(Conveyor& conveyor) {
        std::vector<std::set<std::uint64_t>> blocks;
        std::vector<std::uint8_t> bytes;
        while (!conveyor.is_over()) {
            Stage* stage = conveyor.next_done(kLong);
            if (stage == nullptr) {
                continue;
            }
            std::set<std::uint64_t>& told = blocks.emplace_back();
            for (Journal& journal : stage->journals) {
                journal.take(bytes);
                for (RecordReader record(bytes); !record.done(); record.next()) {
                    EXPECT_TRUE(told.insert(record.head().order.packet).second);
                }
            }
            conveyor.recycle(*stage);
        }
        return blocks;
    }
    void expect_all_in_order(const std::vector<std::set<std::uint64_t>>& blocks) const {
        std::uint64_t next = 1;
        for (const auto& block : blocks) {
            for (const std::uint64_t number : block) {
                ASSERT_EQ(number, next++);
            }
        }
        EXPECT_EQ(next, count_ + 1);
    }

    capture::test::Folder folder_;
    std::unique_ptr<capture::FileReader> reader_;
    std::size_t count_ = 0;
};

TEST_F(ConveyorTest, CarriesEveryFrameToOneWorkerAndBlocksToTheWriterInOrder) {
    for (const std::uint32_t workers : {1U, 2U, 4U}) {
        put(many_blocks());
        Conveyor conveyor(*reader_, nullptr, workers, 1);
        std::vector<std::thread> threads;
        for (std::uint16_t i = 0; i < workers; ++i) {
            threads.emplace_back([&conveyor, i] { work(conveyor, i); });
        }
        const auto blocks = write(conveyor);
        for (std::thread& thread : threads) {
            thread.join();
        }
        EXPECT_GE(blocks.size(), 3U);
        expect_all_in_order(blocks);
    }
}

TEST_F(ConveyorTest, GivesBothDirectionsToOneWorkerAndSpreadsByTheSeed) {
    std::vector<test::Packet> packets;
    std::vector<std::uint8_t> frame;
    for (std::uint32_t host = 0; host < 100; ++host) {
        for (const bool back : {false, true}) {
            const Address a = Address::ipv4(0x0a000000 + host);
            const Address b = Address::ipv4(0xc0a80001);
            wire::build_udp(wire::ethernet_header({.type = wire::kEtherTypeIpv4}),
                            {.src = back ? b : a, .dst = back ? a : b}, {}, {}, frame);
            packets.push_back({.bytes = frame});
        }
    }
    const auto spread = [&](std::uint64_t seed) {
        put(packets);
        Conveyor conveyor(*reader_, nullptr, 2, seed);
        std::vector<std::uint16_t> workers;
        const Stage* stage = conveyor.enter(0);
        for (std::size_t i = 0; i < stage->block.frames.size(); i += 2) {
            EXPECT_EQ(stage->block.frames[i].worker, stage->block.frames[i + 1].worker);
            workers.push_back(stage->block.frames[i].worker);
        }
        return workers;
    };
    const std::vector<std::uint16_t> one = spread(1);
    const auto of_first = std::count(one.begin(), one.end(), 0);
    EXPECT_GT(of_first, 20);
    EXPECT_LT(of_first, 80);
    EXPECT_EQ(spread(1), one);
    EXPECT_NE(spread(2), one);
}

TEST_F(ConveyorTest, HoldsAFewBlocksAtATime) {
    put(many_blocks());
    Conveyor conveyor(*reader_, nullptr, 1, 1);
    for (std::uint64_t sequence = 0; sequence < kRoom; ++sequence) {
        Stage* stage = conveyor.enter(sequence);
        ASSERT_NE(stage, nullptr);
        stage->journals[0].stage({}, "said");
        stage->journals[0].commit();
        conveyor.leave(*stage);
    }
    Stage* last = nullptr;
    std::thread worker([&] { last = conveyor.enter(kRoom); });
    Stage* first = conveyor.next_done(kLong);
    ASSERT_NE(first, nullptr);
    EXPECT_EQ(first->sequence, 0U);
    EXPECT_EQ(conveyor.unfinished().size(), kRoom);
    conveyor.recycle(*first);
    worker.join();
    EXPECT_EQ(last, first);  // Its memory is used again.
    EXPECT_EQ(last->sequence, kRoom);
}

TEST_F(ConveyorTest, ABlockThatNobodySpokeOfNeverReachesTheWriter) {
    put(many_blocks());
    Conveyor conveyor(*reader_, nullptr, 1, 1);
    std::uint64_t sequence = 0;
    while (Stage* stage = conveyor.enter(sequence)) {
        sequence += 1;
        conveyor.leave(*stage);
    }
    EXPECT_GE(sequence, 3U);
    EXPECT_TRUE(conveyor.is_over());
    EXPECT_EQ(conveyor.next_done(kLong), nullptr);
}

TEST_F(ConveyorTest, ASilentBlockWaitsForTheOlderOneThatSpoke) {
    put(many_blocks());
    Conveyor conveyor(*reader_, nullptr, 1, 1);
    Stage* first = conveyor.enter(0);
    first->journals[0].stage({}, "said");
    first->journals[0].commit();
    Stage* second = conveyor.enter(1);
    conveyor.leave(*second);
    EXPECT_EQ(conveyor.next_done(0ms), nullptr);  // The first is still being walked.
    conveyor.leave(*first);
    EXPECT_EQ(conveyor.next_done(kLong), first);
    conveyor.recycle(*first);
    EXPECT_EQ(conveyor.next_done(kLong), second);
}

TEST_F(ConveyorTest, LeavesOutWhatTheFilterDoesNotMatchAlsoWholeBlocks) {
    put(many_blocks());
    const auto compiled = capture::Filter::compile("port 1199");  // The last connection.
    Conveyor conveyor(*reader_, compiled.filter.get(), 1, 1);
    std::vector<std::uint64_t> numbers;
    for (std::uint64_t sequence = 0; Stage* stage = conveyor.enter(sequence); ++sequence) {
        for (const Frame& frame : stage->block.frames) {
            numbers.push_back(frame.number);
        }
        EXPECT_FALSE(stage->block.frames.empty());
        conveyor.leave(*stage);
    }
    ASSERT_EQ(numbers.size(), 10U);
    EXPECT_EQ(numbers.front(), count_ - 9);  // As in the file.
}

TEST_F(ConveyorTest, StopEndsWorkersAndWriterButKeepsWhatIsOnItsWay) {
    put(many_blocks());
    Conveyor conveyor(*reader_, nullptr, 2, 1);
    Stage* stage = conveyor.enter(0);
    conveyor.leave(*stage);  // The other worker is still in it.
    conveyor.stop();
    EXPECT_EQ(conveyor.enter(1), nullptr);
    EXPECT_FALSE(conveyor.is_over());
    EXPECT_EQ(conveyor.unfinished(), (std::vector<Stage*>{stage}));
    stage->journals[1].stage({}, "said");
    stage->journals[1].commit();
    conveyor.leave(*stage);
    EXPECT_EQ(conveyor.next_done(kLong), stage);
    conveyor.recycle(*stage);
    EXPECT_TRUE(conveyor.is_over());
    EXPECT_EQ(conveyor.next_done(kLong), nullptr);
}

TEST_F(ConveyorTest, StopWakesAWorkerThatWaitsForRoom) {
    put(many_blocks());
    Conveyor conveyor(*reader_, nullptr, 1, 1);
    for (std::uint64_t sequence = 0; sequence < kRoom; ++sequence) {
        ASSERT_NE(conveyor.enter(sequence), nullptr);
    }
    std::thread worker([&] { EXPECT_EQ(conveyor.enter(kRoom), nullptr); });
    conveyor.stop();
    worker.join();
}

TEST_F(ConveyorTest, KnowsTheInterfacesAndHowFarTheFileIsRead) {
    put(many_blocks());
    Conveyor conveyor(*reader_, nullptr, 1, 1);
    ASSERT_NE(conveyor.interface(0), nullptr);
    EXPECT_EQ(conveyor.interface(0)->link, LinkType::Ethernet);
    EXPECT_EQ(conveyor.interface(7), conveyor.interface(0));  // What a policy made has none.
    EXPECT_EQ(conveyor.position(), 0U);
    std::uint64_t last = 0;
    for (std::uint64_t sequence = 0; Stage* stage = conveyor.enter(sequence); ++sequence) {
        EXPECT_GT(conveyor.position(), last);
        last = conveyor.position();
        conveyor.leave(*stage);
    }
    EXPECT_EQ(last, reader_->size());
}

}  // namespace
}  // namespace haka::engine
