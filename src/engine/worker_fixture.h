// For tests of a worker: loads a policy, walks packets, keeps what came of them.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "engine/test_input.h"
#include "engine/worker.h"

namespace haka::engine::test {

// What a worker put into its journal.
struct Said {
    std::string prints;
    std::string logs;
    std::vector<Bytes> packets;
    std::vector<std::string> comments;
    std::string alerts;
    std::string eve;
};

class WorkerTest : public testing::Test {
protected:
    WorkerTest() {
        options_.writes_packets = true;
        options_.settings.seed = 1;
    }

    void load(std::string_view policy) {
        options_.script.policy = folder_.write("policy.lua", as_bytes(policy));
        options_.script.lua = options_.settings.lua;
        Worker::Made made = Worker::make(options_);
        ASSERT_NE(made.worker, nullptr) << made.error;
        worker_ = std::move(made.worker);
    }
    // Walks the packets as one block.
    Said walk(const std::vector<Packet>& packets) {
        std::vector<Bytes> bytes = bytes_of(packets);
        std::vector<Frame> frames;
        for (std::size_t i = 0; i < packets.size(); ++i) {
            const auto size = static_cast<std::uint32_t>(bytes[i].size());
            frames.push_back({.data = bytes[i].data(),
                              .size = size,
                              .original_size = size,
                              .when = packets[i].when,
                              .number = ++number_,
                              .interface = packets[i].interface});
        }
        Journal journal;
        worker_->walk(frames, journal, stop_);
        return said(journal);
    }
    Said finish() {
        Journal journal;
        worker_->finish(journal);
        return said(journal);
    }
    static Said said(Journal& journal) {
        std::vector<std::uint8_t> bytes;
        journal.take(bytes);
        Said all;
        for (RecordReader record(bytes); !record.done(); record.next()) {
            if (record.head().kind == RecordKind::Print) {
                all.prints += record.first();
            } else if (record.head().kind == RecordKind::Log) {
                all.logs += record.first();
            } else if (record.head().kind == RecordKind::Alert) {
                all.alerts += record.first();
                all.eve += record.second();
            } else if (record.head().kind == RecordKind::Packet) {
                const ByteView packet = as_bytes(record.second());
                all.packets.emplace_back(packet.begin(), packet.end());
                all.comments.emplace_back(record.first());
            }
        }
        return all;
    }
    [[nodiscard]] std::uint64_t counted(Event event) const {
        return worker_->summary().events.at(static_cast<std::size_t>(event));
    }
    [[nodiscard]] std::uint64_t ended(flow::EndReason reason) const {
        return worker_->summary().connections_ended.at(static_cast<std::size_t>(reason));
    }
    [[nodiscard]] std::uint64_t dropped(Event event) const {
        return worker_->summary().drops.at(static_cast<std::size_t>(event));
    }

    capture::test::Folder folder_;
    WorkerOptions options_;
    std::unique_ptr<Worker> worker_;
    std::atomic<bool> stop_{false};
    std::uint64_t number_ = 0;
};

}  // namespace haka::engine::test
