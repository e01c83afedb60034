"""
SIGKILL of a random process each 50 ms, of every kind that there is, while twenty clients send and read
(crowd.py has the drawing): master, fork servers and users' children too. A killed master is started
at once, by a command that nobody waits for, and the blows go on meanwhile.

Then: nothing acknowledged is lost, nothing was set aside, what came twice lies within the ledger's
window before a death, memory and descriptors of the whole tree are what they were. STORM_SECONDS=N,
STORM_SEED=N.
"""
import collections
import os
import random
import signal
import subprocess
import time

import pytest

from crowd import Crowd, Far, Person, Town
from house import SHORT, wait_for
from stagepost import IS_ROOT
from test_steps import keep

pytestmark = pytest.mark.row("kill at random")

SEED = int(os.environ.get("STORM_SEED", "0")) or random.SystemRandom().randrange(1, 10 ** 6)
SECONDS = float(os.environ.get("STORM_SECONDS", "1" if SHORT else "300"))
EVERY = 0.05
PAUSE = 0.05 if SHORT else 0.1      # of a client between two messages, in the mean
KINDS = {"smtpd", "submission", "pop3d", "maildrop", "pickup", "keys", "usage", "router", "resolver", "smtp", "bounce",
         "accounts", "accounts-system", "local", "local-system", "control", "log", "queue", "master"}
MASTER_EVERY = 3.0                  # seconds, in the mean
# Whose death may lose the memory of a delivery that was made, or of mail that was taken
FORGETFUL = {"local", "local-system", "smtp", "master", "pickup", "submission"}
MEMORY_MARGIN, DESCRIPTOR_MARGIN = 1.25, 12
MEMORY_SLACK = 6 * 1024 * 1024      # octets


@pytest.fixture
def town():
    far = Far()
    person = Person() if IS_ROOT else None
    t = Town(far, person)
    yield t
    t.end()
    far.end()
    if person:
        person.end()


class Killer:
    def __init__(self, town, rng, spare=()):
        self.town, self.rng, self.spare = town, rng, spare
        self.deaths = []        # (when, kind)
        self.starts = []        # commands that start a master
        self.by_kind = collections.Counter()
        self.idle = 0
        self.next_master = time.monotonic() + rng.random() * MASTER_EVERY

    def blow(self):
        """One, at somebody who lives; of two kinds the one that has died less often."""
        tree = self.town.tree()
        if not tree:
            self.start()
            self.idle += 1
            return
        kinds = sorted(k for k in tree if k not in self.spare and k != "master")
        kind = min(self.rng.sample(kinds, min(2, len(kinds))), key=lambda k: self.by_kind[k]) if kinds else None
        if "master" not in self.spare and time.monotonic() > self.next_master:
            kind = "master"
            self.next_master = time.monotonic() + self.rng.random() * 2 * MASTER_EVERY
        if not kind:
            self.idle += 1
            return
        try:
            self.deaths.append((time.time(), kind))
            os.kill(self.rng.choice(tree[kind]), signal.SIGKILL)
            self.by_kind[kind] += 1
        except ProcessLookupError:
            self.deaths.pop()

    def start(self):
        self.starts = [s for s in self.starts if s.poll() is None]
        if not self.starts and self.town.master() is None:
            self.starts.append(subprocess.Popen(
                [self.town.programs / "bin" / "stagepost", "-c", self.town.folder / "stagepost.conf", "start"], cwd=self.town.folder,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))

    def storm(self, seconds):
        end = time.monotonic() + seconds
        due = time.monotonic()
        while time.monotonic() < end:
            self.blow()
            due = max(due + EVERY, time.monotonic())
            time.sleep(max(0, due - time.monotonic()))

    def over(self):
        for s in self.starts:
            s.wait(120)
        if self.town.master() is None:
            self.town.start()


def all_serve(town):
    serving = {name.rsplit("-", 1)[0] if name[-1].isdigit() else name for name in town.serving()}
    return {k for k in KINDS if town.person or not k.endswith("-system")} - {"master"} <= serving


def settle(town, deaths, least=1):
    """All is served, drained, audited."""
    wait_for(lambda: all_serve(town), 90, "every daemon serving")
    aside = town.queue("--state", "corrupt")
    assert not aside, f"set aside: {aside}"
    wait_for(lambda: not [f for f in (town.folder / "spool" / "drop").iterdir() if not f.name.endswith(".part") and f.name != "looking"], 60,
             "an empty drop directory")
    # what nobody has read yet is in no list
    wait_for(lambda: "not read yet" not in town.run("queue", "verify", check=False).stdout, 60, "every segment to be read")
    try:
        wait_for(lambda: not town.queue(), 120, "an empty queue")
    finally:
        left = town.queue()
        print(f"left: {len(left)} {left[:3]}" if left else "", end="")
    town.verify()
    assert not list((town.folder / "spool" / "corrupt").iterdir()), "something was set aside"
    return town.audit(deaths, least)


def costs_of_calm(town):
    """After some work without blows."""
    crowd = Crowd(town, pause=0.02, run="a")
    time.sleep(10)
    crowd.end()
    settle(town, [])
    return town.quiet_costs(seconds=20)


def storm_over(town, tally, seconds, spare=(), name=""):
    print(f"\nSTORM_SEED={SEED}")
    killer = Killer(town, random.Random(f"{SEED} {spare}"), spare)
    town.start()
    before = None if SHORT else costs_of_calm(town)
    crowd = Crowd(town, PAUSE, run="b")
    try:
        killer.storm(seconds)
    finally:
        killer.over()
        crowd.end()
    counts = settle(town, [d for d in killer.deaths if d[1] in FORGETFUL])
    print(f"{name}: {dict(killer.by_kind)}, {counts}, {killer.idle} blows found nobody")
    stormy = collections.Counter(n[1] for n, (_, _, code) in town.booked().items() if n[0] == "b" and code == 250)
    print(f"acknowledged in the storm: SMTP {stormy['S']}, with login {stormy['A']}, sendmail {stormy['P']}; "
          f"{len({w[2] for w in town.ledger('reader-*')})} fetched")
    assert SHORT or all(stormy[k] for k in "SAP"), "no service"
    tally(deaths=sum(killer.by_kind.values()), **counts)
    if before:
        most = (before[0] * MEMORY_MARGIN + MEMORY_SLACK, before[1] + DESCRIPTOR_MARGIN)
        after = town.quiet_costs(most)
        print(f"memory {before[0] >> 20} -> {after[0] >> 20} MiB, descriptors {before[1]} -> {after[1]}")
        assert all(a <= b for a, b in zip(after, most)), "memory or descriptors do not come back"
    return killer


def test_a_random_process_of_every_kind_each_50_ms(town, tally):
    try:
        killer = storm_over(town, tally, SECONDS, name="every kind")
        tally(**{f"of {kind}": n for kind, n in killer.by_kind.items()} if not SHORT else {})
        missed = {k for k in KINDS if town.person or not k.endswith("-system")} - set(killer.by_kind)
        assert SHORT or not missed, f"never killed: {missed}"
    except BaseException:
        keep(town, f"every-kind-{SEED}")
        raise


@pytest.mark.long
def test_one_masters_daemons_each_50_ms(town, tally):
    """The master lives: what it holds must not grow with the deaths that it sees."""
    try:
        storm_over(town, tally, SECONDS / 5, spare=("master",), name="one master")
    except BaseException:
        keep(town, f"one-master-{SEED}")
        raise
