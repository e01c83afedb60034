"""
No descriptors: each process in turn may open no further file for a while, as if it had come to its limit,
or as if the whole machine had (ENFILE). It does not spin, others go on, and it is well again by
itself.

    everyone --all ways--> Stagepost, one process X of it      X: EMFILE at accept, socket, open, recvmsg
"""
import os
import re
import socket
import subprocess
import time
from pathlib import Path

import pytest

from house import SHORT, chosen
from stagepost import IS_ROOT
from whole import Everyone, house_with_all

pytestmark = pytest.mark.row("no descriptors")

ROLES = ("master", "log", "keys", "usage", "accounts", "router", "resolver", "queue", "bounce", "local", "smtp", "control",
         "smtpd", "submission", "maildrop", "pop3d", "pickup")
# What a process may be used for, which then need not be there.
WAYS = {"smtpd": ("plain", "large"), "submission": ("relay", "submitted"), "pop3d": ("fetch",), "maildrop": ("fetch",),
        "control": ("ask",), "keys": ("relay", "submitted", "fetch"), "accounts": ("relay", "submitted", "fetch"),
        "usage": ("relay", "submitted")}
SECONDS = 1 if SHORT else 10    # that it lasts
REST = 1 if SHORT else 3        # of it nobody asks for anything, and no CPU may be used
SPIN = 0.5                      # of that time a processor was wanted: this is no rest


@pytest.fixture
def house():
    h = house_with_all()
    yield h
    h.end()


def wanted(pid):
    """Seconds that it had a processor or waited for one, which others may keep; None: it has ended."""
    try:
        return sum(int(f.read_text().split()[0]) + int(f.read_text().split()[1])
                   for f in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9
    except OSError:
        return None


def free_number(pid):
    """The lowest descriptor that is not in use: with that as its limit a process opens nothing more."""
    used = {int(f.name) for f in Path(f"/proc/{pid}/fd").iterdir()}
    return next(n for n in range(len(used) + 1) if n not in used)


def set_limit(pid, soft, hard):
    """As its own user: root may lack the right to do so to others."""
    ids = {key: int(values.split()[0]) for key, _, values in
           (line.partition(":") for line in Path(f"/proc/{pid}/status").read_text().splitlines()) if key in ("Uid", "Gid")}
    as_user = {"user": ids["Uid"], "group": ids["Gid"], "extra_groups": []} if IS_ROOT else {}
    subprocess.run(["prlimit", f"--pid={pid}", f"--nofile={soft}:{hard}"], check=True, capture_output=True, **as_user)


def starve(pid):
    """Its limit before."""
    line = next(line for line in Path(f"/proc/{pid}/limits").read_text().splitlines() if line.startswith("Max open files"))
    before = line.split()[3:5]
    set_limit(pid, free_number(pid), before[1])
    return before


def rest(pids, seconds):
    """The share of the time that each wanted a processor while nobody asked for anything."""
    before = {name: wanted(pid) for name, pid in pids.items()}
    time.sleep(seconds)
    after = {name: wanted(pid) for name, pid in pids.items()}
    return {name: (after[name] - before[name]) / seconds for name in pids if None not in (before[name], after[name])}


def waiting_clients(house):
    """Connections that nobody takes yet."""
    found = []
    for port in (house.port, house.submission, house.pop3):
        found += [socket.create_connection(("127.0.0.1", port), 5) for _ in range(3)]
    return found


def go_on(everyone, ways, seconds):
    """Uses all ways until the time is over; how many rounds in which those that must be open were so."""
    rounds, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        results = everyone.round()
        rounds += all(results[way] for way in ways)
    return rounds


@pytest.mark.parametrize("role", chosen("descriptors", ROLES, 4))
def test_a_process_without_descriptors(house, role, tally):
    everyone = Everyone(house)
    house.start()
    everyone.all_well(20)
    pids = house.serving()
    everyone.seconds = 2
    before = starve(pids[role])
    waiting = waiting_clients(house)
    others = [way for way in Everyone.WAYS if way not in WAYS.get(role, Everyone.WAYS)]
    rounds = go_on(everyone, others, SECONDS)
    used = rest(pids, REST)
    assert not others or rounds, f"others do not go on: {everyone.last}"
    spinning = {name: f"{share:.0%}" for name, share in used.items() if share > SPIN}
    assert not spinning, f"without descriptors {role} does not rest: {spinning}"
    if Path(f"/proc/{pids[role]}").exists():
        set_limit(pids[role], *before)
    for client in waiting:
        client.close()
    everyone.all_well(30)
    everyone.settled()
    ended = house.ends(role) if role != "master" else 0
    print("\n".join(line for line in house.log().splitlines() if re.search("ended|fatal|rror|can't|deferred", line))[:3000])
    print(f"{role}: {rounds} good rounds of others meanwhile, {ended} ends, at rest {used.get(role, 0):.1%} of the time")
    tally(processes=1, rounds=everyone.number, kept=len(everyone.kept), ends=ended)


@pytest.mark.parametrize("error", chosen("out of files", ("EMFILE", "ENFILE", "ENOMEM", "ENOBUFS"), 1))
def test_accept_fails_for_a_while(house, error, tally):
    """Of all listeners at once, as when the machine has no descriptors left. Who is connected is served."""
    everyone = Everyone(house)
    house.launch(f"*:accept:1+:{error}", sick=False)
    everyone.all_well(20)
    pids = house.serving()
    with house.connect(seconds=20) as wire:
        house.heal(False)
        waiting = waiting_clients(house)
        used = rest(pids, REST)
        assert wire.say("NOOP").code == 250
    spinning = {name: f"{share:.0%}" for name, share in used.items() if share > SPIN}
    assert not spinning, f"they do not rest: {spinning}"
    assert len(house.logged("connections can't be accepted for now", count=3)) < 8, "says so again and again"
    house.heal()
    for client in waiting:
        client.close()
    everyone.all_well(30)
    everyone.settled()
    tally(errors=1, kept=len(everyone.kept))


@pytest.mark.control
def test_a_spin_is_noticed(house):
    """EINTR is tried again at once."""
    house.launch("smtpd:accept:1+:EINTR", sick=False)
    Everyone(house).all_well(20)
    pids = house.serving()
    house.heal(False)
    waiting = waiting_clients(house)
    assert rest(pids, 1)["smtpd"] > SPIN
    for client in waiting:
        client.close()


@pytest.mark.control
def test_a_service_that_does_not_come_back_is_noticed(house):
    everyone = Everyone(house)
    everyone.seconds = 0.5
    house.launch("smtpd:accept:1+:EMFILE", sick=False)
    everyone.all_well(20)
    house.heal(False)
    with pytest.raises(AssertionError, match="not well again: .'plain'"):
        everyone.all_well(2, ("plain", "ask"))
