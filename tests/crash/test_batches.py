"""
Messages that local delivers together: on a file system of their own that is synced whole (as root:
mounts ext4), one message to many mailboxes, while local dies at each disk call, each kind of call
fails, or the file system is full in the middle of a batch.

    client --SMTP, a message to 40--> smtpd -> queue -> local X --> 40 Maildirs      X: at call n
"""
import os
import shutil
import subprocess
import time

import pytest

from house import SHORT, Client, House, as_kept, content_of, steps_of, wait_for
from stagepost import IS_ROOT, Letter
from test_steps import keep

pytestmark = [pytest.mark.row("kill at every disk call", "full"), pytest.mark.long,
              pytest.mark.skipif(not IS_ROOT or not shutil.which("mkfs.ext4"), reason="mounts file systems")]

USERS = tuple(f"u{i}" for i in range(40))
SIZE = 3000
MIB = 1024 * 1024
STRIDE = 45 if SHORT else 4


class Crowd(House):
    """Its mailboxes lie on ext4."""

    def __init__(self, size=64 * MIB):
        super().__init__(retry="first 1s; longest 1s")
        self.write("users", "".join(f"{u}\n" for u in ("alice", "bob", *USERS)))
        self.disk, self.size = self.folder / "disk", size
        self.mounted = False
        self.mount()

    def mount(self):
        box = self.folder / "mail"
        box.mkdir(exist_ok=True)
        with open(self.disk, "wb") as f:
            f.truncate(self.size)
        subprocess.run(["mkfs.ext4", "-q", "-F", self.disk], check=True)
        subprocess.run(["mount", "-o", "loop", self.disk, box], check=True)
        self.mounted = True
        shutil.chown(box, self.owner)

    def unmount(self):
        if self.mounted:
            subprocess.run(["umount", "-l", self.folder / "mail"], check=True)
        self.mounted = False

    def wipe(self):
        mail = self.folder / "mail"
        for part in mail.iterdir():
            shutil.rmtree(part)
        self.pids.clear()
        for part in ("spool", "run"):
            shutil.rmtree(self.folder / part, ignore_errors=True)
        for f in (self.folder / "log").iterdir():
            f.unlink()

    def end(self):
        self.crash()
        self.unmount()
        super().end()

    def copies(self):
        """(name, user) -> letters, each of them whole."""
        found = {}
        for user in USERS:
            for path in self.maildir(user):
                letter = Letter(path)
                name = letter.sender.removesuffix("@load.example")
                assert letter.content == as_kept(content_of(name, SIZE)), f"{path} is not what was sent"
                found.setdefault((name, user), []).append(path)
        return found

    def lacks(self, client):
        found = self.copies()
        return [(n, u) for n in client.kept for u in USERS if (n, u) not in found]

    def audit_all(self, client, copies):
        wait_for(lambda: not self.lacks(client), 75, "a copy in each mailbox")
        self.wait_empty(20)
        self.verify()
        most = {k: len(v) for k, v in self.copies().items() if len(v) > copies}
        assert not most, f"more than {copies} copies: {most}"
        assert all(n in client.sent and n not in client.refused for n, _ in self.copies())
        left = list((self.folder / "mail").glob("*/*/tmp/*"))
        assert not left, f"half letters are left: {left[:3]}"


@pytest.fixture
def house():
    h = Crowd()
    yield h
    h.end()


def work(house, client, dead=lambda: False):
    """Two messages: into new mailboxes, and into those that are there."""
    wait_for(lambda: dead() or house.opens(), 8, "a server or a death")
    for name in ("first", "second"):
        if not dead():
            client.try_one(name, SIZE, USERS)
        end = time.monotonic() + 3
        while not dead() and client.kept and house.lacks(client) and time.monotonic() < end:
            time.sleep(0.02)


def test_death_at_every_call_of_a_batch(house):
    counts = steps_of(house, "local", lambda: work(house, Client(house)))
    assert counts.get("sync-all", 0) >= 2, f"no batch was synced whole: {counts}"
    reached = 0
    for n in range(1, counts["*"] + 4, STRIDE):
        house.wipe()
        client = Client(house)
        house.launch(f"local:*:{n}:kill")
        try:
            work(house, client, lambda: house.deaths("local(?:-1)?") > 0)
            house.crash()
            reached += house.deaths("local(?:-1)?") > 0
            house.start()
            assert client.try_one("after", SIZE, USERS)
            house.audit_all(client, copies=2)
        except BaseException as e:
            keep(house, f"batch-{n}")
            raise AssertionError(f"local:*:{n}:kill: {e}") from e
        house.crash()
    print(f"\n{counts}; {reached} deaths")
    assert reached


ERRORS = {
    # kind of call: whether a single failure is seen by nobody
    "sync-all": True, "writeback": False, "fsync-dir": False, "fsync": False, "write": False, "create": False, "rename": False,
    "link": False, "close": False,
}


@pytest.mark.parametrize("op", ERRORS)
def test_a_call_of_a_batch_that_fails(house, op):
    """What fails is delivered later, what does not fail now; nothing comes twice: what could not be
    made durable was taken back."""
    # each file is only synced by itself where the whole can't be
    because = "local:sync-all:1+:EIO," if op == "fsync" else ""
    counts = steps_of(house, "local", lambda: work(house, Client(house)), because.rstrip(",") or None)
    steps = counts.get(op, 0)
    if op in ("rename", "link") and steps == 0 and counts.get("rename", 0) + counts.get("link", 0) > 0:
        pytest.skip("the other one gives a file its name here")
    assert steps > 0, counts
    stride = max(1, steps // (2 if SHORT else 8))
    for error in ("EIO",) if SHORT else ("EIO", "ENOSPC"):
        for n in range(1, steps + 1, stride):
            for lasts in ("", f"-{n + 20}"):
                house.wipe()
                client = Client(house)
                fault = f"{because}local:{op}:{n}{lasts}:{error}"
                house.launch(fault)
                try:
                    work(house, client)
                    house.heal()
                    house.run("queue", "retry", "--all", check=False)
                    assert client.until_kept("after", SIZE, USERS)
                    house.audit_all(client, copies=1)
                    if ERRORS[op] and not lasts:
                        assert " deferred " not in house.log()
                except BaseException as e:
                    keep(house, "batch-" + fault.replace(":", "_").replace(",", "_"))
                    raise AssertionError(f"{fault}: {e}") from e
                house.crash()
    print(f"\n{op}: {steps} calls")


def test_a_file_system_that_is_full_in_the_middle_of_a_batch():
    house = Crowd(size=4 * MIB)
    try:
        house.start()
        client = Client(house)
        filler = house.folder / "mail" / "filler"
        assert client.try_one("first", SIZE, USERS)
        wait_for(lambda: not house.lacks(client), 10, "the mailboxes")
        with open(filler, "wb") as f:
            try:
                while True:
                    f.write(bytes(4096))
                    f.flush()
            except OSError:
                pass
        os.truncate(filler, filler.stat().st_size - 80 * 1024)
        for i in range(4):
            assert client.try_one(f"more{i}", SIZE, USERS)
        house.logged(r" deferred to=u\d+@\S* .* dsn=4\.3\.1 ", 20)
        wait_for(lambda: house.copies(), 5, "some of them")
        assert " failed to=" not in house.log()
        filler.unlink()
        house.run("queue", "retry", "--all")
        house.audit_all(client, copies=1)
    finally:
        house.end()
