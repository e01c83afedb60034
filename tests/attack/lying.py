"""
Name servers that lie: one process of ours that is every server of the DNS in its network, the root's too.

    us -- MX? --> dns 10.113.0.53     as a forwarder: all questions come here
              \\-> any address         from the root on: every address beyond the network is this host

    liar = Liar(net, {"servfail.example": lies_by_rcode(2)})
    liar.well.set()                    from now on the truth

A lie is a function of the question: it returns the packet to be sent, several, or None. What it is not about is
answered truly: each domain below example has the MX host good.hosts.test.
"""
import contextlib
import random
import socket
import struct
import threading
import time

import net as networks

A, NS, CNAME, SOA, PTR, MX, TXT, AAAA, OPT = 1, 2, 5, 6, 12, 15, 16, 28, 41
TC, AA, QR = 0x0200, 0x0400, 0x8000
IP_PKTINFO = 8
UDP_MOST = 1200
TTL = 1     # seconds: what becomes true is to be seen soon
GOOD, EVIL = "good.hosts.test", "evil.hosts.test"


def encode(name):
    """A name of the wire; labels may hold anything but dots."""
    labels = [l.encode("latin-1") for l in name.split(".") if l]
    return b"".join(bytes([len(l)]) + l for l in labels) + b"\0"


def record(name, kind, data, ttl=TTL):
    owner = name if isinstance(name, bytes) else encode(name)
    return owner + struct.pack(">HHIH", kind, 1, ttl, len(data)) + data


def mx(name, preference, host, ttl=TTL):
    return record(name, MX, struct.pack(">H", preference) + (host if isinstance(host, bytes) else encode(host)), ttl)


def a(name, address, ttl=TTL):
    return record(name, A, socket.inet_aton(address), ttl)


def ns(name, host, ttl=TTL):
    return record(name, NS, encode(host), ttl)


def soa(zone):
    return record(zone, SOA, encode("ns." + zone) + encode("root." + zone) + struct.pack(">IIIII", 1, 60, 60, 60, TTL))


class Question:
    def __init__(self, liar, packet, tcp, asker, asked_at):
        self.liar, self.packet, self.tcp, self.asker, self.at = liar, packet, tcp, asker, asked_at
        labels, at = [], 12
        while packet[at]:
            labels.append(packet[at + 1:at + 1 + packet[at]].decode("latin-1").lower())
            at += 1 + packet[at]
        self.labels, self.name = labels, ".".join(labels)
        self.kind = struct.unpack(">H", packet[at + 1:at + 3])[0]
        self.octets = packet[12:at + 5]

    @property
    def domain(self):
        """The registered one: x.example."""
        return ".".join(self.labels[-2:])

    def reply(self, answer=(), authority=(), additional=(), rcode=0, flags=QR | AA | 0x0180, octets=None, identity=None, whole=False):
        octets = self.octets if octets is None else octets
        counts = (1 if octets else 0, len(answer), len(authority), len(additional))
        identity = self.packet[:2] if identity is None else identity
        body = octets + b"".join([*answer, *authority, *additional])
        if not self.tcp and len(body) > UDP_MOST and not whole:
            flags, body, counts = flags | TC, octets, (counts[0], 0, 0, 0)
        return identity + struct.pack(">HHHHH", flags | rcode, *counts) + body

    def nothing(self, rcode=0):
        return self.reply(authority=[soa(self.domain)], rcode=rcode)


class Liar:
    def __init__(self, net, lies, root=False):
        """lies: by domain, for it and what is below; root: the servers of domains have addresses of their own."""
        self.net, self.lies, self.root = net, dict(lies), root
        self.well = threading.Event()
        self.asked, self.struck, self.failures = {}, {}, []
        self.addresses = {f"{host}.hosts.test": net.ip4(host) for host in net.hosts}
        self.names = {}     # of clients, by their address: a lie for their PTR
        self.servers = {domain: f"203.0.113.{i + 1}" for i, domain in enumerate(self.lies)}
        self.up = False
        self.rise()

    # Life

    def rise(self):
        with self.net.inside("dns"):
            self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.udp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
            self.udp.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
            self.udp.bind(("", 53))
            self.tcp = socket.create_server(("", 53), backlog=128)
        with self.net.inside("evil"):
            self.elsewhere = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.up = True
        self.threads = [threading.Thread(target=f, daemon=True) for f in (self.serve_udp, self.serve_tcp)]
        for thread in self.threads:
            thread.start()

    def fall(self):
        self.up = False
        with contextlib.suppress(OSError):
            self.udp.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError):
            self.tcp.shutdown(socket.SHUT_RDWR)
        for thread in self.threads:
            thread.join(10)
        for s in (self.udp, self.tcp, self.elsewhere):
            s.close()

    end = fall

    def serve_udp(self):
        while self.up:
            try:
                packet, control, _, asker = self.udp.recvmsg(65535, 256)
            except OSError:
                return
            if not packet:
                continue
            (_, _, info), = control
            at = socket.inet_ntoa(info[8:12])
            self.answer(Question(self, packet, False, asker, at), lambda p, asker=asker, at=at: self.send(p, asker, at))

    def send(self, packet, asker, at):
        info = struct.pack("I4s4s", 0, socket.inet_aton(at), b"\0\0\0\0")
        with contextlib.suppress(OSError):     # it has gone, or is closed
            self.udp.sendmsg([packet], [(socket.IPPROTO_IP, IP_PKTINFO, info)], 0, asker)

    def serve_tcp(self):
        while self.up:
            try:
                connection, asker = self.tcp.accept()
            except OSError:
                return
            threading.Thread(target=self.talk, args=(connection, asker), daemon=True).start()

    def talk(self, connection, asker):
        with connection, contextlib.suppress(OSError, struct.error):
            connection.settimeout(60)
            while len(size := connection.recv(2, socket.MSG_WAITALL)) == 2:
                packet = connection.recv(struct.unpack(">H", size)[0], socket.MSG_WAITALL)
                at = connection.getsockname()[0]
                question = Question(self, packet, True, asker, at)
                question.connection = connection
                self.answer(question, lambda p: connection.sendall(struct.pack(">H", len(p)) + p))

    # What is said

    def answer(self, question, send):
        try:
            packets = self.packets(question)
        except OSError:     # it has gone
            return
        except Exception as e:  # of a lie that is wrong: the test is to say so
            self.failures.append(repr(e))
            return
        if isinstance(packets, bytes):
            packets = [packets]
        for packet in packets or ():
            if isinstance(packet, float):   # seconds until the rest
                rest = packets[packets.index(packet) + 1:]
                threading.Timer(packet, lambda: [send(p) for p in rest]).start()
                return
            send(packet)

    def packets(self, q):
        self.asked[q.domain] = self.asked.get(q.domain, 0) + 1
        if q.name.endswith(".in-addr.arpa"):
            address = ".".join(reversed(q.labels[:4]))
            lie = self.names.get(address)
            return lie(q) if lie else q.reply(rcode=3, authority=[soa("in-addr.arpa")])
        lie = self.lies.get(q.domain)
        if lie is None:
            return self.truth(q)
        if self.root and q.at != self.servers[q.domain]:
            return self.referral(q)
        if self.well.is_set():
            return self.truth(q)
        self.struck[q.domain] = self.struck.get(q.domain, 0) + 1
        return lie(q)

    def referral(self, q):
        up = getattr(self.lies[q.domain], "referral", None)
        if up and not self.well.is_set():
            self.struck[q.domain] = self.struck.get(q.domain, 0) + 1
            return up(q)
        server = f"ns.{q.domain}"
        return q.reply(flags=QR | 0x0100, authority=[ns(q.domain, server)], additional=[a(server, self.servers[q.domain])])

    def truth(self, q):
        if q.name == "" and q.kind == NS:
            return q.reply([ns("", "ns.hosts.test", 3600)], additional=[a("ns.hosts.test", self.net.ip4("dns"), 3600)])
        if q.name == "ns.hosts.test" and q.kind == A:
            return q.reply([a(q.name, self.net.ip4("dns"), 3600)])
        if q.name in self.addresses and q.kind == A:
            return q.reply([a(q.name, self.addresses[q.name], 5)])
        if len(q.labels) == 2 and q.labels[1] == "example" and q.kind == MX:
            return q.reply([mx(q.name, 10, GOOD)])
        if q.name.startswith("ns.") and q.kind == A and q.domain in self.servers:
            return q.reply([a(q.name, self.servers[q.domain])])
        return q.nothing()


class World(networks.Network):
    """Hosts without nsd; what is not in their network leads to the liar."""

    HOSTS = {"us": 2, "good": 11, "evil": 66, "deaf": 12, "client": 100}

    def __init__(self, **more):
        super().__init__({**self.HOSTS, **more})
        dns = self.ip4("dns")
        self.run("us", "ip", "route", "add", "default", "via", dns, check=True)
        self.run("dns", "ip", "route", "add", "local", "0.0.0.0/1", "dev", "lo", check=True)
        self.run("dns", "ip", "route", "add", "local", "128.0.0.0/1", "dev", "lo", check=True)
        self.run("us", "ip", "route", "add", "10.99.0.0/16", "via", self.ip4("deaf"), check=True)
        self.run("deaf", "ip", "route", "add", "local", "10.99.0.0/16", "dev", "lo", check=True)

    def serve(self, zones):
        pass


# Lies

def by_rcode(rcode):
    return lambda q: q.reply(rcode=rcode)


def silent(q):
    return None


def late(seconds):
    """The truth, after so long."""
    return lambda q: [float(seconds), q.liar.truth(q)]


def evil_answer(q):
    """What an attacker would have believed."""
    if q.kind == A:
        return [a(q.name, q.liar.net.ip4("evil"), 3600)]
    return [mx(q.name, 0, EVIL, 3600)]


def forged(q, **how):
    return q.reply(evil_answer(q), **how)


def other_identity(q):
    return bytes([q.packet[0] ^ 1, q.packet[1]])


def other_question(q, name="another.example"):
    return encode(name) + struct.pack(">HH", q.kind, 1)


def from_elsewhere(q):
    """The evil host sends it, to the right port with the right number."""
    if not q.tcp:
        q.liar.elsewhere.sendto(forged(q), q.asker)


FORGERIES = {
    "id": lambda q: [forged(q, identity=other_identity(q))],
    "ids": lambda q: [forged(q, identity=struct.pack(">H", random.randrange(65536))) for _ in range(50)
                      ] if not q.tcp else [],
    "question": lambda q: [forged(q, octets=other_question(q))],
    "type": lambda q: [forged(q, octets=encode(q.name) + struct.pack(">HH", TXT, 1))],
    "class": lambda q: [forged(q, octets=encode(q.name) + struct.pack(">HH", q.kind, 3))],
    "no-question": lambda q: [forged(q, octets=b"")],
    "no-qr": lambda q: [forged(q, flags=0x0100)],
    "opcode": lambda q: [forged(q, flags=QR | AA | 0x2800)],
    "elsewhere": lambda q: from_elsewhere(q) or [],
}


def alone(forgery):
    return lambda q: FORGERIES[forgery](q)


def before_the_truth(forgery):
    return lambda q: [*FORGERIES[forgery](q), q.liar.truth(q)]


def cut(how):
    """TC by UDP always; by TCP what `how` says."""
    return lambda q: how(q) if q.tcp else q.reply(flags=QR | AA | TC | 0x0180)


def tcp_closes(q):
    q.connection.close()


def tcp_half(q):
    packet = q.liar.truth(q)
    q.connection.sendall(struct.pack(">H", len(packet)) + packet[:len(packet) // 2])
    q.connection.shutdown(socket.SHUT_RDWR)


def tcp_trickles(q):
    packet = q.liar.truth(q)
    for octet in struct.pack(">H", 60000) + packet:
        q.connection.sendall(bytes([octet]))
        time.sleep(0.5)


def garbage(kind):
    def lie(q):
        r = random.Random(q.packet)
        head = q.packet[:2] + struct.pack(">H", QR | AA | 0x0180)
        return {
            "short": q.packet[:2] + b"\x85",
            "head": head + struct.pack(">HHHH", 1, 1, 0, 0),
            "octets": q.packet[:2] + r.randbytes(400),
            "counts": head + struct.pack(">HHHH", 1, 65535, 65535, 65535) + q.octets,
            "pointer": head + struct.pack(">HHHH", 1, 1, 0, 0) + q.octets + b"\xc0" + bytes([12 + len(q.octets)]) + struct.pack(">HHIH", q.kind, 1, 9, 0),
            "rdlength": head + struct.pack(">HHHH", 1, 1, 0, 0) + q.octets + b"\xc0\x0c" + struct.pack(">HHIH", q.kind, 1, 9, 65535) + b"x",
            "mx-short": q.reply([record(q.name, q.kind, b"\0")]),
            "mx-long": q.reply([record(q.name, q.kind, b"\0\x0a" + encode(EVIL) + b"more")]),
            "label": q.reply([record(q.name, q.kind, b"\0\x0a\xff" + 70 * b"x" + b"\0")]),
        }[kind]
    return lie


def lame(q):
    """Not its own: go to the root."""
    return q.reply(flags=QR | 0x0100, authority=[ns("", "ns.hosts.test")])


def lame_sideways(q):
    return q.reply(flags=QR | 0x0100, authority=[ns("example", "ns.elsewhere.example")])


def of_another(q):
    """Records, but none that was asked for."""
    return q.reply([mx("victim.example", 0, EVIL, 3600), a("victim.example", q.liar.net.ip4("evil"), 3600)])


def cname_loop(q):
    return q.reply([record(q.name, CNAME, encode(f"loop{1 - int(q.name[4])}.{q.domain}" if q.name.startswith("loop") else f"loop0.{q.domain}"))])


def cname_of_itself(q):
    return q.reply([record(q.name, CNAME, encode(q.name))])


def cname_without_end(q):
    number = int(q.labels[0][1:]) if len(q.labels) > 2 else 0
    return q.reply([record(q.name, CNAME, encode(f"c{number + 1}.{q.domain}"))])


def poison(where):
    """The truth, and beside it what nobody asked: for 3,600 s other domains' mail would go to the evil host."""
    def lie(q):
        evil = q.liar.net.ip4("evil")
        extra = [mx("victim.example", 0, EVIL, 3600), a("victim.example", evil, 3600), a(GOOD, evil, 3600), mx("", 0, EVIL, 3600),
                 ns("victim.example", EVIL, 3600), ns("example", EVIL, 3600), ns("test", EVIL, 3600), ns("", EVIL, 3600), a(EVIL, evil, 3600)]
        own = [mx(q.name, 10, GOOD)] if q.kind == MX and len(q.labels) == 2 else []
        if not own:
            return q.reply(authority=[soa(q.domain)])
        return q.reply(**{"answer": own, where: own + extra if where == "answer" else extra})
    return lie


def many_mx(count):
    """Hosts of which each is the good one."""
    def lie(q):
        if q.kind == MX and len(q.labels) == 2:
            return q.reply([mx(b"\xc0\x0c", 65000 - n, b"\x05h%04d\xc0\x0c" % n) for n in range(count)])
        return q.reply([a(q.name, q.liar.net.ip4("good"))]) if q.kind == A and len(q.labels) == 3 else q.nothing()
    return lie


def one_host_4000_times(q):
    """4,000 records, of one host."""
    if q.kind == MX and len(q.labels) == 2:
        return q.reply([mx(b"\xc0\x0c", n, b"\x01h\xc0\x0c") for n in range(4000)])
    return q.reply([a(q.name, q.liar.net.ip4("good"))]) if q.kind == A and len(q.labels) == 3 else q.nothing()


def many_addresses(q):
    """3,000 addresses of the best host, of which none is open, and a second host that is good."""
    if q.kind == MX and len(q.labels) == 2:
        return q.reply([mx(q.name, 10, f"huge.{q.domain}"), mx(q.name, 20, GOOD)])
    if q.kind == A and q.labels[0] == "huge":
        return q.reply([a(b"\xc0\x0c", f"10.99.{n >> 8}.{n & 255}") for n in range(3000)])
    return q.nothing()


def text_of_64k(q):
    """A TXT of 64 kB instead of what was asked, in the answer."""
    return q.reply([record(b"\xc0\x0c", TXT, b"".join(b"\xff" + 255 * b"x" for _ in range(255)))])


def mx_to(*addresses, kind=A):
    """An MX host with these addresses."""
    def lie(q):
        if q.kind == MX and len(q.labels) == 2:
            return q.reply([mx(q.name, 10, f"host.{q.domain}")])
        if q.kind == kind and q.labels[0] == "host":
            family = socket.AF_INET if kind == A else socket.AF_INET6
            return q.reply([record(q.name, kind, socket.inet_pton(family, x)) for x in addresses])
        return q.nothing()
    return lie


def mx_named(host):
    return lambda q: q.reply([mx(q.name, 10, host)]) if q.kind == MX and len(q.labels) == 2 else q.nothing()


def host_is(lie):
    """The MX record is good, what is said of its host is not."""
    return lambda q: q.reply([mx(q.name, 10, f"host.{q.domain}")]) if q.kind == MX and len(q.labels) == 2 else lie(q)


def flaps(q):
    """There, not there, in turn."""
    return q.liar.truth(q) if random.random() < 0.5 else q.reply(rcode=3, authority=[soa(q.domain)])


# What is said of a client's name

def named(*names):
    return lambda q: q.reply([record(b"\xc0\x0c", PTR, encode(n)) for n in names])


NAMES = {
    "control": named("a\r\nX-Injected: yes\r\n.evil.hosts.test"), "escape": named("\x1b[2J\x07.evil.hosts.test"), "nul": named("a\0b.evil.hosts.test"),
    "octets": named("\xff\xfe.hosts.test", "\x80"), "comment": named("x) (y.hosts.test", 'q"\\.hosts.test'), "blank": named("good.hosts.test [127.0.0.1]"),
    "255": named(".".join([63 * "n"] * 3 + [61 * "n"])), "127-labels": named(".".join(127 * "n")), "root": named(""),
    "of-us": named("mx.trial.example", "localhost"), "of-another": named(GOOD), "address": named("127.0.0.1"),
    "4000": lambda q: q.reply([record(b"\xc0\x0c", PTR, b"\x05n%04d\xc0\x0c" % n) for n in range(1500)]),
    "loop": lambda q: q.reply([record(b"\xc0\x0c", CNAME, b"\xc0\x0c")]), "servfail": by_rcode(2), "silent": silent, "cut": cut(tcp_closes),
    "pointer": garbage("pointer"), "octet": garbage("short"),
}


def from_above(referral, below=silent):
    """A lie of the server above: for questions from the root on."""
    lie = lambda q: below(q)
    lie.referral = referral
    return lie


def refers(make, glue=()):
    return lambda q: q.reply(flags=QR | 0x0100, authority=[ns(q.domain, host) for host in make(q)], additional=[a(*g) for g in glue])


FROM_THE_ROOT = {
    # name servers that lead to each other, to themselves, to nowhere
    "ns-loop0": from_above(refers(lambda q: ["ns.ns-loop1.example"])),
    "ns-loop1": from_above(refers(lambda q: ["ns.ns-loop0.example"])),
    "ns-self": from_above(refers(lambda q: [f"ns.{q.domain}"])),
    "ns-nowhere": from_above(refers(lambda q: ["ns.not-there.example.invalid"])),
    "ns-many": from_above(refers(lambda q: [f"n{i}.nowhere.example" for i in range(1000)])),
    "ns-chain": from_above(refers(lambda q: ["ns.ns-chain1.example"])),
    **{f"ns-chain{i}": from_above(refers(lambda q, i=i: [f"ns.ns-chain{i + 1}.example"])) for i in range(1, 30)},
    "refers-up": lame,
    "refers-to-itself": lambda q: q.reply(flags=QR | 0x0100, authority=[ns(q.domain, f"ns.{q.domain}")],
                                          additional=[a(f"ns.{q.domain}", q.liar.servers[q.domain])]),
}
