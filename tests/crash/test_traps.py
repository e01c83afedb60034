"""
Poison for everybody: octets that end the process that looks at them (common/os/trap.h), in one message
among 500 good ones, all of which lie in the spool, acknowledged, when it starts.

What kills an agent, the manager, or who is asked about it, is set aside after three deaths alone, named in the log and in
`stagepost queue list`. The good ones are all delivered within a minute. When the fault is gone and the message is
released, it arrives. What kills the reader of a mailbox or the log hurts nobody else.
"""
import os
import poplib
import re
import signal
import time

import pytest

from corpus import Generator, as_kept
from crowd import FAR, MACHINE, Far, Ledger, Person, Town, digest
from house import SHORT, wait_for
from pop3 import fetching
from stagepost import DOMAIN, IS_ROOT
from test_steps import keep

pytestmark = pytest.mark.row("poison")

GOOD = 60 if SHORT else 500
MINUTE = 60
WORD = "p01s0n"


@pytest.fixture
def town():
    far = Far()
    person = Person() if IS_ROOT else None
    t = Town(far, person, limits="queue-messages 100000")
    t.book = Ledger(t.ledgers / "sender-poison")
    yield t
    os.environ.pop("STAGEPOST_TRAP", None)
    t.end()
    far.end()
    if person:
        person.end()


def begin(town, trap):
    """A start with the trap, which may not come to its end at once."""
    os.environ["STAGEPOST_TRAP"] = trap
    town.launch("")
    del os.environ["STAGEPOST_TRAP"]


def places(town, name):
    everywhere = [("bob", f"bob@{DOMAIN}"), ("alice", f"alice@{DOMAIN}"), ("good", f"good-{name}@{FAR}"), ("bad", f"bad-{name}@{FAR}")]
    return everywhere + [("person", f"{town.person.name}@{MACHINE}")] * bool(town.person)


def send(town, wire, name, to, address, word=""):
    head = f"X-Case: {name}\r\n" + f"X-Poison: {word}\r\n" * bool(word)
    content = head.encode() + Generator(name).sized(900)   # small: large ones need files that the manager lends
    wire.begin(address, sender=f"bob+{name}@{DOMAIN}")
    town.book.note("sent", name, digest(as_kept(content)), to)
    reply = wire.content(content)
    town.book.note("reply", name, reply.code)
    return reply.text.split()[-1]


def acknowledged_and_unseen(town, to, word, address=None):
    """Good mail with one of the other kind in its middle, in segments that the manager has not read; the poison's id."""
    town.start()
    with town.connect() as wire:    # it has lent its segments
        assert send(town, wire, "first", "bob", f"bob@{DOMAIN}")
    town.wait_empty()
    os.kill(town.pid("queue"), signal.SIGSTOP)
    poison = None
    with town.connect() as wire:
        for i in range(GOOD):
            if i == GOOD // 2:
                where = address or dict(places(town, "poison"))[to]
                poison = send(town, wire, "poison", to, where, word)
            there, where = places(town, f"good{i}")[i % len(places(town, ""))]
            send(town, wire, f"good{i}", there, where)
    town.crash()
    return poison


def missing(town, names):
    found, told = town.arrived()
    books = town.booked()
    return [n for n in names for r in books[n][0] if not (told.get(f"bad-{n}@{FAR}") if r == "bad" else found.get((n, r)))]


def aside(town):
    done = town.run("queue", "list", "--json", "--state", "corrupt", check=False)
    return re.findall(r'"queue_id": ?"(\w+)"', done.stdout) if done.returncode == 0 else None


# name -> (trap, where the poison goes, its address when it is not the usual one, role that dies, deaths at most)
POISONS = {
    "local": (f"local:message:{WORD}", "bob", None, "local", 6),
    "smtp": (f"smtp:message:{WORD}", "good", None, "smtp", 6),
    "bounce": (f"bounce:message:{WORD}", "bad", None, "bounce", 6),
    "router": (f"router:message:bob+{WORD}", "bob", f"bob+{WORD}@{DOMAIN}", "router", 6),
    "local-system": (f"local-system:message:{WORD}", "person", None, "local-system", 6),
    "scan": (f"queue:scan:{WORD}", "bob", None, "queue", 6),
    "envelope": (f"queue:envelope:{WORD}", "bob", None, "queue", 6),
}


@pytest.mark.parametrize("who", [pytest.param(k, marks=[pytest.mark.long] * (k != "router")) for k in POISONS])
def test_one_among_many_is_set_aside_alone(town, who, tally):
    trap, to, address, role, most = POISONS[who]
    if to == "person" and not town.person:
        pytest.skip("needs a user of the machine")
    try:
        poison = acknowledged_and_unseen(town, to, WORD, address)
        good = [f"good{i}" for i in range(GOOD)]
        begun = time.monotonic()
        begin(town, trap)
        wait_for(lambda: not missing(town, good), 30, "all the good ones")
        took = time.monotonic() - begun
        wait_for(lambda: aside(town) == [poison], 20, f"{poison} set aside")
        ends = town.ends(f"{role}(?:-1)?")
        time.sleep(1)   # it has nothing to do any more: no event can be waited for
        assert town.ends(f"{role}(?:-1)?") == ends, f"{role} goes on dying"
        assert aside(town) == [poison], "the innocent too"
        assert re.search(rf"{poison} corrupt ", town.log()), "the log does not name it"
        town.crash()
        town.start()
        assert aside(town) == [poison], "it is not remembered"
        town.run("queue", "release", poison)
        wait_for(lambda: not missing(town, ["poison"]), 30, "the released one")
        town.assert_clean()
        town.audit([(time.time(), "all"), (begun + time.time() - time.monotonic(), "all")], least=GOOD)
    except BaseException:
        keep(town, f"poison-{who}")
        raise
    print(f"\n{who}: {ends} deaths of {role}, {GOOD} good ones within {took:.1f} s")
    tally(**{f"deaths of {role}": ends, "good": GOOD})
    assert ends <= most and took < MINUTE


@pytest.mark.control
@pytest.mark.long
def test_a_manager_that_forgets_what_killed_it_is_noticed(town, tally):
    poison = acknowledged_and_unseen(town, "bob", WORD)
    for name in ("looking.scan", "looking.read"):   # where it would remember
        (town.folder / "spool" / name).unlink()
        (town.folder / "spool" / name).mkdir()
    begin(town, f"queue:envelope:{WORD}")
    wait_for(lambda: town.ends("queue(?:-1)?") >= 6, MINUTE, "six deaths")
    with pytest.raises(AssertionError, match="set aside"):
        wait_for(lambda: aside(town) == [poison], 2, f"{poison} set aside")
    tally(forgetful_managers=1)


@pytest.mark.long
def test_a_letter_that_kills_its_reader_hurts_no_other(town, tally):
    """The child of maildrop that reads it dies; another mailbox is read meanwhile, and the rest of this one later."""
    town.start()
    with town.connect() as wire:
        send(town, wire, "poison", "p0", f"p0@{DOMAIN}", WORD)
        for user in ("p0", "p1"):
            send(town, wire, f"of-{user}", user, f"{user}@{DOMAIN}")
    town.assert_clean()
    town.crash()
    begin(town, f"maildrop-child:read:{WORD}")
    wait_for(lambda: town.opens() and "maildrop" in town.serving() and "pop3d" in town.serving(), 30, "a start")

    def read(user, number):
        with fetching(town, f"{user}@{DOMAIN}", f"of {user}") as client:
            return b"\n".join(client.retr(number)[1])
    before = town.ends("maildrop")
    with fetching(town, f"p1@{DOMAIN}", "of p1") as other:
        died = 0
        for number in (1, 2):
            try:
                assert b"X-Case: of-p0" in read("p0", number)
            except (OSError, EOFError, poplib.error_proto):
                died += 1
        assert b"X-Case: of-p1" in b"\n".join(other.retr(1)[1])
    assert died == 1 and town.ends("maildrop") == before, "one letter, one child"
    assert len(town.maildir("p0")) == 2
    tally(deaths_of_a_reader=died)


@pytest.mark.long
def test_a_line_that_kills_the_log_stops_no_mail(town, tally):
    begin(town, f"log:log:{WORD}")
    wait_for(lambda: town.opens() and "log" in town.serving(), 30, "a start")
    count = 5
    with town.connect() as wire:
        for i in range(count):
            send(town, wire, f"{WORD}{i}", "bob", f"bob@{DOMAIN}")
            send(town, wire, f"good{i}", "alice", f"alice@{DOMAIN}")
    wait_for(lambda: len(town.maildir("bob")) == len(town.maildir("alice")) == count, MINUTE, "all of it")
    town.wait_empty()
    deaths = wait_for(lambda: town.ends("log"), 30, "the log's death in the log")
    town.audit([])
    tally(deaths_of_log=deaths)
