"""
Mail that is kept while the server is down: death and errors at every disk call of sendmail while it
keeps, and of pickup while it sends.

    sendmail X --> SPOOL/drop -- pickup X --> submission --> queue --> Maildir      X: at call n

What sendmail said yes to arrives; what it said no to does not; what died may.
"""
import os
import re
import subprocess

import pytest

from house import SHORT, House, wait_for
from stagepost import DOMAIN

pytestmark = [pytest.mark.row("kill at every disk call"), pytest.mark.long]

STRIDE = 3 if SHORT else 1
CALLS = 40
OPS = ["create", "write", "fsync", "close", "rename", "fsync-dir", "mode", "list", "open", "space"]


class Kept(House):
    """Down, once it has run."""

    def __init__(self):
        super().__init__()
        self.start()
        self.stop()
        self.names = {}

    def keep(self, name, faults=None):
        """The exit code; negative: died."""
        env = {**os.environ, "STAGEPOST_FAULTS": faults} if faults else None
        done = subprocess.run([self.programs / "bin" / "sendmail", "-C", self.folder / "stagepost.conf", f"bob@{DOMAIN}"],
                              input=f"Subject: {name}\n\n" + "x" * 70 * 1000 + "\n", text=True, env=env, capture_output=True,
                              timeout=30)
        self.names[name] = done.returncode
        return done.returncode

    def waiting(self):
        return [f.name for f in (self.folder / "spool" / "drop").iterdir() if not f.name.endswith(".part") and f.name != "looking"]

    def launch_with(self, environment):
        os.environ.update(environment)
        self.launch("")
        for name in environment:
            del os.environ[name]

    def arrived(self):
        return [re.search(rb"(?m)^Subject: (.*)$", f.read_bytes())[1].decode() for f in self.maildir("bob")]

    def audit(self, copies=1):
        wait_for(lambda: not self.waiting(), 60, "the last one to go")
        self.wait_empty(60)
        arrived = self.arrived()
        for name, code in self.names.items():
            if code == 0:
                assert 1 <= arrived.count(name) <= copies, f"{name}: {arrived.count(name)}"
            elif code > 0:
                assert name not in arrived, name
        for letter in self.letters("bob"):
            assert letter.content.endswith(b"x" * 1000 + b"\n")


@pytest.fixture
def house():
    h = Kept()
    yield h
    h.end()


def test_sendmail_dies_at_every_call(house):
    for n in range(1, CALLS, STRIDE):
        if house.keep(f"n{n}", f"sendmail:*:{n}:kill") >= 0:
            break
    assert sum(code < 0 for code in house.names.values()) >= 10 // STRIDE
    house.start()
    house.audit()


def test_the_disk_fails_at_every_call_of_sendmail(house):
    for op in OPS:
        for error in ("EIO", "ENOSPC"):
            for n in range(1, 6, STRIDE):
                house.keep(f"{op}-{error}-{n}", f"sendmail:{op}:{n}:{error}")
    refused = {name.split("-")[0] for name, code in house.names.items() if code == 75}
    assert refused >= {"create", "write", "fsync", "rename"}, house.names
    assert set(house.names.values()) <= {0, 69, 75}, house.names
    house.start()
    house.audit()


def test_pickup_dies_at_every_call(house):
    """Each letter comes, and but for those that it had under way when it died once."""
    for n in range(1, CALLS, 2 * STRIDE):
        house.keep(f"n{n}")
        house.launch(f"pickup:*:{n}:kill")
        wait_for(lambda: house.deaths("pickup") or not house.waiting(), 20, "a death or an end")
        house.heal()
        wait_for(lambda: not house.waiting(), 30, "the letter to go")
        house.crash()
    house.start()
    house.audit(copies=2)


def test_the_disk_fails_at_every_call_of_pickup(house):
    for op in ("open", "stat", "read", "unlink", "list", "fsync-dir"):
        house.keep(op)
        house.launch(f"pickup:{op}:1-3:EIO")
        wait_for(lambda: not house.waiting(), 60, f"the letter to go in spite of {op}")
        house.crash()
    house.start()
    house.audit(copies=8)


@pytest.mark.row("poison")
def test_a_letter_that_kills_pickup_is_set_aside_alone(tally):
    """The trap is in what pickup reads. Those behind it go, it becomes bad.NAME and stays, whole."""
    house, word, others = Kept(), "p01s0n", 4
    try:
        for name in ["first", word] + [f"behind-{i}" for i in range(others)]:
            assert house.keep(name) == 0
        house.crash()
        poison = sorted(house.waiting(), key=lambda n: n.split(".")[1])[1]
        house.launch_with({"STAGEPOST_TRAP": f"pickup:read:{word}"})
        good = sorted(n for n in house.names if n != word)
        wait_for(lambda: sorted(house.arrived()) == good, 60, "the others")
        drop = house.folder / "spool" / "drop"
        wait_for(lambda: (drop / f"bad.{poison}").exists(), 60, "it put aside")
        deaths = house.ends("pickup")
        assert 3 <= deaths <= 4 and re.search(rf"drop/{poison}, of uid \d+: pickup dies of it", house.log()), deaths
        house.crash()
        (drop / f"bad.{poison}").rename(drop / poison)
        house.start()
        house.audit()
    finally:
        house.end()
    tally(deaths_of_pickup=deaths, good=others + 1)
