"""A DNS server on 127.0.0.1 that does what the first label of a name says: servfail, refused,
silent, loop (two CNAMEs that name each other), big (2,000 MX records, by TCP alone), many (answers
late, and counts), huge (3,000), lame (refers to others), empty (an MX host of which it says nothing, and no zone), count (an address whose last octet is how often many was asked).
Writes its port on stdout when it serves.
"""
import os
import select
import socket
import struct
import sys
import time

A, NS, CNAME, SOA, MX = 1, 2, 5, 6, 15
asked = {}


def question(packet):
    labels, at = [], 12
    while packet[at]:
        labels.append(packet[at + 1:at + 1 + packet[at]].decode("latin1").lower())
        at += 1 + packet[at]
    kind = struct.unpack(">H", packet[at + 1:at + 3])[0]
    return labels, kind, packet[12:at + 5]


def wire(name):
    return b"".join(bytes([len(l)]) + l.encode() for l in name.split(".") if l) + b"\0"


def record(kind, data, ttl=300):
    return b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, ttl, len(data)) + data


def answers(labels, kind):
    """(rcode, records), or None for no answer."""
    first = labels[0]
    if first == "silent":
        return None
    if first == "servfail":
        return 2, []
    if first == "refused":
        return 5, []
    if first in ("loop", "pool"):
        return 0, [record(CNAME, wire(("pool" if first == "loop" else "loop") + ".bad"))]
    if first in ("big", "huge") and kind == MX:
        return 0, [record(MX, struct.pack(">H", n) + wire("h%d" % n)[:-1] + b"\xc0\x0c")
                   for n in range(2000 if first == "big" else 3000)]
    if first == "many" and kind == MX:
        return 0, [record(MX, struct.pack(">H", 10) + wire("mx.many.bad"))]
    if first == "empty" and kind == MX:
        return 0, [record(MX, struct.pack(">H", 10) + wire("lame.bad"))]
    if first == "half" and kind == MX:
        return 0, [record(MX, struct.pack(">H", 10) + wire("servfail.bad"))]
    if first == "mostly" and kind == MX:
        return 0, [record(MX, struct.pack(">H", 10) + wire("servfail.bad")),
                   record(MX, struct.pack(">H", 20) + wire("count.bad"))]
    if first == "partly" and kind == MX:
        return 0, [record(MX, struct.pack(">H", 10) + wire("silent.bad")),
                   record(MX, struct.pack(">H", 20) + wire("count.bad"))]
    if first == "count" and kind == A:
        return 0, [record(A, bytes([10, 0, 0, asked.get(("many", MX), 0)]))]
    return 0, []


def reply(packet, tcp):
    labels, kind, q = question(packet)
    key = (labels[0], kind)
    asked[key] = asked.get(key, 0) + 1
    found = answers(labels, kind)
    if found is None:
        return None
    if labels[0] == "many":
        time.sleep(0.2)
    rcode, records = found
    body = q + b"".join(records)
    if labels[0] == "lame":
        referral = b"\0" + struct.pack(">HHIH", NS, 1, 300, len(wire("ns.bad"))) + wire("ns.bad")
        return packet[:2] + struct.pack(">HHHHH", 0x8180, 1, 0, 1, 0) + q + referral
    flags = 0x8580 | rcode
    if not tcp and len(body) > 1200:
        flags, records, body = flags | 0x0200, [], q
    if rcode == 0 and not records and not flags & 0x0200:  # who knows names the zone that has nothing
        soa = wire("bad") + struct.pack(">HHIH", SOA, 1, 300, 30) + wire("bad") + wire("bad") + struct.pack(">IIIII", 1, 60, 60, 60, 60)
        return packet[:2] + struct.pack(">HHHHH", flags, 1, 0, 1, 0) + q + soa
    return packet[:2] + struct.pack(">HHHHH", flags, 1, len(records), 0, 0) + body


def serve_tcp(listener):
    c, _ = listener.accept()
    with c:
        c.settimeout(2)
        try:
            length = struct.unpack(">H", c.recv(2, socket.MSG_WAITALL))[0]
            answer = reply(c.recv(length, socket.MSG_WAITALL), True)
            if answer:
                c.sendall(struct.pack(">H", len(answer)) + answer)
                c.recv(1)  # until the client has gone
        except (OSError, struct.error):
            pass


def main():
    listener = socket.create_server(("127.0.0.1", 0))
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("127.0.0.1", listener.getsockname()[1]))
    os.write(1, b"%d\n" % listener.getsockname()[1])  # at once: the test reads no further
    while True:
        ready, _, _ = select.select([udp, listener, sys.stdin], [], [])
        if sys.stdin in ready:
            return  # the test has ended
        if listener in ready:
            serve_tcp(listener)
        if udp in ready:
            packet, client = udp.recvfrom(65535)
            answer = reply(packet, False)
            if answer:
                udp.sendto(answer, client)


main()
