#include "capture/gzip_source.h"

#include <zlib.h>

#include <gtest/gtest.h>

#include "capture/test_captures.h"

namespace haka::capture {
namespace {

using test::Bytes;
using test::Pcap;
using test::read_bytes;

Bytes gzip(ByteView plain) {
    z_stream stream{};
    EXPECT_EQ(deflateInit2(&stream, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
    Bytes input(plain.begin(), plain.end());
    Bytes packed(deflateBound(&stream, plain.size()) + 64);
    stream.next_in = input.data();
    stream.avail_in = static_cast<uInt>(input.size());
    stream.next_out = packed.data();
    stream.avail_out = static_cast<uInt>(packed.size());
    EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
    packed.resize(stream.total_out);
    deflateEnd(&stream);
    return packed;
}

Bytes capture() {
    Pcap file;
    for (std::uint32_t i = 0; i < 100; ++i) {
        file.packet("packet number " + std::to_string(i * 7919), {.seconds = i});
    }
    return file.bytes();
}

TEST(GzipSourceTest, IsKnownByItsBytes) {
    EXPECT_TRUE(looks_like_gzip(gzip({})));
    EXPECT_FALSE(looks_like_gzip(capture()));
    EXPECT_FALSE(looks_like_gzip(as_bytes("\x1f")));
}

TEST(GzipSourceTest, FramesAreTheSameAsUnpacked) {
    const Bytes bytes = capture();
    const Bytes packed = gzip(bytes);
    const auto plain = read_bytes(bytes);
    for (const std::size_t step : {std::size_t{1}, std::size_t{100}, SIZE_MAX}) {
        for (const std::size_t block_size : {std::size_t{1}, std::size_t{1000}, kBlockSize}) {
            const auto all = read_bytes(packed, {.block_size = block_size, .step = step});
            EXPECT_EQ(all.frames, plain.frames);
            EXPECT_EQ(all.damage, "");
        }
    }
}

TEST(GzipSourceTest, JoinsMembersAndPassesOverPadding) {
    const Bytes bytes = capture();
    const auto plain = read_bytes(bytes);
    Bytes packed;
    for (std::size_t at = 0; at < bytes.size(); at += 500) {
        const ByteView rest = ByteView(bytes).subspan(at);
        const Bytes member = gzip(rest.first(std::min<std::size_t>(rest.size(), 500)));
        packed.insert(packed.end(), member.begin(), member.end());
    }
    packed.insert(packed.end(), 1000, 0);
    for (const std::size_t step : {std::size_t{1}, SIZE_MAX}) {
        const auto all = read_bytes(packed, {.step = step});
        EXPECT_EQ(all.frames, plain.frames);
        EXPECT_EQ(all.damage, "");
    }
}

TEST(GzipSourceTest, EveryTruncationGivesWhatWasBefore) {
    const Bytes packed = gzip(capture());
    const auto plain = read_bytes(capture());
    std::size_t most = 0;
    for (std::size_t cut = 2; cut < packed.size(); ++cut) {
        const auto all = read_bytes(ByteView(packed).first(cut));
        ASSERT_TRUE(std::equal(all.frames.begin(), all.frames.end(), plain.frames.begin()));
        const std::string& message = all.error.empty() ? all.damage : all.error;
        ASSERT_EQ(message.substr(0, 33), "x: gzip stream truncated at byte ") << cut;
        most = std::max(most, all.frames.size());
    }
    EXPECT_EQ(most, plain.frames.size());  // When its last bytes, a checksum, are missing.
}

TEST(GzipSourceTest, NamesDamageAndTheUncompressedOffset) {
    const Bytes bytes = capture();
    Bytes packed = gzip(bytes);
    packed[packed.size() - 5] ^= 1;  // In the checksum: all data was fine.
    const auto all = read_bytes(packed);
    EXPECT_EQ(all.frames.size(), 100U);
    EXPECT_EQ(all.damage, "x: gzip stream damaged (incorrect data check) at byte " +
                              std::to_string(bytes.size()) +
                              " of the uncompressed data (behind packet 100)");
}

TEST(GzipSourceTest, NamesBytesBehindItsEnd) {
    Bytes packed = gzip(capture());
    packed.insert(packed.end(), {'j', 'u', 'n', 'k'});
    const auto all = read_bytes(packed);
    EXPECT_EQ(all.frames.size(), 100U);
    EXPECT_NE(all.damage.find("gzip stream damaged (incorrect header check)"), std::string::npos);
}

TEST(GzipSourceTest, AnEmptyOneIsAnEmptyFile) {
    EXPECT_EQ(read_bytes(gzip({})).error, "x: the file is empty; capture it again");
}

TEST(GzipSourceTest, CountsThePackedBytes) {
    const Bytes packed = gzip(capture());
    auto opened = BlockReader::open(memory_source(packed), "x");
    ASSERT_TRUE(opened.reader);
    EXPECT_EQ(opened.reader->size(), packed.size());
    EXPECT_LE(opened.reader->position(), packed.size());
    (void)test::read_all(*opened.reader);
    EXPECT_EQ(opened.reader->position(), packed.size());
}

}  // namespace
}  // namespace haka::capture
