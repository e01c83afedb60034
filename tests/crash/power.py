"""
The power fails: a workload is run once on a build with FAULTS=1 and recorded; then, for each moment
of the record, the disk is laid out as it may have been left (disk_model.py), recovered by the code
of the queue manager (outage.c), and compared with what the world had been told by then.

    House --work--> record --each moment--> choices --lay_out--> spool mail --outage--> Audit
"""
import hashlib
import os
import random
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from disk_model import NO_PROMISE, Torn, entries_of
from house import as_kept, content_of
from recorded import SIZES
from stagepost import BUILD, DOMAIN

SEED = int(os.environ.get("CRASH_SEED", 20261124))
CHANCE = 4      # cases of a moment that are left to chance
CORRUPT = 2     # enum disposition, queue/store/ledger_format.h
ALIVE = {0, 1, 2, 3, 7}     # enum recipient_status of those that have not ended


# What may be left at one moment

def torn_of(op, dice):
    """Ways in which a write may be there in part."""
    n = op.sectors()
    if n == 1:
        return [Torn((), True, 0)]
    cuts = {1, n // 2, n - 1}
    ways = [Torn(tuple(range(k)), dice.random() < 0.5, 0) for k in sorted(cuts)]
    ways += [Torn((n - 1,), True, 0), Torn(tuple(range(1, n)), True, 0), Torn((), True, 0), Torn((), True, dice.getrandbits(30) | 1)]
    ways.append(Torn(tuple(i for i in range(n) if dice.random() < 0.5), True, dice.getrandbits(30) | 1))
    return ways


def choices_of(pending, dice, most):
    """The systematic ones first: none, all, torn, one away, one alone, names by a journal; then by chance."""
    everything = {op.number: True for op in pending}
    yield {}
    if not pending:
        return
    yield dict(everything)
    data = [op for op in pending if not op.is_name()]
    names = [op for op in pending if op.is_name()]
    for op in [op for op in data if op.kind == "write"][-2:]:
        for how in torn_of(op, dice):
            yield {**everything, op.number: how}
            yield {op.number: how}
    for op in pending[-12:]:
        yield {n: how for n, how in everything.items() if n != op.number}
        yield {op.number: True}
    for n in range(max(0, len(names) - 8), len(names) + 1):
        journal = {op.number: True for op in names[:n]}
        yield dict(journal)
        yield {**journal, **{op.number: True for op in data}}
    for _ in range(most):
        choice = {}
        for op in pending:
            roll = dice.random()
            if roll < 0.5:
                choice[op.number] = True
            elif roll < 0.75 and op.kind == "write":
                choice[op.number] = dice.choice(torn_of(op, dice))
        yield choice


# Recovery

class Recovery:
    """The program that recovers spools, one after the other."""

    def __init__(self, sizes=SIZES, variables=()):
        self.log = tempfile.TemporaryFile()
        self.program = subprocess.Popen([BUILD / "tests" / "crash" / "outage"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=self.log, text=True, errors="replace",
                                        env={**os.environ, "STAGEPOST_SPOOL_SIZES": sizes, **dict(variables)})

    def __call__(self, spool):
        self.log.seek(0)
        self.log.truncate()
        self.program.stdin.write(f"{spool}\n")
        self.program.stdin.flush()
        lines = []
        for line in self.program.stdout:
            if line.startswith("end "):
                return Found(lines, line.split()[1], self.said())
            lines.append(line.rstrip("\n"))
        raise AssertionError(f"the program that recovers has died: {self.said()}")

    def said(self):
        self.log.seek(0)
        return self.log.read().decode(errors="replace")

    def close(self):
        self.program.stdin.close()
        self.program.wait(10)
        self.log.close()


class Mail:
    def __init__(self, words):
        self.id, self.disposition, self.file = words[1], int(words[2]), int(words[3])
        self.sender, self.hash, self.parent = words[4].strip("<>"), words[5], words[6]
        self.recipients = []    # (status, address)


class Found:
    def __init__(self, lines, status, said):
        self.status, self.said, self.mail, self.problems, self.failed = status, said, [], None, None
        for line in lines:
            kind, *rest = words = line.split(" ")
            if kind == "message":
                self.mail.append(Mail(words))
            elif kind == "recipient":
                self.mail[-1].recipients.append((int(rest[0]), rest[1].strip("<>")))
            elif kind == "verify":
                self.problems = line if rest[0] != "0" else ""
            elif kind == "failed":
                self.failed = line


# What must hold

class Told:
    """What the world had been told at a moment of the record."""

    def __init__(self, marks):
        self.sent, self.kept, self.ids, self.gone, self.reached = {}, set(), {}, set(), set()
        for line in marks:
            kind, name, *rest = line.split()
            if kind == "sent":
                self.sent[name] = (int(rest[0]), tuple(rest[1:]))
            elif kind == "kept":
                self.kept.add(name)
                self.ids[name] = rest[0] if rest else ""
            elif kind == "gone":        # an administrator begins to delete it
                self.gone.add(name)
            elif kind == "reached":     # another server has taken it for that recipient
                self.reached.add((name, rest[0]))


HASHES = {}


def hashes_of(name, size):
    """SHA-256 of the content as it lies in the queue, and the octets as in a mailbox."""
    if (name, size) not in HASHES:
        content = content_of(name, size)
        HASHES[name, size] = hashlib.sha256(content).hexdigest(), as_kept(content)
    return HASHES[name, size]


FRONT = re.compile(rb"Return-Path: <(?P<sender>[^\n]*)>\n(?:X-Original-To: [^\n]*\n)?Delivered-To: (?P<address>[^\n]*)\n"
                   rb"Received: [^\n]*\n(?:[ \t][^\n]*\n)+")


def body_of(content):
    return content.split(b"\n\n", 1)[1]


class Audit:
    """Of one disk as it was found and recovered."""

    def __init__(self, told, path):
        self.told, self.path, self.wrong = told, Path(path), []

    def check(self, condition, what):
        if not condition:
            self.wrong.append(what)
        return condition

    def name_of(self, sender):
        return sender.removesuffix(f"@{DOMAIN}").removeprefix("bob+")

    def mailboxes(self):
        """(name, box) of each letter that a reader would see; each must be whole."""
        found = set()
        for part in ("new", "cur"):
            for letter in self.path.glob(f"mail/*/*/{part}/*"):
                self.letter(letter.read_bytes(), letter.parent.parent.name, str(letter.relative_to(self.path)), found)
        for box in self.path.glob("box/*"):
            if not box.name.endswith((".lock", ".new")):
                self.mbox(box, found)
        return found

    def letter(self, octets, box, where, found):
        front = FRONT.match(octets)
        if not self.check(front, f"{where} is no letter: {octets[:200]!r}"):
            return
        sender, content = front["sender"].decode(errors="replace"), octets[front.end():]
        if sender == "":
            self.check(content.rstrip().endswith(b"--"), f"{where}: a report that is cut")
            for about in re.findall(rb"(?m)^Final-Recipient: rfc822; *([^@\n]+)@", content):
                found.add(("report", about.decode()))
            return
        name = self.name_of(sender)
        if self.check(name in self.told.sent, f"{where}: nobody sent {name!r}"):
            size, _ = self.told.sent[name]
            want = hashes_of(name, size)[1]
            if name.startswith("drop"):     # sendmail has completed its header
                content, want = body_of(content), body_of(want)
            self.check(content == want, f"{where} is not what was sent, {len(content)} octets")
            found.add((name, box))

    def mbox(self, box, found):
        """What is there before is whole; the last one may be cut, but not when it was reported delivered."""
        octets = box.read_bytes()
        for one in re.split(rb"(?m)^From (?=\S+ \w{3} \w{3})", octets)[1:]:
            front = FRONT.match(one.split(b"\n", 1)[1] if b"\n" in one else b"")
            name = self.name_of(front["sender"].decode()) if front else ""
            if name in self.told.sent:
                whole = hashes_of(name, self.told.sent[name][0])[1]
                if one.split(b"\n", 1)[1][front.end():].rstrip(b"\n") == re.sub(rb"(?m)^(>*From )", rb">\1", whole).rstrip(b"\n"):
                    found.add((name, box.name))

    def dropped(self):
        """(name, box) of what sendmail has kept, which must be whole under its name."""
        found = set()
        for f in self.path.glob("spool/drop/*"):
            if f.name.endswith(".part") or f.name in NO_PROMISE:
                continue
            octets = f.read_bytes()
            envelope, content = int.from_bytes(octets[16:20], "little"), int.from_bytes(octets[24:32], "little")
            name = re.search(rb"bob\+(drop\w+)@", octets[32:32 + envelope])
            whole = len(octets) == 32 + envelope + content + 8 and octets.endswith(b"end\n") and name and octets[:-8].endswith(
                body_of(hashes_of(name[1].decode(), self.told.sent[name[1].decode()][0])[1]).replace(b"\n", b"\r\n"))
            if self.check(whole, f"drop/{f.name} is not whole, {len(octets)} octets"):
                found.add((name[1].decode(), "bob"))
        return found

    def queue(self, found):
        """(name, box) of each recipient that is not over."""
        alive, files = set(), set()
        for m in found.mail:
            files.add(m.file)
            if m.hash.startswith("-"):
                self.wrong.append(f"{m.id} ({[n for n, i in self.told.ids.items() if i == m.id]}) can't be read: {m.hash[1:]}")
                continue
            if m.sender == "":
                alive |= {("report", b) for n, i in self.told.ids.items() if i == m.parent for b in self.told.sent[n][1]}
                continue
            name = self.name_of(m.sender)
            if not self.check(name in self.told.sent, f"the queue has {name!r}, which nobody sent"):
                continue
            want = hashes_of(name, self.told.sent[name][0])[0]
            self.check(m.hash == want or name.startswith("drop"), f"{name} in the queue is not what was sent: {m.hash}")
            self.check(m.disposition != CORRUPT, f"{name} was set aside")
            alive |= {(name, a.split("@")[0]) for status, a in m.recipients if status in ALIVE}
        large = self.path / "spool" / "large"
        for f in large.iterdir() if large.is_dir() else ():
            self.check(int(f.name) in files or f.stat().st_size == 0, f"large/{f.name} belongs to nothing")
        return alive

    def spool(self):
        spool = self.path / "spool"
        aside = list((spool / "corrupt").iterdir()) if (spool / "corrupt").is_dir() else []
        self.check(not aside, f"set aside: {[a.name for a in aside]}")
        for part in ("ledger", "segments"):
            for f in (spool / part).iterdir() if (spool / part).is_dir() else ():
                self.check(re.fullmatch(r"\d{8}", f.name), f"{part}/{f.name} is left over")

    def run(self, recovery):
        spool = self.path / "spool"
        seen = self.mailboxes()
        kept = any(n not in self.told.gone for n in self.told.kept)
        if not spool.is_dir():
            self.check(not kept, "the spool has no name, and with it all mail is gone")
            return self.wrong
        found = recovery(spool)
        if not self.check(found.status == "0", f"recovery: {found.failed or found.status}: {found.said[-500:]}"):
            return self.wrong
        self.check(found.problems == "", f"verify: {found.problems}")
        alive = self.queue(found)
        self.spool()
        there = seen | alive | self.told.reached | self.dropped()
        for name in self.told.kept - self.told.gone:
            for box in self.told.sent[name][1]:
                whole = (name, box) in there or ("report", box) in there or box in ALIASES and all(
                    (name, b) in there for b in ALIASES[box])
                self.check(whole, f"LOST: {name} for {box}; in mailboxes {sorted(seen)}, queued {sorted(alive)}")
        return self.wrong


ALIASES = {"both": ("alice", "bob")}


class Sample:
    """Some of the cases, for a start of the whole server."""

    def __init__(self, most, dice):
        self.most, self.dice, self.cases, self.seen = most, dice, [], 0

    def offer(self, make):
        self.seen += 1
        at = len(self.cases) if len(self.cases) < self.most else self.dice.randrange(self.seen)
        if at < self.most:
            self.cases[at:at + 1] = [make()]


class Outage:
    """All moments of one record."""

    def __init__(self, disk, record, sizes=SIZES, each=None, enough=8, seed=SEED, sample=0):
        """each: so many cases of one moment, drawn by chance, and the two plain ones."""
        self.disk, self.entries, self.each, self.enough = disk, entries_of(record), each, enough
        self.seed, self.dice = seed, random.Random(seed)
        self.recovery = Recovery(sizes)
        self.sample = Sample(sample, self.dice) if sample else None
        self.folder = Path(tempfile.mkdtemp(prefix="stagepost-power-"))
        self.cases = self.moments = 0
        self.seen = set()
        self.wrong = []

    def close(self):
        self.recovery.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def case(self, choice, atomic):
        key = (self.disk.version, atomic, frozenset(choice.items()))
        if key in self.seen:
            return
        self.seen.add(key)
        self.cases += 1
        path = self.folder / "disk"
        path.mkdir()
        try:
            self.disk.lay_out(choice, str(path), atomic)
            if self.sample:
                self.sample.offer(lambda: self.put_by(path))
            wrong = Audit(Told(self.disk.marks), path).run(self.recovery)
            if wrong:
                self.report(wrong, choice, atomic)
        finally:
            shutil.rmtree(path)

    def put_by(self, path):
        """A copy of that disk, and what had been told."""
        copy = self.folder / f"case-{self.cases}"
        subprocess.run(["cp", "-a", "--sparse=always", path, copy], check=True)
        return copy, list(self.disk.marks)

    def report(self, wrong, choice, atomic):
        pending = self.disk.pending()
        there = [f"{op}{'' if choice[op.number] is True else ' torn'}" for op in pending if op.number in choice]
        away = [str(op) for op in pending if op.number not in choice]
        self.wrong.append(f"moment {self.moments}, {'atomic' if atomic else 'strict'}: {'; '.join(wrong)}\n"
                          f"   there: {there}\n   away: {away}\n   told: {self.disk.marks[-4:]}")
        where = os.environ.get("CRASH_KEEP")
        if where:
            shutil.copytree(self.folder / "disk", Path(where) / f"power-{self.moments}-{self.cases}", dirs_exist_ok=True)

    def run(self):
        """Cases of each moment, until enough of them went wrong."""
        for e in self.entries:
            if not self.disk.feed(e):
                continue
            self.moments += 1
            choices = list(choices_of(self.disk.pending(), self.dice, CHANCE))
            if self.each and len(choices) > self.each + 2:
                choices = choices[:2] + self.dice.sample(choices[2:], self.each)
            for choice in choices:
                self.case(choice, self.dice.random() < 0.5)
                if len(self.wrong) >= self.enough:
                    return self
        return self
