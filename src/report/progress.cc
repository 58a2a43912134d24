#include "report/progress.h"

#include <algorithm>

#include "report/text.h"

namespace haka::report {

namespace {

constexpr std::size_t kBarMax = 40;
constexpr std::size_t kBarMin = 5;

std::size_t line_columns(const ConsoleStyle& style) {
    // The last column stays free: many terminals go to the next line when it is written.
    return style.width > 1 ? static_cast<std::size_t>(style.width) - 1 : 79;
}

// 0:12, 12:34, 1:02:03.
void append_clock(std::string& out, double seconds) {
    constexpr double kMost = 99 * 3600 + 59 * 60 + 59;
    const auto whole = static_cast<std::uint64_t>(std::clamp(seconds, 0.0, kMost));
    const auto two = [&out](std::uint64_t value) {
        out += static_cast<char>('0' + value / 10);
        out += static_cast<char>('0' + value % 10);
    };
    if (whole >= 3600) {
        append_number(out, whole / 3600);
        out += ':';
        two(whole / 60 % 60);
    } else {
        append_number(out, whole / 60);
    }
    out += ':';
    two(whole % 60);
}

void append_bar(std::string& out, double fraction, std::size_t size) {
    const auto done = static_cast<std::size_t>(fraction * static_cast<double>(size));
    out += '[';
    out.append(done, '=');
    if (done < size) {
        out += '>';
        out.append(size - done - 1, ' ');
    }
    out += "] ";
}

}  // namespace

void append_progress(std::string& out, const Progress& progress, const ConsoleStyle& style) {
    const std::size_t width = line_columns(style);
    const double seconds = static_cast<double>(progress.elapsed.ns) / 1e9;
    std::string text;
    double fraction = 0;
    if (progress.fraction) {
        // Not a number counts as 0.
        fraction = *progress.fraction > 0 ? std::min(*progress.fraction, 1.0) : 0;
        const auto percent = static_cast<std::uint64_t>(fraction * 100);
        text.append(percent < 10 ? 2 : percent < 100 ? 1 : 0, ' ');
        append_number(text, percent);
        text += " %  ";
    }
    append_grouped(text, progress.packets);
    text += " packets";
    if (seconds > 0) {
        text += "  ";
        append_rounded(text, static_cast<double>(progress.packets) / seconds);
        text += "/s";
    }
    if (fraction > 0 && seconds > 0) {
        text += "  ";
        append_clock(text, seconds * (1 - fraction) / fraction);
        text += " left";
    }
    if (text.size() > width) {
        text.resize(width);
    }
    out += '\r';
    const std::size_t start = out.size();
    const std::size_t left = width - text.size();
    if (progress.fraction && left >= kBarMin + 3) {
        append_bar(out, fraction, std::min(left - 3, kBarMax));
    }
    out += text;
    out.append(width - (out.size() - start), ' ');
}

void append_progress_end(std::string& out, const ConsoleStyle& style) {
    out += '\r';
    out.append(line_columns(style), ' ');
    out += '\r';
}

}  // namespace haka::report
