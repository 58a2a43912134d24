// One end of the bridge: an AF_PACKET socket that sees every frame of its interface, in batches.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include <sys/socket.h>

#include "base/bytes.h"

namespace haka::live {

constexpr std::size_t kBatch = 64;
constexpr std::size_t kFrameSizeMax = 2048;  // More than the MTU of the interfaces used here.

class Wire {
public:
    Wire() = default;
    ~Wire();
    Wire(const Wire&) = delete;
    Wire& operator=(const Wire&) = delete;

    // Empty when it worked, else what didn't.
    [[nodiscard]] std::string open(const std::string& interface);
    [[nodiscard]] int fd() const { return fd_; }

    // What has come, at most kBatch frames; never waits. They lie in buffers that the next call
    // writes over.
    [[nodiscard]] std::vector<MutableByteView> receive();
    // Queues a copy; leaves by flush() at the latest.
    void send(ByteView frame);
    void flush();

    [[nodiscard]] std::uint64_t sent() const { return sent_; }
    // Frames that the kernel refused to send: longer than the MTU, for one.
    [[nodiscard]] std::uint64_t refused() const { return refused_; }
    // Frames that came faster than they were received; the kernel's count.
    [[nodiscard]] std::uint64_t missed() const;

private:
    using Buffer = std::array<std::uint8_t, kFrameSizeMax>;

    int fd_ = -1;
    std::vector<Buffer> in_;
    std::vector<iovec> in_parts_;
    std::vector<mmsghdr> in_heads_;
    std::vector<Buffer> out_;
    std::vector<iovec> out_parts_;
    std::vector<mmsghdr> out_heads_;
    std::size_t queued_ = 0;
    std::uint64_t sent_ = 0;
    std::uint64_t refused_ = 0;
};

}  // namespace haka::live
