"""
Mail to a server that refuses some, takes some late and the rest at once, and what is to become of
it: each recipient of each acknowledged message is at that server, or in its mailbox, or named in one
report. A report is made once: whoever dies, another one with another Message-ID is a second report.

    client --SMTP--> smtpd -> queue -> smtp -> Far: good-N 250, late-N 451 once, bad-N 550
                                '----> bounce -> queue -> local -> bob (senders), alice (postmaster)
"""
import collections
import re
import socket
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "journeys"))

from house import LARGE, House, content_of, wait_for  # noqa: E402
from remote import Remote  # noqa: E402
from stagepost import Letter  # noqa: E402

FAR = "far.example"
# name: sender, size, recipients; NOTIFY=SUCCESS where told is asked for
MAIL = {
    "n0": ("bob+n0", 900, ("bad-n0",)),
    "n1": ("bob+n1", 66000, ("bad-n1", "good-n1")),
    "n2": ("", 3000, ("bad-n2",)),
    "n3": ("bob+n3", 700, ("told+n3@trial.example",)),
    "n4": ("bob+n4", LARGE, ("late-n4", "bad-n4", "bob+n4@trial.example")),
    "n5": ("bob+n5", 900, ("bad-n5", "worse-n5", "never-n5")),
}


def is_report(letter):
    return b"multipart/report" in letter.content.split(b"\n\n")[0]


class Far(Remote):
    """Judges by the recipient."""

    def __init__(self):
        self.late, self.guard = set(), threading.Lock()
        super().__init__(socket.create_server(("127.0.0.1", 0)))
        self.port = self.listener.getsockname()[1]

    def next(self, phase):
        return self.judge if phase == "RCPT" else None

    def judge(self, session):
        who = re.search(rb"<(\w+)-", session.lines[-1])[1]
        if who in (b"bad", b"worse", b"never"):
            return "550 5.1.1 not here"
        if who == b"late":
            with self.guard:
                if session.lines[-1] not in self.late:
                    self.late.add(session.lines[-1])
                    return "451 4.2.1 later"
        return None

    def forget(self):
        self.received.clear()
        self.late.clear()

    def arrived(self):
        return collections.Counter(re.search(r"<([^@>]+)@", r)[1] for m in list(self.received) for r in m.recipients)


class Reporting(House):
    """With a way to Far."""

    def __init__(self, far, **configuration):
        configuration.setdefault("retry", "first 1s; longest 1s")
        super().__init__(top=f"trust 127.0.0.0/8\noutbound to {FAR} {{ via [127.0.0.1]:{far.port} }}", **configuration)
        self.write("users", "alice\nbob\ntold\n")
        self.far, self.kept, self.unknown = far, set(), set()
        self.mail = MAIL
        self.ids = {}           # name -> queue id, of what got 250
        self.returned = False   # an administrator may have returned what was not delivered yet

    def wipe(self):
        super().wipe()
        self.far.forget()
        self.kept, self.unknown = set(), set()

    def submit(self, name):
        """True: it is acknowledged; None: no answer."""
        sender, size, recipients = self.mail[name]
        data = False
        try:
            with self.connect(seconds=5) as wire:
                words = [f"MAIL FROM:<{sender and sender + '@trial.example'}>"]
                for r in recipients:
                    address = r if "@" in r else f"{r}@{FAR}"
                    notify = {"told": " NOTIFY=SUCCESS", "neve": " NOTIFY=NEVER"}.get(r[:4], "")
                    words.append(f"RCPT TO:<{address}>{notify}")
                for line in [*words, "DATA"]:
                    reply = wire.say(line)
                    if reply.code >= 400:
                        assert reply.code < 500, reply
                        return False
                data = True
                reply = wire.content(content_of(name, size))
                assert reply.code < 500, reply
                if reply.code == 250:
                    self.ids[name] = reply.text.split()[-1]
                    self.kept.add(name)
                return reply.code == 250
        except (OSError, AssertionError) as e:
            if isinstance(e, AssertionError) and "expected 220" not in str(e):
                raise
            if data:
                self.unknown.add(name)
            return None

    def submit_all(self, dead=lambda: False, seconds=8):
        wait_for(lambda: dead() or self.opens(), seconds, "a server or a death")
        for name in self.mail:
            if dead():
                return
            self.submit(name)

    def reports(self):
        """(name, recipient) -> Message-IDs of reports that name it, one for each copy."""
        found = collections.defaultdict(list)
        for letter in self.letters("bob") + self.letters("alice"):
            if not is_report(letter):
                continue
            assert letter.sender == ""
            identity = re.search(rb"(?mi)^Message-ID: *(\S+)", letter.content)[1]
            for r in re.findall(rb"(?mi)^Final-Recipient: *rfc822; *([^@\s]+)", letter.content):
                found[r.decode()].append(identity)
        return found

    def forget_deleted(self):
        """What an administrator deleted is owed to nobody."""
        gone = set(re.findall(r"(?m) ([0-9A-Z]{12}) deleted by=administrator", self.log()))
        self.unknown |= {name for name in self.kept if self.ids[name] in gone}
        self.kept = {name for name in self.kept if self.ids[name] not in gone}

    def state(self, forgetful=True):
        """What is missing, and what is there again. forgetful: deliveries may be repeated, reports never."""
        arrived, reports = self.far.arrived(), self.reports()
        boxes = collections.Counter(letter.address.split("@")[0] for box in ("bob", "told") for letter in self.letters(box)
                                    if not is_report(letter))
        lost, again = [], []
        for name in sorted(self.kept | self.unknown):
            for r in self.mail[name][2]:
                who, key = re.match(r"\w+", r)[0], r.split("@")[0]
                place = boxes if "@" in r else arrived
                can_arrive, told = who in ("good", "late", "bob", "told"), who in ("bad", "worse", "told")
                there, reported = place[key], key in reports
                if name in self.kept:
                    lost += [f"{r} in {name}"] * (can_arrive and not there and not (reported and self.returned))
                    lost += [f"report on {r} in {name}"] * (told and not reported)
                again += [f"report on {r}: {set(reports[key])}"] if len(set(reports.get(key, ()))) > 1 else []
                again += [f"{r}: {there} times"] * (there > 1 and not forgetful)
                assert told or not reported or self.returned, f"{r} is reported on"
        return lost, again

    def settled(self, copies, seconds=25, forgetful=True):
        """All has come to its end, by itself, and nothing is left on the disk. copies: of one letter."""
        try:
            wait_for(lambda: not self.state()[0], seconds, "each recipient at its place")
        except AssertionError:
            raise AssertionError(f"LOST: {self.state()[0][:9]}") from None
        wait_for(lambda: self.run("queue", "list", check=False).returncode == 0, seconds, "the queue manager")
        self.wait_empty(seconds)
        wait_for(lambda: self.run("queue", "verify", check=False).returncode != 75, seconds, "a look at the queue")
        self.verify()
        wait_for(lambda: not self.unnamed(), 15, "no large file but spares")
        assert not list((self.folder / "spool" / "corrupt").iterdir()), "something was set aside"
        lost, again = self.state(forgetful)
        assert not lost and not again, f"LOST {lost} or TOLD AGAIN {again}"
        most = [r for r, ids in self.reports().items() if len(ids) > copies]
        assert not most, f"reports on {most} came more than {copies} times"
        return True

    def calm(self, seconds=2.0):
        """No process spins, and none holds descriptors of what is over."""
        def ticks():
            found = {}
            for pid in self.serving().values():
                fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
                found[pid] = int(fields[11]) + int(fields[12])
            return found
        before = ticks()
        time.sleep(seconds)
        after = ticks()
        busy = {pid: after[pid] - n for pid, n in before.items() if pid in after and after[pid] - n > 100 * seconds / 4}
        assert not busy, f"spinning: {busy}"
