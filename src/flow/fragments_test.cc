#include "flow/fragments.h"

#include <algorithm>
#include <deque>
#include <numeric>
#include <random>

#include <gtest/gtest.h>

#include "wire/checksum.h"

namespace haka::flow {
namespace {

using Bytes = std::vector<std::uint8_t>;
using enum FragmentOutcome;

constexpr std::uint64_t kSeed = 0x5eed;
constexpr std::uint8_t kNoNext = 59;

// Where one fragment lies in its datagram's data.
struct Cut {
    std::uint32_t begin = 0;
    std::uint32_t end = 0;
    bool more = true;
};

struct Kind {
    std::uint8_t version = 4;
    bool extended = false;  // IPv4: options. IPv6: a hop-by-hop header before the fragment header.
};

const std::vector<Kind> kKinds = {{4, false}, {4, true}, {6, false}, {6, true}};

// A datagram of pseudo-random data, and any fragment of it.
class Datagram {
public:
    Datagram(Kind kind, std::uint32_t size, std::uint32_t identification = 77)
        : kind_(kind), identification_(identification), data_(size) {
        std::mt19937 random(identification);
        std::ranges::generate(data_, [&] { return static_cast<std::uint8_t>(random()); });
    }

    [[nodiscard]] std::uint32_t size() const { return static_cast<std::uint32_t>(data_.size()); }

    // `whole` has no fragment header.
    [[nodiscard]] Bytes whole() const { return frame(data_, {0, size(), false}, true); }

    [[nodiscard]] Bytes fragment(Cut cut) const {
        Bytes data(data_);
        data.resize(std::max(data.size(), std::size_t{cut.end}), 0xaa);
        return frame({data.begin() + cut.begin, data.begin() + cut.end}, cut, false);
    }

private:
    [[nodiscard]] Bytes frame(const Bytes& data, Cut cut, bool is_whole) const {
        Bytes bytes(14);
        store_be16(&bytes[12], kind_.version == 4 ? 0x0800 : 0x86dd);
        const Bytes ip =
            kind_.version == 4 ? ipv4(data.size(), cut) : ipv6(data.size(), cut, is_whole);
        bytes.insert(bytes.end(), ip.begin(), ip.end());
        bytes.insert(bytes.end(), data.begin(), data.end());
        return bytes;
    }

    [[nodiscard]] Bytes ipv4(std::size_t size, Cut cut) const {
        Bytes ip(kind_.extended ? 28 : 20);
        ip[0] = static_cast<std::uint8_t>(0x40 | ip.size() / 4);
        store_be16(&ip[2], static_cast<std::uint16_t>(ip.size() + size));
        store_be16(&ip[4], static_cast<std::uint16_t>(identification_));
        store_be16(&ip[6], static_cast<std::uint16_t>((cut.more ? 0x2000U : 0U) | cut.begin / 8));
        ip[8] = 64;
        ip[9] = kNoNext;
        store_be32(&ip[12], 0x0a000001);
        store_be32(&ip[16], 0x0a000002);
        if (kind_.extended) {
            ip[20] = 0x94;  // Router alert.
            ip[21] = 4;
        }
        store_be16(&ip[10], wire::internet_checksum(ip));
        return ip;
    }

    [[nodiscard]] Bytes ipv6(std::size_t size, Cut cut, bool is_whole) const {
        Bytes ip(40);
        ip[0] = 0x60;
        ip[7] = 64;
        ip[23] = 1;
        ip[39] = 2;
        std::size_t named = 6;
        if (kind_.extended) {
            named = ip.size();
            ip.insert(ip.end(), {0, 0, 1, 4, 0, 0, 0, 0});  // Hop-by-hop: padding.
        }
        ip[named] = kNoNext;
        if (!is_whole) {
            ip[named] = 44;
            const std::size_t at = ip.size();
            ip.resize(at + 8);
            ip[at] = kNoNext;
            store_be16(&ip[at + 2], static_cast<std::uint16_t>(cut.begin | (cut.more ? 1U : 0U)));
            store_be32(&ip[at + 4], identification_);
        }
        store_be16(&ip[4], static_cast<std::uint16_t>(ip.size() - 40 + size));
        return ip;
    }

    Kind kind_;
    std::uint32_t identification_;
    Bytes data_;
};

// A defragmenter that is given frames numbered 1, 2, ...
class World {
public:
    explicit World(FragmentSettings settings = {}) : defragmenter_(settings, kSeed) {}

    Defragmenter& defragmenter() { return defragmenter_; }

    Defragmenter::Outcome add(Bytes bytes, Instant now = {}) {
        bytes_ = std::move(bytes);
        Frame frame;
        frame.data = bytes_.data();
        frame.size = frame.original_size = static_cast<std::uint32_t>(bytes_.size());
        frame.number = ++number_;
        frame.when = now;
        const wire::Headers headers = wire::find_headers(frame.link, frame.bytes());
        EXPECT_TRUE(headers.fragment);
        const auto outcome = defragmenter_.add(frame, headers, now);
        std::ranges::fill(bytes_, std::uint8_t{0xcc});  // Held ones must be copies.
        return outcome;
    }

    FragmentOutcome kind(const Bytes& bytes, Instant now = {}) { return add(bytes, now).kind; }
    Event refusal(const Bytes& bytes, Instant now = {}) {
        const auto outcome = add(bytes, now);
        EXPECT_EQ(outcome.kind, Refused);
        return outcome.event;
    }

    [[nodiscard]] Bytes joined() const {
        const ByteView bytes = defragmenter_.joined().bytes();
        return {bytes.begin(), bytes.end()};
    }

    // Numbers of the frames that were given up; all must have been so for `event`.
    [[nodiscard]] std::vector<std::uint64_t> dropped(Event event) const {
        std::vector<std::uint64_t> numbers;
        for (const auto& dropped : defragmenter_.dropped()) {
            EXPECT_EQ(dropped.event, event);
            numbers.push_back(dropped.number);
        }
        return numbers;
    }

private:
    Defragmenter defragmenter_;
    Bytes bytes_;
    std::uint64_t number_ = 0;
};

using Numbers = std::vector<std::uint64_t>;

TEST(DefragmenterTest, JoinsInAnyOrder) {
    for (const Kind kind : kKinds) {
        for (unsigned seed = 1; seed <= 200; ++seed) {
            SCOPED_TRACE(::testing::Message() << int{kind.version} << " seed " << seed);
            std::mt19937 random(seed);
            const Datagram datagram(kind, 9 + static_cast<std::uint32_t>(random()) % 3000, seed);
            std::vector<Cut> cuts;
            for (std::uint32_t begin = 0; begin < datagram.size();) {
                const std::uint32_t limit =
                    std::max(8U, datagram.size() / 8 * 8 - (begin == 0 ? 8 : 0));
                const std::uint32_t size =
                    std::min(8 + static_cast<std::uint32_t>(random()) % 400 / 8 * 8, limit);
                const std::uint32_t end = std::min(begin + size, datagram.size());
                cuts.push_back({begin, end, end < datagram.size()});
                begin = end;
            }
            std::ranges::shuffle(cuts, random);
            World world;
            for (std::size_t i = 0; i + 1 < cuts.size(); ++i) {
                ASSERT_EQ(world.kind(datagram.fragment(cuts[i])), Held);
            }
            ASSERT_EQ(world.kind(datagram.fragment(cuts.back())), Joined);
            ASSERT_EQ(world.joined(), datagram.whole());
            ASSERT_EQ(world.defragmenter().originals().size(), cuts.size());
            ASSERT_EQ(world.defragmenter().held_bytes(), 0U);
            ASSERT_EQ(world.defragmenter().datagrams(), 0U);
            const auto originals = world.defragmenter().originals();
            for (std::size_t i = 0; i + 1 < cuts.size(); ++i) {
                ASSERT_EQ(originals[i].number, i + 1);
                ASSERT_TRUE(std::ranges::equal(originals[i].bytes(), datagram.fragment(cuts[i])));
            }
            ASSERT_EQ(originals.back().number, cuts.size());
        }
    }
}

TEST(DefragmenterTest, TheJoinedFrameIsOfTheLastFramesTimeAndNumber) {
    World world;
    const Datagram datagram({4, true}, 20);
    world.add(datagram.fragment({16, 20, false}), Instant{5});
    ASSERT_EQ(world.kind(datagram.fragment({0, 16, true}), Instant{9}), Joined);
    EXPECT_EQ(world.defragmenter().joined().number, 2U);
    EXPECT_EQ(world.defragmenter().joined().when, Instant{9});
    EXPECT_TRUE(wire::verify_ipv4_header(world.defragmenter().joined().bytes().subspan(14, 28)));
    EXPECT_EQ(world.defragmenter().shape().size_max, 28U + 16U);
}

TEST(DefragmenterTest, KeepsApartWhatDiffersInIdentificationOrFamily) {
    World world;
    EXPECT_EQ(world.kind(Datagram({4}, 16, 1).fragment({0, 8, true})), Held);
    EXPECT_EQ(world.kind(Datagram({4}, 16, 2).fragment({8, 16, false})), Held);
    EXPECT_EQ(world.kind(Datagram({6}, 16, 1).fragment({8, 16, false})), Held);
    EXPECT_EQ(world.defragmenter().datagrams(), 3U);
    EXPECT_EQ(world.kind(Datagram({4}, 16, 1).fragment({8, 16, false})), Joined);
    EXPECT_EQ(world.defragmenter().datagrams(), 2U);
}

TEST(DefragmenterTest, ADuplicateIsHeldAndLeavesWithTheRest) {
    for (const Kind kind : kKinds) {
        World world;
        const Datagram datagram(kind, 24);
        EXPECT_EQ(world.kind(datagram.fragment({8, 16, true})), Held);
        EXPECT_EQ(world.kind(datagram.fragment({8, 16, true})), Duplicate);
        EXPECT_EQ(world.kind(datagram.fragment({16, 24, false})), Held);
        EXPECT_EQ(world.kind(datagram.fragment({16, 24, false})), Duplicate);
        EXPECT_EQ(world.kind(datagram.fragment({0, 8, true})), Joined);
        EXPECT_EQ(world.joined(), datagram.whole());
        EXPECT_EQ(world.defragmenter().originals().size(), 5U);
    }
}

TEST(DefragmenterTest, ACopyWithOtherBytesIsAnOverlap) {
    for (const Kind kind : kKinds) {
        World world;
        const Datagram datagram(kind, 24);
        EXPECT_EQ(world.kind(datagram.fragment({8, 16, true})), Held);
        Bytes changed = datagram.fragment({8, 16, true});
        changed.back() = static_cast<std::uint8_t>(changed.back() ^ 1);
        EXPECT_EQ(world.refusal(changed), Event::FragmentOverlap);
        EXPECT_EQ(world.dropped(Event::FragmentOverlap), Numbers{1});
    }
}

// Every pair of different places in a small world: what overlaps is refused, and nothing else is.
TEST(DefragmenterTest, OverlapsAreRefusedAtEveryPosition) {
    for (const Kind kind : kKinds) {
        const Datagram datagram(kind, 64);
        for (std::uint32_t a = 0; a < 6 * 6 * 6 * 6; ++a) {
            const std::uint32_t b1 = a % 6;
            const std::uint32_t e1 = a / 6 % 6 + 1;
            const std::uint32_t b2 = a / 36 % 6;
            const std::uint32_t e2 = a / 216 + 1;
            if (b1 >= e1 || b2 >= e2) {
                continue;
            }
            World world;
            ASSERT_EQ(world.kind(datagram.fragment({b1 * 8, e1 * 8, true})), Held);
            const auto outcome = world.add(datagram.fragment({b2 * 8, e2 * 8, true}));
            if (b1 == b2 && e1 == e2) {
                ASSERT_EQ(outcome.kind, Duplicate);
            } else if (b1 < e2 && b2 < e1) {
                ASSERT_EQ(outcome.event, Event::FragmentOverlap) << b1 << e1 << b2 << e2;
                ASSERT_EQ(world.dropped(Event::FragmentOverlap), Numbers{1});
            } else {
                ASSERT_EQ(outcome.kind, Held);
            }
        }
    }
}

TEST(DefragmenterTest, WhatComesOfARefusedDatagramIsRefusedUntilItsTimeout) {
    FragmentSettings settings;
    World world(settings);
    const Datagram datagram({6}, 32);
    world.add(datagram.fragment({0, 16, true}));
    EXPECT_EQ(world.refusal(datagram.fragment({8, 24, true})), Event::FragmentOverlap);
    EXPECT_EQ(world.defragmenter().held_bytes(), 0U);
    EXPECT_EQ(world.refusal(datagram.fragment({16, 32, false})), Event::FragmentOverlap);
    EXPECT_TRUE(world.defragmenter().dropped().empty());
    const Instant end = Instant{} + settings.timeout;
    EXPECT_FALSE(world.defragmenter().due(Instant{end.ns - 1}));
    EXPECT_TRUE(world.defragmenter().due(end));
    world.defragmenter().expire(end);
    EXPECT_TRUE(world.defragmenter().dropped().empty());
    EXPECT_EQ(world.kind(datagram.fragment({16, 32, false}), end), Held);
}

TEST(DefragmenterTest, ImpossibleLengthsAreRefusedAlone) {
    for (const Kind kind : kKinds) {
        const std::uint32_t counted =
            kind.version == 4 ? (kind.extended ? 28 : 20) : (kind.extended ? 8 : 0);
        World world;
        const Datagram datagram(kind, 32);
        EXPECT_EQ(world.kind(datagram.fragment({0, 8, true})), Held);
        EXPECT_EQ(world.refusal(datagram.fragment({8, 15, true})), Event::FragmentBadLength);
        EXPECT_EQ(world.refusal(datagram.fragment({8, 8, true})), Event::FragmentBadLength);
        EXPECT_EQ(world.refusal(datagram.fragment({8, 8, false})), Event::FragmentBadLength);
        const std::uint32_t most = 65'535 - counted;
        EXPECT_EQ(world.refusal(datagram.fragment({65'000, most + 1, false})),
                  Event::FragmentBadLength);
        EXPECT_EQ(world.kind(datagram.fragment({65'000, most, false})), Held);
        EXPECT_TRUE(world.defragmenter().dropped().empty());
    }
}

TEST(DefragmenterTest, TheLargestDatagramIsJoined) {
    for (const Kind kind : kKinds) {
        const std::uint32_t counted =
            kind.version == 4 ? (kind.extended ? 28 : 20) : (kind.extended ? 8 : 0);
        World world;
        const Datagram datagram(kind, 65'535 - counted);
        EXPECT_EQ(world.kind(datagram.fragment({32'000, datagram.size(), false})), Held);
        EXPECT_EQ(world.kind(datagram.fragment({0, 32'000, true})), Joined);
        EXPECT_EQ(world.joined(), datagram.whole());
    }
}

TEST(DefragmenterTest, AFirstHeaderThatMakesItTooLargeIsRefused) {
    World world;
    const Datagram plain({4, false}, 65'515);
    const Datagram with_options({4, true}, 65'515);
    EXPECT_EQ(world.kind(plain.fragment({8, 65'515, false})), Held);
    EXPECT_EQ(world.refusal(with_options.fragment({0, 8, true})), Event::FragmentBadLength);
    EXPECT_EQ(world.dropped(Event::FragmentBadLength), Numbers{1});
}

TEST(DefragmenterTest, LastFragmentsThatContradictRefuseTheDatagram) {
    const Datagram datagram({4}, 64);
    const std::vector<std::pair<Cut, Cut>> pairs = {
        {{32, 40, false}, {40, 48, false}}, {{32, 40, false}, {16, 24, false}},
        {{32, 40, false}, {40, 48, true}},  {{32, 40, true}, {16, 24, false}},
        {{32, 40, false}, {32, 39, false}},
    };
    for (const auto& [first, second] : pairs) {
        World world;
        EXPECT_EQ(world.kind(datagram.fragment(first)), Held);
        EXPECT_EQ(world.refusal(datagram.fragment(second)), Event::FragmentBadLength);
        EXPECT_EQ(world.dropped(Event::FragmentBadLength), Numbers{1});
        EXPECT_EQ(world.refusal(datagram.fragment({0, 8, true})), Event::FragmentBadLength);
    }
    World world;
    EXPECT_EQ(world.kind(datagram.fragment({32, 40, false})), Held);
    EXPECT_EQ(world.refusal(datagram.fragment({32, 40, true})), Event::FragmentOverlap);
}

TEST(DefragmenterTest, ASnaplenCutFragmentIsRefused) {
    World world;
    Bytes bytes = Datagram({4}, 64).fragment({0, 32, true});
    bytes.resize(bytes.size() - 1);
    EXPECT_EQ(world.refusal(bytes), Event::FrameSnaplen);
    EXPECT_EQ(world.defragmenter().datagrams(), 0U);
}

TEST(DefragmenterTest, OldestDatagramGoesAtDatagramsMax) {
    World world({.datagrams_max = 3});
    for (std::uint32_t id = 1; id <= 3; ++id) {
        EXPECT_EQ(world.kind(Datagram({4}, 16, id).fragment({0, 8, true})), Held);
        EXPECT_TRUE(world.defragmenter().dropped().empty());
    }
    EXPECT_EQ(world.kind(Datagram({4}, 16, 4).fragment({0, 8, true})), Held);
    EXPECT_EQ(world.dropped(Event::FragmentLimit), Numbers{1});
    EXPECT_EQ(world.defragmenter().datagrams(), 3U);
    EXPECT_EQ(world.kind(Datagram({4}, 16, 2).fragment({8, 16, false})), Joined);
    EXPECT_EQ(World({.datagrams_max = 0}).refusal(Datagram({4}, 16).fragment({0, 8, true})),
              Event::FragmentLimit);
}

TEST(DefragmenterTest, AReminderGoesBeforeAHeldDatagram) {
    World world({.datagrams_max = 2});
    world.add(Datagram({4}, 32, 1).fragment({0, 8, true}));
    world.add(Datagram({4}, 32, 2).fragment({0, 16, true}));
    EXPECT_EQ(world.refusal(Datagram({4}, 32, 2).fragment({8, 16, true})), Event::FragmentOverlap);
    EXPECT_EQ(world.kind(Datagram({4}, 32, 3).fragment({0, 8, true})), Held);
    EXPECT_TRUE(world.defragmenter().dropped().empty());
    EXPECT_EQ(world.kind(Datagram({4}, 32, 1).fragment({8, 32, false})), Joined);
}

TEST(DefragmenterTest, ADatagramIsRefusedBeyondFragmentsPerDatagramMax) {
    const Datagram datagram({4}, 32);
    World exact({.fragments_per_datagram_max = 4});
    World less({.fragments_per_datagram_max = 3});
    for (const Cut cut : {Cut{0, 8, true}, Cut{8, 16, true}, Cut{16, 24, true}}) {
        EXPECT_EQ(exact.kind(datagram.fragment(cut)), Held);
        EXPECT_EQ(less.kind(datagram.fragment(cut)), Held);
    }
    EXPECT_EQ(exact.kind(datagram.fragment({24, 32, false})), Joined);
    EXPECT_EQ(less.refusal(datagram.fragment({24, 32, false})), Event::FragmentLimit);
    EXPECT_EQ(less.dropped(Event::FragmentLimit), (Numbers{1, 2, 3}));
    EXPECT_EQ(less.defragmenter().held_bytes(), 0U);
}

TEST(DefragmenterTest, OldestDatagramGoesAtBytesMax) {
    const Bytes frame = Datagram({4}, 64, 1).fragment({0, 8, true});
    const auto charge = static_cast<std::uint32_t>(Defragmenter::charge(frame.size()));
    World world({.bytes_max = 3 * charge});
    for (std::uint32_t id = 1; id <= 3; ++id) {
        EXPECT_EQ(world.kind(Datagram({4}, 64, id).fragment({0, 8, true})), Held);
    }
    EXPECT_EQ(world.defragmenter().held_bytes(), 3 * charge);
    EXPECT_EQ(world.kind(Datagram({4}, 64, 3).fragment({8, 16, true})), Held);
    EXPECT_EQ(world.dropped(Event::FragmentLimit), Numbers{1});
    EXPECT_EQ(world.refusal(Datagram({4}, 64, 1).fragment({8, 16, true})), Event::FragmentLimit);
    EXPECT_EQ(world.refusal(Datagram({4}, 64, 2).fragment({8, 16, true})), Event::FragmentLimit)
        << "the oldest one is the one at hand";
    EXPECT_EQ(world.dropped(Event::FragmentLimit), Numbers{2});
    World tiny({.bytes_max = charge - 1});
    EXPECT_EQ(tiny.refusal(frame), Event::FragmentLimit);
}

TEST(DefragmenterTest, TimesOutByItsFirstFragment) {
    FragmentSettings settings;
    World world(settings);
    const Instant start{1000};
    world.add(Datagram({4}, 64, 1).fragment({0, 8, true}), start);
    world.add(Datagram({4}, 64, 2).fragment({0, 8, true}), Instant{10});  // Time ran backwards.
    world.add(Datagram({4}, 64, 1).fragment({8, 16, true}), Instant{900});
    EXPECT_FALSE(world.defragmenter().due(Instant{9} + settings.timeout));
    EXPECT_EQ(world.defragmenter().wakes_at(), Instant{10} + settings.timeout);
    EXPECT_TRUE(world.defragmenter().due(Instant{10} + settings.timeout));
    world.defragmenter().expire(Instant{10} + settings.timeout);
    EXPECT_EQ(world.dropped(Event::FragmentTimeout), Numbers{2});
    EXPECT_FALSE(world.defragmenter().due(Instant{999} + settings.timeout));
    world.defragmenter().expire(start + settings.timeout);
    EXPECT_EQ(world.dropped(Event::FragmentTimeout), (Numbers{1, 3}));
    EXPECT_EQ(world.defragmenter().datagrams(), 0U);
    EXPECT_EQ(world.defragmenter().wakes_at(), Instant{INT64_MAX});
}

TEST(DefragmenterTest, FinishGivesUpAllThatIsHeld) {
    World world;
    world.add(Datagram({4}, 64, 1).fragment({0, 8, true}));
    world.add(Datagram({6}, 64, 2).fragment({0, 8, true}));
    world.add(Datagram({4}, 64, 1).fragment({8, 16, true}));
    world.defragmenter().finish();
    EXPECT_EQ(world.dropped(Event::FragmentTimeout), (Numbers{1, 3, 2}));
    EXPECT_EQ(world.defragmenter().held_bytes(), 0U);
}

// A flood over few keys with small limits: every frame is accounted for once, limits hold.
TEST(DefragmenterTest, EveryFrameIsAccountedForOnce) {
    for (unsigned seed = 1; seed <= 20; ++seed) {
        SCOPED_TRACE(seed);
        std::mt19937 random(seed);
        const FragmentSettings settings{.datagrams_max = 5,
                                        .fragments_per_datagram_max = 6,
                                        .bytes_max = 4000,
                                        .timeout = kSecond};
        World world(settings);
        Defragmenter& defragmenter = world.defragmenter();
        std::vector<int> seen(3001);
        const auto count_dropped = [&] {
            for (const auto& dropped : defragmenter.dropped()) {
                ++seen[dropped.number];
            }
        };
        Instant now;
        for (std::uint64_t number = 1; number < seen.size(); ++number) {
            now = now + kMillisecond * static_cast<std::int64_t>(random() % 50);
            if (defragmenter.due(now)) {
                defragmenter.expire(now);
                count_dropped();
            }
            const Datagram datagram(kKinds[random() % 4], 32,
                                    static_cast<std::uint32_t>(random()) % 6);
            const auto begin = static_cast<std::uint32_t>(random() % 4);
            const bool more = begin != 3 || random() % 20 == 0;
            const auto size = random() % 16 == 0 ? 16U : 8U;
            const auto outcome =
                world.add(datagram.fragment({begin * 8, begin * 8 + size, more}), now);
            count_dropped();
            seen[number] += outcome.kind == Refused ? 1 : 0;
            for (const Frame& frame : defragmenter.originals()) {
                ++seen[frame.number];
            }
            ASSERT_LE(defragmenter.datagrams(), settings.datagrams_max);
            ASSERT_LE(defragmenter.held_bytes(), settings.bytes_max);
        }
        defragmenter.finish();
        count_dropped();
        EXPECT_EQ(std::count(seen.begin() + 1, seen.end(), 1), std::ssize(seen) - 1);
    }
}

}  // namespace
}  // namespace haka::flow
