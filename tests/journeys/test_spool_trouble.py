"""
A spool in trouble, with a disk of its own that fills and with octets that change below the running
server:

    client -- MAIL --> smtpd: 452 4.3.1 while there is no room
                                  queue <-- list, show, hold, release, retry, delete: all of it goes on
                       spool --'    '--> local: what is there is delivered, but for the record that is spoiled

What happens when such a disk is met at a start, and what each disk call does when it fails, is in
tests/crash.
"""
import os
import re
import shutil
import subprocess
import time

import pytest

from corpus import Generator, as_kept
from stagepost import IS_ROOT, wait_for
from wire import queue_id

MIB = 1024 * 1024
DISK = 400 * MIB
LATER = "first 1h; longest 2h"  # nothing is tried again by itself
BOB = "bob@trial.example"
SIZES = {"small": 900, "middle": 30000, "large": 100000, "huge": 3000000}


class Disk:
    """An ext4 file system for the spool."""

    def __init__(self, house):
        self.image, self.path = house.folder / "image", house.folder / "spool"
        self.path.mkdir()
        with open(self.image, "wb") as f:
            f.truncate(DISK)
        for command in (["mkfs.ext4", "-q", "-m", "0", self.image], ["mount", "-o", "loop", self.image, self.path]):
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode != 0:
                self.image.unlink()
                pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")

    def free(self):
        room = os.statvfs(self.path)
        return room.f_bavail * room.f_frsize

    def fill(self, leave=0):
        """Takes all room but so many octets, as another program on the same disk."""
        with open(self.path / "filler", "ab") as f:
            while (more := self.free() - leave) > 0:
                try:
                    os.posix_fallocate(f.fileno(), f.seek(0, os.SEEK_END), more)
                except OSError:  # the file needs blocks for itself
                    leave += 4096

    def empty(self):
        (self.path / "filler").unlink()

    def end(self):
        subprocess.run(["umount", "-l", self.path], check=True)


@pytest.fixture
def disks(stagepost):
    """stagepost(), with a disk for the spool."""
    made = []

    def make(**keywords):
        if not IS_ROOT:
            pytest.skip("only root mounts file systems")
        house = stagepost(start=False, **keywords)
        house.disk = Disk(house)
        made.append(house)
        return house.start()
    yield make
    for house in made:
        if house.master():
            house.stop()
        house.disk.end()


def block(house):
    """From now on bob has a file where his mailbox should be; a function that takes it away."""
    house.deliver(b"Subject: first\r\n\r\n", "alice@trial.example")
    house.wait_letters("alice")
    box = house.folder / "mail" / "trial.example" / "bob"
    box.write_text("no mailbox")
    if IS_ROOT:
        shutil.chown(box, house.owner)
    return box.unlink


def deferred(house, count):
    return wait_for(lambda: len(q := house.queue("--state", "deferred")) == count and q, what=f"{count} deferred")


def content_of(name):
    return Generator(name).sized(SIZES[name.split("-")[0]])


def send(house, *names):
    """id by name."""
    return {name: house.deliver(content_of(name), sender=f"{name}@remote.example") for name in names}


def arrived(house, *names):
    """They are in bob's mailbox, each once and as they were sent; nothing else is."""
    letters = {l.sender: l.content for l in house.wait_letters("bob", len(names), seconds=30)}
    assert letters == {f"{n}@remote.example": as_kept(content_of(n)) for n in names}


def mail_is(wire, short, seconds=8):
    """Asks until MAIL is answered so, but not so often that the session is closed for it."""
    for _ in range(int(seconds / 0.25)):
        said = wire.say("MAIL FROM:<a@remote.example>").short
        wire.say("RSET", "250 2.0.0")
        if said == short:
            return
        time.sleep(0.25)
    raise AssertionError(f"MAIL is not answered with {short}, but {said}")


def test_S15_a_full_disk_puts_off_new_mail_and_nothing_else(disks):
    house = disks(retry=LATER, limits="errors 10000")
    processes = wait_for(house.serving)
    unblock = block(house)
    ids = send(house, "small-a", "large-a", "small-held", "large-held", "huge-held", "small-gone")
    deferred(house, 6)
    house.run("queue", "hold", *[i for name, i in ids.items() if name.endswith("held")])
    with house.connect() as wire:
        mail_is(wire, "250 2.1.0")
        house.disk.fill()
        mail_is(wire, "452 4.3.1")
        wire.say("RCPT TO:<bob@trial.example>", "503 5.5.1")
        assert re.search(r"(?i)full|room|space", house.log()), house.log()
        # all of it can be seen
        assert {m["queue_id"]: m["queue_name"] for m in house.queue()} == {
            i: "hold" if name.endswith("held") else "deferred" for name, i in ids.items()}
        for name, i in ids.items():
            shown = house.run("queue", "show", i).stdout
            subject = re.search(rb"Subject: [^\r]*", content_of(name))[0].decode()
            assert i in shown and BOB in shown and subject in shown, shown
        assert house.status()["queue"]["hold"] == 3
        # and changed, and delivered
        house.run("queue", "delete", ids["small-gone"])
        unblock()
        house.run("queue", "retry", ids["small-a"], ids["large-a"])
        arrived(house, "small-a", "large-a")
        house.run("queue", "release", "--state", "hold")
        arrived(house, "small-a", "large-a", "small-held", "large-held", "huge-held")
        house.verify()
        house.disk.fill()  # what has become free
        wire.say("MAIL FROM:<a@remote.example>", "452 4.3.1")
        # room again, and nobody has to tell the server
        house.disk.empty()
        mail_is(wire, "250 2.1.0")
        wire.deliver(content_of("large-again"), sender="large-again@remote.example")
    arrived(house, "small-a", "large-a", "small-held", "large-held", "huge-held", "large-again")
    assert house.serving() == processes
    house.assert_clean()


def test_a_disk_that_fills_during_a_message_refuses_that_one_alone(disks):
    house = disks(retry=LATER, limits="errors 10000; spool-free 0")
    content = Generator("midst").sized(40 * MIB)
    with house.connect(seconds=60) as wire, house.connect() as other:
        wire.begin(BOB, sender="midst@remote.example")
        wire.send(content[:MIB])
        wait_for(lambda: any(f.stat().st_size > MIB // 2 for f in (house.disk.path / "large").iterdir()))
        house.disk.fill(leave=4 * MIB)
        wire.send(content[MIB:] + b".\r\n")
        assert wire.reply().short in ("452 4.3.1", "451 4.3.0")
        mail_is(other, "250 2.1.0")  # the room of what was refused is free again
        house.disk.empty()
        mail_is(wire, "250 2.1.0")
        wire.deliver(content_of("small-next"), sender="small-next@remote.example")
    arrived(house, "small-next")
    house.assert_clean()


def spoil(house, name, folder):
    """Turns some octets of its body over, on the disk below the running server."""
    body = content_of(name).split(b"\r\n\r\n", 1)[1]
    mark = body[len(body) // 2:][:60]
    for path in (house.folder / "spool" / folder).iterdir():
        at = path.read_bytes().find(mark)
        if at >= 0:
            with open(path, "r+b") as f:
                f.seek(at)
                f.write(bytes(b ^ 0x55 for b in mark[:8]))
            return
    raise AssertionError(f"{name} is not in {folder}")


def spoil_envelope(house, name):
    """The same with its sender's name in the record."""
    mark = f"{name}@remote.example".encode()
    for path in (house.folder / "spool" / "segments").iterdir():
        at = path.read_bytes().find(mark)
        if at >= 0:
            with open(path, "r+b") as f:
                f.seek(at)
                f.write(b"X" + mark[1:])
            return
    raise AssertionError(f"{name} is in no segment")


@pytest.mark.parametrize("again", [False, True], ids=["running", "restarted"])
def test_spoiled_records_are_set_aside_and_named_and_other_mail_flows(stagepost, again):
    house = stagepost(retry=LATER)
    unblock = block(house)
    good = send(house, "small-good", "large-good", "middle-good")
    bad = send(house, "small-body", "middle-body", "large-body", "small-envelope", "small-held")
    deferred(house, len(good) + len(bad))
    house.run("queue", "hold", bad["small-held"])
    if again:
        house.stop()
    for name in ("small-body", "middle-body", "small-held"):
        spoil(house, name, "segments")
    spoil(house, "large-body", "large")
    spoil_envelope(house, "small-envelope")
    if again:
        house.start()
    processes = wait_for(house.serving)
    unblock()
    house.run("queue", "release", "--state", "hold")
    house.run("queue", "retry", "--all")
    arrived(house, *good)
    corrupt = lambda: {m["queue_id"] for m in house.queue("--state", "corrupt")}
    wait_for(lambda: corrupt() == set(bad.values()), what="the spoiled ones set aside")
    for name, i in bad.items():
        assert re.search(f"(?m)^.*{i} .*corrupt", house.log()), f"{name} is not named in the log"
        assert i in house.run("queue", "list", "--state", "corrupt").stdout
        assert i in house.run("queue", "show", i).stdout
    assert house.status()["queue"]["corrupt"] == len(bad)
    send(house, "small-new", "large-new")  # and the next ones flow
    arrived(house, *good, "small-new", "large-new")
    assert house.serving() == processes
    house.stop()
    house.start()
    assert corrupt() == set(bad.values())
    arrived(house, *good, "small-new", "large-new")
    house.run("queue", "delete", "--state", "corrupt")
    house.wait_empty()
    house.verify()
