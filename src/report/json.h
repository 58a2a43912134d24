// Appends JSON to a string, one compact line a record. It keeps commas right; that every object is
// closed is the caller's duty.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace haka::report {

// `text` in quotes. Any bytes: valid UTF-8 stays, control characters and each byte that isn't UTF-8
// become \u00XX, so the result is always one valid JSON string on one line.
void append_json_string(std::string& out, std::string_view text);

// Keys are written as they are: only names of our own.
class JsonWriter {
public:
    explicit JsonWriter(std::string& out) : out_(out) {}

    void begin_object() { open('{'); }
    void begin_object(std::string_view key) {
        this->key(key);
        open('{');
    }
    void end_object() { close('}'); }
    void begin_array(std::string_view key) {
        this->key(key);
        open('[');
    }
    void end_array() { close(']'); }

    // Members of an object.
    void text(std::string_view key, std::string_view value);
    void number(std::string_view key, std::uint64_t value);
    // NaN and infinities, which JSON lacks, become null.
    void real(std::string_view key, double value);
    void boolean(std::string_view key, bool value);
    // A key whose value the caller appends to the string right away; it must be valid JSON.
    std::string& raw(std::string_view key) {
        this->key(key);
        comma_ = true;
        return out_;
    }

    // Elements of an array.
    void element(std::string_view value);
    void element(std::uint64_t value);

private:
    void separate() {
        if (comma_) {
            out_ += ',';
        }
    }
    void key(std::string_view name) {
        separate();
        out_ += '"';
        out_ += name;
        out_ += "\":";
        comma_ = false;
    }
    void open(char bracket) {
        separate();
        out_ += bracket;
        comma_ = false;
    }
    void close(char bracket) {
        out_ += bracket;
        comma_ = true;
    }

    std::string& out_;
    bool comma_ = false;  // Something stands before the next item in this object or array.
};

}  // namespace haka::report
