"""
Syncs that fail, the n-th of each kind in each process: what it covered is never acknowledged, and
the same file is never synced again, for the kernel calls its pages clean after the first failure
and loses them: a second sync would succeed, with the data gone. The record shows whom each sync was
asked for; then the power fails at every moment, and all that such a sync had covered may be away.
"""
import os
import signal
import time

import pytest

from disk_model import entries_of
from house import SHORT, wait_for
from power import Outage
from recorded import SIZES, Teller, used_house

pytestmark = pytest.mark.row("failing sync")

# process, kind of sync, how many of its first calls are struck
SYNCS = [("smtpd", "fdatasync", 4), ("queue", "fdatasync", 6), ("queue", "fsync", 4), ("queue", "fsync-dir", 5),
         ("local", "fsync", 3), ("local", "fsync-dir", 4), ("bounce", "fdatasync", 2)]


def work(house, client):
    """Each message until it is kept, as a client does; what a sync took away is refused for now."""
    for name, size, boxes in (("one", 900, ("bob",)), ("two", 70000, ("bob", "alice")), ("three", 900, ("bad-three", "bob"))):
        wait_for(lambda: client.try_again(name, size, boxes), 40, f"250 for {name}")
    end = time.monotonic() + 8      # until the report has come, or could not
    while len(house.maildir("bob")) < 4 and time.monotonic() < end:
        time.sleep(0.05)
    house.heal()
    wait_for(lambda: client.try_again("after", 900, ("bob",)), 40, "full service again")
    house.run("queue", "retry", "--all", check=False)
    house.wait_empty(60)
    time.sleep(0.3)


def strike(fault, **keywords):
    """The work done while that sync fails; the outage and the client."""
    house = used_house(SIZES)
    try:
        client = Teller(house)
        house.start_sick(fault)
        work(house, client)
        house.crash()
        outage = Outage(house.disk, house.record, SIZES, **keywords)
        try:
            return outage.run(), client
        finally:
            outage.close()
    finally:
        house.end()


@pytest.mark.parametrize("role, op, most", [pytest.param(*s, marks=[] if s[0] == "smtpd" else [pytest.mark.long]) for s in SYNCS],
                         ids=[f"{s[0]}-{s[1]}" for s in SYNCS])
def test_a_sync_that_fails_is_not_believed_and_not_repeated(role, op, most, tally):
    reached = 0
    for n in range(1, 2 if SHORT else most + 1):
        fault = f"{role}:{op}:{n}:EIO"
        outage, client = strike(fault, each=1 if SHORT else 3)
        tally(failures=outage.disk.failures, cases=outage.cases, refused=len(client.refused))
        reached += outage.disk.failures > 0
        assert not outage.disk.retried, f"{fault}: synced again: {outage.disk.retried}"
        assert not outage.wrong, fault + "\n" + "\n".join(outage.wrong)
        assert all(reply.startswith("4") for reply in client.refused.values()), client.refused
    assert reached


@pytest.mark.control
@pytest.mark.long
def test_data_that_was_lost_by_a_failed_sync_is_missed(tally):
    """Were the failure not heard (the model knows of it, smtpd does not), the mail would be lost."""
    house = used_house(SIZES)
    try:
        client = Teller(house)
        house.start()
        work_entries = []
        assert client.try_one("one", 900, ("bob",))
        house.wait_empty()
        house.crash()
        for e in entries_of(house.record):
            failed = e.role == "smtpd" and e.op == "fdatasync" and e.phase == 1
            work_entries.append(e._replace(result=5) if failed else e)
        outage = Outage(house.disk, house.record, SIZES, enough=1)
        outage.entries = work_entries
        try:
            outage.run()
        finally:
            outage.close()
    finally:
        house.end()
    assert outage.wrong, outage.cases
    tally(losses_noticed=1)


DEATHS = {
    "queue": [],            # its last sync of the ledger
    "smtpd": ["last"],      # of the last batch: its client was told nothing
}


@pytest.mark.long
@pytest.mark.parametrize("role", DEATHS)
def test_who_dies_with_a_sync_that_failed_leaves_no_trap(role, tally):
    """The record of a process that was killed, changed to one whose last sync had failed. The next
    process reads what the kernel has in memory, and may not take it for durable."""
    house = used_house(SIZES)
    try:
        client = Teller(house)
        house.start()
        for name in ("one", "two"):
            assert client.try_one(name, 900, ("alice", "bob"))
        pid, manager = house.pid(role), house.pid("queue")
        if role == "smtpd":     # the manager never hears of it, and the next one finds it by its scan
            os.kill(manager, signal.SIGSTOP)
        assert client.try_one("last", 900, ("alice", "bob"))
        if role == "queue":     # nothing is written after its last sync
            house.wait_empty()
            time.sleep(1)
        for one in {pid, manager}:
            os.kill(one, signal.SIGKILL)
        for name in ("three", "four"):
            wait_for(lambda: client.try_again(name, 900, ("bob",)), 40, "full service again")
        house.wait_empty()
        time.sleep(0.3)
        house.crash()
        entries = list(entries_of(house.record))
        last = max(i for i, e in enumerate(entries) if e.pid == pid and e.op == "fdatasync" and e.phase == 1)
        entries[last] = entries[last]._replace(result=5)
        outage = Outage(house.disk, house.record, SIZES, each=8)
        outage.entries = [e for e in entries if not (e.phase == 2 and e.name.split()[:2] in (["kept", n] for n in DEATHS[role]))]
        try:
            outage.run()
        finally:
            outage.close()
    finally:
        house.end()
    tally(cases=outage.cases, failures=1)
    assert outage.disk.failures == 1
    assert not outage.wrong, "\n".join(outage.wrong)
