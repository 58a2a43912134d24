// What is drawn for one history: numbers within ranges, the simplest of each range first, so that
// a failing plan shrinks towards a plain transfer. A plan's text replays it.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace haka::model {

// X(enumerator, count): 0 ... count - 1. The ends' options come in pairs, client first.
#define HAKA_MODEL_FIELDS(X)                                                                 \
    X(Policy, kPolicyCount)                                                                  \
    X(Direction, 3) /* The policy edits 0: both, 1: the client's, 2: the server's stream. */ \
    X(ClientSize, 60'001)                                                                    \
    X(ServerSize, 60'001)                                                                    \
    X(ClientMss, 6)                                                                          \
    X(ServerMss, 6)                                                                          \
    X(ClientBuffer, 10)                                                                      \
    X(ServerBuffer, 10)                                                                      \
    X(ClientScale, 12)                                                                       \
    X(ServerScale, 12)                                                                       \
    X(ClientWrite, 6)                                                                        \
    X(ServerWrite, 6)                                                                        \
    X(ClientRead, 6)                                                                         \
    X(ServerRead, 6)                                                                         \
    X(Timestamps, 4) /* Bits: 1 the client, 2 the server. */                                 \
    X(Sack, 4)                                                                               \
    X(DelayedAck, 4)                                                                         \
    X(Nagle, 4)                                                                              \
    X(Ragged, 4)                                                                             \
    X(OldProbe, 4)                                                                           \
    X(KeepAlive, 4)                                                                          \
    X(NearWrap, 4) /* Its sequence numbers wrap within the stream. */                        \
    X(Answers, 2)  /* The server writes when the client has finished. */                     \
    X(DelayBefore, 30)                                                                       \
    X(DelayBehind, 30)                                                                       \
    X(LossFromClient, 31)                                                                    \
    X(LossToServer, 31)                                                                      \
    X(LossFromServer, 31)                                                                    \
    X(LossToClient, 31)                                                                      \
    X(ReorderBefore, 31)                                                                     \
    X(ReorderBehind, 31)                                                                     \
    X(Duplicate, 31)                                                                         \
    X(Seed, 1'000'000'000) /* Of the bytes, the losses, the segments' sizes. */

enum class Field : std::uint8_t {
#define HAKA_MODEL_ENUMERATOR(name, count) name,
    HAKA_MODEL_FIELDS(HAKA_MODEL_ENUMERATOR)
#undef HAKA_MODEL_ENUMERATOR
};

constexpr std::uint32_t kPolicyCount = 17;  // See policies.cc.
constexpr std::size_t kFieldCount = static_cast<std::size_t>(Field::Seed) + 1;
constexpr std::array<std::uint32_t, kFieldCount> kFieldCounts = {
#define HAKA_MODEL_COUNT(name, count) count,
    HAKA_MODEL_FIELDS(HAKA_MODEL_COUNT)
#undef HAKA_MODEL_COUNT
};

struct Plan {
    std::array<std::uint32_t, kFieldCount> values{};

    [[nodiscard]] std::uint32_t operator[](Field field) const {
        return values.at(static_cast<std::size_t>(field));
    }
    // Of a field that the server's follows, or of bits.
    [[nodiscard]] std::uint32_t of(Field client, bool is_client) const {
        return values.at(static_cast<std::size_t>(client) + (is_client ? 0 : 1));
    }
    [[nodiscard]] bool bit(Field field, bool is_client) const {
        return ((*this)[field] & (is_client ? 1U : 2U)) != 0;
    }
};

// "Policy=3 ClientSize=100": what isn't 0.
[[nodiscard]] std::string to_text(const Plan& plan);
// Changes what the text says. False: it isn't a plan's text.
[[nodiscard]] bool change(std::string_view text, Plan& plan);

}  // namespace haka::model
