"""
The configuration changes under load, again and again, and nobody notices:

    editor --> stagepost.conf, aliases --> stagepost reload --> master --> every daemon
                                                                             |
    20 sessions, each with a ledger of its own -- SMTP, all accepted --> smtpd ---> bob, alice
    observer, one session for all of it  -- what is in force now? ----------'

Nobody is refused, no session is lost, every mail arrives once; the observer's next transaction, begun
after `reload` has returned, sees the new settings whole. RELOAD_SECONDS, RELOAD_EVERY, RELOAD_SESSIONS and
RELOAD_SEED are for longer ones (`make journeys-long`).
"""
import collections
import os
import random
import re
import threading
import time

from corpus import Generator, as_kept
from stagepost import Letter, wait_for
from wire import queue_id, stuffed

SECONDS = float(os.environ.get("RELOAD_SECONDS", "6"))
EVERY = float(os.environ.get("RELOAD_EVERY", "0.15"))
SESSIONS = int(os.environ.get("RELOAD_SESSIONS", "20"))
SEED = int(os.environ.get("RELOAD_SEED", "0")) or random.SystemRandom().randrange(1, 10 ** 6)
MESSAGES_A_SECOND = 400  # of all sessions, so that there is something left for the daemons
LARGEST = 90000          # octets of a message of the load, which every configuration takes
RECIPIENTS = [("bob",), ("alice",), ("bob", "alice"), ("both",)]
BAD_TABLE, BAD_CONFIGURATION = 65, 78  # exit status
BROKEN = {"lisen *:26 smtp\n": BAD_CONFIGURATION, "domain trial.example { users any }\n": BAD_CONFIGURATION,
          "}\n": BAD_CONFIGURATION, "include absent\n": BAD_CONFIGURATION, "retry { first 1 }\n": BAD_CONFIGURATION,
          "aliases file:absent\n": BAD_TABLE}


class Variant:
    """One configuration; what its observer sees is said beside what is written."""

    def __init__(self, rng):
        self.hostname = rng.choice(("mx.trial.example", "one.trial.example", "two.trial.example"))
        self.size = rng.choice((300000, 1000000, 20000000))
        self.trusted = rng.random() < 0.5
        self.second = rng.random() < 0.5
        self.swapped = rng.random() < 0.5  # in the file that stays
        self.other = rng.random() < 0.5    # another file

    def write(self, house):
        house.write("aliases", "both: alice, bob\n" + ("swapped: alice\n" if self.swapped else ""))
        house.write("others", "other: bob\n")
        owner = f"owner {house.owner}"
        second = f'domain second.example {{ deliver maildir "mail/%d/%n" {{ users static:carol; {owner} }} }}'
        deliver = f'deliver maildir "mail/%d/%n" {{ users file:users; {owner} }}'
        house.configure(limits=f"message-size {self.size}; errors 10000; unknown-recipients 10000; per-client 10000",
                        top="trust 127.0.0.0/8" if self.trusted else "", domain=second if self.second else "",
                        deliver=deliver + ("\n    aliases file:others" if self.other else ""))
        text = (house.folder / "stagepost.conf").read_text()
        house.write("stagepost.conf", re.sub(r"(?m)^hostname .*", f"hostname {self.hostname}", text))

    def observe(self, wire):
        """One transaction and what belongs to it, in a session that has seen other configurations."""
        wire.say(f"MAIL FROM:<> SIZE={self.size + 1}", "552 5.3.4")
        wire.say(f"MAIL FROM:<> SIZE={self.size}", "250 2.1.0")
        relayed = "250 2.1.5" if self.trusted else "554 5.7.1"
        wire.say("RCPT TO:<far@elsewhere.example>", relayed)
        wire.say("RCPT TO:<nobody@second.example>", "550 5.1.1" if self.second else relayed)
        wire.say("RCPT TO:<carol@second.example>", "250 2.1.5" if self.second else relayed)
        wire.say("RCPT TO:<other@trial.example>", "250 2.1.5" if self.other else "550 5.1.1")
        wire.say("RCPT TO:<swapped@trial.example>", "250 2.1.5" if self.swapped else "550 5.1.1")
        wire.say("RSET", "250 2.0.0")
        assert wire.ehlo()[0] == self.hostname
        return wire.deliver(b"Subject: which host?\r\n\r\n", "bob@trial.example", sender="observer@remote.example")


def content_of(name):
    g = Generator(name)
    return g.sized(g.rng.randint(66000, LARGEST) if g.rng.random() < 0.04 else g.rng.randint(400, 6000))


class Client(threading.Thread):
    """Sends until it is told to stop; whatever is not as it should be ends it."""

    def __init__(self, house, number, stop):
        super().__init__(daemon=True)
        self.house, self.number, self.stop = house, number, stop
        self.rng = random.Random(SEED * 1000 + number)
        self.kept, self.sessions, self.wrong = {}, 0, None

    def run(self):
        try:
            while not self.stop.is_set():
                with self.house.connect(seconds=60) as wire:
                    self.sessions += 1
                    for _ in range(self.rng.choice((1, 3, 10, 10000))):
                        if self.stop.wait(self.rng.random() * 2 * SESSIONS / MESSAGES_A_SECOND):
                            break
                        self.message(wire)
                    wire.quit()
        except BaseException as e:  # told by the test
            self.wrong = e

    def message(self, wire):
        recipients = self.rng.choice(RECIPIENTS)
        name = f"{self.number}-{len(self.kept)}"
        content = content_of(name)
        wire.begin(*[f"{r}@trial.example" for r in recipients], sender=f"{name}@load.example")
        octets = stuffed(content)
        cuts = 10 if self.rng.random() < 0.1 else 1  # some last through several reloads
        for i in range(cuts):
            wire.send(octets[len(octets) * i // cuts:len(octets) * (i + 1) // cuts])
            if cuts > 1:
                self.stop.wait(EVERY / 3)
        queue_id(wire.reply())
        self.kept[name] = {"alice", "bob"} if recipients == ("both",) else set(recipients)


def audit(house, clients, observed):
    kept = {name: boxes for c in clients for name, boxes in c.kept.items()}
    house.wait_empty(60)
    found = collections.Counter()
    hosts = {}
    for box in ("alice", "bob"):
        for letter in map(Letter, house.maildir(box)):
            name = letter.sender.removesuffix("@load.example")
            if letter.sender == "observer@remote.example":
                hosts[re.search(r"\bid (\S+)", letter.received)[1]] = re.search(r"\bby (\S+)", letter.received)[1]
                continue
            assert letter.content == as_kept(content_of(name)), f"{letter.path} is not what was sent"
            found[name, box] += 1
    wanted = {(name, box): 1 for name, boxes in kept.items() for box in boxes}
    assert dict(found) == wanted
    assert hosts == observed
    return len(kept)


def test_the_configuration_changes_under_load_and_nobody_notices(stagepost):
    print(f"RELOAD_SEED={SEED}")
    rng = random.Random(SEED)
    house = stagepost(start=False)
    now = Variant(rng)
    now.write(house)
    house.start()
    processes = wait_for(house.serving)
    stop, observed, reloads, refused = threading.Event(), {}, 0, 0
    clients = [Client(house, i, stop) for i in range(SESSIONS)]
    with house.connect(seconds=60) as observer:
        for client in clients:
            client.start()
        begun = time.monotonic()
        while time.monotonic() < begun + SECONDS:
            if rng.random() < 0.2:
                good = (house.folder / "stagepost.conf").read_text()
                more, status = rng.choice(list(BROKEN.items()))
                house.write("stagepost.conf", good + more)
                done = house.run("reload", check=False)
                assert done.returncode == status, (more, done.returncode, done.stderr)
                house.write("stagepost.conf", good)
                refused += 1
            else:
                now = Variant(rng)
                now.write(house)
                house.run("reload")
                reloads += 1
            observed[now.observe(observer)] = now.hostname
            assert not [c.wrong for c in clients if c.wrong]
            time.sleep(max(0, begun + (reloads + refused) * EVERY - time.monotonic()))
    stop.set()
    for client in clients:
        client.join(60)
        assert not client.is_alive() and client.wrong is None, client.wrong
    assert house.serving() == processes
    count = audit(house, clients, observed)
    print(f"{count} messages, {sum(c.sessions for c in clients)} sessions, {reloads} reloads, {refused} refused")
    assert reloads >= SECONDS / 3 and refused and count > SESSIONS
    house.assert_clean()


def test_a_reload_in_the_midst_of_content_lets_it_end_as_it_began(stagepost):
    """Limit and trust of a transaction are those of its MAIL."""
    house = stagepost(limits="message-size 300000", top="trust 127.0.0.0/8")
    content = b"Subject: no date\r\n\r\n" + Generator(SEED).lines(200000)
    with house.connect() as wire:
        wire.begin("bob@trial.example", sender="begun@remote.example")
        wire.send(content[:100000])
        house.configure(limits="message-size 100000")
        house.run("reload")
        wire.send(stuffed(content)[100000:])
        queue_id(wire.reply())
        wire.say("MAIL FROM:<x@remote.example> SIZE=200000", "552 5.3.4")
        house.configure()
        house.run("reload")
        wire.deliver(content, sender="next@remote.example")
    letters = {l.sender: l.content for l in house.wait_letters("bob", 2)}
    head, body = as_kept(content).split(b"\n\n", 1)
    assert letters["next@remote.example"] == head + b"\n\n" + body
    completed = rb"%s\nDate: [^\n]*\nMessage-ID: [^\n]*\n\n" % re.escape(head)
    assert re.sub(completed, b"", letters["begun@remote.example"], count=1) == body
    house.assert_clean()
