"""
Power failures. Small workloads, each recorded once; then the disk as it may have been left at every
moment of it: what was not synced dropped, kept or torn, in any order. Recovery must find all that
was acknowledged, whole, and nothing else.

    small: from the first start on. The others go on in a spool that has had mail before.
"""
import os
import shutil
import signal
import time

import pytest

from disk_model import Disk
from house import SHORT, wait_for
from power import Audit, Outage, Recovery, Told
from recorded import Recorded, Teller, used_house
from stagepost import IS_ROOT

pytestmark = pytest.mark.row("power loss")


def settled(house, seconds=30):
    """The queue is empty, and the ledger's 100 ms are over."""
    house.wait_empty(seconds)
    time.sleep(0.3)


def send(house, client, *mail):
    for name, size, boxes in mail:
        assert client.try_one(name, size, boxes), client.refused


def small(house, client):
    send(house, client, ("one", 900, ("bob",)))
    settled(house)


def large(house, client):
    send(house, client, ("l1", 70000, ("bob",)), ("l2", 900, ("bob",)), ("l3", 300000, ("alice", "bob")))
    settled(house)


def several(house, client):
    send(house, client, ("s1", 900, ("alice", "bob")), ("s2", 3000, ("both",)), ("s3", 20000, ("bob", "both")))
    settled(house)


def deferred(house, client, rest=0.5):
    box = house.block("alice")
    send(house, client, ("d1", 900, ("alice", "bob")), ("d2", 70000, ("alice",)))
    wait_for(lambda: house.log().count(" deferred ") >= 2, 20, "two deferred")
    time.sleep(rest)
    box.unlink()
    house.run("queue", "retry", "--all")
    settled(house)


def moved(house, client):
    """Into a segment of the manager's own, after half a minute."""
    house.configure(retry="first 1h; longest 1h")
    house.run("reload")
    deferred(house, client, rest=33)


def administered(house, client):
    box = house.block("alice")
    send(house, client, ("a1", 900, ("alice",)), ("a2", 70000, ("alice",)), ("a3", 900, ("alice",)))
    wait_for(lambda: house.log().count(" deferred ") >= 3, 20, "three deferred")
    house.run("queue", "hold", client.ids["a1"])
    house.run("queue", "hold", client.ids["a2"])
    house.mark("gone", "a2")
    house.run("queue", "delete", client.ids["a2"])
    house.run("queue", "release", client.ids["a1"])
    box.unlink()
    house.run("queue", "retry", "--all")
    settled(house)


def relayed(house, client):
    """Taken, refused and put off by another server; reports of what was refused."""
    send(house, client, ("r1", 900, ("good-r1", "bob")), ("r2", 900, ("bad-r2", "good-r2")), ("r3", 70000, ("late-r3", "bad-r3")))
    wait_for(lambda: len(list(house.maildir("bob"))) >= 3, 30, "reports")
    settled(house)


def filled(house, client):
    """Segments are full, sealed, emptied and lent again."""
    send(house, client, *[(f"f{i}", 50000, ("bob",)) for i in range(10)])
    settled(house)
    send(house, client, *[(f"g{i}", 50000, ("bob",)) for i in range(6)])
    settled(house)


def rolled(house, client):
    """The ledger goes on in new files, and takes old ones again."""
    box = house.block("alice")
    send(house, client, ("stays", 900, ("alice",)))
    for i in range(4):
        send(house, client, *[(f"m{i}-{k}", 900, ("bob",) * 1) for k in range(12)])
        time.sleep(0.2)
    box.unlink()
    house.run("queue", "retry", "--all")
    settled(house)


def killed(house, client):
    """Processes die meanwhile: what the next ones find, write and lend."""
    send(house, client, ("k1", 900, ("bob",)))
    house.kill("smtpd")
    wait_for(lambda: client.try_again("k2", 70000, ("bob",)), 20, "a new smtpd")
    os.kill(house.pid("local"), signal.SIGSTOP)
    send(house, client, ("k3", 900, ("bob",)), ("k4", 900, ("alice",)))
    house.kill("queue")
    house.kill("local")
    wait_for(lambda: client.try_again("k5", 900, ("bob",)), 20, "a new manager")
    settled(house)


def dropped(house, client):
    """Kept by sendmail while the server is down, sent by pickup when it is there again."""
    house.stop()
    for name, size in (("drop1", 900), ("drop2", 70000)):
        house.mark("sent", name, str(size), "bob")
        house.sendmail(name, size)
        house.mark("kept", name)
    house.start()
    wait_for(lambda: len(house.maildir("bob")) >= 2, 30, "both letters")
    settled(house)


def gathered(house, client):
    """Many mailboxes on ext4, where local syncs them together and files get their first name in new/."""
    send(house, client, ("t1", 900, CROWD), ("t2", 3000, CROWD), ("t3", 70000, CROWD))
    settled(house)


# name: work, on a spool that has been used, sizes of segments and ledger files, cases of a moment
WORK = {
    "small": (small, False, "262144:131072", None),
    "large": (large, True, "262144:131072", None),
    "several": (several, True, "262144:131072", None),
    "deferred": (deferred, True, "262144:131072", None),
    "moved": (moved, True, "262144:131072", None),
    "administered": (administered, True, "262144:131072", None),
    "relayed": (relayed, True, "262144:131072", None),
    "filled": (filled, True, "131072:131072", 4),
    "rolled": (rolled, True, "262144:16384", 2),
    "dropped": (dropped, True, "262144:131072", None),
    "gathered": (gathered, True, "262144:131072", 12),
    "killed": (killed, True, "262144:131072", None),
}
SMALL = ("small",)
CROWD = tuple(f"u{i}" for i in range(6))
ON_EXT4 = ("gathered",)


def recorded(name, faults=None, early=False):
    """A house in which that work was done, and which has crashed then."""
    work, used, sizes, _ = WORK[name]
    house = used_house(sizes, ext4=name in ON_EXT4) if used else Recorded(sizes)
    try:
        client = Teller(house)
        client.early = early
        house.start(faults)
        work(house, client)
        house.crash()
    except BaseException:
        house.end()
        raise
    return house


def outage_of(name, faults=None, early=False, **keywords):
    """All that a power failure could have left of it."""
    house = recorded(name, faults, early)
    keywords.setdefault("each", WORK[name][3])
    outage = Outage(house.disk, house.record, WORK[name][2], **keywords)
    try:
        return outage.run()
    finally:
        outage.close()
        house.end()


def marks_of(name):
    marks = [] if name in SMALL else [pytest.mark.long]
    if name in ON_EXT4:
        marks.append(pytest.mark.skipif(not IS_ROOT or not shutil.which("mkfs.ext4"), reason="mounts a file system"))
    return marks


@pytest.mark.parametrize("name", [pytest.param(n, marks=marks_of(n)) for n in WORK])
def test_nothing_acknowledged_is_lost(name, tally):
    outage = outage_of(name, **({"each": 2} if SHORT else {}))
    tally(cases=outage.cases, moments=outage.moments)
    print(f"\n{name}: {outage.moments} moments, {outage.cases} cases, {outage.disk.syncs} syncs, seed {outage.seed}")
    assert not outage.wrong, "\n".join(outage.wrong)
    assert outage.cases > 100 and outage.disk.syncs > 20
    assert outage.disk.kinds["sync-all"] > 0 or name not in ON_EXT4, outage.disk.kinds


@pytest.mark.long
@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_mailbox_that_was_half_made_by_who_died_is_durable(n, tally):
    """local dies when it has made a directory of a new mailbox, and before that is synced."""
    house = used_house()
    try:
        client = Teller(house)
        house.start_sick(f"local:fsync-dir:{n}:kill")
        send(house, client, ("h1", 900, ("alice",)))
        wait_for(lambda: house.deaths("local(?:-1)?"), 20, "a death")
        house.heal()
        settled(house)
        house.crash()
        outage = Outage(house.disk, house.record, each=8)
        try:
            outage.run()
        finally:
            outage.close()
    finally:
        house.end()
    tally(cases=outage.cases, moments=outage.moments)
    assert not outage.wrong, "\n".join(outage.wrong)


@pytest.mark.long
@pytest.mark.parametrize("name", ["large", "killed", "relayed"])
def test_the_server_starts_and_delivers_what_was_left(name, tally):
    """Some of the cases with all processes: the queue drains, and each letter is in its mailbox."""
    house = recorded(name)
    far = house.far
    outage = Outage(house.disk, house.record, each=6, sample=12)
    try:
        outage.run()
        for path, marks in outage.sample.cases:
            house.install(path)
            house.start_plainly()
            house.run("queue", "retry", "--all", check=False)
            house.wait_empty(60)
            wait_for(lambda: house.run("queue", "verify", check=False).returncode == 0, 30, "a queue that is right")
            told = Told([*marks, *(f"reached {n} {who}" for n, who in far.taken)])
            audit = Audit(told, house.folder)
            seen = audit.mailboxes() | told.reached
            lost = [(n, b) for n in told.kept - told.gone for b in told.sent[n][1] if (n, b) not in seen and ("report", b) not in seen]
            assert not lost and not audit.wrong, f"{lost} {audit.wrong}; {marks[-4:]}"
            house.crash()
        tally(starts=len(outage.sample.cases))
        assert len(outage.sample.cases) == 12
    finally:
        outage.close()
        house.end()


@pytest.mark.long
@pytest.mark.parametrize("name", ["killed", "rolled"])
def test_the_power_fails_again_while_the_spool_recovers(name, tally):
    house = recorded(name)
    sizes = WORK[name][2]
    outage = Outage(house.disk, house.record, sizes, each=4, sample=5)
    try:
        outage.run()
        for path, marks in outage.sample.cases:
            record = path.parent / "record"
            record.write_bytes(b"")
            disk = Disk(path, ("spool", "mail"))
            disk.marks = list(marks)
            recovery = Recovery(sizes, {"STAGEPOST_DISK_RECORD": str(record)})
            recovery(path / "spool")
            recovery.close()
            again = Outage(disk, record, sizes, each=4)
            try:
                again.run()
            finally:
                again.close()
            tally(cases=again.cases, moments=again.moments)
            assert not again.wrong, "\n".join(again.wrong)
            assert again.moments > 10
    finally:
        outage.close()
        house.end()


LIES = {
    # work, fault: what says that it is on the disk when it is not
    "smtpd's batches": ("small", "smtpd:fdatasync:1+:lie"),
    "large files": ("large", "smtpd:fdatasync:1:lie"),
    "the ledger": ("small", "queue:fdatasync:1+:lie"),
    "names of segments": ("small", "queue:fsync-dir:1+:lie"),
    "letters": ("small", "local:fsync:1+:lie"),
    "names of letters": ("small", "local:fsync-dir:1+:lie"),
    "the spool's own name": ("small", "master:fsync-dir:1+:lie"),
}


@pytest.mark.control
@pytest.mark.parametrize("what", [pytest.param(w, marks=[] if w in ("smtpd's batches",) else [pytest.mark.long]) for w in LIES])
def test_a_lie_of_the_disk_is_noticed(what, tally):
    outage = outage_of(*LIES[what], enough=1, each=2 if SHORT else None)
    tally(lies_noticed=1)
    assert outage.disk.lies > 0
    assert outage.wrong, f"{outage.cases} cases, and none was wrong"


@pytest.mark.control
@pytest.mark.long
def test_an_early_250_is_noticed():
    outage = outage_of("small", early=True, enough=1)
    assert any("LOST" in w for w in outage.wrong), outage.cases
