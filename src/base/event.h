// The engine's own events: why it dropped, changed or remarked on something. One list for the
// whole program, so that every drop and every change has exactly one reason, and each value has one
// counter.
//
// X(enumerator, "name as users see it", "one sentence for the alert or anomaly record")
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace haka {

// clang-format off
#define HAKA_EVENTS(X)                                                                            \
    X(None, "none", "nothing to remark")                                                          \
    X(Rule, "rule", "by a rule")                                                                  \
    X(RuleError, "rule-error", "a rule failed")                                                   \
    X(LuaMemory, "lua.memory", "the policy reached lua.memory_max")                               \
    X(FrameTruncated, "frame.truncated", "the frame ends inside its link or network header")     \
    X(FrameSnaplen, "frame.snaplen", "the capture cut the frame short")                           \
    X(Ipv4BadHeader, "ipv4.bad-header",                                                           \
      "IPv4 version, header length or total length is impossible")                                \
    X(Ipv4BadChecksum, "ipv4.bad-checksum", "the IPv4 header checksum is wrong")                  \
    X(Ipv6BadHeader, "ipv6.bad-header", "an IPv6 header or extension header is impossible")      \
    X(FragmentOverlap, "ip.fragment-overlap", "fragments overlap")                                \
    X(FragmentBadLength, "ip.fragment-bad-length", "a fragment's length is impossible")           \
    X(FragmentLimit, "ip.fragment-limit", "too many fragments are held")                          \
    X(FragmentTimeout, "ip.fragment-timeout", "a datagram's missing fragments never came")        \
    X(TcpBadHeader, "tcp.bad-header", "the TCP header is shorter or longer than its segment")     \
    X(TcpBadOption, "tcp.bad-option", "a TCP option has an impossible length")                    \
    X(TcpBadChecksum, "tcp.bad-checksum", "the TCP checksum is wrong")                            \
    X(TcpBadFlags, "tcp.bad-flags", "the combination of TCP flags is impossible")                 \
    X(UdpBadHeader, "udp.bad-header", "the UDP length is impossible")                             \
    X(UdpBadChecksum, "udp.bad-checksum", "the UDP checksum is wrong")                            \
    X(IcmpBadHeader, "icmp.bad-header", "the ICMP message is shorter than its header")            \
    X(IcmpBadChecksum, "icmp.bad-checksum", "the ICMP checksum is wrong")                         \
    X(TcpNoConnection, "tcp.no-connection", "no connection found for tcp packet")                 \
    X(TcpTombstone, "tcp.dropped-connection", "the connection was dropped earlier")               \
    X(TcpTableFull, "tcp.table-full", "the connection table is full")                             \
    X(TcpOutOfWindow, "tcp.out-of-window", "the segment lies outside the receiver's window")      \
    X(TcpOldTimestamp, "tcp.old-timestamp", "the TCP timestamp is older than one already seen")   \
    X(TcpBadAck, "tcp.bad-ack", "the ACK number acknowledges what was never sent")                \
    X(TcpSynInConnection, "tcp.syn-in-connection", "a SYN with another ISN inside a connection")  \
    X(TcpSynData, "tcp.syn-data", "SYN data without the fast open option")                        \
    X(TcpRstInexact, "tcp.rst-inexact", "a RST not at the exact next sequence number")            \
    X(TcpRstData, "tcp.rst-data", "data in a RST")                                                \
    X(TcpSignature, "tcp.signature",                                                              \
      "a TCP-MD5 or TCP-AO option, or its absence, that the SYN didn't announce")                 \
    X(TcpRstOutOfWindow, "tcp.rst-out-of-window", "a RST outside the window")                     \
    X(TcpAfterReset, "tcp.after-reset", "a segment after a believed RST")                         \
    X(TcpDataAfterFin, "tcp.data-after-fin", "data behind a FIN")                                 \
    X(TcpOverlapDiffers, "tcp.overlap-differs",                                                   \
      "a retransmission carries other bytes than the first copy")                                 \
    X(TcpResendEmptied, "tcp.resend-emptied",                                                    \
      "bytes that the receiver acknowledged don't leave a second time")                         \
    X(TcpUrgent, "tcp.urgent", "urgent data is passed on as plain data")                          \
    X(TcpReserved, "tcp.reserved-bits", "reserved or ECN bits were cleared")                       \
    X(IpLowTtl, "ip.low-ttl", "a TTL or hop limit below tcp.ttl_min was raised")                   \
    X(FragmentRecut, "ip.fragment-recut", "a datagram that had waited was cut anew")              \
    X(TcpEdited, "tcp.edited", "bytes of an edited or held stream, cut anew")                     \
    X(TcpTranslated, "tcp.translated", "numbers that fit what an edit has moved")                 \
    X(TcpGap, "tcp.gap", "bytes that the receiver acknowledged are missing")                      \
    X(TcpHoldLimit, "tcp.hold-limit", "too many bytes or segments are held")                      \
    X(TcpStreamMemory, "tcp.stream-memory", "all stream memory is in use")                        \
    X(TcpHalfOpenLimit, "tcp.half-open-limit", "the oldest half-open connection made room")       \
    X(TcpEditRefused, "tcp.edit-refused",                                                        \
      "segments with TCP-MD5 or TCP-AO can't be edited")                                        \
    X(TcpPickedUp, "tcp.picked-up", "a connection without a SYN is followed from here on")        \
    X(PolicyMoved, "policy.moved", "a connection moved from an older policy to the newest")       \
    X(TcpEditLost, "tcp.edit-lost", "a connection was being edited when the engine failed")        \
    X(TcpEditUnlisted, "tcp.edit-unlisted", "more connections are edited than are remembered")    \
    X(TcpMidstream, "tcp.midstream", "a packet of an unknown connection passes untracked")        \
    X(StreamUnread, "stream.unread", "bytes behind a hole were never delivered")                  \
    X(HttpNotHttp, "http.not-http", "the bytes are not HTTP/1")                                   \
    X(HttpBadRequestLine, "http.bad-request-line",                                                \
      "the request line is not method, target and version with a space between")                 \
    X(HttpBadStatusLine, "http.bad-status-line",                                                  \
      "the status line is not version, three digits and a reason")                               \
    X(HttpBadVersion, "http.bad-version", "the version is neither HTTP/1.0 nor HTTP/1.1")         \
    X(HttpBadTarget, "http.bad-target", "the request target has no form that its method allows")  \
    X(HttpHostMismatch, "http.host-mismatch", "the target names another host than the Host header")\
    X(HttpBadHost, "http.bad-host", "the Host header is there twice or is not a host")            \
    X(HttpNoHost, "http.no-host", "an HTTP/1.1 request without a Host header")                    \
    X(HttpBareLf, "http.bare-lf", "a line ends in LF without CR")                                 \
    X(HttpBareCr, "http.bare-cr", "a CR without LF")                                              \
    X(HttpNul, "http.nul", "a NUL in a head or in framing")                                       \
    X(HttpSpaceBeforeColon, "http.space-before-colon", "white space between a name and its colon")\
    X(HttpBadHeader, "http.bad-header", "a header line without a name, or a control character")   \
    X(HttpObsFold, "http.obs-fold", "a header continues on a line that begins with white space")  \
    X(HttpTwoFramings, "http.two-framings", "both Content-Length and Transfer-Encoding")          \
    X(HttpDifferingLengths, "http.differing-lengths", "two Content-Lengths that differ")          \
    X(HttpBadLength, "http.bad-length", "a Content-Length that is no number")                     \
    X(HttpBadTransferEncoding, "http.bad-transfer-encoding",                                      \
      "a Transfer-Encoding other than chunked, or in HTTP/1.0")                                  \
    X(HttpExcludedBody, "http.excluded-body", "framing of a body in a 1xx or 204 response")       \
    X(HttpBadChunk, "http.bad-chunk", "a chunk's size or its end is wrong")                       \
    X(HttpBadTrailer, "http.bad-trailer", "a trailer that would change framing or routing")       \
    X(HttpLineTooLong, "http.line-too-long", "a line longer than http.line_bytes_max")            \
    X(HttpHeadTooLong, "http.head-too-long", "a head or trailers longer than http.head_bytes_max")\
    X(HttpTooManyHeaders, "http.too-many-headers", "more headers than http.headers_max")          \
    X(HttpPipelineLimit, "http.pipeline-limit", "more unanswered requests than http.pipeline_max")\
    X(HttpUnasked, "http.unasked-response", "a response without a request")                       \
    X(HttpUnaskedSwitch, "http.unasked-switch", "a 101 response to a request without Upgrade")    \
    X(HttpCutHead, "http.cut-head", "the sender closed inside a head")                            \
    X(HttpCutShort, "http.cut-short", "the stream ended inside a message")                        \
    X(HttpGap, "http.gap", "bytes of a message were lost")
// clang-format on

enum class Event : std::uint8_t {
#define HAKA_EVENT_ENUMERATOR(name, text, sentence) name,
    HAKA_EVENTS(HAKA_EVENT_ENUMERATOR)
#undef HAKA_EVENT_ENUMERATOR
};

namespace detail {
struct EventText {
    std::string_view name;
    std::string_view sentence;
};
inline constexpr std::array kEventTexts = {
#define HAKA_EVENT_TEXT(name, text, sentence) EventText{text, sentence},
    HAKA_EVENTS(HAKA_EVENT_TEXT)
#undef HAKA_EVENT_TEXT
};
}  // namespace detail

inline constexpr std::size_t kEventCount = detail::kEventTexts.size();

// What the HTTP dissector refuses or remarks on: from HttpNotHttp to HttpGap.
inline constexpr std::size_t kFirstHttpEvent = static_cast<std::size_t>(Event::HttpNotHttp);
inline constexpr std::size_t kHttpEventCount =
    static_cast<std::size_t>(Event::HttpGap) - kFirstHttpEvent + 1;

// The name that counters, EVE records and summaries show, e.g. "tcp.overlap-differs".
[[nodiscard]] constexpr std::string_view event_name(Event event) {
    return detail::kEventTexts[static_cast<std::size_t>(event)].name;
}

// What happened, as one sentence without a full stop.
[[nodiscard]] constexpr std::string_view event_sentence(Event event) {
    return detail::kEventTexts[static_cast<std::size_t>(event)].sentence;
}

}  // namespace haka
