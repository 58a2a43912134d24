#include "engine/packet_slots.h"

#include <algorithm>

namespace haka::engine {

void point_at(haka_packet& slot, const wire::Headers& headers, MutableByteView frame) {
    const std::uint32_t end =
        headers.ip_version == 0 ? static_cast<std::uint32_t>(frame.size()) : headers.end;
    std::uint8_t* data = frame.data();
    slot.net = data + headers.net;
    slot.transport = data + headers.transport;
    slot.payload = data + headers.payload;
    slot.net_size = end - headers.net;
    slot.transport_size = end - headers.transport;
    slot.payload_size = end - headers.payload;
    slot.ip_version = headers.ip_version;
    slot.protocol = headers.protocol;
    slot.transport_ok = headers.transport_ok ? 1 : 0;
}

void set_lengths(const wire::Headers& headers, MutableByteView frame, std::uint32_t end) {
    std::uint8_t* net = frame.data() + headers.net;
    if (headers.ip_version == 4 && end - headers.net >= 20) {
        store_be16(net + 2, static_cast<std::uint16_t>(end - headers.net));
    } else if (headers.ip_version == 6 && end - headers.net >= 40) {
        store_be16(net + 4, static_cast<std::uint16_t>(end - headers.net - 40));
    }
    if (headers.transport_ok && headers.protocol == wire::kProtocolUdp &&
        end - headers.transport >= 8) {
        store_be16(frame.data() + headers.transport + 4,
                   static_cast<std::uint16_t>(end - headers.transport));
    }
}

PacketSlots::PacketSlots(std::uint32_t packets_max)
    : count_(packets_max + 1), slots_(std::make_unique<haka_packet[]>(count_)), owned_(1) {}

void PacketSlots::lend(const Item& item) {
    haka_packet& slot = slots_[0];
    point_at(slot, item.headers, item.frame.mutable_bytes());
    slot.changed = 0;
    slot.made = item.injected ? 1 : 0;
    slot.when = item.frame.when.ns;
    slot.number = item.frame.number;
}

std::uint32_t PacketSlots::allocate() {
    if (!free_.empty()) {
        const std::uint32_t slot = free_.back();
        free_.pop_back();
        return slot;
    }
    if (owned_.size() >= count_) {
        return 0;
    }
    owned_.emplace_back();
    return static_cast<std::uint32_t>(owned_.size() - 1);
}

std::uint32_t PacketSlots::create(std::vector<std::uint8_t> link, std::uint32_t net_size) {
    const std::uint32_t slot = allocate();
    if (slot == 0) {
        return 0;
    }
    Owned& owned = owned_[slot];
    owned.link_size = static_cast<std::uint32_t>(link.size());
    owned.bytes = std::move(link);
    owned.bytes.reserve(owned.link_size + std::max<std::size_t>(net_size, 64));
    owned.bytes.resize(owned.link_size + net_size);
    owned.taken = false;
    bytes_ += owned.bytes.size();
    slots_[slot] = {};
    slots_[slot].generation = next_generation();
    slots_[slot].made = 1;
    parse(slot);
    loose_.push_back(slot);
    return slot;
}

std::uint32_t PacketSlots::take(const Item& item) {
    const std::uint32_t slot = allocate();
    if (slot == 0) {
        return 0;
    }
    Owned& owned = owned_[slot];
    const ByteView bytes = item.frame.bytes();
    owned.bytes.assign(bytes.begin(), bytes.end());
    owned.link_size = item.headers.net;
    owned.frame = item.frame;
    owned.taken = true;
    owned.kept = true;
    bytes_ += owned.bytes.size();
    slots_[slot] = {};
    slots_[slot].generation = next_generation();
    slots_[slot].changed = slots_[0].changed;
    slots_[slot].made = 1;
    slots_[slot].when = item.frame.when.ns;
    slots_[slot].number = item.frame.number;
    parse(slot);
    return slot;
}

void PacketSlots::free(std::uint32_t slot) {
    bytes_ -= owned_[slot].bytes.size();
    owned_[slot] = {};
    slots_[slot] = {};
    slots_[slot].generation = next_generation();
    free_.push_back(slot);
    std::erase(loose_, slot);
}

void PacketSlots::keep(std::uint32_t slot, bool keep) {
    if (owned_[slot].kept == keep) {
        return;
    }
    owned_[slot].kept = keep;
    if (keep) {
        std::erase(loose_, slot);
    } else {
        loose_.push_back(slot);
    }
}

std::uint64_t PacketSlots::free_kept() {
    std::uint64_t captured = 0;
    for (std::uint32_t slot = 1; slot < owned_.size(); ++slot) {
        if (owned_[slot].kept) {
            captured += owned_[slot].taken ? 1U : 0U;
            free(slot);
        }
    }
    return captured;
}

wire::Headers PacketSlots::headers_of(const Owned& owned) const {
    // Read as raw IP, then moved behind the link header: a made packet's link type isn't known yet.
    wire::Headers headers =
        wire::find_headers(LinkType::Raw, ByteView(owned.bytes).subspan(owned.link_size));
    headers.net += owned.link_size;
    headers.transport += owned.link_size;
    headers.payload += owned.link_size;
    headers.end += owned.link_size;
    return headers;
}

void PacketSlots::parse(std::uint32_t slot) {
    Owned& owned = owned_[slot];
    point_at(slots_[slot], headers_of(owned), owned.bytes);
}

void PacketSlots::resize(std::uint32_t slot, std::uint32_t net_size) {
    Owned& owned = owned_[slot];
    const wire::Headers before = headers_of(owned);
    bytes_ -= owned.bytes.size();
    owned.bytes.resize(owned.link_size + net_size);
    bytes_ += owned.bytes.size();
    set_lengths(before, owned.bytes, owned.link_size + net_size);
    slots_[slot].changed |= HAKA_CHANGED_NET | HAKA_CHANGED_TRANSPORT;
    parse(slot);
}

Item PacketSlots::item_of(std::uint32_t slot) {
    Owned& owned = owned_[slot];
    Item item;
    item.frame = owned.frame;
    item.frame.data = owned.bytes.data();
    item.frame.size = static_cast<std::uint32_t>(owned.bytes.size());
    item.frame.original_size = item.frame.size;
    item.headers = headers_of(owned);
    item.injected = !owned.taken;
    item.taken = owned.taken;
    return item;
}

}  // namespace haka::engine
