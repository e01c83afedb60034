"""
A Stagepost that is struck: built with FAULTS=1, started with a fault, restarted without it, and
audited. What a client was told is kept apart from what the server has, and compared at the end.
"""
import contextlib
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "journeys"))
os.environ.setdefault("BUILD", str(ROOT / "build" / "faults"))

from rows import CASES  # noqa: E402
from corpus import Generator, as_kept  # noqa: E402
from stagepost import Letter, Stagepost, descendants, holds_content, is_there, wait_for  # noqa: E402

SHORT = os.environ.get("CRASH", "full") == "short"
LARGE = 1024 * 1024
SIZES = (900, 3000, 66000, LARGE)   # in the segment, in the segment, in a file of its own twice
BOXES = [("bob",), ("alice", "bob"), ("bob",), ("alice",)]


def chosen(what, cases, few):
    """All cases; in the short form a few of them, others in each run, so that in time all were taken. what: a name,
    so that each test takes others."""
    cases = list(cases)
    if not SHORT or len(cases) <= few:
        return cases
    return sorted(random.Random(f"{CASES} {what}").sample(cases, few), key=cases.index)


def content_of(name, size):
    return Generator(name).sized(size)


class Client:
    """Sends messages and remembers what it was told."""

    def __init__(self, house):
        self.house = house
        self.sent = {}      # name -> (size, mailboxes)
        self.kept = set()   # got 250
        self.refused = {}   # name -> the last reply
        self.unknown = set()

    def try_one(self, name, size, boxes, seconds=5):
        """One attempt: True 250, False refused, None no answer."""
        self.sent[name] = (size, boxes)
        data = False
        try:
            with self.house.connect(seconds=seconds) as wire:
                for line in [f"MAIL FROM:<{name}@load.example>"] + [f"RCPT TO:<{b}@trial.example>" for b in boxes] + ["DATA"]:
                    reply = wire.say(line)
                    if reply.code >= 400:
                        return self.refuse(name, reply)
                data = True
                reply = wire.content(content_of(name, size))
                if reply.code == 250:
                    self.kept.add(name)
                    self.unknown.discard(name)
                    return True
                return self.refuse(name, reply)
        except AssertionError as e:
            if "expected 220" not in str(e):
                raise
            assert "<4" in str(e), e    # turned away at the door, for a while
            return None
        except OSError:
            if data:
                self.unknown.add(name)
            return None

    def refuse(self, name, reply):
        assert reply.code < 500, f"{name}: trouble of our own is not the sender's: {reply}"
        self.refused[name] = reply.short
        return False

    def until_kept(self, name, size, boxes, seconds=20):
        """As a real client: again and again, each time a message of its own."""
        end = time.monotonic() + seconds
        tries = 0
        while time.monotonic() < end:
            one = f"{name}.{tries}"
            if self.try_one(one, size, boxes):
                return True
            tries += 1
            time.sleep(0.03)
        return False


class House(Stagepost):
    def __init__(self, **configuration):
        configuration.setdefault("limits", "spool-free 0; errors 1000; per-client 1000")
        super().__init__(**configuration)
        self.launched = None

    # Life

    def launch(self, faults, sick=True):
        """A start that may not succeed: nothing is waited for. The faults last until heal(), or
        begin with heal(False)."""
        condition = self.folder / "sick"
        condition.write_text("1" if sick else "0")
        condition.chmod(0o644)
        self.launched = subprocess.Popen(
            [self.programs / "bin" / "stagepost", "-c", self.folder / "stagepost.conf", "start"], cwd=self.folder,
            env={**os.environ, "STAGEPOST_FAULTS": f"while={condition},{faults}"}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)

    def heal(self, well=True, at=""):
        """at: which call a rule of "@" strikes, from now on."""
        with open(self.folder / "sick", "r+") as f:     # the same file: it is mapped
            f.write(f"0{'':15}" if well else f"1{at:<15}")

    def crash(self):
        """Ends all at one blow, the start that still waits included."""
        if self.launched:
            wait_for(lambda: self.master() or self.launched.poll() is not None, 5, "a master")
        master = self.master()
        if master:
            os.kill(master, signal.SIGSTOP)     # so that it starts nothing more
            wait_for(lambda: Path(f"/proc/{master}/stat").read_text().rsplit(")", 1)[1].split()[0] == "T", 5)
            everyone = {master}
            while more := descendants(master) - everyone:   # a fork server may have had a child meanwhile
                self.blow(more, signal.SIGSTOP)
                everyone |= more
            self.blow(everyone, signal.SIGKILL)
            wait_for(lambda: not any(is_there(pid) for pid in everyone), what="death of all")
        if self.launched:
            self.launched.kill()
            self.launched.wait()
            self.launched = None

    @staticmethod
    def blow(pids, number):
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):   # it has just ended by itself
                os.kill(pid, number)

    def deaths(self, role, how="signal=9"):
        return len(re.findall(rf"daemon-ended role={role} pid=\d+ {how}", self.log()))

    def ends(self, role):
        return len(re.findall(rf"daemon-ended role={role} pid=\d+ ", self.log()))

    def opens(self):
        try:
            with self.connect(greet=False, seconds=2):
                return True
        except OSError:
            return False

    def block(self, user):
        """A file where the mailbox should be: mail for it is deferred."""
        box = self.folder / "mail" / "trial.example" / user
        box.parent.mkdir(parents=True, exist_ok=True)
        box.write_text("in the way")
        shutil.chown(box.parent, self.owner)
        return box

    # Audit

    def letters_by_name(self):
        found = {}
        for box in ("alice", "bob"):
            for path in self.maildir(box):
                letter = Letter(path)
                found.setdefault((letter.sender.removesuffix("@load.example"), box), []).append(letter)
        return found

    def missing(self, client):
        found = {(n, b) for n, b in self.names()}
        return [(n, b) for n in client.kept for b in client.sent[n][1] if (n, b) not in found]

    def names(self):
        return self.letters_by_name().keys()

    def audit(self, client, copies=2):
        """Each acknowledged message is there, whole; nothing else but what got no answer."""
        found = self.letters_by_name()
        for (name, box), letters in found.items():
            assert name in client.sent, f"nobody sent {name!r}"
            size, boxes = client.sent[name]
            assert box in boxes
            assert name in client.kept or name in client.unknown, f"{name} arrived, but was {client.refused.get(name)}"
            assert len(letters) <= copies, f"{name} came {len(letters)} times"
            for letter in letters:
                assert letter.content == as_kept(content_of(name, size)), f"{letter.path} is not what was sent"
        lost = [(n, b) for n in client.kept for b in client.sent[n][1] if (n, b) not in found]
        assert not lost, f"LOST: {lost}"

    def drained(self, client, seconds=20):
        """Everything has arrived, and what is left on the disk is as it should be."""
        wait_for(lambda: not self.missing(client), seconds, "all acknowledged mail in its mailboxes")
        self.wait_empty(seconds)
        # 75: not while the ledger is written anew
        wait_for(lambda: self.run("queue", "verify", check=False).returncode != 75, seconds, "a look at the queue")
        self.verify()
        spool = self.folder / "spool"
        wait_for(lambda: not self.unnamed(), 15, f"no large file but spares; {list(spool.glob('large/*'))}")
        assert not list(spool.glob("corrupt/*")), "something was set aside"

    def unnamed(self):
        """Large files with content in them, in an empty queue."""
        found = []
        for f in (self.folder / "spool" / "large").iterdir():
            try:
                found += [f] if holds_content(f) else []
            except FileNotFoundError:   # removed meanwhile
                pass
        return found

    def wipe(self):
        """As new."""
        self.pids.clear()
        for part in ("spool", "mail", "run"):
            shutil.rmtree(self.folder / part, ignore_errors=True)
        for f in (self.folder / "log").iterdir():
            f.unlink()

    def end(self):
        self.crash()
        shutil.rmtree(self.folder, ignore_errors=True)


def steps_of(house, role, work, faults=None):
    """How many disk calls of each kind that role makes in a run of work(), by a trace."""
    folder = Path(str(house.folder) + ".trace")
    folder.mkdir()
    folder.chmod(0o777)
    os.environ["STAGEPOST_DISK_TRACE"] = str(folder / "t")
    if faults:
        os.environ["STAGEPOST_FAULTS"] = faults
    try:
        house.start()
    finally:
        del os.environ["STAGEPOST_DISK_TRACE"]
        os.environ.pop("STAGEPOST_FAULTS", None)
    work()
    house.crash()
    counts = {"*": 0}
    for f in folder.glob(f"t.{role}.*"):
        for line in f.read_text().splitlines():
            op = line.split()[2]
            counts[op] = counts.get(op, 0) + 1
            counts["*"] += 1
    shutil.rmtree(folder)
    return counts
