#include "capture/link_names.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <string_view>

namespace haka::capture {
namespace {

// Some writers store the DLT_RAW of their system instead of LINKTYPE_RAW.
constexpr std::uint32_t kDltRaw = 12;

struct LinkName {
    std::uint32_t number;
    std::string_view name;
};

constexpr std::array kLinkNames = {
    LinkName{0, "BSD loopback"},
    LinkName{1, "Ethernet"},
    LinkName{3, "AX25"},
    LinkName{6, "IEEE802_5"},
    LinkName{7, "ARCNET_BSD"},
    LinkName{8, "SLIP"},
    LinkName{9, "PPP"},
    LinkName{10, "FDDI"},
    LinkName{12, "raw IP"},
    LinkName{50, "PPP_HDLC"},
    LinkName{51, "PPP_ETHER"},
    LinkName{100, "ATM_RFC1483"},
    LinkName{101, "raw IP"},
    LinkName{104, "C_HDLC"},
    LinkName{105, "IEEE802_11"},
    LinkName{107, "FRELAY"},
    LinkName{108, "OpenBSD loopback"},
    LinkName{113, "Linux cooked v1"},
    LinkName{114, "LTALK"},
    LinkName{117, "PFLOG"},
    LinkName{119, "IEEE802_11_PRISM"},
    LinkName{122, "IP_OVER_FC"},
    LinkName{123, "SUNATM"},
    LinkName{127, "IEEE802_11_RADIOTAP"},
    LinkName{129, "ARCNET_LINUX"},
    LinkName{138, "APPLE_IP_OVER_IEEE1394"},
    LinkName{139, "MTP2_WITH_PHDR"},
    LinkName{140, "MTP2"},
    LinkName{141, "MTP3"},
    LinkName{142, "SCCP"},
    LinkName{143, "DOCSIS"},
    LinkName{144, "LINUX_IRDA"},
    LinkName{163, "IEEE802_11_AVS"},
    LinkName{166, "PPP_PPPD"},
    LinkName{169, "GPRS_LLC"},
    LinkName{177, "LINUX_LAPD"},
    LinkName{187, "BLUETOOTH_HCI_H4"},
    LinkName{189, "USB_LINUX"},
    LinkName{192, "PPI"},
    LinkName{195, "IEEE802_15_4_WITHFCS"},
    LinkName{196, "SITA"},
    LinkName{197, "ERF"},
    LinkName{201, "BLUETOOTH_HCI_H4_WITH_PHDR"},
    LinkName{203, "LAPD"},
    LinkName{204, "PPP_WITH_DIR"},
    LinkName{205, "C_HDLC_WITH_DIR"},
    LinkName{206, "FRELAY_WITH_DIR"},
    LinkName{209, "IPMB_LINUX"},
    LinkName{215, "IEEE802_15_4_NONASK_PHY"},
    LinkName{220, "USB_LINUX_MMAPPED"},
    LinkName{224, "FC_2"},
    LinkName{225, "FC_2_WITH_FRAME_DELIMS"},
    LinkName{226, "IPNET"},
    LinkName{227, "CAN_SOCKETCAN"},
    LinkName{228, "raw IPv4"},
    LinkName{229, "raw IPv6"},
    LinkName{230, "IEEE802_15_4_NOFCS"},
    LinkName{231, "DBUS"},
    LinkName{235, "DVB_CI"},
    LinkName{239, "NFLOG"},
    LinkName{240, "NETANALYZER"},
    LinkName{242, "IPOIB"},
    LinkName{243, "MPEG_2_TS"},
    LinkName{245, "NFC_LLCP"},
    LinkName{247, "INFINIBAND"},
    LinkName{248, "SCTP"},
    LinkName{249, "USBPCAP"},
    LinkName{251, "BLUETOOTH_LE_LL"},
    LinkName{252, "WIRESHARK_UPPER_PDU"},
    LinkName{253, "NETLINK"},
    LinkName{254, "BLUETOOTH_LINUX_MONITOR"},
    LinkName{256, "BLUETOOTH_LE_LL_WITH_PHDR"},
    LinkName{258, "PKTAP"},
    LinkName{259, "EPON"},
    LinkName{265, "SDLC"},
    LinkName{266, "USB_DARWIN"},
    LinkName{271, "VSOCK"},
    LinkName{272, "NORDIC_BLE"},
    LinkName{276, "Linux cooked v2"},
    LinkName{283, "IEEE802_15_4_TAP"},
};

}  // namespace

std::optional<LinkType> supported_link(std::uint32_t number) {
    if (number == kDltRaw) {
        return LinkType::Raw;
    }
    for (const LinkType link :
         {LinkType::Null, LinkType::Ethernet, LinkType::Raw, LinkType::Loop, LinkType::LinuxSll,
          LinkType::Ipv4, LinkType::Ipv6, LinkType::LinuxSll2}) {
        if (number == static_cast<std::uint32_t>(link)) {
            return link;
        }
    }
    return std::nullopt;
}

std::string link_name(std::uint32_t number) {
    const auto* found = std::ranges::find(kLinkNames, number, &LinkName::number);
    return found != kLinkNames.end() ? fmt::format("{} ({})", found->name, number)
                                     : fmt::format("{}", number);
}

std::string unsupported_link(std::uint32_t number) {
    return fmt::format(
        "link type {} is not supported; supported are Ethernet, raw IP, BSD loopback, Linux cooked "
        "v1 and v2",
        link_name(number));
}

}  // namespace haka::capture
