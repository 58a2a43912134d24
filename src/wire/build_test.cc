#include "wire/build.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "wire/checksum.h"
#include "wire/ethernet.h"
#include "wire/icmp.h"
#include "wire/ipv4.h"
#include "wire/ipv6.h"
#include "wire/tcp.h"
#include "wire/udp.h"

namespace haka::wire {
namespace {

using Bytes = std::vector<std::uint8_t>;

IpFields between(std::string_view src, std::string_view dst) {
    return {.src = Address::parse(src).value(), .dst = Address::parse(dst).value()};
}

const IpFields kV4 = between("10.0.0.1", "10.0.0.2");
const IpFields kV6 = between("2001:db8::1", "2001:db8::2");

TEST(BuildTest, MakesTcpThatEveryCheckAccepts) {
    const Bytes options = {2, 4, 5, 0xb4, 4, 2};
    const TcpFields tcp{.srcport = 1234,
                        .dstport = 80,
                        .seq = 1000,
                        .ack_seq = 2001,
                        .res = 3,
                        .flags = kSyn | kAck,
                        .window_size = 65535,
                        .urgent_pointer = 9,
                        .options = options};
    for (const IpFields& ip : {kV4, kV6}) {
        for (const LinkType link : {LinkType::Ethernet, LinkType::Raw, LinkType::Null,
                                    LinkType::Loop, LinkType::LinuxSll, LinkType::LinuxSll2}) {
            Bytes out(500, 0xee);  // What it held before must not show.
            build_tcp(default_link_header(link, ip.src.family), ip, tcp, as_bytes("hello"), out);
            const Headers h = find_headers(link, out);
            ASSERT_TRUE(h.transport_ok);
            EXPECT_EQ(h.end, out.size());
            EXPECT_EQ(verify_transport(h, out), ChecksumCheck::Right);
            const auto view = TcpView::parse(ByteView(out).subspan(h.transport));
            ASSERT_TRUE(view);
            EXPECT_EQ(view->srcport(), 1234);
            EXPECT_EQ(view->dstport(), 80);
            EXPECT_EQ(view->seq(), 1000U);
            EXPECT_EQ(view->ack_seq(), 2001U);
            EXPECT_EQ(view->res(), 3);
            EXPECT_EQ(view->flags(), kSyn | kAck);
            EXPECT_EQ(view->window_size(), 65535);
            EXPECT_EQ(view->urgent_pointer(), 9);
            EXPECT_EQ(view->hdr_len(), 28U);
            EXPECT_EQ(view->options()[7], 0);
            EXPECT_EQ(as_text(view->payload()), "hello");
        }
    }
}

TEST(BuildTest, FillsTheIpv4Header) {
    IpFields ip = kV4;
    const Bytes options = {1, 1, 1, 1};
    ip.ttl = 7;
    ip.tos = 0x10;
    ip.id = 0xabcd;
    ip.flags = kIpv4DontFragment;
    ip.options = options;
    Bytes out;
    build_udp({}, ip, {.srcport = 53, .dstport = 54}, as_bytes("xyz"), out);
    const auto view = Ipv4View::parse(out);
    ASSERT_TRUE(view);
    EXPECT_EQ(view->hdr_len(), 24U);
    EXPECT_EQ(view->len(), out.size());
    EXPECT_EQ(view->ttl(), 7);
    EXPECT_EQ(view->tos(), 0x10);
    EXPECT_EQ(view->id(), 0xabcd);
    EXPECT_EQ(view->flags(), kIpv4DontFragment);
    EXPECT_EQ(view->frag_offset(), 0U);
    EXPECT_EQ(view->proto(), kProtocolUdp);
    EXPECT_EQ(view->src(), ip.src);
    EXPECT_EQ(view->dst(), ip.dst);
    EXPECT_TRUE(verify_ipv4_header(view->header()));
    const auto udp = UdpView::parse(view->payload());
    ASSERT_TRUE(udp);
    EXPECT_EQ(udp->srcport(), 53);
    EXPECT_EQ(udp->dstport(), 54);
    EXPECT_EQ(udp->length(), 11);
    EXPECT_EQ(as_text(udp->payload()), "xyz");
    EXPECT_EQ(verify_transport(find_headers(LinkType::Raw, out), out), ChecksumCheck::Right);
}

TEST(BuildTest, FillsTheIpv6Header) {
    IpFields ip = kV6;
    ip.ttl = 255;
    ip.tos = 0xb8;
    ip.flow_label = 0xabcde;
    Bytes out;
    build_icmp({}, ip, {.type = kIcmpv6EchoRequest, .id = 1, .sequence = 2}, as_bytes("ping"), out);
    const auto view = Ipv6View::parse(out);
    ASSERT_TRUE(view);
    EXPECT_EQ(view->traffic_class(), 0xb8);
    EXPECT_EQ(view->flow_label(), 0xabcdeU);
    EXPECT_EQ(view->payload_len(), 12);
    EXPECT_EQ(view->next_header(), kProtocolIcmpv6);
    EXPECT_EQ(view->hop_limit(), 255);
    EXPECT_EQ(view->src(), ip.src);
    EXPECT_EQ(view->dst(), ip.dst);
    const auto icmp = IcmpView::parse(view->payload());
    ASSERT_TRUE(icmp);
    EXPECT_EQ(icmp->type(), kIcmpv6EchoRequest);
    EXPECT_EQ(icmp->code(), 0);
    EXPECT_EQ(icmp->id(), 1);
    EXPECT_EQ(icmp->sequence(), 2);
    EXPECT_EQ(verify_transport(find_headers(LinkType::Raw, out), out), ChecksumCheck::Right);
    build_icmp({}, kV4, {.type = kIcmpEchoReply, .code = 1}, {}, out);
    EXPECT_EQ(verify_transport(find_headers(LinkType::Raw, out), out), ChecksumCheck::Right);
}

TEST(BuildTest, MakesFragments) {
    for (const IpFields& base : {kV4, kV6}) {
        IpFields ip = base;
        ip.id = 0x1234;
        ip.frag_offset = 1480;
        ip.flags = kIpv4MoreFragments;
        Bytes out;
        build_ip({}, ip, kProtocolTcp, as_bytes("12345678"), out);
        const Headers h = find_headers(LinkType::Raw, out);
        EXPECT_TRUE(h.fragment);
        EXPECT_EQ(h.protocol, kProtocolTcp);
        EXPECT_EQ(h.end - h.transport, 8U);
        if (h.ip_version == 4) {
            const auto view = Ipv4View::parse(out);
            EXPECT_EQ(view->frag_offset(), 1480U);
            EXPECT_EQ(view->flags(), kIpv4MoreFragments);
        } else {
            EXPECT_EQ(load_be16(&out[42]), 1481);
            EXPECT_EQ(load_be32(&out[44]), 0x1234U);
        }
    }
}

TEST(Ipv4ViewTest, RefusesWhatItCouldReadPast) {
    Bytes out;
    build_ip({}, kV4, 99, as_bytes("data"), out);
    for (std::size_t size = 0; size < 20; ++size) {
        EXPECT_FALSE(Ipv4View::parse(ByteView(out).first(size)));
    }
    EXPECT_EQ(Ipv4View::parse(ByteView(out).first(22))->payload().size(), 2U);
    out[0] = 0x4f;
    EXPECT_EQ(Ipv4View::parse(out).error(), Error::BadLength);
    store_be16(&out[2], 60);
    EXPECT_EQ(Ipv4View::parse(out).error(), Error::Truncated);
    out[0] = 0x65;
    EXPECT_EQ(Ipv4View::parse(out).error(), Error::BadLength);
}

TEST(Ipv4ViewTest, SetsFlagsAndOffsetApart) {
    Bytes out;
    build_ip({}, kV4, 99, {}, out);
    const auto edit = Ipv4Edit::parse(out);
    edit->set_frag_offset(65528);
    edit->set_flags(kIpv4Reserved);
    EXPECT_EQ(edit->frag_offset(), 65528U);
    EXPECT_EQ(edit->flags(), kIpv4Reserved);
    edit->set_frag_offset(8);
    EXPECT_EQ(edit->flags(), kIpv4Reserved);
    edit->set_len(20);
    EXPECT_EQ(edit->len(), 20);
}

TEST(Ipv6ViewTest, RefusesWhatItCouldReadPastAndSetsBitsApart) {
    Bytes out;
    build_ip({}, kV6, 99, as_bytes("data"), out);
    EXPECT_EQ(Ipv6View::parse(ByteView(out).first(39)).error(), Error::Truncated);
    const auto edit = Ipv6Edit::parse(out);
    edit->set_flow_label(0xfffff);
    edit->set_traffic_class(0xa5);
    EXPECT_EQ(edit->version(), 6);
    EXPECT_EQ(edit->flow_label(), 0xfffffU);
    EXPECT_EQ(edit->traffic_class(), 0xa5);
    edit->set_flow_label(0);
    EXPECT_EQ(edit->traffic_class(), 0xa5);
    EXPECT_EQ(edit->payload().size(), 4U);
    edit->set_payload_len(1000);
    EXPECT_EQ(edit->payload().size(), 4U);
    out[0] = 0x40;
    EXPECT_EQ(Ipv6View::parse(out).error(), Error::BadLength);
}

TEST(UdpViewTest, BoundsThePayload) {
    Bytes bytes(12, 1);
    for (const std::uint16_t length : std::array<std::uint16_t, 3>{8, 10, 2000}) {
        store_be16(&bytes[4], length);
        EXPECT_EQ(UdpView::parse(bytes)->payload().size(),
                  std::min(length, std::uint16_t{12}) - 8U);
    }
    store_be16(&bytes[4], 7);
    EXPECT_EQ(UdpView::parse(bytes).error(), Error::BadLength);
    EXPECT_EQ(UdpView::parse(ByteView(bytes).first(7)).error(), Error::Truncated);
    EXPECT_EQ(IcmpView::parse(ByteView(bytes).first(7)).error(), Error::Truncated);
}

TEST(EthernetViewTest, ReadsAddressesAndType) {
    Bytes bytes = ethernet_header({.type = kEtherTypeArp});
    EXPECT_FALSE(EthernetView::parse(ByteView(bytes).first(13)));
    const auto edit = EthernetEdit::parse(bytes);
    EXPECT_EQ(edit->type(), kEtherTypeArp);
    edit->set_type(kEtherTypeIpv6);
    const auto view = EthernetView::parse(bytes);
    EXPECT_EQ(view->type(), kEtherTypeIpv6);
    EXPECT_EQ(view->src()[5], 1);
    EXPECT_EQ(view->dst()[5], 2);
    EXPECT_TRUE(view->payload().empty());
}

}  // namespace
}  // namespace haka::wire
