#include "capture/gzip_source.h"

#include <algorithm>
#include <cassert>
#include <fmt/format.h>
#include <limits>
#include <zlib.h>

namespace haka::capture {
namespace {

constexpr std::size_t kPackedSize = 256 * 1024;
constexpr int kGzipOnly = 16 + MAX_WBITS;  // zlib's way to say: a gzip header, largest window.

class GzipSource final : public ByteSource {
public:
    GzipSource(std::unique_ptr<ByteSource> packed, std::vector<std::uint8_t> first_bytes)
        : packed_(std::move(packed)), input_(std::move(first_bytes)) {
        stream_.next_in = input_.data();
        stream_.avail_in = static_cast<uInt>(input_.size());
        is_alive_ = ::inflateInit2(&stream_, kGzipOnly) == Z_OK;
    }
    ~GzipSource() override { ::inflateEnd(&stream_); }
    GzipSource(const GzipSource&) = delete;
    GzipSource& operator=(const GzipSource&) = delete;

    Got read(MutableByteView out, Wait wait) override {
        if (!is_alive_) {
            return failed("not enough memory to inflate");
        }
        for (;;) {
            if (is_between_members_) {
                skip_padding();
            }
            if (stream_.avail_in == 0 && !may_hold_output_) {
                Got more = refill(wait);
                if (more.state == State::End && !is_between_members_) {
                    return failed("gzip stream truncated");
                }
                if (more.state != State::Data) {
                    return more;
                }
                continue;
            }
            if (is_between_members_) {
                if (::inflateReset(&stream_) != Z_OK) {
                    return failed("gzip stream damaged");
                }
                is_between_members_ = false;
            }
            Got got = inflate_into(out);
            if (got.state != State::Later) {
                return got;
            }
        }
    }

    std::uint64_t size() const override { return packed_->size(); }
    std::uint64_t position() const override { return packed_->position() - stream_.avail_in; }

private:
    static Got failed(std::string why) {
        return {.state = State::Failed, .size = 0, .error = std::move(why)};
    }

    Got refill(Wait wait) {
        input_.resize(kPackedSize);
        Got got = packed_->read(input_, wait);
        stream_.next_in = input_.data();
        stream_.avail_in = static_cast<uInt>(got.size);
        return got;
    }

    // gzip(1) too passes over zeros behind a member: tapes and block devices pad with them.
    void skip_padding() {
        while (stream_.avail_in > 0 && *stream_.next_in == 0) {
            ++stream_.next_in;
            --stream_.avail_in;
        }
    }

    // Later: all input went in and nothing came out yet.
    Got inflate_into(MutableByteView out) {
        const auto room =
            static_cast<uInt>(std::min<std::size_t>(out.size(), std::numeric_limits<uInt>::max()));
        stream_.next_out = out.data();
        stream_.avail_out = room;
        const int result = ::inflate(&stream_, Z_SYNC_FLUSH);
        const std::size_t size = room - stream_.avail_out;
        may_hold_output_ = stream_.avail_out == 0;
        if (result == Z_STREAM_END) {
            is_between_members_ = true;
            may_hold_output_ = false;
        } else if (result != Z_OK && result != Z_BUF_ERROR) {
            is_broken_ = true;
        }
        if (size > 0) {
            return {.state = State::Data, .size = size, .error = {}};
        }
        if (is_broken_) {
            const char* why = stream_.msg != nullptr ? stream_.msg : "no reason given";
            return failed(fmt::format("gzip stream damaged ({})", why));
        }
        return {.state = State::Later, .size = 0, .error = {}};
    }

    std::unique_ptr<ByteSource> packed_;
    std::vector<std::uint8_t> input_;
    z_stream stream_{};
    bool is_alive_ = false;
    bool is_broken_ = false;
    bool is_between_members_ = false;
    bool may_hold_output_ = false;  // inflate() filled all it was given; more may be inside.
};

}  // namespace

bool looks_like_gzip(ByteView first_bytes) {
    return first_bytes.size() >= 2 && first_bytes[0] == 0x1f && first_bytes[1] == 0x8b;
}

std::unique_ptr<ByteSource> gzip_source(std::unique_ptr<ByteSource> packed,
                                        std::vector<std::uint8_t> first_bytes) {
    return std::make_unique<GzipSource>(std::move(packed), std::move(first_bytes));
}

}  // namespace haka::capture
