"""
A disk that fails: for each kind of disk call of each process, from the n-th call on, for one call,
for some, or for ever. The client gets 4xx and tries again; the service is itself again as soon as
the disk is; nothing that got 250 is lost, and nothing is said to have failed for good.

    client --SMTP--> smtpd E --> queue E --> local E --> Maildir      E: ENOSPC, EIO, ...
      '--- again ------'
"""
import os
import re
import time

import pytest

from house import BOXES, LARGE, SHORT, SIZES, Client, House, chosen, steps_of, wait_for
from test_steps import keep

pytestmark = pytest.mark.row("full", "failing disk", "failing sync", "failing names")

ERRORS = ["EIO", "ENOSPC", "EDQUOT", "EROFS"]
OPS = {
    "smtpd": ["write", "fdatasync", "fsync", "writeback", "close", "stat", "open", "truncate"],
    "queue": ["write", "fdatasync", "fsync", "fsync-dir", "allocate", "create", "open", "read", "unlink", "list",
              "mkdir", "stat", "space", "truncate", "rename", "close"],
    "local": ["open", "create", "write", "fsync", "fsync-dir", "rename", "mkdir", "link", "unlink", "close", "read", "stat"],
}
# Calls that are only made where another can't be.
BECAUSE = {("local", "link"): "local:rename:1+:EINVAL", ("local", "unlink"): "local:rename:1+:EINVAL"}
SPAN = 6    # calls, of an error that lasts for some
AGAIN = 35  # seconds until there is service again: the master waits longer after each end
DEAD = 60   # seconds that a mailbox is left alone after some failures


@pytest.fixture
def house():
    h = House(retry="first 1s; longest 1s")
    yield h
    h.end()


def work(house, client, seconds=6, role=None):
    """Nothing is to be learnt from more than a few ends of the process."""
    for i, (size, boxes) in enumerate(zip(SIZES, BOXES)):
        if role and house.ends(role) > 2:
            return
        client.until_kept(f"m{i}-{size}", size, boxes, seconds)


def gave_up(house):
    return [line for line in house.log().splitlines() if " failed to=" in line]


def arrived(house, client, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not house.missing(client):
            return True
        if gave_up(house):
            return False
        time.sleep(0.02)
    return False


def urge(house):
    """A mailbox that failed often is left alone for a minute: only some cases wait for its end."""
    house.run("queue", "retry", "--all", check=False)


def administer(house):
    """The disk is well, and what was given up is tried again."""
    house.heal()
    house.run("queue", "release", "--all", check=False)
    urge(house)


def wait_for_end(house):
    """A master whose daemon ends again and again before the first service gives up."""
    if "daemon-ended" in house.log() and house.launched.poll() != 0:
        end = time.monotonic() + 6
        while house.master() and house.launched.poll() is None and time.monotonic() < end:
            time.sleep(0.05)
    return not house.master()


def one_case(house, role, fault, lasts):
    """What became of it: `alone` it got well while the fault was to be met; `healed` when the disk
    was, by itself; `dies` so, with ends of the process before; `start` so, from a start that could
    not end; `full` a mailbox over quota, which is the sender's to know."""
    house.wipe()
    client = Client(house)
    house.launch(fault)
    end = time.monotonic() + 3
    while not house.opens() and time.monotonic() < end and house.ends(role) < 2:
        time.sleep(0.01)
    served = house.opens()
    if served:
        work(house, client, 1 if lasts == "+" else 6, role)
    else:
        assert re.search(rf"stagepost/{role}\[.*(fatal|can't|error|spool)", house.log()), "it does not say what is wrong"
    how = "alone" if served and not house.ends(role) else "dies" if served else "start"
    if how != "alone" or lasts == "+" or not arrived(house, client, 8):
        house.heal()
        how = "healed" if how == "alone" else how
    if how in ("start", "dies") and wait_for_end(house):  # a first start that fails ends: who started it, starts it again
        house.crash()
        house.start()
    assert client.until_kept("healed", 700, ("bob",), AGAIN), f"still no service: {client.refused}"
    if role == "local" and not fault.endswith("write:1+:ENOSPC"):
        urge(house)
    if not arrived(house, client, DEAD + 15):
        failed = gave_up(house)
        assert failed, "accepted, and not delivered"
        assert "EDQUOT" in fault and role == "local", f"given up: {failed[0]}"
        administer(house)
        how = "full"
    # what could not be removed is tried again each ten seconds, and at a start
    if ":unlink:" in fault and lasts:
        house.crash()
        house.start()
    assert client.until_kept("after", 700, ("bob",), 10), client.refused
    house.heal()
    house.drained(client, 20)
    house.audit(client, copies=3)
    house.crash()
    return how


def one_late(house, fault):
    """A disk that fails under a running service, all calls of a kind, until it is well again. By
    itself the service is so too."""
    house.wipe()
    client = Client(house)
    house.launch(fault, sick=False)
    assert client.until_kept("before", 3000, ("alice", "bob"), 10)
    house.heal(False)
    end = time.monotonic() + 2
    work(house, client, 1)
    time.sleep(max(0, end - time.monotonic()))
    house.heal()
    since = time.monotonic()
    assert client.until_kept("healed", 700, ("bob",), AGAIN), f"still no service: {client.refused}"
    since = time.monotonic() - since
    if fault.startswith("local") and ":*:" not in fault:
        urge(house)
    if not arrived(house, client, DEAD + 15):
        failed = gave_up(house)
        assert failed, "accepted, and not delivered"
        assert "EDQUOT" in fault and fault.startswith("local"), f"given up: {failed[0]}"
        administer(house)
    house.drained(client, 20)
    house.audit(client, copies=4)
    house.crash()
    return since


@pytest.mark.parametrize("role,error", chosen("late", [(role, error) for role in OPS for error in ERRORS], 2))
def test_a_disk_that_fails_while_it_serves(house, role, error, tally):
    wrong = []
    # a mailbox that failed often is left alone for a minute, which the short form has not
    for op in chosen(f"late {role} {error}", OPS[role], 1) if SHORT else ["*", *OPS[role]]:
        tally(errors=1)
        try:
            print(f"{role} {op} {error}: again after {one_late(house, f'{role}:{op}:1+:{error}'):.1f} s")
        except BaseException as e:
            if isinstance(e, KeyboardInterrupt):
                raise
            keep(house, f"late_{role}_{op}_{error}")
            house.crash()
            wrong.append(f"{role}:{op}:{error}: {str(e)[:300]}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.long
@pytest.mark.parametrize("role,op", [(role, op) for role, ops in OPS.items() for op in ops])
def test_a_disk_that_fails(house, role, op):
    because = BECAUSE.get((role, op))
    counts = steps_of(house, role, lambda: (work(house, Client(house)), time.sleep(0.3)), because)
    steps = counts.get(op, 0)
    results, wrong = {}, []
    stride = max(1, steps // 2) if SHORT else max(1, steps // 12)
    for error in ERRORS[:1] if SHORT else ERRORS:
        for n in range(1, steps + 1, stride):
            for lasts in ("", f"-{n + SPAN}", "+"):
                fault = f"{role}:{op}:{n}{lasts}:{error}"
                try:
                    how = one_case(house, role, f"{because},{fault}" if because else fault, lasts)
                except BaseException as e:
                    if isinstance(e, KeyboardInterrupt):
                        raise
                    keep(house, fault.replace(":", "_"))
                    house.crash()
                    wrong.append(f"{fault}: {str(e)[:300]}")
                    how = "WRONG"
                results.setdefault(how, []).append(f"{n}{lasts}:{error}")
    print(f"\n{role} {op}: {steps} calls;", ", ".join(f"{how} {len(cases)}" for how, cases in sorted(results.items())))
    for how in ("start", "dies", "healed", "full"):
        if results.get(how):
            print(f"   {how}: {' '.join(results[how])}")
    assert not wrong, "\n".join(wrong)
