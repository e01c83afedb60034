"""
Servers of others that hang, trickle, close or talk nonsense in each phase:

    client ---> smtpd ---> queue ---> smtp ---.--- 120 bad servers, a domain each
                                              '--- a good one, to which mail flows all the time

What each is told about its mail is what Postfix would tell; nobody else's mail is delayed; when the server is well
the mail arrives, once, but where its end was not heard.
"""
import collections
import re
import socket
import threading
import time
from pathlib import Path

import pytest

import hostile
from hostile import Hostile, before, closes, endless, never_reads, octets, reply, resets, silent, trickles
from house import SHORT
from remote import Remote
from stagepost import wait_for

SECONDS = 2             # of every time-out here
MEMORY_MAX = 120        # MiB of smtp, whatever servers say
PHASES = ("CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "END")
ONE_LINE = {"CONNECT": "220", "EHLO": "250", "MAIL": "250", "RCPT": "250", "DATA": "354", "END": "250"}

# said: what the first attempt must be told, a pattern of reply="..."; end: what becomes of the mail when the server
# is well again. once: it arrives once, maybe: once more for each time that its end was not heard, bounced: it comes back at the first attempt,
# at_once: it arrives in spite of all.
Case = collections.namedtuple("Case", "name phase behaviour said end size", defaults=(500,))

LOST = r"451 4\.4\.2 "


def silence():
    for phase in PHASES:
        end = "maybe" if phase == "END" else "once"
        half = ONE_LINE[phase].encode()[:2]
        for name, behaviour in [("silent", silent), ("half", octets(half)), ("no-end", octets(ONE_LINE[phase].encode() + b"-go on\r\n")),
                                ("trickle", trickles), ("close", closes), ("reset", resets)]:
            yield Case(f"{name}-{phase}", phase, behaviour, LOST, end)
    yield Case("deaf-BODY", "BODY", never_reads, LOST, "once", 4 * hostile.BIG)
    yield Case("reset-BODY", "BODY", resets, LOST, "once", 4 * hostile.BIG)


def refusals():
    for phase in PHASES:
        site = phase in ("CONNECT", "EHLO")
        yield Case(f"421-{phase}", phase, reply("421 4.3.2 going down"), "421 4.3.2 ", "maybe" if phase == "END" else "once")
        yield Case(f"450-{phase}", phase, reply("450 4.7.1 not now"), "450 4.7.1 ", "once")
        yield Case(f"451-bare-{phase}", phase, reply("451"), "451 4.0.0 ?", "once")
        if phase == "CONNECT":      # S44
            yield Case("554-CONNECT", phase, reply("554 5.3.2 no service"), "4.. 4", "once")
        elif not site:
            yield Case(f"550-{phase}", phase, reply("550 5.7.1 never"), "550 5.7.1 ", "bounced")
            yield Case(f"550-lines-{phase}", phase, reply("550-5.7.1 never\r\n550-5.7.1 and\r\n550 5.7.1 ever"), "550 5.7.1 never and", "bounced")
            yield Case(f"class-differs-{phase}", phase, reply("550 4.7.1 which?"), r"550 5\.0\.0 ", "bounced")
    yield Case("502-EHLO", "EHLO", reply("502 5.5.1 what?"), None, "at_once")      # HELO does
    yield Case("452-RCPT", "RCPT", reply("452 4.5.3 too many"), "452 4.5.3 ", "once")
    yield Case("552-RCPT", "RCPT", reply("552 5.2.2 full"), "552 5.2.2 ", "bounced")      # S48


def nonsense():
    big = b"x" * hostile.BIG
    for phase in PHASES:
        code = ONE_LINE[phase].encode()
        end = "maybe" if phase == "END" else "once"
        for name, what in [("000", b"000 zero\r\n"), ("999", b"999 nine\r\n"), ("199", b"199 one\r\n"), ("666", b"666 six\r\n"), ("empty", b"\r\n"),
                           ("word", b"hello there\r\n"), ("codes-differ", code + b"-a\r\n550 b\r\n"), ("long-line", code + b" " + big + b"\r\n"),
                           ("nul-code", b"2\x0050 x\r\n"), ("minus", b"-250 x\r\n"), ("bare-cr", code + b"-a\r" + code + b" b\r\r")]:
            yield Case(f"{name}-{phase}", phase, octets(what), LOST, end)
        yield Case(f"endless-line-{phase}", phase, endless(b"2"), LOST, end)
        yield Case(f"endless-lines-{phase}", phase, endless(code + b"-and\r\n"), LOST, end)
        yield Case(f"http-{phase}", phase, octets(b"HTTP/1.1 400 Bad Request\r\n\r\n", stays=False), LOST, end)
        if phase != "DATA":
            yield Case(f"354-to-{phase}", phase, reply("354 go on"), LOST, end)
        if phase == "CONNECT":
            yield Case(f"250-to-{phase}", phase, reply("250 hello"), LOST, end)
        yield Case(f"nul-in-text-{phase}", phase, reply(f"450 4.7.1 a\0b\rc\x1b[2J"), r"450 4\.7\.1 a\?b\?c\?\[2J", "once")
    yield Case("250-to-DATA", "DATA", reply("250 2.0.0 fine"), LOST, "once")
    yield Case("251-to-RCPT", "RCPT", reply("251 2.1.5 forwards"), None, "at_once")
    # out of step
    yield Case("two-at-CONNECT", "CONNECT", reply("220 here\r\n220 I am"), LOST, "once")
    yield Case("two-at-MAIL", "MAIL", reply("250 2.1.0 Ok\r\n250 2.1.5 Ok"), LOST, "once")
    yield Case("all-at-EHLO", "EHLO", reply("250 here\r\n250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n354 go\r\n250 2.0.0 taken"), LOST, "once")
    yield Case("taken-at-DATA", "DATA", reply("354 go\r\n250 2.0.0 taken"), LOST, "once", 2 * hostile.BIG)
    yield Case("more-behind-END", "END", reply("250 2.0.0 taken\r\n250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n354 go\r\n250 2.0.0 taken"), None, "at_once")
    # EHLO
    yield Case("ehlo-10000", "EHLO", reply("".join(f"250-X-EXTENSION-{i}\r\n" for i in range(10000)) + "250 DSN"), LOST, "once")
    yield Case("ehlo-1-MiB", "EHLO", reply("".join(f"250-{'x' * 900}\r\n" for i in range(1150)) + "250 DSN"), LOST, "once")
    yield Case("ehlo-100", "EHLO", reply("".join(f"250-X-EXTENSION-{i}\r\n" for i in range(100)) + "250 PIPELINING"), None, "at_once")
    yield Case("ehlo-odd", "EHLO", reply("250-\r\n250- \r\n250-SIZE x\r\n250-SIZE 99999999999999999999999\r\n250-=\r\n250 8BITMIME\x00\x01"), None, "at_once")


def run_of(cases):
    cases = list(cases)
    assert len({c.name for c in cases}) == len(cases)
    return cases


class Sampler(threading.Thread):
    """The most memory that the processes of a role had, in MiB."""

    def __init__(self, house, role="smtp"):
        super().__init__(daemon=True)
        self.pids = [p["pid"] for p in house.status()["processes"] if p["name"].split("-")[0] == role]
        self.most, self.stop = 0, threading.Event()
        self.least = self.now()

    def now(self):
        return max(int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1]) / 1024 for pid in self.pids)

    def run(self):
        while not self.stop.wait(0.05):
            self.most = max(self.most, self.now())


class Flow(threading.Thread):
    """Mail to the good server, one session, all the time."""

    def __init__(self, house, good):
        super().__init__(daemon=True)
        self.house, self.good, self.sent, self.stop = house, good, 0, threading.Event()

    def run(self):
        with self.house.connect() as wire:
            while not self.stop.is_set():
                wire.deliver(f"Subject: good{self.sent}\r\n\r\nwell\r\n".encode(), "x@good.example")
                self.sent += 1
                # never far ahead of what has arrived
                wait_for(lambda: len(self.good.received) > self.sent - 50, 60, "mail at the good server")

    def rate_for(self, condition, seconds):
        """Deliveries a second until it is true."""
        begun, count = time.monotonic(), len(self.good.received)
        wait_for(condition, seconds, "the end of the bad time")
        return (len(self.good.received) - count) / (time.monotonic() - begun)


def serve(houses, cases, servers):
    house = houses()
    good = Remote(socket.create_server(("127.0.0.1", 0)))
    ports = {"good": good.listener.getsockname()[1], **{c.name: s.port for c, s in zip(cases, servers)}}
    s = SECONDS
    house.configure(
        top=f"trust 127.0.0.0/8\ntimeouts {{ connect {s}s; greeting {s}s; hello {s}s; starttls {s}s; mail {s}s; rcpt {s}s; data {s}s; block {s}s; dot {s}s; reset {s}s }}\n"
            + "".join(f"outbound to {name.lower()}.example {{ via [127.0.0.1]:{port} }}\n" for name, port in ports.items()),
        limits="spool-free 0; errors 1000", retry="first 1s; longest 2s")
    house.start()
    return house, good


TOLD = r' (deferred|failed|delivered) to=x@{}\.example .*?dsn=(\S+) reply="(\d+)((?:[^"\\]|\\.)*)"'


def first_reply(house, name):
    """What the log says of the first attempt: (event, "code dsn text")."""
    found = re.search(TOLD.format(re.escape(name.lower())), house.log())
    return found and (found[1], f"{found[3]} {found[2]}{found[4]}")


def judge(case, server, house, bounces):
    """What is wrong about what became of it; None: nothing."""
    told = first_reply(house, case.name)
    if not told:
        return "nothing was told"
    event, said = told
    if case.said and not re.match(case.said, said):
        return f"told {said!r}, not {case.said!r}"
    if case.end in ("once", "maybe") and event != "deferred" or case.end == "at_once" and event != "delivered":
        return f"{event} at the first attempt: {said}"
    arrived = len([m for m in server.received if f"x@{case.name.lower()}.example" in str(m.recipients)])
    least, most = {"once": (1, 1), "at_once": (1, 1), "maybe": (1, 1 + server.struck), "bounced": (0, 0)}[case.end]
    if not least <= arrived <= most:
        return f"it arrived {arrived} times; the end was not heard {server.struck} times"
    if (case.name.lower() in bounces) != (case.end == "bounced"):
        return "a report to the sender, or none"
    if not server.struck:
        return "the server was never asked"
    return None


def reported(house):
    """Names of the cases of which alice got a report."""
    found = set()
    for letter in house.letters("alice"):
        found |= set(re.findall(r"x@([\w.-]+)\.example", letter.content.decode(errors="replace").lower()))
    return found


def drive(houses, tally, cases, told):
    servers = [Hostile(c.phase, c.behaviour) for c in cases]
    house, good = serve(houses, cases, servers)
    try:
        flow = Flow(house, good)
        flow.start()
        alone = flow.rate_for(lambda end=time.monotonic() + (0.3 if SHORT else 5): time.monotonic() > end, 30)
        memory = Sampler(house)
        memory.start()
        with house.connect() as wire:
            for case in cases:
                content = b"Subject: " + case.name.encode() + b"\r\n\r\n" + b"a line of it, with fifty octets or about that many\r\n" * (case.size // 50)
                wire.deliver(content, f"x@{case.name.lower()}.example", sender="alice@trial.example")
        begun = time.monotonic()
        beside = flow.rate_for(lambda: all(first_reply(house, c.name) for c in cases), 240)
        took = time.monotonic() - begun
        for server in servers:
            server.well.set()
        expected = {c.name.lower() for c in cases if c.end == "bounced"}
        wait_for(lambda: not [m for m in house.queue() if "@good.example" not in str(m)], 120, "the bad servers' mail to be out of the queue")
        wait_for(lambda: reported(house) >= expected, 30, f"reports of {len(expected)}")
        flow.stop.set()
        flow.join()
        wait_for(lambda: len(good.received) == flow.sent, 30, "all mail of the good server")
        memory.stop.set()
        bounces = reported(house)
        faults = [(judge(c, s, house, bounces), c.name, first_reply(house, c.name)) for c, s in zip(cases, servers)]
        faults = [f for f in faults if f[0]]
        copies = sum(len(s.received) - 1 for c, s in zip(cases, servers) if c.end == "maybe")
        print(f"\n{told}: {len(cases)} bad servers, {took:.1f} s to the last word, {copies} copies; good mail {alone:.0f}/s alone, {beside:.0f}/s beside them; "
              f"smtp {memory.least:.0f} MiB, at most {memory.most:.0f}")
        tally(bad_servers=len(cases), copies=copies, good_mail=flow.sent)
        assert not faults, f"{len(faults)} of {len(cases)}:\n" + "\n".join(map(str, faults))
        assert memory.most < MEMORY_MAX
        assert SHORT or beside > alone / 2, "judged generously: the machine has other work"
        assert all(p["restarts"] == 0 for p in house.status()["processes"])
    finally:
        for server in [*servers, good]:
            server.end()


@pytest.mark.row("silent server", "strange server")
def test_some_of_all_of_these(houses, tally):
    """The short form of the three below."""
    drive(houses, tally, run_of(silence())[::6] + run_of(refusals())[::6] + run_of(nonsense())[::8], "some of each")


@pytest.mark.long
@pytest.mark.row("silent server")
def test_servers_that_hang_trickle_or_close_in_each_phase(houses, tally):
    drive(houses, tally, run_of(silence()), "silent")


@pytest.mark.long
@pytest.mark.row("strange server")
def test_servers_that_refuse_in_each_phase(houses, tally):
    drive(houses, tally, run_of(refusals()), "refuse")


@pytest.mark.long
@pytest.mark.row("strange server")
def test_servers_that_talk_nonsense_in_each_phase(houses, tally):
    drive(houses, tally, run_of(nonsense()), "nonsense")


@pytest.mark.long
@pytest.mark.row("silent server")
@pytest.mark.parametrize("phase, behaviour", [("RSET", silent), ("RSET", closes), ("RSET", reply("421 4.3.2 no more")), ("RSET", reply("502 5.5.1 what?")),
                                              ("QUIT", silent), ("QUIT", closes), ("QUIT", endless(b"221 2.0.0 Bye\r\n"))])
def test_who_is_bad_between_two_messages_holds_none_of_them(houses, tally, phase, behaviour):
    case = Case("between", phase, behaviour, None, "at_once")
    server = Hostile(phase, behaviour)
    house, good = serve(houses, [case], [server])
    try:
        with house.connect() as wire:
            wire.deliver(b"Subject: first\r\n\r\n", "x@between.example")
            wait_for(lambda: len(server.received) == 1, what="the first message")
            if phase == "QUIT":
                wait_for(lambda: server.struck, what="QUIT")
            else:
                time.sleep(0.3)     # SESSION_STALE: RSET comes first
            wire.deliver(b"Subject: second\r\n\r\n", "x@between.example")
        wait_for(lambda: len(server.received) == 2, 30, "the second message")
        wait_for(lambda: not house.queue(), 30, "an empty queue")
        assert server.struck and len(server.received) == 2
        assert " failed " not in house.log()
        tally(bad_servers=1)
    finally:
        server.end()
        good.end()


DOMAINS, EACH = 120, 40     # 120 windows of 20 jobs are more than the 2,000 that smtp takes


@pytest.mark.long
@pytest.mark.row("silent server")
def test_many_domains_that_hang_do_not_hold_all_that_smtp_can_do(houses, tally):
    """120 domains of somebody who means harm, each with 40 messages and servers that never greet; then mail for others."""
    house = houses()
    deaf = socket.create_server(("0.0.0.0", 0), backlog=4096)     # the kernel accepts
    port = deaf.getsockname()[1]
    good = Remote(socket.create_server(("127.0.0.1", 0)))
    house.configure(top="trust 127.0.0.0/8\ntimeouts { greeting 1h }\n"
                        + "".join(f"outbound to bad{i}.example {{ via [127.0.2.{i + 1}]:{port} }}\n" for i in range(DOMAINS))
                        + f"outbound to good.example {{ via [127.0.0.1]:{good.listener.getsockname()[1]} }}\n",
                    limits="spool-free 0; errors 1000")
    house.start()
    try:
        with house.connect() as wire:
            for n in range(EACH):
                wire.deliver(b"Subject: bad\r\n\r\n", *[f"x@bad{i}.example" for i in range(DOMAINS)], sender=f"{n}@bad.example")
        wait_for(lambda: len(established(port)) > DOMAINS, 60, "connections that hang")
        time.sleep(2)       # all that is going to be taken is
        begun = time.monotonic()
        with house.connect(source="127.0.0.9") as wire:
            for n in range(100):
                wire.deliver(b"Subject: good\r\n\r\n", "x@good.example", sender="good@well.example")
        wait_for(lambda: len(good.received) == 100, 60, "mail of the good server")
        print(f"\n{DOMAINS * EACH} jobs for {DOMAINS} domains that hang; 100 messages to a good one in {time.monotonic() - begun:.2f} s beside them")
        tally(bad_servers=DOMAINS, good_mail=100)
    finally:
        good.end()
        deaf.close()


def established(port):
    """Connections to that port, as the kernel lists them."""
    found = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return [line for line in found if line.split()[2].endswith(f":{port:04X}") and line.split()[3] == "01"]


# Tests of the test

@pytest.mark.control
@pytest.mark.row("silent server", "strange server")
def test_control_a_server_that_takes_mail_and_loses_it_is_noticed(houses, tally):
    def loses(session):
        session.remote.received.clear()
        return "250 2.0.0 Ok: queued"
    with pytest.raises(AssertionError, match="it arrived 0 times"):
        drive(houses, lambda **counts: None, [Case("loses", "END", loses, None, "at_once")], "control")
    if SHORT:
        return
    with pytest.raises(AssertionError, match="at the first attempt"):
        drive(houses, lambda **counts: None, [Case("refuses", "RCPT", reply("550 5.7.1 never"), None, "at_once")], "control")
