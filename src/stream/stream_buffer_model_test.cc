// StreamBuffer against a model so simple that it can't be wrong: one optional byte per offset.
#include <algorithm>
#include <array>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "stream/stream_buffer.h"

namespace haka::stream {
namespace {

class Model {
public:
    explicit Model(std::size_t size) : bytes_(size, kUnknown) {}

    // Returns whether an overlap differs.
    bool add(std::size_t offset, ByteView bytes) {
        bool differs = false;
        for (std::size_t i = 0; i < bytes.size(); ++i) {
            int& byte = bytes_[offset + i];
            differs = differs || (byte != kUnknown && byte != bytes[i]);
            byte = byte == kUnknown ? bytes[i] : byte;
        }
        return differs;
    }
    // Whether `bytes`, which came as `original`, are what may leave.
    [[nodiscard]] bool allows(std::size_t offset, ByteView original, ByteView bytes) const {
        bool good = true;
        for (std::size_t i = 0; i < bytes.size(); ++i) {
            const int byte = bytes_[offset + i];
            good = good && bytes[i] == (byte == kUnknown ? original[i] : byte);
        }
        return good;
    }
    [[nodiscard]] std::size_t end() const {
        return static_cast<std::size_t>(std::ranges::find(bytes_, kUnknown) - bytes_.begin());
    }
    [[nodiscard]] int at(std::size_t offset) const { return bytes_[offset]; }
    [[nodiscard]] std::size_t known_behind_hole() const {
        std::size_t count = 0;
        for (std::size_t i = end(); i < bytes_.size(); ++i) {
            count += bytes_[i] != kUnknown ? 1U : 0U;
        }
        return count;
    }

private:
    static constexpr int kUnknown = -1;
    std::vector<int> bytes_;
};

bool agrees(const StreamBuffer& buffer, const Model& model) {
    const ByteView view = buffer.view();
    bool same = buffer.end() == model.end() && view.size() == buffer.end() - buffer.begin() &&
                buffer.known_behind_hole() == model.known_behind_hole();
    for (std::size_t i = 0; same && i < view.size(); ++i) {
        same = view[i] == model.at(buffer.begin() + i);
    }
    return same;
}

TEST(StreamBufferModelTest, EveryHistoryOfASmallWorld) {
    constexpr std::size_t kBytes = 7;
    constexpr std::size_t kSegments = 4;
    std::vector<std::pair<std::size_t, std::size_t>> ranges;
    for (std::size_t begin = 0; begin < kBytes; ++begin) {
        for (std::size_t end = begin + 1; end <= kBytes; ++end) {
            ranges.emplace_back(begin, end);
        }
    }
    std::array<std::array<std::uint8_t, kBytes>, kSegments> contents{};
    for (std::size_t i = 0; i < kSegments; ++i) {
        contents[i].fill(static_cast<std::uint8_t>('A' + i));
    }
    std::size_t histories = 1;
    for (std::size_t i = 0; i < kSegments; ++i) {
        histories *= ranges.size();
    }
    StreamMemory memory{TcpSettings{}};
    for (std::size_t history = 0; history < histories; ++history) {
        StreamBuffer buffer(memory);
        Model model(kBytes);
        std::size_t rest = history;
        for (std::size_t i = 0; i < kSegments; ++i) {
            const auto [begin, end] = ranges[rest % ranges.size()];
            rest /= ranges.size();
            const ByteView bytes = ByteView(contents[i]).first(end - begin);
            const std::size_t before = model.end();
            const bool differs = model.add(begin, bytes);
            const Added added = buffer.add(begin, bytes);
            std::array<std::uint8_t, kBytes> copy = contents[i];
            const MutableByteView leaving = MutableByteView(copy).first(end - begin);
            const bool changed = buffer.rewrite(begin, leaving).changed;
            ASSERT_TRUE(added.refused == Event::None && added.differs == differs &&
                        changed == differs && added.available == model.end() - before &&
                        model.allows(begin, bytes, leaving) && agrees(buffer, model))
                << "history " << history << " segment " << i;
        }
    }
    EXPECT_EQ(histories, 614'656U);
    EXPECT_EQ(memory.used(), 0U);
}

// Longer streams at random places of the 2^32 circle, with releases and ACKs between the segments.
TEST(StreamBufferModelTest, RandomHistoriesWithReleasesAndAcks) {
    for (std::uint32_t seed = 0; seed < 60; ++seed) {
        SCOPED_TRACE(seed);
        std::mt19937 random(seed);
        const auto below = [&random](std::uint64_t limit) { return random() % limit; };
        constexpr std::size_t kBytes = 3000;
        StreamMemory memory{TcpSettings{}};
        StreamBuffer buffer(memory);
        Model model(kBytes);
        std::array<std::uint8_t, 400> bytes{};
        for (int step = 0; step < 200; ++step) {
            const std::size_t size = 1 + below(seed % 2 == 0 ? 400 : 20);
            const std::size_t offset =
                std::min<std::size_t>(below(2) == 0 ? model.end() : below(kBytes), kBytes - size);
            for (std::uint8_t& byte : bytes) {
                byte = static_cast<std::uint8_t>(below(seed % 3 == 0 ? 2 : 256));
            }
            const ByteView segment = ByteView(bytes).first(size);
            const std::size_t before = model.end();
            const bool differs = model.add(offset, segment);
            const Added added = buffer.add(offset, segment);
            ASSERT_EQ(added.refused, Event::None) << step;
            ASSERT_EQ(added.available, model.end() - before);
            if (offset >= buffer.kept_begin()) {
                ASSERT_EQ(added.differs, differs);
                ASSERT_EQ(added.forgotten, 0U);
                std::array<std::uint8_t, 400> copy = bytes;
                const MutableByteView leaving = MutableByteView(copy).first(size);
                buffer.rewrite(offset, leaving);
                ASSERT_TRUE(model.allows(offset, segment, leaving));
            }
            ASSERT_TRUE(agrees(buffer, model));
            if (below(2) == 0) {
                buffer.release(buffer.begin() + below(buffer.end() - buffer.begin() + 1));
            }
            if (below(2) == 0) {
                buffer.acknowledged(below(buffer.end() + 1));
            }
            ASSERT_TRUE(agrees(buffer, model));
        }
        buffer.release(buffer.end());
        buffer.acknowledged(kBytes);
        ASSERT_EQ(buffer.owns_memory(), buffer.held_segments() != 0);
    }
}

}  // namespace
}  // namespace haka::stream
