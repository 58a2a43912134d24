// A cursor over one line that remembers the first thing that was wrong, and where. For
// text_parse.cc alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace haka::wire::detail {

// Every reader returns false once something failed, and then moves no further.
class TextReader {
public:
    // `line` must outlive the reader and what word() returns.
    explicit TextReader(std::string_view line) : line_(line) {}

    [[nodiscard]] bool at_end() const { return at_ == line_.size(); }
    [[nodiscard]] bool sees(std::string_view text) const { return rest().starts_with(text); }
    // Two hex digits and a colon, twice: no IP or IPv6 line starts so.
    [[nodiscard]] bool sees_mac() const;
    void move_to(std::size_t offset) { at_ = offset; }

    // Steps over `text` if it is next.
    bool accept(std::string_view text);
    bool expect(std::string_view text);
    // Up to the next space or the end.
    std::string_view word();

    template <typename T>
    bool number(T& value, std::uint64_t most = std::numeric_limits<T>::max()) {
        std::uint64_t wide = 0;
        if (!read_number(wide, most)) {
            return false;
        }
        value = static_cast<T>(wide);
        return true;
    }
    // The whole of `text` as a number; doesn't move and remembers nothing.
    [[nodiscard]] static bool number_in(std::string_view text, std::uint16_t& value);
    // 0x and an even number of digits, none included.
    bool hex(std::vector<std::uint8_t>& bytes);
    bool hex_byte(std::uint8_t& byte);
    // "text" with \" \\ \n \r \t \xNN.
    bool quoted(std::vector<std::uint8_t>& bytes);

    // Always false. The first failure stays.
    bool fail(std::string_view why) { return fail_from(at_, why); }
    // `part` lies in the line.
    bool fail_at(std::string_view part, std::string_view why);
    [[nodiscard]] const std::string& error() const { return error_; }
    [[nodiscard]] std::size_t error_column() const { return error_column_; }

private:
    [[nodiscard]] std::string_view rest() const { return line_.substr(at_); }
    bool read_number(std::uint64_t& value, std::uint64_t most);
    bool read_escape(std::uint8_t& byte);
    bool fail_from(std::size_t offset, std::string_view why);

    std::string_view line_;
    std::size_t at_ = 0;
    std::string error_;
    std::size_t error_column_ = 0;
};

}  // namespace haka::wire::detail
