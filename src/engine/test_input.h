// Captures and policies for the tests beside it: packets of TCP conversations with right numbers,
// written to a file that is gone after the test.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "capture/file_reader.h"
#include "capture/file_writer.h"
#include "capture/test_folder.h"
#include "wire/build.h"
#include "wire/ethernet.h"
#include "wire/tcp.h"

namespace haka::engine::test {

using Bytes = std::vector<std::uint8_t>;

struct Packet {
    Bytes bytes;
    Instant when{};
    std::uint32_t interface = 0;
};

// A client of its own address for each port, server 10.1.0.1; each call is one packet. Bytes are in
// order, each packet acknowledges what came before it.
class Conversation {
public:
    explicit Conversation(std::uint16_t client_port, std::uint16_t server_port = 80)
        : addresses_{Address::ipv4(0x0a000000U + client_port), Address::ipv4(0x0a010001)},
          ports_{client_port, server_port} {}

    Bytes syn() { return packet(0, wire::kSyn, {}); }
    Bytes syn_ack() { return packet(1, wire::kSyn | wire::kAck, {}); }
    Bytes ack() { return packet(0, wire::kAck, {}); }
    Bytes send(std::string_view text) { return packet(0, wire::kAck | wire::kPsh, as_bytes(text)); }
    Bytes answer(std::string_view text) {
        return packet(1, wire::kAck | wire::kPsh, as_bytes(text));
    }
    Bytes fin() { return packet(0, wire::kAck | wire::kFin, {}); }
    Bytes answer_fin() { return packet(1, wire::kAck | wire::kFin, {}); }

private:
    Bytes packet(std::size_t from, std::uint8_t flags, ByteView payload) {
        Bytes frame;
        const std::size_t to = 1 - from;
        const bool acks = (flags & wire::kAck) != 0;
        wire::build_tcp(wire::ethernet_header({.type = wire::kEtherTypeIpv4}),
                        {.src = addresses_.at(from), .dst = addresses_.at(to)},
                        {.srcport = ports_.at(from),
                         .dstport = ports_.at(to),
                         .seq = next_.at(from),
                         .ack_seq = acks ? next_.at(to) : 0,
                         .flags = flags,
                         .window_size = 65535},
                        payload, frame);
        const bool counts = (flags & (wire::kSyn | wire::kFin)) != 0;
        next_.at(from) += static_cast<std::uint32_t>(payload.size()) + (counts ? 1U : 0U);
        return frame;
    }

    std::array<Address, 2> addresses_;
    std::array<std::uint16_t, 2> ports_;
    std::array<std::uint32_t, 2> next_{1000, 5000};
};

// From SYN to the last ACK, one packet a millisecond from `begin` on: ten packets.
inline std::vector<Packet> whole_connection(std::uint16_t client_port, Instant begin = {},
                                            std::string_view request = "a question") {
    Conversation talk(client_port);
    std::vector<Packet> packets;
    const auto add = [&](Bytes bytes) {
        const auto count = static_cast<std::int64_t>(packets.size());
        packets.push_back({.bytes = std::move(bytes), .when = begin + kMillisecond * count});
    };
    add(talk.syn());
    add(talk.syn_ack());
    add(talk.ack());
    add(talk.send(request));
    add(talk.answer("an answer"));
    add(talk.send("another question"));
    add(talk.answer("another answer"));
    add(talk.fin());
    add(talk.answer_fin());
    add(talk.ack());
    return packets;
}

// Many connections, their packets interleaved.
inline std::vector<Packet> crowd(std::uint16_t connections) {
    std::vector<std::vector<Packet>> each;
    for (std::uint16_t i = 0; i < connections; ++i) {
        each.push_back(whole_connection(static_cast<std::uint16_t>(20'000 + i)));
    }
    std::vector<Packet> packets;
    for (std::size_t place = 0; place < each.front().size(); ++place) {
        for (const auto& connection : each) {
            const auto count = static_cast<std::int64_t>(packets.size());
            packets.push_back({.bytes = connection[place].bytes, .when = {count * 1'000}});
        }
    }
    return packets;
}

inline std::string write_capture(const std::string& path, const std::vector<Packet>& packets,
                                 const std::vector<capture::Interface>& interfaces = {{}}) {
    const auto opened = capture::FileWriter::open(path);
    opened.writer->describe(interfaces);
    for (const Packet& packet : packets) {
        opened.writer->write({.interface = &interfaces.at(packet.interface),
                              .interface_index = packet.interface,
                              .when = packet.when,
                              .original_size = static_cast<std::uint32_t>(packet.bytes.size()),
                              .bytes = packet.bytes,
                              .comment = {}});
    }
    opened.writer->flush();
    return path;
}

inline std::vector<Bytes> read_capture(const std::string& path) {
    std::vector<Bytes> packets;
    const auto opened = capture::FileReader::open(path);
    capture::Block block;
    while (opened.reader != nullptr && opened.reader->read(block)) {
        for (const Frame& frame : block.frames) {
            packets.emplace_back(frame.data, frame.data + frame.size);
        }
    }
    return packets;
}

inline std::vector<Bytes> bytes_of(const std::vector<Packet>& packets) {
    std::vector<Bytes> bytes;
    for (const Packet& packet : packets) {
        bytes.push_back(packet.bytes);
    }
    return bytes;
}

}  // namespace haka::engine::test
