// For tests of the tracker: runs each case for a file and live.
#pragma once

#include <string>

#include <gtest/gtest.h>

#include "stream/talk.h"

namespace haka::stream::test {

class TrackerTest : public ::testing::TestWithParam<Mode> {
protected:
    [[nodiscard]] bool live() const { return GetParam() == Mode::Live; }
    // Dropped for this reason, and without a trace.
    static void expect_dropped(Talk& talk, bool from_client, const Step& step, Event event) {
        const flow::Connection before = talk.connection;
        const Judgement judgement = talk.say(from_client, step);
        EXPECT_TRUE(judgement.drop) << step.flags << ' ' << step.seq;
        EXPECT_EQ(event_name(judgement.event), event_name(event)) << step.flags << ' ' << step.seq;
        EXPECT_EQ(talk.connection.state, before.state);
        EXPECT_EQ(talk.connection.last_seen, before.last_seen);
        EXPECT_EQ(talk.connection.half(from_client).sent_end, before.half(from_client).sent_end);
        EXPECT_EQ(talk.connection.half(!from_client).acked, before.half(!from_client).acked);
    }
    static void expect_passes(const Judgement& judgement, std::uint32_t size = 0) {
        EXPECT_FALSE(judgement.drop);
        EXPECT_FALSE(judgement.new_attempt);
        EXPECT_FALSE(judgement.trimmed);
        EXPECT_EQ(judgement.event, Event::None);
        EXPECT_EQ(judgement.size, size);
    }

    Talk t{GetParam()};
};

inline std::string mode_name(const ::testing::TestParamInfo<Mode>& info) {
    return info.param == Mode::Live ? "Live" : "File";
}

}  // namespace haka::stream::test
