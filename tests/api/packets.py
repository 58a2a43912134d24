"""Packets for the API tests: made here, written to a capture, read back with every checksum checked."""
import ipaddress
import struct
from pathlib import Path

FIN, SYN, RST, PSH, ACK, URG = 1, 2, 4, 8, 16, 32
CLIENT, SERVER = "192.168.10.1", "192.168.20.1"
CLIENT6, SERVER6 = "2001:db8:a::1", "2001:db8:b::1"
START = 1_700_000_000


def ones_sum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def checksum(data):
    return 0xFFFF - ones_sum(data)


def pseudo_header(src, dst, protocol, size):
    source, destination = ipaddress.ip_address(src), ipaddress.ip_address(dst)
    if source.version == 4:
        return source.packed + destination.packed + struct.pack("!BBH", 0, protocol, size)
    return source.packed + destination.packed + struct.pack("!II", size, protocol)


def ip(src, dst, protocol, body, ttl=64, ident=0x1234, fragment=0x4000, options=b""):
    source, destination = ipaddress.ip_address(src), ipaddress.ip_address(dst)
    if source.version == 6:
        return struct.pack("!IHBB", 6 << 28, len(body), protocol, ttl) + source.packed + \
            destination.packed + body
    size = 20 + len(options)
    head = struct.pack("!BBHHHBBH", 0x40 + size // 4, 0, size + len(body), ident, fragment, ttl,
                       protocol, 0) + source.packed + destination.packed + options
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + body


def with_checksum(src, dst, protocol, segment, at):
    value = checksum(pseudo_header(src, dst, protocol, len(segment)) + segment)
    if protocol == 17 and value == 0:
        value = 0xFFFF
    return segment[:at] + struct.pack("!H", value) + segment[at + 2:]


def tcp(src, dst, sport, dport, seq, ack, flags, data=b"", window=64240, options=b"", urgent=0, **rest):
    options += b"\0" * (-len(options) % 4)
    segment = struct.pack("!HHIIBBHHH", sport, dport, seq % 2**32, ack % 2**32,
                          (20 + len(options)) * 4, flags, window, 0, urgent) + options + data
    return ip(src, dst, 6, with_checksum(src, dst, 6, segment, 16), **rest)


def udp(src, dst, sport, dport, data, **rest):
    datagram = struct.pack("!HHHH", sport, dport, 8 + len(data), 0) + data
    return ip(src, dst, 17, with_checksum(src, dst, 17, datagram, 6), **rest)


def ping(src, dst, data=b"abcdefgh", kind=8):
    if ipaddress.ip_address(src).version == 6:
        message = struct.pack("!BBHHH", 128, 0, 0, 7, 1) + data
        return ip(src, dst, 58, with_checksum(src, dst, 58, message, 2))
    message = struct.pack("!BBHHH", kind, 0, 0, 7, 1) + data
    return ip(src, dst, 1, message[:2] + struct.pack("!H", checksum(message)) + message[4:])


class Talk:
    """One TCP connection; each method returns the packet of its name and counts on."""

    def __init__(self, sport=40000, dport=80, client=CLIENT, server=SERVER, client_seq=1000,
                 server_seq=5000):
        self.ends = {True: (client, sport, client_seq), False: (server, dport, server_seq)}

    def packet(self, from_client, flags, data=b"", seq=None, **rest):
        src, sport, mine = self.ends[from_client]
        dst, dport, theirs = self.ends[not from_client]
        if flags & ACK == 0:
            theirs = 0
        made = tcp(src, dst, sport, dport, mine if seq is None else seq, theirs, flags, data, **rest)
        if seq is None:
            self.ends[from_client] = (src, sport,
                                      mine + len(data) + bool(flags & SYN) + bool(flags & FIN))
        return made

    def open(self, options=b"\x02\x04\x05\xb4"):
        return [self.packet(True, SYN, options=options),
                self.packet(False, SYN | ACK, options=options), self.packet(True, ACK)]

    def send(self, data):
        return self.packet(True, PSH | ACK, data)

    def answer(self, data):
        return self.packet(False, PSH | ACK, data)

    def close(self):
        return [self.packet(True, FIN | ACK), self.packet(False, FIN | ACK), self.packet(True, ACK)]


def exchange(request=b"GET / HTTP/1.1\r\n\r\n", response=b"HTTP/1.1 200 OK\r\n\r\nhello", **ends):
    talk = Talk(**ends)
    return talk.open() + [talk.send(request), talk.answer(response)] + talk.close()


def write(path, packets, interval_us=1000):
    """Packets one interval apart, or (microseconds since START, packet) pairs; link type raw IP."""
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 101))
        for number, packet in enumerate(packets):
            when, data = packet if isinstance(packet, tuple) else (number * interval_us, packet)
            file.write(struct.pack("<IIII", START + when // 1_000_000, when % 1_000_000, len(data),
                                   len(data)) + data)


def network_layer(link, frame):
    if link in (101, 12, 228):
        return frame
    if link != 1:
        raise ValueError(f"link type {link}")
    at = 12
    while frame[at:at + 2] in (b"\x81\x00", b"\x88\xa8"):
        at += 4
    return frame[at + 2:]


def read(path):
    """(time in microseconds, bytes from the network layer on) of each packet of a pcap file."""
    data = Path(path).read_bytes()
    order = "<" if data[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
    unit = 1 if data[:4] in (b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\xc3\xd4") else 1000
    link, at, packets = struct.unpack(order + "I", data[20:24])[0] & 0xFFFF, 24, []
    while at < len(data):
        seconds, part, size, _ = struct.unpack(order + "IIII", data[at:at + 16])
        packets.append((seconds * 1_000_000 + part // unit,
                        network_layer(link, data[at + 16:at + 16 + size])))
        at += 16 + size
    return packets


class Parsed:
    """A packet's fields, and which of its checksums are wrong."""

    def __init__(self, data):
        self.data = data
        self.version = data[0] >> 4
        if self.version == 4:
            size = (data[0] & 15) * 4
            data = data[:struct.unpack("!H", data[2:4])[0]]
            self.tos, self.len, self.id, self.fragment = struct.unpack("!xBHHH", data[:8])
            self.ttl, self.protocol, self.ip_checksum = struct.unpack("!BBH", data[8:12])
            self.src, self.dst = (str(ipaddress.ip_address(data[i:i + 4])) for i in (12, 16))
        else:
            size = 40
            self.protocol, self.ttl = data[6], data[7]
            self.src, self.dst = (str(ipaddress.ip_address(data[i:i + 16])) for i in (8, 24))
        self.bad = []
        if self.version == 4 and ones_sum(data[:size]) != 0xFFFF:
            self.bad.append("ip")
        self.body = body = data[size:]
        whole = self.version == 6 or self.fragment & 0x3FFF == 0
        if whole and self.protocol in (6, 17, 58) and not (self.protocol == 17 and body[6:8] == b"\0\0"):
            if ones_sum(pseudo_header(self.src, self.dst, self.protocol, len(body)) + body) != 0xFFFF:
                self.bad.append({6: "tcp", 17: "udp", 58: "icmp"}[self.protocol])
        if whole and self.protocol == 1 and ones_sum(body) != 0xFFFF:
            self.bad.append("icmp")
        if self.protocol == 6 and whole:
            (self.sport, self.dport, self.seq, self.ack, offset, self.flags, self.window,
             self.checksum, self.urgent) = struct.unpack("!HHIIBBHHH", body[:20])
            self.res, self.payload = offset & 15, body[(offset >> 4) * 4:]
        elif self.protocol == 17 and whole:
            self.sport, self.dport, self.length, self.checksum = struct.unpack("!HHHH", body[:8])
            self.payload = body[8:]
        elif self.protocol in (1, 58) and whole:
            self.type, self.code, self.checksum = struct.unpack("!BBH", body[:4])
            self.payload = body[8:]


def parse(path):
    return [Parsed(data) for _, data in read(path)]
