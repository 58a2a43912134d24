#include "flow/fragments.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstring>
#include <tuple>
#include <utility>

#include "wire/checksum.h"

namespace haka::flow {

namespace {

constexpr std::uint32_t kIpv4MinSize = 20;
constexpr std::uint32_t kIpv6Size = 40;
constexpr std::uint32_t kFragmentHeaderSize = 8;
constexpr std::uint8_t kFragmentHeader = 44;
constexpr std::uint32_t kDatagramMax = 65'535;
// A protocol number that no IPv4 packet has.
constexpr std::uint16_t kAnyIpv6Protocol = 0x100;
constexpr std::uint32_t kBucketsMax = 1U << 20;

}  // namespace

Defragmenter::Defragmenter(const FragmentSettings& settings, std::uint64_t seed)
    : settings_(settings),
      secret_(HashKey::from_seed(seed)),
      buckets_(std::bit_ceil(std::clamp(settings.datagrams_max, 1U, kBucketsMax)), kNoPlace) {}

Event Defragmenter::read(const Frame& frame, const wire::Headers& headers, Key& key, Piece& piece) {
    const std::uint8_t* ip = frame.data + headers.net;
    const std::uint32_t header_size = headers.transport - headers.net;
    piece.net = headers.net;
    piece.data = headers.transport;
    if (headers.cut > 0) {
        return Event::FrameSnaplen;
    }
    std::uint32_t datagram_header = 0;  // What counts for the largest datagram.
    if (headers.ip_version == 4) {
        if (header_size < kIpv4MinSize) {
            return Event::Ipv4BadHeader;
        }
        const std::uint16_t field = load_be16(ip + 6);
        detail::map_ipv4(key.ends.low.address, ip + 12);
        detail::map_ipv4(key.ends.high.address, ip + 16);
        key.identification = load_be16(ip + 4);
        key.protocol = headers.protocol;
        piece.header_size = datagram_header = header_size;
        piece.begin = (field & 0x1fffU) * 8;
        piece.last = (field & 0x2000) == 0;
    } else {
        if (header_size < kIpv6Size + kFragmentHeaderSize) {
            return Event::Ipv6BadHeader;
        }
        piece.header_size = header_size - kFragmentHeaderSize;
        datagram_header = piece.header_size - kIpv6Size;
        const std::uint32_t named = ipv6_next_header_field({ip, header_size}, piece.header_size);
        if (named == 0 || ip[named] != kFragmentHeader) {
            return Event::Ipv6BadHeader;
        }
        const std::uint8_t* fragment = ip + piece.header_size;
        std::memcpy(key.ends.low.address.data(), ip + 8, 16);
        std::memcpy(key.ends.high.address.data(), ip + 24, 16);
        key.identification = load_be32(fragment + 4);
        key.protocol = kAnyIpv6Protocol;
        piece.next_header = fragment[0];
        piece.begin = load_be16(fragment + 2) & 0xfff8U;
        piece.last = (fragment[3] & 1) == 0;
    }
    const std::uint32_t size = headers.end - headers.transport;
    piece.end = piece.begin + size;
    const bool is_bad =
        size == 0 || (!piece.last && size % 8 != 0) || datagram_header + piece.end > kDatagramMax;
    return is_bad ? Event::FragmentBadLength : Event::None;
}

std::uint32_t& Defragmenter::bucket(const Key& key) {
    const std::uint64_t hash =
        detail::hash_ends(key.ends.low.address.data(), key.ends.high.address.data(),
                          std::uint64_t{key.protocol} << 32 | key.identification, secret_);
    return buckets_[hash & (buckets_.size() - 1)];
}

std::uint32_t Defragmenter::find(const Key& key) {
    std::uint32_t place = bucket(key);
    while (place != kNoPlace && places_[place].key != key) {
        place = places_[place].chain_next;
    }
    return place;
}

std::uint32_t Defragmenter::open(const Key& key, Instant now) {
    if (settings_.datagrams_max == 0) {
        return kNoPlace;
    }
    if (datagram_count_ >= settings_.datagrams_max) {
        const std::uint32_t victim =
            refused_.oldest != kNoPlace ? refused_.oldest : holding_.oldest;
        drop_frames(places_[victim], Event::FragmentLimit);
        close(victim);
    }
    std::uint32_t place = free_;
    if (place == kNoPlace) {
        place = static_cast<std::uint32_t>(places_.size());
        places_.emplace_back();
    } else {
        free_ = places_[place].chain_next;
    }
    Datagram& datagram = places_[place];
    datagram.key = key;
    datagram.serial = ++serial_;
    datagram.deadline = now + settings_.timeout;
    datagram.chain_next = std::exchange(bucket(key), place);
    push(holding_, place);
    ++datagram_count_;
    due_at_ = std::min(due_at_, datagram.deadline);
    return place;
}

// Precondition: its frames are dropped or on their way.
void Defragmenter::close(std::uint32_t place) {
    constexpr std::size_t kKeptCapacity = 64;
    Datagram& datagram = places_[place];
    take(datagram.refused == Event::None ? holding_ : refused_, place);
    std::uint32_t* link = &bucket(datagram.key);
    while (*link != place) {
        link = &places_[*link].chain_next;
    }
    *link = datagram.chain_next;
    Datagram empty;
    if (datagram.fragments.capacity() <= kKeptCapacity) {
        empty.fragments = std::move(datagram.fragments);
        empty.by_offset = std::move(datagram.by_offset);
        empty.fragments.clear();
        empty.by_offset.clear();
    }
    datagram = std::move(empty);
    datagram.chain_next = std::exchange(free_, place);
    --datagram_count_;
}

void Defragmenter::push(AgeList& list, std::uint32_t place) {
    places_[place].older = list.newest;
    places_[place].newer = kNoPlace;
    (list.newest == kNoPlace ? list.oldest : places_[list.newest].newer) = place;
    list.newest = place;
}

void Defragmenter::take(AgeList& list, std::uint32_t place) {
    const std::uint32_t older = places_[place].older;
    const std::uint32_t newer = places_[place].newer;
    (older == kNoPlace ? list.oldest : places_[older].newer) = newer;
    (newer == kNoPlace ? list.newest : places_[newer].older) = older;
}

void Defragmenter::drop_frames(Datagram& datagram, Event event) {
    for (const Fragment& fragment : datagram.fragments) {
        dropped_.push_back({fragment.frame.number, event});
        held_bytes_ -= charge(fragment.frame.size);
    }
    datagram.fragments.clear();
    datagram.by_offset.clear();
}

Defragmenter::Outcome Defragmenter::refuse(std::uint32_t place, Event event) {
    Datagram& datagram = places_[place];
    drop_frames(datagram, event);
    take(holding_, place);
    datagram.refused = event;
    datagram.fragments.shrink_to_fit();
    datagram.by_offset.shrink_to_fit();
    push(refused_, place);
    return {FragmentOutcome::Refused, event};
}

// Does the piece fit what is there? The order matters: a lying end is named before the overlap
// that it causes.
Event Defragmenter::fit(const Datagram& datagram, const Frame& frame, const Piece& piece,
                        bool& is_duplicate) {
    const auto& order = datagram.by_offset;
    const auto held = [&](std::uint32_t i) -> const Fragment& { return datagram.fragments[i]; };
    if (datagram.has_last &&
        (piece.end > datagram.total || (piece.last && piece.end != datagram.total))) {
        return Event::FragmentBadLength;
    }
    if (piece.last && !order.empty() && held(order.back()).piece.end > piece.end) {
        return Event::FragmentBadLength;
    }
    const auto next = std::ranges::lower_bound(
        order, piece.begin, {}, [&](std::uint32_t i) { return held(i).piece.begin; });
    if (next != order.begin() && held(*(next - 1)).piece.end > piece.begin) {
        return Event::FragmentOverlap;
    }
    if (next == order.end() || held(*next).piece.begin >= piece.end) {
        return Event::None;
    }
    const Fragment& other = held(*next);
    is_duplicate = other.piece.begin == piece.begin && other.piece.end == piece.end &&
                   other.piece.last == piece.last && other.piece.header_size == piece.header_size &&
                   other.piece.next_header == piece.next_header &&
                   std::memcmp(other.frame.data + other.piece.data, frame.data + piece.data,
                               piece.size()) == 0;
    return is_duplicate ? Event::None : Event::FragmentOverlap;
}

// False: the datagram at `place` itself had to go.
bool Defragmenter::make_room(std::size_t bytes, std::uint32_t place) {
    if (bytes > settings_.bytes_max) {
        refuse(place, Event::FragmentLimit);
        return false;
    }
    while (held_bytes_ + bytes > settings_.bytes_max) {
        const std::uint32_t oldest = holding_.oldest;
        refuse(oldest, Event::FragmentLimit);
        if (oldest == place) {
            return false;
        }
    }
    return true;
}

Defragmenter::Outcome Defragmenter::add(const Frame& frame, const wire::Headers& headers,
                                        Instant now) {
    assert(headers.fragment);
    dropped_.clear();
    originals_.clear();
    leaving_.clear();
    Key key;
    Piece piece;
    if (const Event event = read(frame, headers, key, piece); event != Event::None) {
        return {FragmentOutcome::Refused, event};
    }
    std::uint32_t place = find(key);
    if (place == kNoPlace) {
        place = open(key, now);
    }
    if (place == kNoPlace) {
        return {FragmentOutcome::Refused, Event::FragmentLimit};
    }
    Datagram& datagram = places_[place];
    if (datagram.refused != Event::None) {
        return {FragmentOutcome::Refused, datagram.refused};
    }
    bool is_duplicate = false;
    if (const Event event = fit(datagram, frame, piece, is_duplicate); event != Event::None) {
        return refuse(place, event);
    }
    if (datagram.fragments.size() >= settings_.fragments_per_datagram_max) {
        return refuse(place, Event::FragmentLimit);
    }
    if (!is_duplicate && (datagram.has_last || piece.last) &&
        datagram.received + piece.size() == (piece.last ? piece.end : datagram.total)) {
        const Piece& first =
            piece.begin == 0 ? piece : datagram.fragments[datagram.by_offset[0]].piece;
        const std::uint32_t total = datagram.received + piece.size();
        const std::uint32_t counted = first.header_size - (headers.ip_version == 4 ? 0 : kIpv6Size);
        if (counted + total > kDatagramMax) {
            return refuse(place, Event::FragmentBadLength);
        }
        join(place, frame, piece);
        return {FragmentOutcome::Joined, Event::None};
    }
    if (!make_room(charge(frame.size), place)) {
        return {FragmentOutcome::Refused, Event::FragmentLimit};
    }
    hold(datagram, frame, piece);
    if (is_duplicate) {
        return {FragmentOutcome::Duplicate, Event::None};
    }
    const auto index = static_cast<std::uint32_t>(datagram.fragments.size() - 1);
    const auto at = std::ranges::lower_bound(
        datagram.by_offset, piece.begin, {},
        [&](std::uint32_t i) { return datagram.fragments[i].piece.begin; });
    datagram.by_offset.insert(at, index);
    datagram.received += piece.size();
    if (piece.last) {
        datagram.has_last = true;
        datagram.total = piece.end;
    }
    return {FragmentOutcome::Held, Event::None};
}

void Defragmenter::hold(Datagram& datagram, const Frame& frame, const Piece& piece) {
    Fragment& fragment = datagram.fragments.emplace_back();
    fragment.piece = piece;
    fragment.frame = frame;
    fragment.bytes = std::make_unique_for_overwrite<std::uint8_t[]>(frame.size);
    std::memcpy(fragment.bytes.get(), frame.data, frame.size);
    fragment.frame.data = fragment.bytes.get();
    held_bytes_ += charge(frame.size);
}

// `piece` fills the last hole of the datagram.
void Defragmenter::join(std::uint32_t place, const Frame& frame, const Piece& piece) {
    Datagram& datagram = places_[place];
    const Fragment* first_held =
        piece.begin == 0 ? nullptr : &datagram.fragments[datagram.by_offset[0]];
    const Piece first = first_held == nullptr ? piece : first_held->piece;
    const Frame& first_frame = first_held == nullptr ? frame : first_held->frame;
    const std::uint32_t total = datagram.received + piece.size();
    const std::uint32_t head = first.net + first.header_size;
    if (joined_bytes_.size() < head + total) {
        joined_bytes_.resize(head + total);
    }
    std::memcpy(joined_bytes_.data(), first_frame.data, head);
    const auto is_ipv6 = static_cast<std::uint32_t>(datagram.key.protocol == kAnyIpv6Protocol);
    shape_ = {.ip_version = static_cast<std::uint8_t>(is_ipv6 != 0 ? 6 : 4),
              .identification = datagram.key.identification,
              .net = first.net,
              .unfragmentable = first.header_size * is_ipv6};
    const auto lay = [&](const Piece& from, const std::uint8_t* bytes) {
        std::memcpy(&joined_bytes_[head + from.begin], bytes + from.data, from.size());
        shape_.size_max = std::max(shape_.size_max, from.data - from.net + from.size());
    };
    lay(piece, frame.data);
    for (const std::uint32_t i : datagram.by_offset) {
        lay(datagram.fragments[i].piece, datagram.fragments[i].frame.data);
    }
    joined_ = frame;
    joined_.data = joined_bytes_.data();
    joined_.size = joined_.original_size = head + total;
    joined_.link = first_frame.link;
    joined_.interface = first_frame.interface;
    write_joined_header(first, total);
    for (const Fragment& fragment : datagram.fragments) {
        originals_.push_back(fragment.frame);
        held_bytes_ -= charge(fragment.frame.size);
    }
    originals_.push_back(frame);
    leaving_.swap(datagram.fragments);
    close(place);
}

void Defragmenter::write_joined_header(const Piece& first, std::uint32_t total) {
    std::uint8_t* ip = &joined_bytes_[first.net];
    if (shape_.ip_version == 4) {
        constexpr std::uint16_t kKeptFlags = 0xc000;
        store_be16(ip + 2, static_cast<std::uint16_t>(first.header_size + total));
        store_be16(ip + 6, load_be16(ip + 6) & kKeptFlags);
        store_be16(ip + 10, 0);
        store_be16(ip + 10, wire::internet_checksum({ip, first.header_size}));
        return;
    }
    store_be16(ip + 4, static_cast<std::uint16_t>(first.header_size - kIpv6Size + total));
    ip[ipv6_next_header_field({ip, first.header_size}, first.header_size)] = first.next_header;
}

void Defragmenter::expire(Instant now) {
    dropped_.clear();
    expired_.clear();
    due_at_ = Instant{INT64_MAX};
    for (std::uint32_t place = 0; place < places_.size(); ++place) {
        const Datagram& datagram = places_[place];
        if (datagram.serial != 0 && datagram.deadline <= now) {
            expired_.push_back(place);
        } else if (datagram.serial != 0) {
            due_at_ = std::min(due_at_, datagram.deadline);
        }
    }
    std::ranges::sort(expired_, {}, [&](std::uint32_t place) {
        return std::tuple(places_[place].deadline, places_[place].serial);
    });
    for (const std::uint32_t place : expired_) {
        drop_frames(places_[place], Event::FragmentTimeout);
        close(place);
    }
}

void Defragmenter::finish() {
    expire(Instant{INT64_MAX});
}

}  // namespace haka::flow
