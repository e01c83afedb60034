"""
A disk that is full, with a file system of its own for the spool or for the mailboxes (as root).
Clients get 452 while it is full, what is there is delivered or deferred, and mail flows again by
itself when there is room.
"""
import os
import subprocess
import time

import pytest

from house import LARGE, Client, House, wait_for
from stagepost import IS_ROOT

pytestmark = [pytest.mark.row("full"), pytest.mark.long,
              pytest.mark.skipif(not IS_ROOT, reason="mounts file systems")]

MIB = 1024 * 1024


class Mount:
    def __init__(self, path, size, inodes=None):
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        options = f"size={size},mode=755" + (f",nr_inodes={inodes}" if inodes else "")
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", path], check=True)

    def fill(self, leave=0):
        """Takes all room but so many octets."""
        with open(self.path / "filler", "wb") as f:
            size = 0
            while True:     # somebody else takes of it too
                room = os.statvfs(self.path)
                more = room.f_bavail * room.f_frsize - leave
                if more <= 0:
                    return
                try:
                    os.posix_fallocate(f.fileno(), size, more)
                    size += more
                except OSError:
                    pass

    def empty(self):
        (self.path / "filler").unlink()

    def end(self):
        subprocess.run(["umount", "-l", self.path], check=True)


@pytest.fixture
def mounts():
    made = []
    yield made
    for h, m in made:
        h.crash()
        m.end()
        h.end()


def codes(client):
    return {r for r in client.refused.values()}


def keep_sending(house, client, until, seconds, size=LARGE, tag="f"):
    end = time.monotonic() + seconds
    i = 0
    while time.monotonic() < end and not until():
        client.try_one(f"{tag}{i}", size, ("bob",))
        i += 1
    return i


@pytest.mark.parametrize("free", ["0", "40M"])
def test_spool_full_then_not(mounts, free):
    house = House(limits=f"spool-free {free}; errors 1000; per-client 1000")
    mount = Mount(house.folder / "spool", 400 * MIB)
    mounts.append((house, mount))
    client = Client(house)
    house.start()
    block = house.block("bob")
    assert client.try_one("first", 900, ("alice",))
    mount.fill(leave=30 * MIB)
    # bob's mail stays: the spool fills until mail is put off
    sent = keep_sending(house, client, lambda: len(client.refused) > 5, 30)
    assert client.refused, f"{sent} messages of 1 MiB and no 452"
    assert codes(client) <= {"452 4.3.1", "451 4.3.0"}, codes(client)
    assert "452 4.3.1" in codes(client), codes(client)
    status = house.run("status").stdout
    # small ones until that ends too
    keep_sending(house, client, lambda: client.refused.get("s400") is not None, 15, 60000, "s")
    # what is there can be delivered on a full disk
    block.unlink()
    house.run("queue", "retry", "--all")
    wait_for(lambda: not house.missing(client), 90, "delivery on a full disk")
    full = len(client.kept)
    mount.empty()
    assert client.until_kept("again", LARGE, ("bob",), 20), client.refused
    house.drained(client)
    house.audit(client)
    print(f"\nspool full, spool-free {free}: {full} kept, {len(client.refused)} refused {codes(client)}; delivered while full; again by itself")
    house.crash()
    house.start()
    house.drained(client)
    house.audit(client)


def test_start_on_a_full_spool(mounts):
    """The machine is started with a disk that something else has filled to the last octet."""
    house = House()
    mount = Mount(house.folder / "spool", 300 * MIB)
    mounts.append((house, mount))
    client = Client(house)
    house.start()
    block = house.block("bob")
    for i in range(5):
        assert client.try_one(f"a{i}", 66000 if i else 900, ("bob",))
    wait_for(lambda: house.log().count(" deferred ") >= 5, what="deferral")
    house.crash()
    mount.fill()
    block.unlink()
    house.start()
    wait_for(lambda: not house.missing(client), 30, "delivery on a full disk")
    said = client.try_one("full-small", 900, ("bob",)), client.try_one("full-large", LARGE, ("bob",))
    print(f"\nstart on a full spool: small {said[0]}, large {said[1]}, {codes(client)}")
    mount.empty()
    assert client.until_kept("again", LARGE, ("bob",), 20)
    house.drained(client)
    house.audit(client)


def test_a_new_spool_on_a_full_disk(mounts):
    house = House()
    mount = Mount(house.folder / "spool", 10 * MIB)
    mounts.append((house, mount))
    done = house.run("start", check=False, seconds=20) if False else None
    house.launch("")
    wait_for(lambda: "No space left" in house.log() or house.opens(), 10, "a word about the disk")
    client = Client(house)
    if house.opens():
        client.try_one("a", 900, ("bob",))
    print(f"\nnew spool on 10 MiB: {sorted(set(l.split(' - ')[-1][:110] for l in house.log().splitlines() if 'space' in l))[:4]}, "
          f"opens {house.opens()}, {client.refused}")


def test_spool_without_inodes(mounts):
    house = House()
    mount = Mount(house.folder / "spool", 600 * MIB, inodes=60)
    mounts.append((house, mount))
    client = Client(house)
    house.start()
    block = house.block("bob")
    i = keep_sending(house, client, lambda: len(client.refused) > 3, 30, 70000, "i")
    assert client.refused and codes(client) <= {"452 4.3.1", "451 4.3.0"}, (i, codes(client))
    small = sum(bool(client.try_one(f"small{n}", 900, ("alice",))) for n in range(20))
    block.unlink()
    house.run("queue", "retry", "--all")
    wait_for(lambda: not house.missing(client), 90, "delivery")
    assert client.until_kept("again", 70000, ("bob",), 20), client.refused
    house.drained(client)
    house.audit(client)
    print(f"\nno inodes: {len(client.kept)} kept, refused {codes(client)}, small ones meanwhile {small} of 20")


@pytest.mark.parametrize("inodes", [None, 12])
def test_mailboxes_full(mounts, inodes):
    house = House()
    mount = Mount(house.folder / "mail", 3 * MIB, inodes)
    mounts.append((house, mount))
    os.system(f"chown {house.owner} {mount.path}")
    client = Client(house)
    house.start()
    for i in range(8):
        assert client.try_one(f"big{i}", 500000, ("bob",))
    house.logged(r"deferred to=bob\S* .* dsn=4\.3\.1 reply=\"452 ", 10)
    assert " failed " not in house.log()
    for box in ("bob", "alice"):
        for letter in list((mount.path / "trial.example" / box / "new").glob("*")) if (mount.path / "trial.example" / box).exists() else []:
            pass
    tmp = list(mount.path.glob("*/*/tmp/*"))
    assert not tmp, f"half letters stay on a full disk: {tmp}"
    subprocess.run(["mount", "-o", "remount,size=60m,nr_inodes=10000", mount.path], check=True)
    house.run("queue", "retry", "--all")
    wait_for(lambda: not house.missing(client), 90, "all in the mailboxes")
    house.drained(client)
    house.audit(client, copies=1)
    print(f"\nmailboxes full, inodes {inodes}: deferred 452 4.3.1, then all 8")
