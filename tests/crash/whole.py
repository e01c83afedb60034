"""
A house with all that Stagepost can do in it, and people who use each way in and out. Who does so again
and again while something is struck learns what else suffers.

    client --SMTP-----------------> smtpd ------> queue -> local -> alice, bob, pop
    alice  --TLS, password--> submission --'         '---> smtp  -> Far
    pop    --TLS, POP3------> pop3d -> maildrop: fetches a letter and removes it
    `stagepost queue list` -> control
"""
import collections
import poplib
import re
import ssl
import subprocess
import time

from house import Client, House, as_kept, content_of
from people import PASSWORDS, scram_entry, tls
from pop3 import fetching, with_pop3
from reporting import FAR, Far
from stagepost import DOMAIN, Letter, free_port, wait_for

PEOPLE = {**PASSWORDS, "pop": "letters, please"}
BOXES = ("alice", "bob", "pop")
# All that a broken connection may look like
BROKEN = (OSError, EOFError, ssl.SSLError)


def house_with_all(top="", limits="spool-free 0; errors 1000; per-client 1000", more="", **configuration):
    house = Whole()
    house.submission, house.submissions = free_port(), free_port()
    with_pop3(house, passwords=PEOPLE, limits=limits, auth="ban-after 100000", **{"retry": "first 1s; longest 1s", **configuration},
              top=f"outbound to {FAR} {{ via [127.0.0.1]:{house.far.port} }}\n"
                  f"submission {{ messages 100000/h; recipients 100000/h; new-recipients 100000/d }}\n{top}")
    text = (house.folder / "stagepost.conf").read_text()
    house.write("stagepost.conf", text.replace(f" pop3; listen", f" pop3; listen 127.0.0.1:{house.submission} submission; "
                                               f"listen 127.0.0.1:{house.submissions} submissions; listen", 1) + more)
    return house


class Whole(House):
    def __init__(self):
        self.far = Far()
        super().__init__()

    def end(self):
        super().end()
        self.far.end()

    def wipe(self):
        super().wipe()
        self.far.forget()

    def letters_by_name(self):
        found = {}
        for box in BOXES:
            for path in self.maildir(box):
                try:
                    letter = Letter(path)
                except FileNotFoundError:   # removed, or moved to cur/
                    continue
                found.setdefault((letter.sender.split("@")[0].removeprefix("alice+"), box), []).append(letter)
        return found


class Everyone(Client):
    """Each way once is a round; what is wrong is what got no good answer."""

    def __init__(self, house):
        super().__init__(house)
        self.relayed = set()
        self.marked = set()     # what DELE said yes to
        self.removed = {}       # what QUIT did, and how often
        self.used = collections.Counter()
        self.number = 0
        self.seconds = 5        # that a client waits
        self.last = {}          # results of the last round

    # Each way: True, False refused for now, None no answer

    def plain(self, name):
        return self.try_one(name, 3000, ("bob",), self.seconds)

    def large(self, name):
        return self.try_one(name, 200000, ("alice", "bob"), self.seconds)

    def relay(self, name):
        """With a password, to somebody else's server."""
        return self.with_password(name, f"good-{name}@{FAR}", ())

    def submitted(self, name):
        return self.with_password(name, f"pop@{DOMAIN}", ("pop",))

    def with_password(self, name, recipient, boxes):
        self.sent[name] = (3000, boxes)
        data = False
        try:
            with tls(self.house, user="alice", seconds=self.seconds) as wire:
                for line in (f"MAIL FROM:<alice+{name}@{DOMAIN}>", f"RCPT TO:<{recipient}>", "DATA"):
                    reply = wire.say(line)
                    if reply.code >= 400:
                        return self.refuse(name, reply)
                data = True
                reply = wire.content(content_of(name, 3000))
                if reply.code != 250:
                    return self.refuse(name, reply)
                self.kept.add(name)
                if not boxes:
                    self.relayed.add(name)
                return True
        except AssertionError as e:
            assert "<4" in str(e), e    # turned away before the mail
            return False
        except BROKEN:
            if data:
                self.unknown.add(name)
            return None

    def fetch(self, name):
        """Takes the first letter and removes it."""
        del name
        try:
            with fetching(self.house, f"pop@{DOMAIN}", PEOPLE["pop"]) as client:
                count = client.stat()[0]
                if count:
                    taken = re.search(rb"alice\+(\w+)@", client.retr(1)[1][0])[1].decode()
                    client.dele(1)
                    self.marked.add(taken)
                client.quit()
                if count:
                    self.removed[taken] = self.removed.get(taken, 0) + 1
                return True
        except BROKEN:
            return None
        except poplib.error_proto as e:
            assert "-ERR [" in str(e) or "EOF" in str(e), e     # it says whose fault it is
            return False

    def ask(self, name):
        del name
        try:
            return self.house.run("queue", "list", check=False, seconds=2 * self.seconds).returncode == 0
        except subprocess.TimeoutExpired:
            return None

    WAYS = ("plain", "large", "relay", "submitted", "fetch", "ask")

    def round(self, ways=WAYS):
        """One use of each; the results by way."""
        self.number += 1
        results = {}
        for way in ways:
            results[way] = getattr(self, way)(f"{way}{self.number}")
            self.used[way] += bool(results[way])
        self.last = results
        return results

    def all_well(self, seconds, ways=WAYS):
        """Until each way is open again."""
        end = time.monotonic() + seconds
        left = list(ways)
        while left:
            left = [way for way, result in self.round(left).items() if not result]
            assert not left or time.monotonic() < end, f"not well again: {left}; {list(self.refused.items())[-5:]}"
        return True

    def settled(self, seconds=75, copies=2):
        """All has arrived, and is what was sent; nothing is left on the disk."""
        wait_for(lambda: not self.lacks(), seconds, "all acknowledged mail where it goes")
        self.house.wait_empty(20)
        self.audit(copies)

    # Audit

    def lacks(self):
        """What got 250 and is nowhere (what pop has marked may be gone)."""
        boxes = {(n, b) for n, b in self.house.letters_by_name()}
        arrived = self.house.far.arrived()
        lost = [(n, b) for n in self.kept for b in self.sent[n][1] if (n, b) not in boxes and not (b == "pop" and n in self.marked)]
        return lost + [(n, "far") for n in self.relayed if not arrived[f"good-{n}"]]

    def audit(self, copies=2):
        house = self.house
        for (name, box), letters in house.letters_by_name().items():
            assert name in self.sent, f"nobody sent {name!r}"
            size, boxes = self.sent[name]
            assert box in boxes
            assert name in self.kept or name in self.unknown, f"{name} arrived, but was {self.refused.get(name)}"
            assert len(letters) + self.removed.get(name, 0) <= copies, f"{name} came {len(letters)} times, or was not removed"
            for letter in letters:
                assert letter.content == as_kept(content_of(name, size)), f"{letter.path} is not what was sent"
        for message in list(house.far.received):
            name = message.sender.split("+")[1].split("@")[0]
            assert message.content.endswith(content_of(name, 3000)), f"{name} is not what was sent"
        lost = self.lacks()
        assert not lost, f"LOST: {lost[:9]}"
