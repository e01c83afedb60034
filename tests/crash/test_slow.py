"""
A slow disk: each sync of the spool and of the mailboxes takes seconds. Mail comes as fast as the disk
lets it, nobody who needs no disk waits for it, memory stays what it was, and nobody's patience ends.

    clients --SMTP--> smtpd S --> queue S --> local S --> Maildir      S: fdatasync, fsync, ... take 2 or 5 s
    somebody who says NOOP
"""
import statistics
import threading
import time
from pathlib import Path

import pytest

from house import SHORT, Client, House, wait_for

pytestmark = pytest.mark.row("slow disk")

ROLES, OPS = ("smtpd", "queue", "local"), ("fdatasync", "fsync", "fsync-dir", "sync-all")
CLIENTS = 4 if SHORT else 20
SECONDS = 2 if SHORT else 60
PATIENCE = 300          # of a client, who has ten minutes by RFC 5321 4.5.3.2.6
MIB = 1024
LIMITS = {"smtpd": 64 * MIB, "queue": 256 * MIB, "local": 64 * MIB}     # KiB
HELD = 1.0              # who needs no disk has waited for it, on a machine that has other work
FIRST = 1               # so often, when a disk that was fast begins to lag


def slow(ms, roles=ROLES):
    return ",".join(f"{role}:{op}:1+:delay={ms}" for role in roles for op in OPS)


@pytest.fixture
def house():
    h = House()
    yield h
    h.end()


class Prober(threading.Thread):
    """Session after session that needs no disk; how long each took from the greeting on."""

    def __init__(self, house):
        super().__init__(daemon=True)
        self.house, self.took, self.over, self.wrong = house, [], False, None

    def run(self):
        try:
            while not self.over:
                begun = time.monotonic()
                with self.house.connect(seconds=PATIENCE) as wire:
                    for line in ("NOOP", "MAIL FROM:<probe@load.example>", "RCPT TO:<bob@trial.example>", "RSET"):
                        assert wire.say(line).code == 250
                self.took.append(time.monotonic() - begun)
                time.sleep(0.05)
        except (AssertionError, OSError) as e:
            self.wrong = e

    def held(self):
        return [t for t in self.took if t > HELD]

    def end(self):
        self.over = True
        self.join(PATIENCE)
        assert not self.wrong, self.wrong
        return self.held()


class Sender(threading.Thread):
    """Message after message; how long the longest reply took."""

    def __init__(self, house, name, until):
        super().__init__(daemon=True)
        self.client, self.name_, self.until, self.longest = Client(house), name, until, 0

    def run(self):
        number = 0
        while time.monotonic() < self.until:
            number += 1
            begun = time.monotonic()
            self.client.try_one(f"{self.name_}x{number}", (900, 66000)[number % 5 == 0], ("bob",), PATIENCE)
            self.longest = max(self.longest, time.monotonic() - begun)


def memory(pid):
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1])


def crowd(house, seconds):
    senders = [Sender(house, f"c{i}", time.monotonic() + seconds) for i in range(CLIENTS)]
    for s in senders:
        s.start()
    for s in senders:
        s.join(2 * PATIENCE)
        assert not s.is_alive(), "a client waits and waits"
    everyone = Client(house)
    for s in senders:
        everyone.sent.update(s.client.sent)
        everyone.kept |= s.client.kept
        everyone.unknown |= s.client.unknown
        everyone.refused.update(s.client.refused)
    return everyone, max(s.longest for s in senders)


@pytest.mark.parametrize("ms", [400] if SHORT else [2000, 5000])
def test_each_sync_is_slow(house, ms, tally):
    house.launch(slow(ms), sick=False)
    first = Client(house)
    wait_for(house.opens, 20, "service")
    for i in range(10):     # so that the disk is known as a fast one
        assert first.try_one(f"f{i}", 900, ("alice",))
    pids = house.serving()
    prober = Prober(house)
    prober.start()
    house.heal(False)
    client, longest = crowd(house, SECONDS)
    used = {role: memory(pids[role]) for role in ROLES}
    asked = time.monotonic()
    assert house.run("queue", "list", check=False).returncode == 0
    asked = time.monotonic() - asked
    held = prober.end()
    house.heal()
    assert not client.unknown, "somebody got no answer"
    assert client.kept, "no mail at all"
    assert longest < PATIENCE, f"a client waited for {longest:.0f} s"
    assert len(held) <= FIRST, f"who needs no disk waited {len(held)} times for it: {held[:9]}"
    assert asked < 10, f"`queue list` took {asked:.1f} s"
    assert all(used[role] < LIMITS[role] for role in ROLES), used
    assert house.ends("smtpd") + house.ends("queue") + house.ends("local") == 0
    client.sent.update(first.sent)
    client.kept |= first.kept
    house.drained(client, 90)
    house.audit(client, copies=1)
    print(f"{ms} ms a sync: {len(client.kept)} kept, {len(client.refused)} refused, the longest reply {longest:.1f} s; NOOP "
          f"{statistics.median(prober.took) * 1000:.0f} ms, held {held}; memory {used}")
    tally(seconds=SECONDS, kept=len(client.kept))


@pytest.mark.long
def test_a_disk_that_lags_now_and_then_holds_others_once(house, tally):
    """Between two lags it is fast for long enough to be taken for a fast one."""
    house.launch(slow(2000, ("smtpd",)), sick=False)
    client = Client(house)
    wait_for(house.opens, 20, "service")
    prober = Prober(house)
    prober.start()
    for lag in range(3):
        for i in range(120):
            assert client.try_one(f"l{lag}f{i}", 900, ("alice",), PATIENCE)
        house.heal(False)
        assert client.try_one(f"lag{lag}", 900, ("bob",), PATIENCE)
        house.heal()
    held = prober.end()
    assert len(held) <= FIRST, f"held {len(held)} times in three lags: {held}"
    house.drained(client)
    house.audit(client, copies=1)
    tally(lags=3)


@pytest.mark.control
def test_a_loop_that_waits_is_noticed(house):
    """The loop of smtpd does nothing else while it accepts."""
    house.launch(f"smtpd:accept:1+:delay={int(HELD * 1500)}", sick=False)
    wait_for(house.opens, 20, "service")
    prober = Prober(house)
    prober.start()
    house.heal(False)
    wait_for(prober.held, 20, "a session that was held")
    house.heal()
    prober.end()
