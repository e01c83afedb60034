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

from house import BOXES, LARGE, SHORT, SIZES, Client, House, steps_of, wait_for
from test_steps import keep

ERRORS = ["EIO", "ENOSPC", "EDQUOT", "EROFS"]
OPS = {
    "smtpd": ["write", "fdatasync", "fsync", "writeback", "close", "stat", "open", "truncate"],
    "queue": ["write", "fdatasync", "fsync", "fsync-dir", "allocate", "create", "open", "read", "unlink", "list",
              "mkdir", "stat", "space", "truncate", "rename", "close"],
    "local": ["open", "create", "write", "fsync", "fsync-dir", "rename", "mkdir", "unlink", "close", "read", "stat"],
}
SPAN = 6    # calls, of an error that lasts for some


@pytest.fixture
def house():
    h = House(retry="first 1s; longest 1s")
    yield h
    h.end()


def work(house, client, seconds=6):
    for i, (size, boxes) in enumerate(zip(SIZES, BOXES)):
        client.until_kept(f"m{i}-{size}", size, boxes, seconds)


def arrived(house, client, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not house.missing(client):
            return True
        time.sleep(0.02)
    return False


def one_case(house, role, fault, lasts):
    """What became of it: `alone` it got well by itself; `dies` the master started it again, with the
    same fault; `start` it could not start, or the fault lasts; `SLOW`, `REFUSES` it did not get
    well in time. In the end there is always a start without the fault, and an audit."""
    house.wipe()
    client = Client(house)
    house.launch(fault)
    end = time.monotonic() + 3
    while not house.opens() and time.monotonic() < end and house.ends(role) < 2:
        time.sleep(0.01)
    how = "alone"
    if not house.opens():
        how = "start"   # it says why, and does not serve
        assert re.search(rf"stagepost/{role}\[.*(fatal|can't|error|spool)", house.log()), "it does not say what is wrong"
    else:
        seconds = 2 if lasts == "+" else 10
        work(house, client, seconds)
        if lasts == "+":
            how = "start"
        elif house.ends(role):
            how = "dies"    # and would again at the same call of its next life
        elif not arrived(house, client, 8):
            how = "SLOW"
        elif len(client.kept) < len(SIZES):
            how = "REFUSES"
    failed = [line for line in house.log().splitlines() if " failed to=" in line]
    if "EDQUOT" not in fault or role != "local":
        assert not failed, f"given up: {failed[0]}"
    # what could not be removed is tried again each ten seconds, and at a start
    if how not in ("alone", "REFUSES") or ":unlink:" in fault and lasts:
        house.crash()
        house.start()
    assert client.until_kept("after", 700, ("bob",), 10), client.refused
    if failed:      # over quota is the sender's to know: the mail is kept for the administrator
        house.run("queue", "release", "--all", check=False)
        house.run("queue", "retry", "--all", check=False)
    house.drained(client, 20)
    house.audit(client, copies=3)
    house.crash()
    return how


@pytest.mark.parametrize("role,op", [(role, op) for role, ops in OPS.items() for op in ops])
def test_a_disk_that_fails(house, role, op):
    counts = steps_of(house, role, lambda: (work(house, Client(house)), time.sleep(0.3)))
    steps = counts.get(op, 0)
    results, wrong = {}, []
    stride = max(1, steps // 2) if SHORT else max(1, steps // 12)
    for error in ERRORS[:1] if SHORT else ERRORS:
        for n in range(1, steps + 1, stride):
            for lasts in ("", f"-{n + SPAN}", "+"):
                fault = f"{role}:{op}:{n}{lasts}:{error}"
                try:
                    how = one_case(house, role, fault, lasts)
                except BaseException as e:
                    if isinstance(e, KeyboardInterrupt):
                        raise
                    keep(house, fault.replace(":", "_"))
                    house.crash()
                    wrong.append(f"{fault}: {str(e)[:300]}")
                    how = "WRONG"
                results.setdefault(how, []).append(f"{n}{lasts}:{error}")
    print(f"\n{role} {op}: {steps} calls;", ", ".join(f"{how} {len(cases)}" for how, cases in sorted(results.items())))
    for how in ("start", "dies", "SLOW", "REFUSES"):
        if results.get(how):
            print(f"   {how}: {' '.join(results[how])}")
    assert not wrong, "\n".join(wrong)
