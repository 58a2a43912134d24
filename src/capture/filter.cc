#include "capture/filter.h"

#include <array>
#include <string>

#include <pcap/pcap.h>

#include "capture/block.h"

namespace haka::capture {
namespace {

constexpr std::array kLinkTypes = {LinkType::Ethernet, LinkType::Null,     LinkType::Raw,
                                   LinkType::Loop,     LinkType::LinuxSll, LinkType::Ipv4,
                                   LinkType::Ipv6,     LinkType::LinuxSll2};

// LINKTYPE_ numbers and libpcap's DLT_ numbers differ for raw IP alone.
int to_dlt(LinkType link) {
    return link == LinkType::Raw ? DLT_RAW : static_cast<int>(link);
}

class Program {
public:
    Program() = default;
    Program(const Program&) = delete;
    Program& operator=(const Program&) = delete;
    ~Program() {
        if (is_compiled_) {
            ::pcap_freecode(&code_);
        }
    }

    // Returns libpcap's complaint, empty when it had none.
    std::string compile(const std::string& expression, LinkType link) {
        is_tried_ = true;
        const std::unique_ptr<pcap_t, decltype(&::pcap_close)> handle(
            ::pcap_open_dead(to_dlt(link), static_cast<int>(kFrameSizeMax)), &::pcap_close);
        if (!handle) {
            return "out of memory";
        }
        constexpr int kOptimise = 1;
        if (::pcap_compile(handle.get(), &code_, expression.c_str(), kOptimise,
                           PCAP_NETMASK_UNKNOWN) != 0) {
            return ::pcap_geterr(handle.get());
        }
        is_compiled_ = true;
        return {};
    }

    [[nodiscard]] bool is_tried() const { return is_tried_; }
    [[nodiscard]] bool matches(const Frame& frame) const {
        if (!is_compiled_) {
            return false;
        }
        pcap_pkthdr header{};
        header.caplen = frame.size;
        header.len = frame.original_size;
        return ::pcap_offline_filter(&code_, &header, frame.data) != 0;
    }

private:
    bpf_program code_{};
    bool is_tried_ = false;
    bool is_compiled_ = false;
};

std::size_t place_of(LinkType link) {
    std::size_t place = 0;
    while (kLinkTypes[place] != link) {
        ++place;
    }
    return place;
}

}  // namespace

struct Filter::Impl {
    std::string expression;
    std::array<Program, kLinkTypes.size()> programs;
};

Filter::Compiled Filter::compile(const std::string& expression) {
    auto impl = std::make_unique<Impl>();
    impl->expression = expression;
    std::string first_complaint;
    // Some expressions make sense for one link type only, so the first that takes it is enough.
    for (const LinkType link : kLinkTypes) {
        const std::string complaint = impl->programs[place_of(link)].compile(expression, link);
        if (complaint.empty()) {
            return {.filter = std::unique_ptr<Filter>(new Filter(std::move(impl))), .error = {}};
        }
        if (first_complaint.empty()) {
            first_complaint = complaint;
        }
    }
    return {.filter = nullptr,
            .error = "filter \"" + expression + "\": " + first_complaint +
                     "; see pcap-filter(7) for the syntax"};
}

Filter::Filter(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Filter::~Filter() = default;

bool Filter::matches(const Frame& frame) {
    Program& program = impl_->programs[place_of(frame.link)];
    if (!program.is_tried()) {
        // Its complaint is that the expression makes no sense here.
        (void)program.compile(impl_->expression, frame.link);
    }
    return program.matches(frame);
}

}  // namespace haka::capture
