#include "engine/black_box.h"

#include <csignal>

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/fault_capture.h"
#include "engine/fault_note.h"
#include "engine/test_input.h"

namespace haka::engine {
namespace {

flow::FlowKey key_of(std::uint16_t port) {
    flow::FlowKey key{};
    key.low.port = port;
    return key;
}

void note(BlackBox& box, const std::vector<test::Packet>& packets, std::uint32_t worker = 0) {
    std::uint64_t number = 0;
    for (const test::Packet& packet : packets) {
        test::Bytes bytes = packet.bytes;
        const auto size = static_cast<std::uint32_t>(bytes.size());
        box.note_packet(worker, {.data = bytes.data(),
                                 .size = size,
                                 .original_size = size,
                                 .when = packet.when,
                                 .number = ++number});
    }
}

TEST(BlackBoxTest, KeepsTheLastPacketsOldestFirst) {
    BlackBox box(2, 4);
    note(box, test::whole_connection(4000), 1);
    EXPECT_TRUE(box.last_packets(0).empty());
    const auto packets = box.last_packets(1);
    ASSERT_EQ(packets.size(), 4U);
    EXPECT_EQ(packets.front()->number, 7U);
    EXPECT_EQ(packets.back()->number, 10U);
}

TEST(BlackBoxTest, KeepsNoneWhenAskedForNone) {
    BlackBox box(1, 0);
    note(box, test::whole_connection(4000));
    EXPECT_TRUE(box.last_packets(0).empty());
}

TEST(BlackBoxTest, KnowsWhichConnectionsAreEdited) {
    BlackBox box(1, 1);
    EXPECT_FALSE(box.is_edited(key_of(1)));
    box.note_edited(key_of(1));
    box.note_edited(key_of(1));
    box.note_edited(key_of(2));
    EXPECT_TRUE(box.is_edited(key_of(1)));
    box.forget_edited(key_of(1));
    EXPECT_FALSE(box.is_edited(key_of(1)));
    EXPECT_TRUE(box.is_edited(key_of(2)));
}

TEST(BlackBoxTest, EditedConnectionsBeyondItsRoomAreStillTakenForEdited) {
    BlackBox box(1, 1);
    const auto numbered = [](std::size_t number) {
        flow::FlowKey key{};
        key.low.port = static_cast<std::uint16_t>(number);
        key.high.port = static_cast<std::uint16_t>(number >> 16);
        return key;
    };
    std::size_t many = 0;
    while (box.note_edited(numbered(many))) {
        many += 1;
    }
    EXPECT_GT(many, BlackBox::kEditedMax / 2);
    EXPECT_LE(many, BlackBox::kEditedMax);
    std::size_t others = 0;
    for (std::size_t i = 0; i <= many; ++i) {
        EXPECT_TRUE(box.is_edited(numbered(i))) << i;
        others += box.is_edited(numbered(1'000'000 + i)) ? 1U : 0U;
    }
    EXPECT_LT(others, 10U);  // Of those that begin at the same place.
    box.forget_edited(numbered(many));
    EXPECT_TRUE(box.is_edited(numbered(many)));
}

TEST(BlackBoxTest, TheFirstFaultStandsAndIsSeenFromOutside) {
    BlackBox box(2, 1);
    const pid_t child = fork();
    if (child == 0) {
        box.note_open();
        box.note_fault({.worker = 1, .rule = "loops", .what = "it hangs"});
        box.note_fault({.worker = 0, .rule = "other", .what = "later"});
        _exit(0);
    }
    ASSERT_EQ(waitpid(child, nullptr, 0), child);
    EXPECT_TRUE(box.is_open());
    const BlackBox::Seen seen = box.fault();
    EXPECT_TRUE(seen.has_fault);
    EXPECT_EQ(seen.worker, 1U);
    EXPECT_EQ(seen.rule, "loops");
    EXPECT_EQ(seen.what, "it hangs");
    box.begin();
    EXPECT_FALSE(box.fault().has_fault);
    EXPECT_FALSE(box.is_open());
}

TEST(FaultNoteTest, ASignalInAWorkersThreadIsToldWithItsPacket) {
    const capture::test::Folder folder;
    WorkerOptions options;
    options.script.policy = folder.write("policy.lua", as_bytes(""));
    const auto made = Worker::make(options);
    ASSERT_NE(made.worker, nullptr) << made.error;
    BlackBox box(4, 1);
    const pid_t child = fork();
    if (child == 0) {
        note_fatal_signals(box);
        const FaultNote note(*made.worker, 3);
        std::raise(SIGSEGV);
        _exit(0);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFSIGNALED(status));
    EXPECT_EQ(box.fault().worker, 3U);
    EXPECT_EQ(box.fault().what, "packet 0 ended by signal 11");
    EXPECT_EQ(box.fault().rule, "");
}

TEST(BlackBoxTest, RulesAreOffByNameUpToTheirMost) {
    BlackBox box(1, 1);
    for (std::size_t i = 0; i < BlackBox::kDisabledMax + 1; ++i) {
        box.disable("rule " + std::to_string(i));
    }
    ASSERT_EQ(box.disabled().size(), BlackBox::kDisabledMax);
    EXPECT_EQ(box.disabled().front(), "rule 0");
}

TEST(FaultCaptureTest, HoldsTheLastPacketsOfTheConnectionAtWork) {
    const capture::test::Folder folder;
    BlackBox box(1, 64);
    auto packets = test::whole_connection(4000);
    const auto other = test::whole_connection(4001);
    packets.insert(packets.begin() + 3, other.begin(), other.end());
    note(box, packets);
    const FaultCapture written = write_last_packets(box, folder.file("fault.pcapng"));
    EXPECT_EQ(written.error, "");
    EXPECT_EQ(written.packets, 10U);
    EXPECT_EQ(test::read_capture(folder.file("fault.pcapng")),
              test::bytes_of(test::whole_connection(4000)));
}

TEST(FaultCaptureTest, MakesNoFileOfNothing) {
    const BlackBox box(1, 4);
    EXPECT_EQ(write_last_packets(box, "/nowhere/fault.pcapng").packets, 0U);
}

}  // namespace
}  // namespace haka::engine
