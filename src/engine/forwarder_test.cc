#include "engine/forwarder.h"

#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "engine/test_input.h"

namespace haka::engine {
namespace {

// Hands out one batch, and remembers what left.
class OneBatch final : public capture::LiveSource {
public:
    explicit OneBatch(std::vector<test::Bytes> packets, std::vector<std::uint64_t>& passed)
        : packets_(std::move(packets)), passed_(&passed) {}

    std::span<Frame> receive(Instant wall) override {
        for (test::Bytes& bytes : packets_) {
            const auto size = static_cast<std::uint32_t>(bytes.size());
            frames_.push_back({.data = bytes.data(),
                               .size = size,
                               .original_size = size,
                               .when = wall,
                               .number = frames_.size() + 1});
        }
        return frames_;
    }
    void pass(const Frame& frame) override { passed_->push_back(frame.number); }
    void send(const Frame& /*frame*/, capture::Leaving /*leaving*/) override {}
    void finish_batch() override {
        frames_.clear();
        packets_.clear();
    }
    std::span<const pollfd> ready_fds() const override { return {}; }
    std::vector<std::string> look_after() override { return {}; }
    const std::string& failure() const override { return failure_; }

private:
    std::vector<test::Bytes> packets_;
    std::vector<std::uint64_t>* passed_;
    std::vector<Frame> frames_;
    std::string failure_;
};

TEST(ForwarderTest, PassesAllButWhatWasEdited) {
    test::Conversation edited(4001);
    test::Conversation other(4002);
    const test::Bytes one = edited.send("edited");
    BlackBox box(1, 1);
    const wire::Headers headers = wire::find_headers(LinkType::Ethernet, one);
    box.note_edited(flow::make_flow_key(headers, one.data()).key);
    const test::Bytes strange(60, 0xff);
    std::vector<std::uint64_t> passed;
    Forwarder forwarder(
        std::make_unique<OneBatch>(
            std::vector{one, other.send("other"), edited.answer("edited, too"), strange}, passed),
        box);
    EXPECT_TRUE(forwarder.turn(Instant{}));
    EXPECT_EQ(passed, (std::vector<std::uint64_t>{2, 4}));
    EXPECT_FALSE(forwarder.turn(Instant{}));
}

}  // namespace
}  // namespace haka::engine
