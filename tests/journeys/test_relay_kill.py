"""
Processes are killed while mail is relayed, ours and those of the others, and every message that got
250 arrives:

    10 clients, each with a ledger of its own
        |           X          X         X
        '-- SMTP -> smtpd ---> queue --> smtp --- MX of one.example ----------> smtp-sink's files
               router X          | '---> resolver X '- outbound to two.example -> smtp-sink's files
                                 |  X    '- bad.example, which refuses -. X
                                 '-----> bounce <----------------------'
                                            '-> local -> mail/trial.example/bob
    audit: ledgers of the clients against the files

A recipient may get a message again only when its first copy came just before a death that loses the
memory of it, and then no more of them than were in flight. One report tells of each refusal. KILL_SEED,
KILL_ROUNDS as in test_kill.py. At the end a scripted server and Postfix are the ones that die.
"""
import collections
import random
import re
import socket
import struct
import threading
import time

import pytest

import net as networks
import postfix as postfixes
from corpus import Generator
from relaying import Sink, broken
from remote import CLOSE, Remote
from stagepost import Stagepost, wait_for
from test_kill import ROUNDS, SEED, Client, Load, strike

CLIENTS = 10
PAUSE_SECONDS = 0.003   # between two messages of a client, so that the sinks follow
LARGE_EVERY = 25
RECIPIENTS = [("a@one.example",), ("a@one.example", "b@one.example"), ("a@one.example", "c@two.example"), ("c@two.example",),
              ("a@bad.example",), ("c@two.example", "a@bad.example", "b@bad.example")]
SLACK_SECONDS = 1.0     # what busy processors add to a window; the ledger's own has 0.1
IN_FLIGHT = 2 * 20 * 2  # destinations, sessions of each, transactions in one
HOSTS = {"us": 2, "one": 11, "two": 12, "bad": 13, "phase": 14, "phase2": 15, "postfix": 16}
ZONES = {"one.example": "@ MX 10 one.hosts.test.", "bad.example": "@ MX 10 bad.hosts.test.",
         "phase.example": "@ MX 10 phase.hosts.test.", "both.example": "@ MX 10 phase.hosts.test.\n@ MX 20 phase2.hosts.test.",
         "postfix.example": "@ MX 10 postfix.hosts.test."}
CONFIGURATION = {"limits": "per-client 1000; errors 1000", "retry": "first 1s; longest 2s",
                 "top": "trust 127.0.0.0/8\noutbound to two.example { via [two.hosts.test]:25 }\nprocesses { smtpd 2 }"}
# What is killed, one after the other, and whether that may lose the memory of a delivery that was made
TARGETS = {"smtpd": False, "router": False, "resolver": False, "log": False, "control": False, "bounce": False, "queue": False,
           "smtp": True, "smtp smtp-1": True, "queue+smtp": True, "master": True, "all": True}


@pytest.fixture(scope="module")
def world():
    why = networks.available() or postfixes.available()
    if why:
        pytest.skip(why)
    net = networks.Network(HOSTS, zones=ZONES)
    try:
        net.sinks = [Sink(net, "one"), Sink(net, "two")]
        Sink(net, "bad", "-f", "RCPT")
        yield net
    finally:
        net.end()


@pytest.fixture
def us(world, stagepost):
    for sink in world.sinks:
        sink.forget()
    return stagepost(net=world, **CONFIGURATION)


def content_of(name):
    """The same for the same name, so that the audit needs no copy."""
    g = Generator(name)
    large = int(name.split("-")[1]) % LARGE_EVERY == 0
    return g.sized(g.rng.randint(66000, 300000) if large else g.rng.randint(400, 6000))


class RelayClient(Client):
    def message(self, wire):
        recipients = self.rng.choice(RECIPIENTS)
        name = f"{self.number}-{self.sent}"
        self.sent += 1
        for line in [f"MAIL FROM:<bob+{name}@trial.example>"] + [f"RCPT TO:<{r}>" for r in recipients] + ["DATA"]:
            reply = wire.say(line)
            if reply.code >= 400:
                assert reply.code < 500, reply
                self.refused[name] = recipients
                return reply.code != 421 and wire.say("RSET").code == 250
        self.unknown[name] = recipients  # from here on, until there is a reply
        reply = wire.content(content_of(name))
        del self.unknown[name]
        assert reply.code < 500, reply
        (self.kept if reply.code == 250 else self.refused)[name] = recipients
        self.stop.wait(PAUSE_SECONDS)
        return True


class RelayLoad(Load):
    def __init__(self, house):
        self.house, self.stop, self.kills = house, threading.Event(), []
        self.clients = [RelayClient(house, i, self.stop) for i in range(CLIENTS)]
        for client in self.clients:
            client.start()

    def arrived(self, sinks):
        """When, for each (name, recipient) that another server has taken."""
        found = collections.defaultdict(list)
        for dump in (d for sink in sinks for d in sink.dumps()):
            name = re.fullmatch(r"bob\+(\S+)@trial\.example", dump.sender)[1]
            assert dump.octets.endswith(broken(content_of(name))), f"{name} is not what was sent"
            for recipient in dump.recipients:
                found[name, recipient].append(dump.when)
        return found

    def reported(self):
        """The same for each (name, recipient) of which a report tells."""
        found = collections.defaultdict(list)
        for letter in self.house.letters("bob"):
            assert letter.sender == ""
            name = re.match(r"bob\+(\S+)@", letter.address)[1]
            for recipient in re.findall(rb"(?mi)^Final-Recipient: *rfc822; *(\S+)", letter.content):
                found[name, recipient.decode()].append(letter.path.stat().st_mtime)
        return found

    def audit(self, sinks, forgetful):
        arrived, reported = self.arrived(sinks), self.reported()
        kept, refused, unknown = (self.ledger(kind) for kind in ("kept", "refused", "unknown"))
        for what, found, bad in (("relayed", arrived, False), ("reported", reported, True)):
            wanted = {(n, r) for n, rs in kept.items() for r in rs if r.endswith("bad.example") == bad}
            maybe = {(n, r) for n, rs in unknown.items() for r in rs}
            lost = [key for key in wanted if key not in found]
            assert not lost, f"{len(lost)} of {len(wanted)} are not {what}: {sorted(lost)[:9]}"
            strange = [key for key in found if key not in wanted | maybe]
            assert not strange, f"{what}, though refused: {strange[:9]}"
            again = {key: sorted(times) for key, times in found.items() if len(times) > 1}
            assert forgetful or not again, f"{what} again for no reason: {again}; kills at {self.kills}"
            unexplained = {key: times for key, times in again.items() for t in times[:-1]
                           if not any(-SLACK_SECONDS < t - kill < SLACK_SECONDS for kill in self.kills)}
            assert not unexplained, f"{what} again for no reason: {unexplained}; kills at {self.kills}"
            assert len(again) <= IN_FLIGHT * len(self.kills), again
            print(f"{len(wanted)} {what}, {len(again)} of them twice; {len(self.kills)} kills, {len(unknown)} without a reply")
        assert arrived and (reported or not kept)


@pytest.mark.parametrize("target", TARGETS)
def test_no_acknowledged_mail_is_lost_when_it_is_killed(world, us, target):
    print(f"KILL_SEED={SEED}")
    rng = random.Random(f"{SEED} {target}")
    load = RelayLoad(us)
    try:
        load.flows(100)
        for _ in range(ROUNDS):
            for part in target.split():
                load.kills.append(strike(us, part, rng))
                load.flows(100)
    finally:
        load.end()
    us.assert_clean(60)
    load.audit(world.sinks, TARGETS[target])


# The others die


def reset(session):
    """The connection ends with RST, as that of a process that is killed with input unread."""
    session.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return CLOSE


def deliver(us, name, *recipients):
    us.deliver(content_of(name), *recipients, sender=f"bob+{name}@trial.example")


def urge(us, condition, what, seconds=30):
    """Waits, and has what was deferred tried again meanwhile: a server that fails is left alone for a minute."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, what
        us.run("queue", "retry", "--all")
        time.sleep(0.1)


@pytest.fixture(scope="class")
def quiet(world):
    """One of us for all the ways in which another can die."""
    us = Stagepost(net=world, **CONFIGURATION)
    try:
        yield us.start()
    finally:
        us.end()


class TestOthers:
    PHASES = ["CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "BODY", "END", "RSET", "BDAT"]

    @pytest.mark.parametrize("how", [CLOSE, reset], ids=["closed", "reset"])
    @pytest.mark.parametrize("phase", PHASES)
    def test_a_server_that_dies_in_any_phase_gets_the_mail_later(self, world, quiet, phase, how):
        extensions = ["PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES"] + ["CHUNKING"] * (phase == "BDAT")
        remote = Remote(world.listen("phase"), name="phase.hosts.test", extensions=extensions, script={phase: [how, how]})
        try:
            names = [f"{phase}-{n}" for n in range(3)] + [f"{phase}-{LARGE_EVERY}"]
            for name in names:
                deliver(quiet, name, "x@phase.example", "y@phase.example")
            urge(quiet, lambda: len({m.sender for m in remote.received}) == len(names), "all of it at the server")
            quiet.wait_empty()
            assert not remote.has(phase) or phase == "RSET"
            assert all(m.content.replace(b"\r\n", b"\n").endswith(broken(content_of(re.search(r"\+(.*)@", m.sender)[1])))
                       for m in remote.received)
            again = collections.Counter((m.sender, r) for m in remote.received for r in m.recipients)
            # only who has had the final dot, and said nothing, may get it again
            assert sum(again.values()) - len(again) <= (2 * 2 * 2 if phase == "END" else 0), again
        finally:
            remote.end()

    def test_a_server_that_dies_leaves_the_mail_to_the_next(self, world, quiet):
        first = Remote(world.listen("phase"), name="phase.hosts.test", script={"MAIL": [CLOSE] * 50})
        second = Remote(world.listen("phase2"), name="phase2.hosts.test")
        try:
            for n in range(5):
                deliver(quiet, f"both-{n}", "x@both.example")
            urge(quiet, lambda: len(second.received) == 5, "all of it at the second")
            quiet.wait_empty()
            assert first.sessions and not first.received
        finally:
            first.end()
            second.end()

    def test_postfix_is_killed_under_load_and_gets_all_of_it(self, world, quiet):
        peer = postfixes.Postfix(world, "postfix", domains=["postfix.example"])
        try:
            count, rng = 0, random.Random(SEED)
            for _ in range(ROUNDS):
                for _ in range(60):
                    deliver(quiet, f"postfix-{count}", "x@postfix.example")
                    count += 1
                wait_for(lambda: peer.letters(), 30, "the first ones at Postfix")
                time.sleep(rng.random() / 10)  # in the midst of anything
                peer.kill()
                for _ in range(10):
                    deliver(quiet, f"postfix-{count}", "x@postfix.example")
                    count += 1
                peer.start()
            urge(quiet, lambda: not quiet.queue(), "an empty queue", 60)
            names = lambda: collections.Counter(re.search(rb"<bob\+(\S+)@", p.read_bytes())[1].decode() for p in peer.letters())
            wait_for(lambda: len(names()) == count, 60, f"{count} letters at Postfix")
            assert sum(names().values()) - count <= ROUNDS * IN_FLIGHT
            quiet.assert_clean()
        finally:
            peer.end()
