"""
A mailbox that can't be written: what is there instead, who may not, whose owner has gone. Mail for it is put off
with 4.x.x, other mailboxes have theirs meanwhile, and when it is well again all arrives.

POP3: DELE and QUIT while the child or the daemon dies: what +OK said to be gone is gone, and what is not said is
there or gone, each letter whole.
"""
import os
import re
import shutil
import signal
import time

import pytest

from corpus import Generator
from crowd import Far, Town
from house import Client, House, wait_for
from pop3 import fetching
from stagepost import IS_ROOT

pytestmark = pytest.mark.row("mailbox trouble")


@pytest.fixture
def house():
    h = House()
    yield h
    h.end()


def a_file(box):
    box.write_text("in the way")


def a_fifo(box):
    os.mkfifo(box)


def a_link_to_nowhere(box):
    box.symlink_to("/nowhere/at/all")


def a_link_to_itself(box):
    box.symlink_to(box.name)


def a_file_for_new(box):
    box.mkdir()
    (box / "new").write_text("in the way")


def of_somebody_else(box):
    for part in ("", "new", "cur", "tmp"):
        (box / part).mkdir(mode=0o700)


TROUBLES = [a_file, a_fifo, a_link_to_nowhere, a_link_to_itself, a_file_for_new, of_somebody_else]


@pytest.mark.parametrize("trouble", [pytest.param(t, marks=[pytest.mark.long] * (t is not a_fifo)) for t in TROUBLES],
                         ids=lambda t: t.__name__)
def test_a_mailbox_that_is_none(house, trouble, tally):
    if trouble is of_somebody_else and not IS_ROOT:
        pytest.skip("only root makes what its owner can't enter")
    house.start()
    client = Client(house)
    assert client.try_one("first", 900, ("alice",))
    wait_for(lambda: house.maildir("alice"), what="the first letter")
    box = house.folder / "mail" / "trial.example" / "bob"
    trouble(box)
    for i in range(5):
        assert client.try_one(f"bob{i}", 900, ("bob",))
        assert client.try_one(f"alice{i}", 900, ("alice",))
    wait_for(lambda: len(house.maildir("alice")) == 6, what="the other mailbox")
    deferred = house.logged(" deferred to=bob@", count=5)
    assert all(re.search(r" dsn=4\.[23]\.\d ", line) for line in deferred), deferred[0]
    if box.is_dir() and not box.is_symlink():
        shutil.rmtree(box)
    else:
        box.unlink()
    house.run("queue", "retry", "--all")
    house.drained(client)
    house.audit(client, copies=1)
    tally(deferred=5)


def test_the_sender_hears_of_a_user_who_is_deleted_meanwhile(house, tally):
    house.write("users", "alice\nbob\n")
    house.start()
    block = house.block("bob")
    house.deliver(b"Subject: too late\r\n\r\nx\r\n", "bob@trial.example", sender="alice@trial.example")
    house.logged(" deferred to=bob@")
    house.write("users", "alice\n")
    house.run("reload")
    block.unlink()
    house.run("queue", "retry", "--all")
    report = house.wait_letters("alice", 1)[0]
    assert b"bob@trial.example" in report.content and report.sender == ""
    house.wait_empty()
    assert not house.maildir("bob")
    tally(users_deleted=1)


@pytest.mark.long
@pytest.mark.parametrize("who", ["maildrop", "child", "pop3d", "all"])
def test_a_death_at_quit_removes_what_was_said_or_leaves_it(who, tally):
    far = Far()
    town = Town(far, None)
    count, rounds, said = 20, 15, 0
    try:
        town.start()
        for n in range(rounds):
            with town.connect() as wire:
                for i in range(count):
                    wire.deliver(f"X-Case: r{n}.{i}\r\n".encode() + Generator(i).sized(700), "p0@trial.example")
            town.wait_empty()
            before = {p.name.split(":")[0] for p in town.maildir("p0")}
            wait_for(lambda: {"maildrop", "pop3d", "accounts"} <= set(town.serving()), 30, "POP3")
            with fetching(town, "p0@trial.example", "of p0") as client:
                listed = [line.split()[0] for line in client.list()[1]]
                assert len(listed) == len(before)
                for number in listed:
                    client.dele(int(number))
                client.sock.settimeout(10)
                client.sock.sendall(b"QUIT\r\n")
                time.sleep(n * 0.0007)
                tree = town.tree()
                if who == "all":
                    town.crash()
                else:
                    pids = sorted(tree["pop3d" if who == "pop3d" else "maildrop"])
                    House.blow(pids[-1:] if who == "child" else pids[:1], signal.SIGKILL)
                try:
                    gone = client.file.readline(512).startswith(b"+OK")
                except OSError:
                    gone = False
            if who == "all":
                town.start()
            left = {p.name.split(":")[0] for p in town.maildir("p0")}
            assert left <= before
            assert not (gone and left), f"+OK, and {len(left)} are there still"
            said += gone
        print(f"\n{who}: {rounds} deaths, {said} were said to be gone")
        tally(deaths_at_quit=rounds)
    finally:
        town.end()
        far.end()
