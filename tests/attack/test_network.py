"""
A network that drops, delays, and goes away, on hosts in namespaces of their own:

    client 10.113.0.20 ---> us 10.113.0.2 ---.--- mx 10.113.0.11, behind a wire that is cut in each phase
                                             '--- other 10.113.0.12, to which mail flows

Packets are dropped by nftables; lost in part, late and out of order by netem where the kernel has it.
"""
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections import Counter

import pytest

import net as networks
from remote import Ended, Remote
from stagepost import IS_ROOT, wait_for
from test_servers import SECONDS
from wire import Wire

pytestmark = [pytest.mark.row("broken network"), pytest.mark.long,
              pytest.mark.skipif(not IS_ROOT or not shutil.which("nft"), reason="needs root and nftables")]
HOSTS = {"us": 2, "mx": 11, "other": 12, "client": 20}
MESSAGES = 300
TIMEOUTS = "timeouts { " + "; ".join(f"{what} {SECONDS}s" for what in
                                     "connect greeting hello starttls mail rcpt data block dot reset".split()) + " }"


class Wires:
    """What is wrong with the network; well() ends it."""

    def __init__(self, net):
        self.net = net

    def rules(self, host, rule):
        chains = "\n".join(f"chain {hook} {{ type filter hook {hook} priority 0; policy accept;\n{rule}\n}}" for hook in ("input", "output"))
        done = subprocess.run([*self.net.command(host), "nft", "-f", "-"], input=f"flush ruleset\ntable inet broken {{\n{chains}\n}}\n",
                              text=True, capture_output=True)
        assert done.returncode == 0, done.stderr

    def cut(self, host):
        """Nothing of TCP comes through any more, neither way."""
        self.rules(host, "meta l4proto tcp drop")

    def reset(self, host):
        self.rules(host, "meta l4proto tcp reject with tcp reset")

    def lose(self, host, percent=5):
        """So many packets; and late and out of order if the kernel can. What it does, in words."""
        netem = f"loss {percent}% delay 150ms 50ms reorder 25%"
        if subprocess.run(["tc", "-n", self.net.namespace(host), "qdisc", "replace", "dev", "eth0", "root", "netem", *netem.split()],
                          capture_output=True).returncode == 0:
            return f"netem {netem}"
        self.rules(host, f"meta l4proto tcp numgen random mod 100 < {percent} drop")
        return f"{percent} % of the packets lost each way, by nftables (no netem in this kernel)"

    def well(self, host):
        subprocess.run([*self.net.command(host), "nft", "flush", "ruleset"], check=True)
        subprocess.run(["tc", "-n", self.net.namespace(host), "qdisc", "del", "dev", "eth0", "root"], capture_output=True)


@pytest.fixture
def world(houses):
    why = networks.available()
    if why:
        pytest.skip(why)
    net = networks.Network(HOSTS)
    mx, other = Remote(net.listen("mx")), Remote(net.listen("other"))
    house = houses(net=net, top=f"trust 127.0.0.0/8 10.113.0.0/24\n{TIMEOUTS}\n"
                   f"outbound to mx.example {{ via [{net.ip4('mx')}]:25 }}\noutbound to other.example {{ via [{net.ip4('other')}]:25 }}\n",
                   limits="spool-free 0; errors 1000; idle 2s; per-client 500")
    house.start()
    try:
        yield house, net, mx, other, Wires(net)
    finally:
        mx.end()
        other.end()
        house.end()
        net.end()


@pytest.mark.parametrize("how", ["cut", "reset"])
def test_a_wire_that_is_cut_in_each_phase(world, tally, how):
    """Nobody says that the connection is gone (cut), or it is reset. The mail arrives when the wire is whole, once, but where
    the end was said and not heard."""
    house, net, mx, other, wires = world
    copies = 0
    phases = ["CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "BODY", "END"]
    for phase in phases:
        struck = threading.Event()

        def strike(session):
            getattr(wires, how)("mx")
            struck.set()
            if phase == "BODY":
                raise Ended
            return None

        wait_for(lambda: not mx.alive, 60, "the end of the session before")
        arrived = len(mx.received)
        with mx.lock:
            mx.script[phase] = [strike]
        size = 200000 if phase == "BODY" else 900
        content = f"Subject: {phase}\r\n\r\n".encode() + b"a line of it\r\n" * (size // 14)
        mark = len(house.log())
        with house.connect() as wire:
            wire.deliver(content, "x@mx.example", sender="alice@trial.example")
            wire.deliver(b"Subject: other\r\n\r\n", "x@other.example")
        wait_for(struck.is_set, 20, f"{phase} at the other server")
        told = wait_for(lambda: re.search(r' deferred to=x@mx\.example .*?dsn=(\S+) reply="([^"]*)"', house.log()[mark:]), 60, f"a deferral at {phase}")
        assert told[1] in ("4.4.2", "4.4.1"), (phase, told[0])
        wires.well("mx")
        wait_for(lambda: not house.queue(), 60, f"the mail of {phase}")
        extra = len(mx.received) - arrived - 1
        assert extra == 0 or phase == "END" and extra == 1, (phase, extra)
        copies += extra
        body = content.split(b"\r\n\r\n", 1)[1]
        assert all(m.content.split(b"\r\n\r\n", 1)[1] == body for m in mx.received[arrived:]), phase
    wait_for(lambda: len(other.received) == len(phases), 30, "mail of the other server")
    assert " failed " not in house.log() and not house.letters("alice")
    tally(cuts=len(phases), copies=copies)
    print(f"\n{how}: {len(phases)} phases, {copies} copies")


def test_a_client_whose_wire_is_cut_in_each_step_leaves_nothing(world, tally):
    house, net, mx, other, wires = world
    smtpd = house.pid("smtpd")
    before = len(os.listdir(f"/proc/{smtpd}/fd"))
    steps = ["", "EHLO c.example\r\n", "MAIL FROM:<a@b.example>\r\n", "RCPT TO:<bob@trial.example>\r\n", "DATA\r\n", "Subject: half\r\n\r\nhalf"]
    for last in range(len(steps)):
        with net.inside("client"):
            s = socket.create_connection((net.ip4("us"), 25), 10)
        s.recv(200)
        for step in steps[1:last + 1]:
            s.sendall(step.encode())
            if step.endswith("\r\n"):
                s.recv(2000)
        mark = house.log().count("disconnected client=10.113.0.20")
        wires.cut("client")
        wait_for(lambda: house.log().count("disconnected client=10.113.0.20") > mark, 90, f"the end of one that was cut behind {last} steps")
        wires.well("client")
        s.close()
    wait_for(lambda: len(os.listdir(f"/proc/{smtpd}/fd")) <= before + 3, 120, "its descriptors")
    assert not house.maildir("bob")
    tally(cuts=len(steps))


def test_mail_comes_and_goes_over_a_lossy_network(world, tally):
    house, net, mx, other, wires = world
    words = [wires.lose(host) for host in ("us", "mx", "client")]
    sent, failures = Counter(), []

    def load(number):
        """As a real client: what had no answer is sent again, and may come twice."""
        for i in range(MESSAGES // 6):
            name, tries = f"m{number}-{i}", 0
            while tries < 20:
                tries += 1
                try:
                    with net.inside("client"):
                        wire = Wire(25, host=net.ip4("us"), seconds=20)
                    with wire:
                        wire.deliver(f"Subject: {name}\r\n\r\n".encode() + b"x" * (900 if i % 5 else 60000) + b"\r\n", "x@mx.example")
                        break
                except (OSError, AssertionError):
                    continue
            else:
                failures.append(name)
            sent[name] = tries
    threads = [threading.Thread(target=load, args=(n,)) for n in range(6)]
    begun = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures
    wait_for(lambda: not house.queue(), 240, "an empty queue")
    names = Counter(re.search(rb"Subject: (\S+)", m.content)[1].decode() for m in mx.received)
    assert names.keys() == sent.keys(), sent.keys() - names.keys()
    for m in mx.received:
        body = m.content.split(b"\r\n\r\n", 1)[1]
        assert body.replace(b"\r\n ", b"") in (b"x" * 900 + b"\r\n", b"x" * 60000 + b"\r\n"), body[:200]     # long lines are broken
    copies = sum(n - 1 for n in names.values())
    assert copies <= sum(t - 1 for t in sent.values()) + house.log().count("may be repeated")
    assert " failed " not in house.log()
    print(f"\n{words[0]}: {len(sent)} messages in {time.monotonic() - begun:.0f} s, {sum(sent.values()) - len(sent)} tries in vain, {copies} copies")
    tally(messages=len(sent), copies=copies)


def test_a_network_that_goes_away_under_load_and_comes_back(world, tally):
    """mx is away for some seconds, five times; the other server's mail flows."""
    house, net, mx, other, wires = world
    stop, sent = threading.Event(), Counter()

    def load(domain):
        with house.connect(seconds=60) as wire:
            while not stop.is_set():
                wire.deliver(f"Subject: {domain}{sent[domain]}\r\n\r\n".encode(), f"x@{domain}.example")
                sent[domain] += 1
                stop.wait(0.01)
    threads = [threading.Thread(target=load, args=(d,)) for d in ("mx", "other")]
    for thread in threads:
        thread.start()
    flows = []
    for _ in range(5):
        wires.cut("mx")
        count = len(other.received)
        time.sleep(3)
        flows.append(len(other.received) - count)
        wires.well("mx")
        time.sleep(1)
    stop.set()
    for thread in threads:
        thread.join()
    wait_for(lambda: not house.queue(), 120, "an empty queue")
    for remote, domain in ((mx, "mx"), (other, "other")):
        names = Counter(re.search(rb"Subject: (\S+)", m.content)[1].decode() for m in remote.received)
        assert len(names) == sent[domain], f"{sent[domain] - len(names)} messages for {domain} are lost"
    copies = len(mx.received) - sent["mx"]
    assert len(other.received) == sent["other"]
    assert copies <= house.log().count("may be repeated")
    assert min(flows) > 0, flows
    print(f"\n{sent['mx']} and {sent['other']} messages, {copies} copies; while mx was away the other got {flows} in 3 s each")
    tally(messages=sum(sent.values()), copies=copies, cuts=5)


# A test of the test

@pytest.mark.control
def test_control_a_wire_that_stays_whole_is_noticed(world, monkeypatch):
    house, net, mx, other, wires = world
    real = wait_for
    monkeypatch.setattr(Wires, "cut", lambda self, host: None)
    with pytest.raises(AssertionError, match="a deferral at CONNECT"):
        monkeypatch.setattr(sys.modules[__name__], "wait_for", lambda condition, seconds=5, what="it": real(condition, min(seconds, 5), what))
        test_a_wire_that_is_cut_in_each_phase(world, lambda **counts: None, "cut")
