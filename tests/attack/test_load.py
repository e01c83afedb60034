"""
More than can be done:

    senders ==== mail ====> smtpd ---> queue (limited) ---> slow mailboxes        "load"
                 452, or read slowly     |
    one honest client ----> its mail keeps going

    100,000 of one list, a list of a million, a million RCPT                      "many recipients"

What is bounded, and by what. The memory of all processes together (PSS), over what it was before the load:

    queue-messages x MESSAGE   the manager's stubs and the state and record of those under way
    connections x CONNECTION   of smtpd: the session, its lines, a draft's piece
    ROOM                       caches of the manager, of agents, leases, the ledger's buffers: as many as there are processes

and the disk by spool-size and one piece of each kind (PIECE). Both hold at each look while the load lasts.
"""
import os
import re
import socket
import threading
import time
from pathlib import Path

import pytest

from house import SHORT, Client, Letter, as_kept, content_of, descendants, wait_for
from remote import Remote

MIB = 1024 * 1024
SECONDS = int(os.environ.get("CRASH_SECONDS_OF_LOAD", "2" if SHORT else "600"))
MESSAGE = 4096
CONNECTION = 320 * 1024
ROOM = 48 * MIB
PIECE = 48 * MIB
LIMITS = "spool-free 0; errors 1000; per-client 1000"


def pss(house):
    """Octets of all processes."""
    total = 0
    for pid in [house.master(), *descendants(house.master())]:
        try:
            total += int(re.search(r"(?m)^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text())[1]) * 1024
        except (OSError, TypeError):
            pass    # it has just ended
    return total


def disk(house):
    total = 0
    for path in (house.folder / "spool").rglob("*"):
        try:
            total += path.stat().st_blocks * 512
        except FileNotFoundError:
            pass
    return total


class Watch(threading.Thread):
    """The highest that was seen, until it is stopped."""

    def __init__(self, house):
        super().__init__(daemon=True)
        self.house, self.over = house, threading.Event()
        self.before = pss(house)
        self.memory = self.disk = 0
        self.start()

    def run(self):
        while not self.over.wait(0.2):
            self.memory = max(self.memory, pss(self.house) - self.before)
            self.disk = max(self.disk, disk(self.house))

    def end(self):
        self.over.set()
        self.join()
        self.memory = max(self.memory, pss(self.house) - self.before)
        return self


class Honest(threading.Thread):
    """One message after the other; each is tried until it is taken, and its way is timed."""

    def __init__(self, house, box="alice"):
        super().__init__(daemon=True)
        self.house, self.client, self.box = house, Client(house), box
        self.over, self.slowest, self.count = threading.Event(), 0.0, 0
        self.start()

    def run(self):
        while not self.over.is_set():
            begun = time.monotonic()
            while not self.client.try_one(f"honest{self.count}", 1200, (self.box,), seconds=60) and not self.over.is_set():
                self.client.sent.pop(f"honest{self.count}")
                self.over.wait(0.05)
            self.slowest = max(self.slowest, time.monotonic() - begun)
            self.count += 1
            self.over.wait(0.2)

    def end(self):
        self.over.set()
        self.join()
        return self


def at_once(count, work):
    wrong = []

    def one(k):
        try:
            work(k)
        except BaseException as e:     # to be told by the test's own thread
            wrong.append(f"{k}: {e!r}")
    threads = [threading.Thread(target=one, args=(k,), daemon=True) for k in range(count)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert not wrong, wrong[:5]


def flood(house, clients, seconds, client_of=Client):
    """What each was told. A flood does not wait between its messages, nor when it is told to."""
    told = [client_of(house) for _ in range(clients)]
    end = time.monotonic() + seconds

    def one(k):
        n = 0
        while time.monotonic() < end:
            told[k].try_one(f"flood{k}-{n}", 2000, ("bob",), seconds=60)
            n += 1
    at_once(clients, one)
    return told


def merged(house, clients):
    """One client that was told all of it."""
    all_of_them = Client(house)
    for c in clients:
        all_of_them.sent.update(c.sent)
        all_of_them.kept |= c.kept
        all_of_them.unknown |= c.unknown
        all_of_them.refused.update(c.refused)
    return all_of_them


def a_flood_at_slow_mailboxes(houses, queue_messages=1000, clients=16):
    house = houses(limits=f"{LIMITS}; queue-messages {queue_messages}; spool-size 400M")
    house.launch("local:fsync:1+:delay=20,local:fdatasync:1+:delay=20,local:sync-all:1+:delay=200")
    wait_for(house.opens, 30, "a server")
    watch, honest = Watch(house), Honest(house)
    told = merged(house, flood(house, clients, SECONDS))
    honest.end()
    house.heal()
    watch.end()
    return house, told, honest, watch, queue_messages * MESSAGE + (clients + 1) * CONNECTION + ROOM


@pytest.mark.row("load")
def test_mail_that_comes_faster_than_it_can_be_delivered_is_put_off(houses, tally):
    house, told, honest, watch, bound = a_flood_at_slow_mailboxes(houses)
    tally(messages_offered=len(told.sent), taken=len(told.kept), put_off=len(told.refused), honest=len(honest.client.kept))
    print(f"\nin {SECONDS} s: {len(told.kept)} taken, {len(told.refused)} put off; memory {watch.memory / MIB:.0f} MiB "
          f"of {bound / MIB:.0f}, disk {watch.disk / MIB:.0f} MiB; the honest client's slowest: {honest.slowest:.1f} s")
    assert told.kept and set(told.refused.values()) <= {"452 4.3.1"}, set(told.refused.values())
    assert watch.memory <= bound
    assert watch.disk <= 400 * MIB + PIECE
    assert honest.client.kept
    everybody = merged(house, [told, honest.client])
    house.drained(everybody, 120)
    house.audit(everybody)


@pytest.mark.row("load")
@pytest.mark.control
def test_a_queue_without_a_limit_would_be_seen(houses, tally):
    """Nobody is put off then, and what comes is seen in memory and on the disk."""
    house = houses(limits=f"{LIMITS}; queue-messages 10000000")
    house.start()
    house.block("bob")
    watch = Watch(house)
    told = merged(house, flood(house, 8, 1))
    watch.end()
    tally(controls_noticed=1)
    assert told.kept and not told.refused
    assert watch.memory > 0 and watch.disk > len(told.kept) * 2000, "the watch sees nothing"


BIG = 2 * MIB if SHORT else 50 * MIB
BIG_CLIENTS = 5 if SHORT else 100
BIG_SPOOL = 24 if SHORT else 2000      # MiB


def large_content():
    """Once for all: a hundred that make their own would keep each other."""
    line = b"".join(b"%015d" % i for i in range(5)) + b"\r\n"
    return b"Subject: large\r\n\r\n" + line * ((BIG - 20) // len(line))


def send_large(house, client, name, content):
    """As Client.try_one; the content has no line that begins with a dot."""
    client.sent[name] = (len(content), ("bob",))
    try:
        with house.connect(seconds=600) as wire:
            wire.begin("bob@trial.example", sender=f"{name}@load.example")
            wire.send(content)
            reply = wire.say(".")
    except OSError:
        client.unknown.add(name)
        return
    if reply.code == 250:
        client.kept.add(name)
    else:
        client.refuse(name, reply)


@pytest.mark.row("load")
def test_large_mail_of_many_clients_is_taken_as_far_as_there_is_room(houses, tally):
    house = houses(limits=f"{LIMITS}; message-size 60M; spool-size {BIG_SPOOL + 200}M")
    house.start()
    block = house.block("bob")
    watch, honest = Watch(house), Honest(house)
    told = [Client(house) for _ in range(BIG_CLIENTS)]
    content = large_content()
    at_once(BIG_CLIENTS, lambda k: send_large(house, told[k], f"big{k}", content))
    watch.end()
    honest.end()
    told = merged(house, told)
    bound = (BIG_CLIENTS + 1) * CONNECTION + ROOM
    tally(messages_offered=BIG_CLIENTS, taken=len(told.kept), put_off=len(told.refused), honest=len(honest.client.kept))
    print(f"\n{BIG_CLIENTS} of {BIG / MIB:.0f} MiB: {len(told.kept)} taken, {len(told.refused)} put off, {len(told.unknown)} without a word; "
          f"memory {watch.memory / MIB:.0f} MiB of {bound / MIB:.0f}, disk {watch.disk / MIB:.0f} MiB; honest {len(honest.client.kept)}, "
          f"the slowest {honest.slowest:.1f} s")
    assert told.kept and set(told.refused.values()) <= {"452 4.3.1"}, told.refused
    assert not told.unknown
    assert watch.memory <= bound
    # spool-size is looked at when a message begins to need a file: those under way are let through
    assert watch.disk <= (BIG_SPOOL + 200 + BIG_CLIENTS * BIG // MIB) * MIB + PIECE
    block.unlink()
    house.run("queue", "retry", "--all")
    house.drained(merged(house, [told, honest.client]), 300)
    kept = as_kept(content)
    arrived = set()
    for letter in map(Letter, house.maildir("bob")):
        assert letter.content == kept, f"{letter.path} is not what was sent"
        arrived.add(letter.sender.removesuffix("@load.example"))
    assert arrived == told.kept


RECIPIENTS = 20_000 if SHORT else 1_000_000
LIMIT = 1000
BEYOND = 4000       # of a session; `errors` would end it at 10,000
AHEAD = 500


def offer(wire, count, codes):
    """That many RCPT, read as they are answered."""
    for at in range(0, count, AHEAD):
        wire.send(b"".join(b"RCPT TO:<user%d@trial.example>\r\n" % i for i in range(at, min(at + AHEAD, count))))
        for _ in range(min(AHEAD, count - at)):
            short = wire.reply().short
            codes[short] = codes.get(short, 0) + 1


@pytest.mark.row("many recipients")
def test_recipients_beyond_the_limit_are_put_off_and_cost_nothing(houses, tally):
    """RFC 5321 4.5.3.1.10: 452, and what was within the limit is taken."""
    house = houses(limits=f"spool-free 0; per-client 1000; errors 10000; recipients {LIMIT}")
    house.write("aliases", "@trial.example: bob\n")
    house.start()
    watch, honest = Watch(house), Honest(house)
    codes, sessions = {}, 0
    while sum(codes.values()) < RECIPIENTS:
        sessions += 1
        with house.connect(seconds=60) as wire:
            wire.say("MAIL FROM:<many@load.example>", "250 2.1.0")
            offer(wire, LIMIT + BEYOND, codes)
            if sum(codes.values()) < RECIPIENTS:
                continue
            wire.say("DATA", "354")
            assert wire.content(content_of("many", 900)).code == 250
    watch.end()
    honest.end()
    tally(recipients_offered=sum(codes.values()), taken=codes.get("250 2.1.5", 0), put_off=codes.get("452 4.5.3", 0))
    print(f"\n{codes} in {sessions} sessions; memory {watch.memory / MIB:.1f} MiB; honest {honest.count}, the slowest {honest.slowest:.2f} s")
    assert codes == {"250 2.1.5": LIMIT * sessions, "452 4.5.3": BEYOND * sessions}
    assert watch.memory <= ROOM
    house.wait_empty(120)
    assert ("many", "bob") in house.names()
    assert not house.missing(honest.client)
    house.verify()


MEMBERS = 2000 if SHORT else 100_000
MEMBER_ROOM = 1024      # of the manager and router, for each recipient: text, state, and the way there


def address(i):
    return f"u{i}@d{i % 50}.list.example"


def a_list(lists, members):
    """The file of aliases: a list of lists, each within the length of a line."""
    each = -(-members // lists)
    lines = [f"list{k}: " + ",\n  ".join(address(i) for i in range(k * each, min((k + 1) * each, members)))
             for k in range(lists)]
    return "everybody: " + ", ".join(f"list{k}@trial.example" for k in range(lists)) + "\n" + "\n".join(lines) + "\n"


def relayed_count(relay):
    return sum(len(m.recipients) for m in list(relay.received))


def relayed(relay):
    return [re.search("<(.*?)>", r)[1] for m in list(relay.received) for r in m.recipients]


@pytest.fixture
def relay():
    remote = Remote(socket.create_server(("127.0.0.1", 0), backlog=100))
    yield remote
    remote.end()


def list_house(houses, relay, aliases=""):
    house = houses(limits=f"{LIMITS}; recipients 100000", top=f"trust 127.0.0.0/8\noutbound {{ via [127.0.0.1]:{relay.listener.getsockname()[1]} }}")
    house.write("aliases", aliases)
    house.start()
    return house


@pytest.mark.row("many recipients")
def test_a_list_goes_out_while_other_mail_flows(houses, relay, tally):
    house = list_house(houses, relay)
    watch, honest = Watch(house), Honest(house, "bob")
    with house.connect(seconds=120) as wire:
        wire.say("MAIL FROM:<list@load.example>", "250 2.1.0")
        for at in range(0, MEMBERS, AHEAD):
            wire.send(b"".join(b"RCPT TO:<%s>\r\n" % address(i).encode() for i in range(at, at + AHEAD)))
            for _ in range(AHEAD):
                wire.expect("250 2.1.5")
        wire.say("DATA", "354")
        assert wire.content(b"Subject: to all\r\n\r\nhello\r\n").code == 250
    end = time.monotonic() + 600
    while relayed_count(relay) < MEMBERS and time.monotonic() < end:
        time.sleep(0.2)     # a closer look would take the relay's own time
    watch.end()
    honest.end()
    house.wait_empty(60)
    reached = relayed(relay)
    tally(members=len(reached), honest=honest.count)
    bound = ROOM + MEMBERS * MEMBER_ROOM
    print(f"\n{len(reached)} members; memory {watch.memory / MIB:.0f} MiB of {bound / MIB:.0f}; honest {honest.count}, "
          f"the slowest {honest.slowest:.2f} s")
    assert len(reached) == len(set(reached)) == MEMBERS
    assert watch.memory <= bound
    house.drained(honest.client, 60)


MILLION = 1_000_000


@pytest.mark.row("many recipients")
@pytest.mark.long
def test_a_list_of_more_than_may_be_is_refused_and_harms_nobody(houses, relay, tally):
    """The router goes to 10,000 addresses of one recipient at most; what leads to more is put off, for its list can be mended."""
    house = list_house(houses, relay, a_list(MILLION // 25_000, MILLION))
    watch, honest = Watch(house), Honest(house, "bob")
    with house.connect(seconds=120) as wire:
        wire.say("MAIL FROM:<list@load.example>", "250 2.1.0")
        told = wire.say("RCPT TO:<everybody@trial.example>")
        if told.code == 250:
            wire.say("DATA", "354")
            told = wire.content(b"Subject: to all\r\n\r\nhello\r\n")
    time.sleep(0 if told.code >= 400 else 10)
    watch.end()
    honest.end()
    reached = relayed(relay)
    tally(members=MILLION, reached=len(reached), honest=honest.count)
    print(f"\nlist of {MILLION}: {told}; {len(reached)} reached; memory {watch.memory / MIB:.0f} MiB; honest {honest.count}, "
          f"the slowest {honest.slowest:.2f} s\n" + "\n".join(line[:200] for line in house.log().splitlines() if "everybody" in line)[-800:])
    assert not reached and "aliases lead to more than" in house.log()
    assert watch.memory <= ROOM + MILLION * MEMBER_ROOM
    assert honest.count > 3
