#include "engine/merger.h"

#include <gtest/gtest.h>

#include "engine/test_input.h"

namespace haka::engine {
namespace {

// Stands for the time, level and module that a log line begins with.
const std::string kLogHead(26, '.');

class MergerTest : public testing::Test {
protected:
    static void print(Journal& journal, Order order, std::string_view text) {
        journal.stage({.order = order, .kind = RecordKind::Print}, text);
        journal.commit();
    }
    static void alert(Journal& journal, std::uint64_t packet, Event event) {
        journal.stage({.order = {.packet = packet},
                       .when = {static_cast<std::int64_t>(packet)},
                       .kind = RecordKind::Alert,
                       .event = event},
                      "alert\n", "{eve}\n");
        journal.commit();
    }

    std::string out_;
    std::string log_;
    bool out_works_ = true;
    Sinks sinks_{.out =
                     [this](std::string_view text) {
                         out_ += out_works_ ? text : "";
                         return out_works_;
                     },
                 .log =
                     [this](std::string_view text) {
                         log_ += text;
                         return true;
                     },
                 .err = {}};
    RunOptions options_;
    std::deque<Journal> journals_{3};
    capture::test::Folder folder_;
};

TEST_F(MergerTest, PutsWhatAllWorkersSaidIntoTheOrderOfThePackets) {
    print(journals_[0], {.packet = 2}, "2 ");
    print(journals_[0], {.packet = 5}, "5 ");
    print(journals_[1], {.packet = 1}, "1 ");
    print(journals_[1], {.packet = 4, .deadline = 9, .id = 8}, "4 late ");
    print(journals_[1], {.packet = 4}, "4 ");
    print(journals_[2], {.packet = 4, .deadline = 9, .id = 7}, "4 early ");
    print(journals_[2], {.packet = UINT64_MAX}, "end");
    Merger merger(sinks_, options_, nullptr, nullptr, nullptr);
    merger.write(journals_);
    EXPECT_EQ(out_, "1 2 4 early 4 late 4 5 end");
    EXPECT_TRUE(merger.has_written_text());
    EXPECT_EQ(merger.problem(), "");
}

TEST_F(MergerTest, KeepsOneWorkersRecordsOfOnePacketTogetherAndInOrder) {
    journals_[1].stage({.order = {.packet = 1}, .kind = RecordKind::Print}, "a");
    journals_[1].stage({.order = {.packet = 1}, .kind = RecordKind::Print}, "b");
    journals_[1].stage({.order = {.packet = 1}, .kind = RecordKind::Print}, "c");
    journals_[1].commit();
    Merger merger(sinks_, options_, nullptr, nullptr, nullptr);
    merger.write(journals_);
    EXPECT_EQ(out_, "abc");
}

TEST_F(MergerTest, WritesNothingBehindTheLastPacketItIsGiven) {
    print(journals_[0], {.packet = 1}, "1");
    print(journals_[0], {.packet = 3}, "3");
    print(journals_[1], {.packet = 2}, "2");
    print(journals_[1], {.packet = 4}, "4");
    Merger merger(sinks_, options_, nullptr, nullptr, nullptr);
    merger.write(journals_, 2);
    EXPECT_EQ(out_, "12");
}

TEST_F(MergerTest, SendsEachKindToItsSink) {
    const std::string line = kLogHead + "said\n";
    journals_[0].stage({.kind = RecordKind::Log}, line);
    journals_[0].stage({.kind = RecordKind::Print}, "printed\n");
    journals_[0].commit();
    Merger merger(sinks_, options_, nullptr, nullptr, nullptr);
    merger.write(journals_);
    EXPECT_EQ(out_, "printed\n");
    EXPECT_EQ(log_, line);
}

TEST_F(MergerTest, SaysOnceWhatManyWorkersSay) {
    for (std::size_t i = 0; i < 3; ++i) {
        const std::string head(26, static_cast<char>('a' + i));  // Told at another time.
        journals_[i].stage({.kind = RecordKind::Log, .once = true}, head + "http is not read\n");
        journals_[i].stage({.kind = RecordKind::Log}, head + "usual\n");
        journals_[i].commit();
    }
    Merger merger(sinks_, options_, nullptr, nullptr, nullptr);
    merger.write(journals_);
    EXPECT_EQ(log_.find("http"), log_.rfind("http"));
    EXPECT_NE(log_.find("usual"), log_.rfind("usual"));
}

TEST_F(MergerTest, WritesTenOfAnEventInASecondAndCountsTheRest) {
    for (std::uint64_t packet = 1; packet <= 15; ++packet) {
        alert(journals_[packet % 2], packet, Event::TcpNoConnection);
    }
    Merger merger(sinks_, options_, nullptr, nullptr, nullptr);
    merger.write(journals_);
    std::string expected;
    for (int i = 0; i < 10; ++i) {
        expected += "alert\n";
    }
    EXPECT_EQ(out_, expected);
    merger.finish();
    EXPECT_EQ(out_, expected + "tcp.no-connection: 5 more in this second\n");
}

TEST_F(MergerTest, NeverLimitsWhatAPolicyAlerts) {
    for (std::uint64_t packet = 1; packet <= 30; ++packet) {
        alert(journals_[0], packet, Event::None);
    }
    Merger merger(sinks_, options_, nullptr, nullptr, nullptr);
    merger.write(journals_);
    merger.finish();
    EXPECT_EQ(out_.size(), 30 * std::string_view("alert\n").size());
}

TEST_F(MergerTest, IsQuietAboutWhatWasHeldBackWhenAsked) {
    options_.quiet = true;
    for (std::uint64_t packet = 1; packet <= 15; ++packet) {
        alert(journals_[0], packet, Event::TcpNoConnection);
    }
    Merger merger(sinks_, options_, nullptr, nullptr, nullptr);
    merger.write(journals_);
    merger.finish();
    EXPECT_EQ(out_.find("more in this second"), std::string::npos);
}

TEST_F(MergerTest, WritesEveToItsFileOrBetweenThePrints) {
    alert(journals_[0], 1, Event::None);
    print(journals_[0], {.packet = 2}, "printed\n");
    options_.eve = folder_.file("eve.json");
    auto eve = capture::FileSink::open(options_.eve);
    Merger into_file(sinks_, options_, nullptr, nullptr, eve.sink.get());
    into_file.write(journals_);
    into_file.finish();
    EXPECT_EQ(out_, "alert\nprinted\n");
    EXPECT_EQ(folder_.content("eve.json"), "{eve}\n");

    out_.clear();
    alert(journals_[0], 1, Event::None);
    print(journals_[0], {.packet = 2}, "printed\n");
    options_.eve = "-";
    Merger between(sinks_, options_, nullptr, nullptr, nullptr);
    between.write(journals_);
    EXPECT_EQ(out_, "alert\n{eve}\nprinted\n");
}

TEST_F(MergerTest, NamesTheFirstProblemAndGoesOn) {
    print(journals_[0], {.packet = 1}, "lost");
    print(journals_[0], {.packet = 2}, "lost too");
    journals_[0].stage({.order = {.packet = 3}, .kind = RecordKind::Log}, kLogHead + "heard");
    journals_[0].commit();
    out_works_ = false;
    errno = ENOSPC;
    Merger merger(sinks_, options_, nullptr, nullptr, nullptr);
    merger.write(journals_);
    EXPECT_EQ(merger.problem(), "can't write to standard output: No space left on device");
    EXPECT_EQ(log_, kLogHead + "heard");
}

TEST_F(MergerTest, NamesTheEveFileThatTakesNoMore) {
    options_.eve = "/dev/full";
    auto eve = capture::FileSink::open(options_.eve);
    ASSERT_NE(eve.sink, nullptr);
    alert(journals_[0], 1, Event::None);
    Merger merger(sinks_, options_, nullptr, nullptr, eve.sink.get());
    merger.write(journals_);
    merger.finish();
    EXPECT_TRUE(merger.problem().starts_with("/dev/full: ")) << merger.problem();
    EXPECT_EQ(out_, "alert\n");  // People still get it.
}

// Two link types in one .pcap: the second is refused, what came before it stays.
TEST_F(MergerTest, NamesThePacketFileThatTakesNoMore) {
    const std::vector<capture::Interface> interfaces{{.link = LinkType::Ethernet},
                                                     {.link = LinkType::Raw}};
    const auto packets = test::whole_connection(4000);
    const std::string output = folder_.file("out.pcap");
    auto writer = capture::FileWriter::open(output);
    for (const std::uint32_t interface : {0U, 0U, 1U, 0U}) {
        journals_[0].stage({.order = {.packet = 1},
                            .interface = interface,
                            .original_size = 60,
                            .kind = RecordKind::Packet},
                           "comment", as_text(packets[0].bytes));
    }
    journals_[0].commit();
    const auto find = [&interfaces](std::uint32_t index) { return &interfaces[index]; };
    Merger merger(sinks_, options_, find, writer.writer.get(), nullptr);
    merger.write(journals_);
    merger.finish();
    EXPECT_NE(merger.problem().find(".pcapng"), std::string::npos) << merger.problem();
    writer.writer.reset();
    EXPECT_EQ(test::read_capture(output).size(), 2U);
}

TEST_F(MergerTest, WritesWhatAPolicySaidWhileItLoaded) {
    print(journals_[0], {}, "loaded\n");
    std::vector<std::uint8_t> records;
    journals_[0].take(records);
    Merger merger(sinks_, options_, nullptr, nullptr, nullptr);
    merger.write(records);
    EXPECT_EQ(out_, "loaded\n");
}

}  // namespace
}  // namespace haka::engine
