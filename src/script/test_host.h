// A host that keeps what a policy says and refuses whatever else it asks: for the tests beside it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "script/abi.h"
#include "script/host.h"

namespace haka::script::test {

class TestHost final : public Host {
public:
    bool log(report::LogLevel, std::string_view module, std::string_view text) override {
        logs.push_back(std::string(module) + ": " + std::string(text));
        return !full;
    }
    bool print(std::string_view line) override {
        prints.emplace_back(line);
        if (on_print) {
            on_print();
        }
        return !full;
    }
    std::uint64_t alert(report::Alert& alert) override {
        if (full) {
            return 0;
        }
        if (!alert.is_update) {
            alert.reference = alerts.size() + 1;
        }
        alerts.push_back(alert);
        return alert.reference;
    }
    int packet_new(std::uint32_t, std::uint32_t&) override { return 1; }
    int packet_resize(std::uint32_t, std::uint32_t) override { return 1; }
    int packet_take(std::uint32_t, std::uint32_t&) override { return 1; }
    int packet_send(std::uint32_t) override { return 1; }
    void packet_drop(std::uint32_t) override {}
    void packet_keep(std::uint32_t, bool) override {}
    void packet_parse(std::uint32_t) override {}
    bool checksum_ok(std::uint32_t, bool) override { return false; }
    void checksum_set(std::uint32_t, bool) override {}
    std::uint32_t packet_mark(std::uint32_t) override { return 0; }
    int packet_set_mark(std::uint32_t, std::uint32_t) override { return HAKA_NO_MARKS; }
    std::uint32_t connection_touch() override { return 0; }
    std::uint32_t connection_of(std::uint32_t, bool&, bool&) override { return 0; }
    int connection_new(std::uint32_t, std::uint32_t&) override { return 1; }
    void connection_refresh(std::uint32_t) override {}
    int connection_close(std::uint32_t) override { return 1; }
    int stream_edit(std::uint32_t, double, std::uint32_t, std::string_view) override { return 1; }
    int connection_drop(std::uint32_t) override { return 1; }
    int connection_reset(std::uint32_t) override { return 1; }
    int http_part(std::uint32_t, std::uint32_t, std::string_view&) override {
        return HAKA_HTTP_NO_MESSAGE;
    }
    int http_find(std::uint32_t, std::string_view, std::uint32_t, std::string_view&) override {
        return HAKA_HTTP_NO_MESSAGE;
    }
    bool http_item(std::uint32_t, std::uint32_t, std::string_view&, std::string_view&) override {
        return false;
    }
    int http_set_part(std::uint32_t, std::uint32_t, std::string_view) override {
        return HAKA_HTTP_NO_MESSAGE;
    }
    int http_set_header(std::uint32_t, int, std::string_view, std::string_view) override {
        return HAKA_HTTP_NO_MESSAGE;
    }
    int http_open_body(std::uint32_t) override { return HAKA_HTTP_NO_MESSAGE; }
    int http_edit_body() override { return HAKA_HTTP_NO_MESSAGE; }
    int http_respond(std::string_view) override { return HAKA_HTTP_NO_MESSAGE; }
    std::string_view http_problem() const override { return {}; }
    void choose_dissector(std::string_view) override {}
    std::string_view next_dissector() const override { return {}; }
    void rule_time(std::uint32_t rule, double) override { timed.push_back(rule); }

    std::vector<report::Alert> alerts;
    std::vector<std::string> logs;
    std::vector<std::string> prints;
    std::vector<std::uint32_t> timed;  // Rules, by number.
    std::function<void()> on_print;
    bool full = false;
};

}  // namespace haka::script::test
