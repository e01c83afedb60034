"""
Death at every step: a process dies at its n-th disk call, for every n that a run reaches, and
then all die; after a start without faults every message that got 250 is there and whole.

    client --SMTP--> smtpd X --> queue X --> local X --> Maildir      X: at call n
                                  spool                               then: kill -9 of all, start, audit

`fresh` begins with an empty folder. `mail` begins with a spool that a crash has left: two messages
are deferred, and two more are in a segment and acknowledged, but in no line of the ledger.
"""
import os
import shutil
import signal
import threading
import time

import pytest

from house import BOXES, LARGE, SIZES, Client, House, chosen, steps_of, wait_for

pytestmark = pytest.mark.row("kill at every disk call")

ROLES = ["smtpd", "queue", "local"]
FEW = 2             # cases of each, in the short form
LINGER = 0.05       # seconds that the others live on after a death


class Sender(threading.Thread):
    """Each message once, as long as the role lives. What it waits for may die with it."""

    def __init__(self, house, client, dead):
        super().__init__(daemon=True)
        self.house, self.client, self.dead, self.wrong = house, client, dead, None

    def run(self):
        try:
            for i, (size, boxes) in enumerate(zip(SIZES, BOXES)):
                if self.dead():
                    return
                self.client.try_one(f"m{i}-{size}", size, boxes, 20)
        except BaseException as e:
            self.wrong = e


def send_all(house, client, dead=lambda: False, seconds=8):
    """The sender, who may still wait when the role has died; join() it when all have."""
    wait_for(lambda: dead() or house.opens(), seconds, "a server or a death")
    sender = Sender(house, client, dead)
    sender.start()
    while sender.is_alive() and not dead():
        sender.join(0.01)
    end = time.monotonic() + 3
    while not dead() and house.missing(client) and time.monotonic() < end:
        time.sleep(0.01)
    time.sleep(LINGER)
    return sender


def left_mail(house):
    """Makes the spool that a crash leaves; its client."""
    client = Client(house)
    house.start()
    box = house.block("alice")
    for name, size in (("left-small", 900), ("left-large", LARGE)):
        assert client.try_one(name, size, ("alice",))
    wait_for(lambda: house.log().count(" deferred ") >= 2, what="two deferred")
    manager = house.pid("queue")
    os.kill(manager, signal.SIGSTOP)
    for name, size in (("unseen-small", 900), ("unseen-large", LARGE)):
        client.try_one(name, size, ("bob",), seconds=2)
    house.crash()
    box.unlink()
    return client


@pytest.fixture
def house():
    h = House()
    yield h
    h.end()


@pytest.mark.parametrize("left", [False, True], ids=["fresh", "mail"])
@pytest.mark.parametrize("role", ROLES)
def test_death_at_every_disk_call(house, role, left, tally):
    template = house.folder / "template"
    before = Client(house)
    if left:
        before = left_mail(house)
        template.mkdir()
        for part in ("spool", "mail"):
            shutil.move(house.folder / part, template / part)

    def begin():
        house.wipe()
        if left:
            for part in ("spool", "mail"):
                shutil.copytree(template / part, house.folder / part, copy_function=copy_with_owner)
                own_as(template / part, house.folder / part)
        client = Client(house)
        client.sent.update(before.sent)
        client.kept |= before.kept
        client.unknown |= before.unknown
        return client

    client = begin()
    steps = steps_of(house, role, lambda: (send_all(house, client), time.sleep(0.3)))["*"]
    struck = reached = kept = 0
    for n in chosen(f"steps of {role} {left}", range(1, steps + 4), FEW):
        client = begin()
        fault = f"{role}:*:{n}:kill"
        house.launch(fault)
        try:
            sender = send_all(house, client, lambda: house.deaths(f"{role}(?:-1)?") > 0)
            house.crash()
            sender.join(20)
            assert not sender.wrong, sender.wrong
            struck += 1
            reached += house.deaths(f"{role}(?:-1)?") > 0
            house.start()
            assert client.try_one("after", 700, ("bob",))
            house.drained(client)
            house.audit(client)
            kept += len(client.kept)
        except BaseException as e:
            keep(house, f"{role}-{'mail' if left else 'fresh'}-{n}")
            raise AssertionError(f"{fault}: {e}") from e
        house.crash()
    tally(cases=struck, deaths=reached, kept=kept)
    print(f"\n{role} {'mail' if left else 'fresh'}: {steps} steps, {struck} cases, {reached} deaths")


def copy_with_owner(source, to):
    """Sparse as they are: a segment is allocated and mostly empty."""
    os.system(f"cp -a --sparse=always '{source}' '{to}'")
    return to


def own_as(source, to):
    """Directories too keep their owner and mode."""
    for folder, _, _ in os.walk(source):
        st = os.stat(folder)
        there = to / os.path.relpath(folder, source)
        os.chown(there, st.st_uid, st.st_gid)
        os.chmod(there, st.st_mode & 0o7777)


def keep(house, name):
    """The evidence, where CRASH_KEEP says."""
    where = os.environ.get("CRASH_KEEP")
    if where:
        os.system(f"mkdir -p '{where}' && cp -a --sparse=always '{house.folder}' '{where}/{name}'")


@pytest.mark.row("full", "failing disk", "failing sync", "failing names")
@pytest.mark.control
def test_a_250_for_what_is_not_on_the_disk_is_noticed(house):
    """smtpd is told that it has written, and has not; then all die."""
    client = Client(house)
    house.launch("smtpd:octets:1+:lie", sick=False)
    wait_for(house.opens, 20, "service")
    house.heal(False)
    assert client.try_one("early", 900, ("bob",), 20)
    house.crash()
    house.start()
    with pytest.raises(AssertionError, match="acknowledged mail"):
        house.drained(client, 2)
