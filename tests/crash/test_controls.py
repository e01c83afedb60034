"""
Tests of the audit: a promise is broken on purpose, and it must say which one.

A spool that is put back is a disk that forgets: what was acknowledged since is lost, what was delivered since
comes again, long before any death that could explain it. A hasty client is a server that says 250 before the
commit: it books the reply when it has sent the dot.
"""
import os
import shutil
import signal
import subprocess
import time

import pytest

from crowd import Far, Ledger, Town, as_kept, content_of, digest
from house import wait_for
from test_every_kind import all_serve, settle
from wire import stuffed

# the rows that Town.audit judges
pytestmark = [pytest.mark.row("kill at random", "kill of all", "poison", "reload and stop under load"), pytest.mark.control]


@pytest.fixture
def town():
    far = Far()
    t = Town(far, None)
    t.book = Ledger(t.ledgers / "sender-control")
    t.start()
    yield t
    t.end()
    far.end()


def send(town, name, to="bob"):
    content = content_of(name)
    town.book.note("sent", name, digest(as_kept(content)), to)
    with town.connect() as wire:
        wire.deliver(content, f"{to}@trial.example")
    town.book.note("reply", name, 250)


def save(town):
    subprocess.run(["cp", "-a", "--sparse=always", town.folder / "spool", town.folder / "old"], check=True)


def put_back(town):
    """The spool of an earlier moment."""
    town.crash()
    shutil.rmtree(town.folder / "spool")
    (town.folder / "old").rename(town.folder / "spool")
    town.start()


def notices(town, words, deaths=()):
    wait_for(lambda: all_serve(town), 60, "every daemon serving")
    with pytest.raises(AssertionError, match=words):
        settle(town, list(deaths))


@pytest.mark.long
def test_an_acknowledged_message_that_is_gone(town):
    town.stop()
    save(town)
    town.start()
    block = town.block("bob")
    send(town, "gone")
    put_back(town)
    block.unlink()
    notices(town, "LOST 1 of 1")


def test_a_delivery_that_is_forgotten(town):
    block = town.block("bob")
    send(town, "again")
    town.logged(" deferred ")
    town.crash()
    save(town)
    block.unlink()
    town.start()
    wait_for(lambda: town.maildir("bob"), what="the letter")
    town.wait_empty()
    put_back(town)
    wait_for(lambda: len(town.maildir("bob")) == 2, what="the letter again")
    notices(town, "came again outside of the window", [(time.time() + 3600, "local")])


def test_a_reply_before_the_commit(town):
    """smtpd dies between the two."""
    content, writers = content_of("early"), town.tree()["smtpd"]
    with town.connect() as wire:
        wire.begin("bob@trial.example")
        for pid in writers:
            os.kill(pid, signal.SIGSTOP)    # what it has not read, it can't commit
        town.book.note("sent", "early", digest(as_kept(content)), "bob")
        wire.send(stuffed(content))
        town.book.note("reply", "early", 250)
        for pid in writers:
            os.kill(pid, signal.SIGKILL)
    notices(town, "LOST 1 of 1")


def change(path):
    octets = bytearray(path.read_bytes())
    octets[-5] ^= 1
    path.write_bytes(octets)


@pytest.mark.long
@pytest.mark.parametrize("what,words", [(lambda path: path.unlink(), "LOST 1 of 3"), (change, "not what was sent")],
                         ids=["removed", "changed"])
def test_a_letter_that_is_not_there_or_not_whole(town, what, words):
    for i in range(3):
        send(town, f"letter{i}")
    wait_for(lambda: len(town.maildir("bob")) == 3, what="the letters")
    what(town.maildir("bob")[1])
    notices(town, words)


@pytest.mark.long
def test_a_refused_message_that_arrives(town):
    send(town, "refused")
    town.book.note("reply", "refused", 451)
    send(town, "kept")
    notices(town, "arrived, though refused")
