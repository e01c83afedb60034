"""
Clients that stall, trickle, cut off, talk garbage or never read, in each step of each conversation:

    hundreds of them, each at a step of its own ---.
    one that sends mail, all the time -------------'---> smtpd, submission, pop3d ---> bob

The deadline ends them with the right word, what they held is free again, and nothing half is accepted.
"""
import asyncio
import os
import random
import re
import threading
import time
from collections import Counter

import pytest

from house import SHORT
from people import PASSWORDS, with_people
from pop3 import free_port
from stagepost import DOMAIN, IS_ROOT, wait_for
from strangers import DEAF, FIN, GARBLE, HALF, RST, SILENT, TRICKLE, WAYS, Stranger, crowd, script_of

pytestmark = pytest.mark.row("silent client")
SEED = int(os.environ.get("CRASH_SEED", "1"))
IDLE = 2 if SHORT else 5  # seconds; what limits { idle } says here
TIMES = 1 if SHORT else int(os.environ.get("CRASH_ROUNDS", "20"))   # each misbehaviour
DEAF_TIMES = 4          # of them those that never read: each sends 10,000 commands
SLOWER = 35             # seconds beyond the deadline that a busy machine may need
RATE_WINDOW = 60        # DATA_RATE_WINDOW_US
KINDS = ("smtp", "starttls", "chunks", "submission", "submissions", "pop3", "pop3s")
DAEMONS = ("smtpd", "submission", "pop3d")
PEOPLE = {"alice": "im Wunderland", "bob": "builds:it", "carol": "sings", "dave": "dives"}


class Healthy(threading.Thread):
    """Sends one message after the other all the time."""

    def __init__(self, house, tag="well"):
        super().__init__(daemon=True)
        self.house, self.tag, self.stop, self.sent, self.failed = house, tag, threading.Event(), 0, []
        self.slowest = 0.0

    def run(self):
        while not self.stop.is_set():
            begun = time.monotonic()
            try:
                with self.house.connect(source="127.9.9.9") as wire:
                    for _ in range(10):
                        wire.deliver(f"Subject: {self.tag}{self.sent}\r\n\r\nwell\r\n".encode())
                        self.sent += 1
                    wire.quit()
            except (OSError, AssertionError) as e:
                self.failed.append(repr(e))
            self.slowest = max(self.slowest, time.monotonic() - begun)
            self.stop.wait(0.05)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *unused):
        self.stop.set()
        self.join()


def serve(houses, idle=IDLE, min_rate=500):
    """A house with every listener, where silence is ended soon."""
    house = houses()
    pop3, pop3s = free_port(), free_port()
    with_people(house, listen=f"; listen 127.0.0.1:{pop3} pop3; listen 127.0.0.1:{pop3s} pop3s", passwords=PEOPLE, auth="ban-after 1000000",
                limits=f"idle {idle}s; min-rate {min_rate}; per-client 40; spool-free 0; errors 20",
                submission="messages 1000000/h; recipients 1000000/h")
    house.start()
    house.ports = {"smtp": house.port, "starttls": house.port, "chunks": house.port, "submission": house.submission,
                   "submissions": house.submissions, "pop3": pop3, "pop3s": pop3s}
    return house


def descriptors(house):
    return {d: len(os.listdir(f"/proc/{house.pid(d)}/fd")) for d in DAEMONS} if IS_ROOT else {}


def script_for(kind, name, number):
    user = list(PEOPLE)[number % len(PEOPLE)]
    login = f"{user}@{DOMAIN}" if kind not in ("smtp", "starttls", "chunks") else None
    return script_of(kind, name, login, PEOPLE[user], chunks=kind == "chunks")


def takes(kind, script, at, how):
    """Whether its end is seen here: a user of POP3 may be silent for ten minutes (RFC 1939 3)."""
    steps = [s.name for s in script]
    if kind.startswith("pop3") and "PASS" in steps[:at]:
        return False
    return not (SHORT and how == TRICKLE and steps[at] in ("content", "BDAT", "BDAT LAST"))  # 60 s of too slow a rate


def strangers_of(house, kinds, ways=WAYS, times=TIMES):
    found, number = [], 0
    for kind in kinds:
        steps = len(script_for(kind, "x", 0))
        for at in range(steps):
            for how in ways:
                for _ in range(min(times, DEAF_TIMES) if how == DEAF else times):
                    number += 1
                    name = f"half-{kind}-{at}-{how}-{number}"
                    script = script_for(kind, name, number)
                    if takes(kind, script, at, how):
                        found.append(Stranger(house.ports[kind], script, at, how, SEED, name=name, idle=IDLE))
    random.Random(SEED).shuffle(found)
    return found


def in_handshake(stranger):
    return stranger.script[stranger.at].flight > 0


def complete(stranger):
    """It has said all of its message before it misbehaved; or it repeats what it says."""
    names = [s.name for s in stranger.script]
    end = names.index("QUIT") if "QUIT" in names else len(names)
    return stranger.at >= end or stranger.how == DEAF and stranger.at >= end - 1


def judge(stranger, idle=IDLE):
    """What is wrong about how it ended; None: nothing."""
    step, how = stranger.script[stranger.at], stranger.how
    if stranger.lagged:
        return None
    if stranger.trouble:
        return stranger.trouble
    if stranger.ended is None:
        return "it was not ended"
    most = (RATE_WINDOW if how in (TRICKLE, DEAF) else 0) + idle + SLOWER
    if stranger.seconds > most:
        return f"it was ended after {stranger.seconds:.1f} s, not {most}"
    if how in (FIN, RST, DEAF, GARBLE):
        return None
    early = how == TRICKLE and (stranger.secure or step.name == "greeting")     # what comes is wrong by itself
    if stranger.seconds + stranger.before < idle * 0.9 and not early and not in_handshake(stranger):
        return f"it was ended after {stranger.seconds:.1f} s already"
    smtp = stranger.script[-1].name == "QUIT"
    if smtp and not in_handshake(stranger) and not early:
        if not re.search(rb"(^|\n)421 4\.4\.2 [^\r\n]+\r\n$", stranger.said):
            return "no 421 4.4.2"
    return None


def seen_letters(house):
    return Counter(re.search(rb"^Subject: (\S+)", letter.content, re.M)[1].decode() for letter in house.letters("bob"))


def audit(house, strangers, healthy):
    """Mail of the healthy client is there once, of the others none that was not said to its end."""
    wait_for(lambda: not house.queue(), 60, "an empty queue")
    seen = seen_letters(house)
    for i in range(healthy.sent):
        assert seen.pop(f"{healthy.tag}{i}", 0) == 1, f"message {i} of the healthy client"
    may = {s.name for s in strangers if complete(s)}
    half = [name for name in seen if name not in may]
    assert not half, f"messages that were never said whole: {half[:5]}"


def run(house, strangers, at_once=150):
    before = descriptors(house)
    with Healthy(house) as healthy:
        asyncio.run(crowd(strangers, at_once))
    # What the kernel still has for one that never reads keeps its connection for minutes after the server has closed it.
    log = house.log()
    for s in strangers:
        if s.how == DEAF and s.ended is None and f"disconnected client={s.host} " in log:
            s.trouble, s.ended, s.seconds = None, "end", 0
    faults = [(judge(s), s) for s in strangers]
    faults = [(why, s) for why, s in faults if why]
    assert not faults, f"{len(faults)} of {len(strangers)}: " + "\n".join(f"{why}: {s}" for why, s in faults[:12])
    lagged = sum(s.lagged for s in strangers)
    assert lagged <= len(strangers) / 20, f"{lagged} came too late to misbehave: this machine is too slow for so many at once"
    assert healthy.sent > 0 and not healthy.failed, (healthy.sent, healthy.failed[:3])
    # the slots are free again, and so are the descriptors
    wait_for(lambda: all(n <= before[d] + 3 for d, n in descriptors(house).items()), 40, f"descriptors as before, {before}")
    assert all(p["restarts"] == 0 for p in house.status()["processes"])
    return healthy


@pytest.mark.parametrize("kinds", [KINDS] if SHORT else [(k,) for k in KINDS], ids=lambda k: "+".join(k)[:24])
def test_whatever_a_client_does_wherever_its_end_comes_in_time_and_nothing_stays(houses, tally, kinds):
    house = serve(houses)
    strangers = strangers_of(house, kinds)
    if SHORT:   # a share of them, another one for each seed
        strangers = strangers[:100]
    begun = time.monotonic()
    healthy = run(house, strangers)
    audit(house, strangers, healthy)
    ways = Counter(s.how for s in strangers)
    print(f"\nseed {SEED}: {len(strangers)} strangers {dict(ways)} in {time.monotonic() - begun:.0f} s; meanwhile {healthy.sent} healthy messages, "
          f"the slowest ten took {healthy.slowest:.2f} s")
    tally(strangers=len(strangers), healthy_messages=healthy.sent)


@pytest.mark.long
def test_one_address_has_its_slots_again(houses, tally):
    """per-client holds while the silent ones are there, and not a moment longer than they are."""
    house = serve(houses)
    one = "127.77.7.7"
    script = script_for("smtp", "one", 0)
    for round in range(3):
        silent = [Stranger(house.port, script, 2, SILENT, host=one) for _ in range(40)]

        async def both():
            held = asyncio.ensure_future(crowd(silent, 100))
            await asyncio.sleep(0.5)
            late = await crowd([Stranger(house.port, script, host=one)])
            await held
            return late[0]
        late = asyncio.run(both())
        assert late.trouble and "421 4.7.0" in late.trouble, late
        assert not [s for s in silent if judge(s)], silent
        well = asyncio.run(crowd([Stranger(house.port, script, host=one) for _ in range(30)]))
        assert not [w for w in well if w.trouble], well
        tally(strangers=len(silent))


# Tests of the test

@pytest.mark.long
@pytest.mark.control
def test_control_a_server_that_waits_too_long_is_noticed(houses, tally, monkeypatch):
    """Silence is allowed for an hour: the harness must say so."""
    import strangers as engine
    monkeypatch.setattr(engine, "PATIENCE", IDLE + 1)
    house = serve(houses, idle=3600)
    strangers = strangers_of(house, ("smtp",), ways=(SILENT, HALF), times=1)
    asyncio.run(crowd(strangers))
    missed = [s for s in strangers if not judge(s)]
    assert not missed, missed
    tally(strangers=len(strangers))


@pytest.mark.control
def test_control_half_a_message_that_arrives_is_noticed(houses):
    """A message is sent that the audit is told was never said whole."""
    house = serve(houses)
    half = Stranger(house.port, script_for("smtp", "half-forged", 0), 5, FIN, name="half-forged")
    house.deliver(b"Subject: half-forged\r\n\r\nhalf\r\n")
    house.wait_letters("bob")
    with Healthy(house) as healthy:
        wait_for(lambda: healthy.sent)
    with pytest.raises(AssertionError, match="never said whole"):
        audit(house, [half], healthy)
