"""
Ten thousand connections: slow ones from many addresses, a churn of new ones, half-open TLS handshakes with huge hellos.

    10,000 of 127/8, slow ---------.
    1,000 new ones a second -------+---> smtpd, submission
    a client that sends mail ------'

Each is greeted or hears 421 within a second, memory is bounded, and mail flows.
"""
import errno
import os
import re
import resource
import selectors
import signal
import socket
import threading
import time
from pathlib import Path

import pytest

from house import SHORT
from people import fresh_address, trusting, with_people
from stagepost import DOMAIN, IS_ROOT, wait_for
from strangers import source
from test_clients import Healthy

CROWD = 600 if SHORT else 10000
UNDER_WAY = 300
CHURN_SECONDS = 0.5 if SHORT else 20
CHURN_A_SECOND = 1000
GREETED_IN = 1.0        # seconds; told, and judged by GENEROUS for the slow machine
GENEROUS = 10
SESSION_OCTETS = 64 * 1024
HANDSHAKES_MAX = 512    # TLS_HANDSHAKES_MAX
HANDSHAKE_OCTETS = 256 * 1024
MIB = 1024 * 1024

enough_descriptors = pytest.mark.skipif(resource.getrlimit(resource.RLIMIT_NOFILE)[0] < CROWD + 2000, reason="too few descriptors allowed")


def pss(pid):
    return int(re.search(r"Pss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text())[1]) * 1024


class Crowd:
    """Connections of this process, each with its own source; what each hears first and how late."""

    def __init__(self, port):
        self.port, self.selector = port, selectors.DefaultSelector()
        self.here, self.waiting = [], {}
        self.greeted = self.refused = 0
        self.latest = 0.0

    def come(self, host=None):
        s = socket.socket()
        s.setblocking(False)
        s.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT
        s.bind((host or source(), 0))
        assert s.connect_ex(("127.0.0.1", self.port)) in (0, errno.EINPROGRESS)
        self.waiting[s] = time.monotonic()
        self.selector.register(s, selectors.EVENT_READ)

    def hear(self, seconds):
        for key, _ in self.selector.select(seconds):
            s = key.fileobj
            begun = self.waiting.pop(s)
            self.selector.unregister(s)
            self.latest = max(self.latest, time.monotonic() - begun)
            try:
                said = s.recv(300)
            except OSError as e:
                raise AssertionError(f"neither greeted nor refused: {e}") from None
            if said.startswith(b"220 "):
                self.greeted += 1
                self.here.append(s)
            else:
                assert said.startswith(b"421 4.7.0 "), said
                self.refused += 1
                s.close()

    def gather(self, count, host=None):
        started, end = 0, time.monotonic() + 240
        while started < count or self.waiting:
            while started < count and len(self.waiting) < UNDER_WAY:
                self.come(host)
                started += 1
            self.hear(1)
            assert time.monotonic() < end, f"{len(self.waiting)} of {started} hear nothing"

    def end(self):
        for s in [*self.here, *self.waiting]:
            s.close()
        self.selector.close()


def rate(healthy, seconds):
    before = healthy.sent
    time.sleep(seconds)
    return (healthy.sent - before) / seconds


@enough_descriptors
@pytest.mark.row("many connections")
def test_slow_connections_from_many_addresses_and_a_churn(houses, tally):
    house = houses(limits="connections 20000; per-client 40; idle 10m; spool-free 0")
    house.start()
    smtpd = house.pid("smtpd")
    before = pss(smtpd) if IS_ROOT else 0
    crowd = Crowd(house.port)
    try:
        with Healthy(house) as healthy:
            alone = rate(healthy, 0.5 if SHORT else 5)
            crowd.gather(CROWD)
            assert crowd.greeted == CROWD and crowd.refused == 0
            for s in crowd.here:            # each is in the middle of a command, for ever
                s.send(b"EHLO slow.exam")
            beside = rate(healthy, 0.5 if SHORT else 5)
            full = pss(smtpd) if IS_ROOT else 0
            slow_latest = crowd.latest
            # churn: new ones come, hear their greeting, and go
            begun, came, gone = time.monotonic(), 0, len(crowd.here)
            while time.monotonic() - begun < CHURN_SECONDS:
                while came < (time.monotonic() - begun) * CHURN_A_SECOND and len(crowd.waiting) < 1000:
                    crowd.come()
                    came += 1
                crowd.hear(0.01)
                while len(crowd.here) > gone:
                    crowd.here.pop().close()
            while crowd.waiting:
                crowd.hear(5)
            churned = came / (time.monotonic() - begun)
            churning = rate(healthy, 0.5 if SHORT else 1)
            # one address has its share, and not more
            one = Crowd(house.port)
            one.gather(60, "127.250.0.1")
            assert one.greeted == 40 and one.refused == 20, (one.greeted, one.refused)
            one.end()
        assert not healthy.failed, healthy.failed[:3]
        each = (full - before) / CROWD
        print(f"\n{CROWD} slow connections, {came} more at {churned:.0f}/s; the latest greeting after {slow_latest:.2f} s, in the churn {crowd.latest:.2f} s; "
              f"{each / 1024:.1f} KiB each; mail {alone:.0f}/s alone, {beside:.0f}/s beside them, {churning:.0f}/s behind the churn")
        assert each < SESSION_OCTETS
        assert crowd.latest < GENEROUS
        assert SHORT or beside > alone / 2     # generous: the machine has other work
        tally(connections=CROWD + came, healthy_messages=healthy.sent)
    finally:
        crowd.end()
    wait_for(lambda: not IS_ROOT or len(os.listdir(f"/proc/{smtpd}/fd")) < 100, 60, "end of the sessions")
    assert house.pid("smtpd") == smtpd


@enough_descriptors
@pytest.mark.row("many connections")
def test_more_than_connections_hear_421_at_once(houses, tally):
    house = houses(limits="connections 300; per-client 40; idle 10m; spool-free 0")
    house.start()
    crowd = Crowd(house.port)
    try:
        crowd.gather(700)
        assert (crowd.greeted, crowd.refused) == (300, 400)
        assert crowd.latest < GENEROUS
        crowd.here.pop().close()
        wait_for(lambda: house.connect(greet=False).socket.recv(4) == b"220 ", 20, "the slot that became free")
        tally(connections=700)
    finally:
        crowd.end()


def huge_hello(size=100000):
    """The first octets of a ClientHello that says it is so long, and as much of it as there is. Records of 16 KiB."""
    body = b"\x01" + (131000).to_bytes(3, "big") + b"\x03\x03" + 32 * b"r" + b"\x00" + size * b"x"
    out = b""
    for at in range(0, len(body), 16384):
        piece = body[at:at + 16384]
        out += b"\x16\x03\x01" + len(piece).to_bytes(2, "big") + piece
    return out


def half_open(port, count, hosts, octets, hold):
    """So many connections with a hello that never ends."""
    for i in range(count):
        s = socket.socket()
        s.setsockopt(socket.IPPROTO_IP, 24, 1)
        s.bind((hosts(i), 0))
        s.settimeout(20)
        s.connect(("127.0.0.1", port))
        s.setblocking(False)
        try:
            s.send(octets)
        except OSError:
            pass
        hold.append(s)


@enough_descriptors
@pytest.mark.row("many connections", "TLS failures")
@pytest.mark.parametrize("networks", ["one", pytest.param("many", marks=pytest.mark.long)])
def test_half_open_handshakes_with_huge_hellos_are_capped(houses, tally, networks):
    """Each costs a stranger little and us much: there are so many at once and no more; a crowd of one network sends its own away."""
    house = houses()
    with_people(house, limits="connections 20000; per-client 20000; idle 5m; spool-free 0").start()
    pid = house.pid("submission")
    before = pss(pid) if IS_ROOT else 0
    count, hold, most = CROWD, [], 0
    hosts = (lambda i: f"127.66.6.{1 + i % 250}") if networks == "one" else (lambda i: source())
    octets = huge_hello()
    stop = threading.Event()
    logins = []
    context = trusting(house.folder)

    def users():
        while not stop.is_set():
            begun = time.monotonic()
            raw = socket.create_connection(("127.0.0.1", house.submissions), 20, (fresh_address(), 0))
            with context.wrap_socket(raw, server_hostname=f"mx.{DOMAIN}") as s:
                assert s.recv(100).startswith(b"220 ")
            logins.append(time.monotonic() - begun)
            stop.wait(0.05)
    thread = threading.Thread(target=users, daemon=True)
    thread.start()
    try:
        for at in range(0, count, 100):
            half_open(house.submissions, 100, hosts, octets, hold)
            most = max(most, pss(pid) if IS_ROOT else 0)
        wait_for(lambda: len(logins) > 5, 60, "handshakes of others")
        stop.set()
        thread.join()
        used = most - before
        print(f"\n{count} half-open handshakes of {networks} network(s): {used / MIB:.0f} MiB more at most; {len(logins)} others meanwhile, the slowest {max(logins):.2f} s")
        tally(handshakes=count, logins=len(logins))
        assert used < HANDSHAKES_MAX * HANDSHAKE_OCTETS + count * 8192
        house.logged("too many handshakes at once")
        assert all(p["restarts"] == 0 for p in house.status()["processes"])
    finally:
        stop.set()
        for s in hold:
            s.close()


# A test of the test

@enough_descriptors
@pytest.mark.long
@pytest.mark.control
@pytest.mark.row("many connections")
def test_control_a_server_that_does_not_greet_is_noticed(houses):
    """smtpd is stopped: neither a greeting nor 421 comes."""
    house = houses(limits="connections 300; per-client 40; spool-free 0")
    house.start()
    pid = house.kill("smtpd", signal.SIGSTOP)
    crowd = Crowd(house.port)
    try:
        for _ in range(20):
            crowd.come()
        end = time.monotonic() + GREETED_IN + 0.2
        while time.monotonic() < end:
            crowd.hear(0.1)
        assert len(crowd.waiting) == 20 and crowd.greeted == 0
        os.kill(pid, signal.SIGCONT)
        while crowd.waiting:
            crowd.hear(10)
        assert crowd.greeted == 20 and crowd.latest > GREETED_IN
    finally:
        crowd.end()
