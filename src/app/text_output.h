// A file descriptor that takes text. At a terminal each write leaves at once; elsewhere text is
// gathered, so that a million log lines don't cost a million system calls.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace haka::app {

class TextOutput {
public:
    enum class Gather : bool { No, Yes };

    // Does not own `fd`.
    TextOutput(int fd, Gather gather) : fd_(fd), gather_(gather == Gather::Yes) {}

    // False from the first failure on (disk full, closed pipe); nothing more is written then.
    bool write(std::string_view text);
    bool flush();
    [[nodiscard]] bool failed() const { return failure_ != 0; }
    [[nodiscard]] std::string failure() const;  // `No space left on device`.
    // Whether both end up in the same file, terminal or pipe.
    [[nodiscard]] bool is_same_as(const TextOutput& other) const;

private:
    static constexpr std::size_t kGatherMax = 65'536;

    bool write_out(std::string_view text);

    int fd_;
    bool gather_;
    int failure_ = 0;  // errno of the first failure.
    std::string gathered_;
};

}  // namespace haka::app
