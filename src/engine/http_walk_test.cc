#include "engine/http_walk.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace haka::engine {
namespace {

using script::Hook;

// Two streams whose bytes simply lie there, and a record of what was asked of the worker.
class HttpWalkTest : public testing::Test, private HttpWalk::Ground {
protected:
    HttpWalkTest() {
        listener_.cursors.assign(2, haka_cursor{});
        listener_.http = std::make_unique<HttpState>(memory_);
    }

    void listen_to(std::initializer_list<Hook> hooks) {
        HttpWalk::Setup setup{.cursor = 0, .body_rules = {1, 1}, .hooks = 0, .writes_eve = true};
        for (const Hook hook : hooks) {
            setup.hooks |= 1U << static_cast<unsigned>(hook);
        }
        walk_.set_up(setup, context_);
    }
    // More bytes of a direction; false: the connection was decided.
    bool say(bool of_client, std::string_view bytes) {
        texts_.at(of_client ? 0 : 1) += bytes;
        present();
        return walk_.walk(listener_, of_client);
    }
    bool close(bool of_client) {
        ended_.at(of_client ? 0 : 1) = true;
        present();
        return walk_.walk(listener_, of_client);
    }
    void present() {
        for (const std::size_t half : {0U, 1U}) {
            haka_stream& stream = listener_.streams.at(half);
            stream.data = as_bytes(texts_.at(half)).data();
            stream.base = 0;
            stream.size = static_cast<std::uint32_t>(texts_.at(half).size());
            stream.eof = ended_.at(half) ? 1 : 0;
            stream.cursors = &listener_.cursors.at(half);
            stream.cursors[0].limit = stream.size;
        }
    }
    // How much of a direction may leave.
    [[nodiscard]] double released(std::size_t half) const { return listener_.cursors[half].mark; }
    [[nodiscard]] HttpSide::Phase phase(std::size_t half) const {
        return listener_.http->sides.at(half).phase;
    }

    Settings settings_;
    haka_context context_{};
    stream::StreamMemory memory_{settings_.tcp};
    Listener listener_{memory_};
    HttpWalk walk_{settings_, memory_, *this};
    std::vector<Hook> ran_;
    std::vector<Event> told_;
    std::vector<std::string> logged_;
    std::vector<std::uint64_t> bytes_;
    std::string answer_;  // What a rule on http-request answers.
    bool other_changed_ = false;
    bool requests_end_ = false;

private:
    bool run_http(Hook hook, bool /*of_client*/) override {
        ran_.push_back(hook);
        if (hook == Hook::HttpRequest && !answer_.empty()) {
            EXPECT_EQ(walk_.respond(answer_), HAKA_OK);
        }
        return true;
    }
    bool run_http_body(bool /*of_client*/) override { return true; }
    bool tell_http(Event offence, Exception action) override {
        told_.push_back(offence);
        return action == Exception::Pass;
    }
    bool refuse_http(Event limit) override {
        told_.push_back(limit);
        return false;
    }
    int edit_http(std::uint32_t half, double at, std::uint32_t erase,
                  std::string_view insert) override {
        texts_.at(half).replace(static_cast<std::size_t>(at), erase, insert);
        listener_.cursors[half].position = at + static_cast<double>(insert.size());
        present();
        return HAKA_OK;
    }
    void end_requests() override { requests_end_ = true; }
    void other_direction_changed() override { other_changed_ = true; }
    void log_http(const Exchange& exchange) override {
        logged_.emplace_back(exchange.answer.substr(0, exchange.answer.find('\r')));
        bytes_.push_back(exchange.bytes);
    }

protected:
    std::array<std::string, 2> texts_;
    std::array<bool, 2> ended_{};
};

constexpr std::string_view kGet = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
constexpr std::string_view kOk = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n";

TEST_F(HttpWalkTest, HoldsAHeadUntilItIsComplete) {
    listen_to({Hook::HttpRequest});
    for (std::size_t i = 0; i + 1 < kGet.size(); ++i) {
        EXPECT_TRUE(say(true, kGet.substr(i, 1)));
        EXPECT_EQ(released(0), 0);
        EXPECT_TRUE(ran_.empty());
    }
    EXPECT_TRUE(say(true, kGet.substr(kGet.size() - 1)));
    EXPECT_EQ(ran_, std::vector{Hook::HttpRequest});
    EXPECT_EQ(released(0), kGet.size());
}

TEST_F(HttpWalkTest, LetsUnreadBodiesPassAsTheyCome) {
    listen_to({});
    EXPECT_TRUE(say(true, kGet));
    EXPECT_TRUE(say(false, kOk));
    EXPECT_TRUE(say(false, "a"));
    EXPECT_EQ(released(1), kOk.size() + 1);
    EXPECT_EQ(phase(1), HttpSide::Phase::Body);
    EXPECT_TRUE(say(false, "b"));
    EXPECT_EQ(phase(1), HttpSide::Phase::Head);
    EXPECT_EQ(logged_, std::vector<std::string>{"HTTP/1.1 200 OK"});
}

TEST_F(HttpWalkTest, PairsPipelinedResponsesWithTheirRequests) {
    listen_to({});
    EXPECT_TRUE(say(true, "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n" + std::string(kGet)));
    EXPECT_EQ(listener_.http->asked.size(), 2U);
    EXPECT_TRUE(say(false, std::string(kOk) + std::string(kOk) + "ab"));
    EXPECT_TRUE(listener_.http->asked.empty());
    EXPECT_TRUE(told_.empty());
    EXPECT_EQ(logged_.size(), 2U);
}

TEST_F(HttpWalkTest, WaitsBehindConnectForTheAnswer) {
    listen_to({});
    const std::string connect = "CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\n\r\n";
    EXPECT_TRUE(say(true, connect + "\x16\x03"));
    EXPECT_EQ(phase(0), HttpSide::Phase::Waits);
    EXPECT_EQ(released(0), connect.size());
    EXPECT_TRUE(say(false, "HTTP/1.1 200 OK\r\n\r\nxyz"));
    EXPECT_TRUE(other_changed_);
    EXPECT_EQ(phase(0), HttpSide::Phase::Opaque);
    EXPECT_EQ(released(0), connect.size() + 2);
}

TEST_F(HttpWalkTest, AnswersInTheServersPlace) {
    listen_to({Hook::HttpRequest});
    answer_ = "HTTP/1.1 403 No\r\n\r\nbody";
    EXPECT_TRUE(say(true, kGet));
    EXPECT_TRUE(requests_end_);
    EXPECT_EQ(texts_[0], "");
    EXPECT_EQ(texts_[1], answer_);
    EXPECT_TRUE(say(true, "more"));
    EXPECT_TRUE(say(false, "never sent"));
    EXPECT_EQ(texts_[0], "");
    EXPECT_EQ(texts_[1], answer_);
    EXPECT_EQ(logged_, std::vector<std::string>{"HTTP/1.1 403 No"});
    EXPECT_EQ(bytes_, std::vector<std::uint64_t>{4});
}

TEST_F(HttpWalkTest, TellsOfWhatEndsInTheMiddle) {
    listen_to({});
    EXPECT_TRUE(say(true, kGet));
    EXPECT_TRUE(say(false, kOk));
    EXPECT_TRUE(close(false));
    EXPECT_EQ(told_, std::vector{Event::HttpCutShort});
    EXPECT_EQ(logged_, std::vector<std::string>{""});
}

TEST_F(HttpWalkTest, CountsLostBytesOfABodyThatNobodyReads) {
    listen_to({});
    EXPECT_TRUE(say(true, kGet));
    EXPECT_TRUE(say(false, kOk));
    listener_.cursors[1].gap = 2;
    EXPECT_TRUE(say(false, kOk));
    EXPECT_EQ(told_, std::vector{Event::HttpUnasked});
    listener_.cursors[1].gap = 3;
    EXPECT_TRUE(say(false, "x"));
    EXPECT_EQ(told_.back(), Event::HttpGap);
    EXPECT_EQ(phase(1), HttpSide::Phase::Opaque);
}

TEST_F(HttpWalkTest, RefusesWithTheActionOfItsSetting) {
    listen_to({});
    settings_.http.action(Event::HttpNotHttp) = Exception::Drop;
    EXPECT_FALSE(say(true, "\x16\x03\x01"));
    settings_.http.action(Event::HttpNotHttp) = Exception::Pass;
    EXPECT_TRUE(say(true, "\x02"));
    EXPECT_EQ(released(0), 4);
    EXPECT_EQ(phase(1), HttpSide::Phase::Opaque);
}

// A server might take a head without an end for a whole one.
TEST_F(HttpWalkTest, LetsNoHeadOutThatItsSenderHasCut) {
    listen_to({});
    EXPECT_TRUE(say(true, kGet.substr(0, kGet.size() - 2)));
    EXPECT_FALSE(close(true));
    EXPECT_EQ(told_, std::vector{Event::HttpCutHead});
    EXPECT_EQ(released(0), 0);
}

TEST_F(HttpWalkTest, TakesAHeadThatEndsWithTheInputForCutShort) {
    listen_to({});
    EXPECT_TRUE(say(true, kGet.substr(0, kGet.size() - 2)));
    EXPECT_TRUE(walk_.end(listener_, true));
    EXPECT_EQ(told_, std::vector{Event::HttpCutShort});
}

TEST_F(HttpWalkTest, LetsOnlyThoseSwitchWhoWereAsked) {
    constexpr std::string_view kSwitch = "HTTP/1.1 101 Go\r\n\r\n";
    listen_to({});
    EXPECT_TRUE(say(true, "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: y\r\n\r\n"));
    EXPECT_TRUE(say(false, kSwitch));
    EXPECT_EQ(phase(1), HttpSide::Phase::Opaque);
    EXPECT_TRUE(told_.empty());
}

TEST_F(HttpWalkTest, RefusesASwitchThatNobodyAskedFor) {
    constexpr std::string_view kSwitch = "HTTP/1.1 101 Go\r\n\r\n";
    listen_to({});
    EXPECT_TRUE(say(true, kGet));
    EXPECT_FALSE(say(false, kSwitch));
    EXPECT_EQ(told_, std::vector{Event::HttpUnaskedSwitch});
}

TEST_F(HttpWalkTest, TellsOfBareLineFeedsBeforeARequest) {
    listen_to({});
    EXPECT_TRUE(say(true, "\r\n"));
    EXPECT_TRUE(told_.empty());
    EXPECT_TRUE(say(true, "\n" + std::string(kGet)));
    EXPECT_EQ(told_, std::vector{Event::HttpBareLf});
}

// A connection in mid-body: its two sides, one request and its head.
TEST_F(HttpWalkTest, NeedsLittleMemoryInMidBody) {
    EXPECT_LE(sizeof(HttpState) + sizeof(HttpAsked) + sizeof(Listener), 2048U);
}

}  // namespace
}  // namespace haka::engine
