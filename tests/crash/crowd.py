"""
A house in which every daemon that there is has work, and twenty clients that keep books:

    8 SMTP ------------------> smtpd ------.                      .-> local --------> bob, alice: Maildir
    4 with login and TLS ----> submission --> queue --> router ---+-> local --------> p0..p3: Maildir, read and
    4 sendmail -> drop -> pickup --'                              |                   deleted by 4 readers (POP3)
                                                                  +-> local-system -> a user of this machine
                                                                  +-> smtp ---------> Far: good 250, bad 550
                                                                  '-> bounce: of each bad one the sender is told

Each client writes to a file of its own, synced, what it is about to say before the final dot, and the reply
after it (`Ledger`). The audit reads these files and nothing that the server says.
"""
import collections
import hashlib
import os
import poplib
import pwd
import random
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from corpus import Generator, as_kept
from house import House
from people import PASSWORDS, TlsWire, certificate, scram_entry, trusting
from remote import Remote
from stagepost import DOMAIN, IS_ROOT, Letter, free_port, is_there, wait_for

FAR, MACHINE = "far.example", "machine.example"
READERS = ("p0", "p1", "p2", "p3")
SIZES = [700] * 8 + [3000] * 6 + [20000, 66000]     # the last in a file of its own
PATIENCE = 10   # seconds that a client waits for a reply
WINDOW = 0.1    # of the ledger
SLACK = 1.0     # what busy processors add to it


def content_of(name):
    """The same for the same name."""
    g = Generator(name)
    return f"X-Case: {name}\r\n".encode() + g.sized(g.rng.choice(SIZES))


def case_of(octets):
    found = re.search(rb"(?m)^X-Case: (\S+)", octets)
    return found and found[1].decode()


def digest(octets):
    return hashlib.sha256(octets).hexdigest()


class Ledger:
    """What one client said and heard, synced line by line."""

    def __init__(self, path):
        self.fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def note(self, *words):
        os.write(self.fd, (" ".join(map(str, words)) + "\n").encode())
        os.fdatasync(self.fd)


class Person:
    """A user of this machine, with a Maildir at home."""

    def __init__(self):
        self.name = f"spc{os.getpid() % 100000}"
        self.homes = Path(tempfile.mkdtemp(prefix="stagepost-homes-"))
        self.homes.chmod(0o755)
        self.home = self.homes / self.name
        subprocess.run(["useradd", "--create-home", "--home-dir", self.home, "--skel", "/nowhere", "--shell", "/bin/sh", self.name],
                       check=True, capture_output=True)

    def letters(self):
        return [f for part in ("new", "cur") for f in (self.home / "Maildir" / part).glob("*")]

    def end(self):
        subprocess.run(["userdel", self.name], capture_output=True)
        shutil.rmtree(self.homes, ignore_errors=True)


class Far(Remote):
    def __init__(self):
        super().__init__(socket.create_server(("127.0.0.1", 0), backlog=128))
        self.port = self.listener.getsockname()[1]
        self.times = {}

    def next(self, phase):
        return self.judge if phase == "RCPT" else self.when if phase == "END" else None

    @staticmethod
    def judge(session):
        return "550 5.1.1 not here" if b"<bad-" in session.lines[-1] else None

    def when(self, session):
        self.received[-1].when = time.time()


class Town(House):
    """Every daemon has work."""

    def __init__(self, far, person, **configuration):
        self.far, self.person = far, person
        limits = configuration.pop("limits", "")
        super().__init__(limits="spool-free 0; errors 10000; per-client 1000")
        self.submission, self.submissions, self.pop3, self.pop3s = (free_port() for _ in range(4))
        certificate(self.folder)
        people = {**PASSWORDS, **{name: f"of {name}" for name in READERS}}
        self.write("users", "".join(f"{u}:{scram_entry(p)}\n" for u, p in people.items()))
        ports = {"submission": self.submission, "submissions": self.submissions, "pop3": self.pop3, "pop3s": self.pop3s}
        self.configure(
            limits=f"spool-free 0; errors 10000; per-client 1000; {limits}",
            listen="".join(f"; listen 127.0.0.1:{port} {kind}" for kind, port in ports.items()),
            top=f"trust 127.0.0.0/8\noutbound to {FAR} {{ via [127.0.0.1]:{far.port} }}\nprocesses {{ smtpd 2 }}\n"
                "tls { certificate server.pem; key server.key }\nauth { passwords file:users }\n"
                "submission { messages 100000/h 1000000/d; recipients 100000/h 1000000/d; new-recipients 1000000/d }",
            domain=f"domain {MACHINE} {{ deliver system maildir {{ users system }} }}" if person else "", **configuration)
        self.program = self.folder / "sendmail"
        shutil.copy(self.programs / "bin" / "sendmail", self.program)
        if IS_ROOT:
            shutil.chown(self.program, "root", "stagepost-drop")
            self.program.chmod(0o2555)
        self.ledgers = self.folder / "ledgers"
        self.ledgers.mkdir()

    # What lives

    def tree(self):
        """kind -> pids of all below the master and of itself: `smtpd`, `smtpd-1` are of one kind."""
        found = collections.defaultdict(list)
        todo = [self.master()]
        while todo:
            pid = todo.pop()
            if not pid:
                continue
            try:
                title = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").decode(errors="replace")
                todo += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
            except (OSError, ValueError):
                continue
            if title.startswith("stagepost: "):
                found[re.sub(r"-\d+$", "", title[11:].split("\0")[0].split(" ")[0])].append(pid)
        return found

    def costs(self):
        """(proportional memory in octets, descriptors) of the whole tree."""
        memory = descriptors = 0
        for pid in (p for pids in self.tree().values() for p in pids):
            try:
                memory += int(re.search(r"(?m)^Pss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text())[1]) * 1024
                descriptors += len(os.listdir(f"/proc/{pid}/fd"))
            except (OSError, TypeError):
                pass
        return memory, descriptors

    def quiet_costs(self, most=None, seconds=40):
        """When nothing is under way any more: the lowest values; at once when they are not above `most`."""
        lowest = self.costs()
        end = time.monotonic() + seconds
        while time.monotonic() < end and not (most and all(a <= b for a, b in zip(lowest, most))):
            time.sleep(0.5)
            lowest = tuple(map(min, lowest, self.costs()))
        return lowest

    # Audit

    def letters_in(self, user):
        return [Letter(f) for f in self.maildir(user)]

    def ledger(self, page):
        return [line.split() for path in sorted(self.ledgers.glob(page)) for line in path.read_text().splitlines()]

    def booked(self):
        """name -> (recipients, digest, code or None)."""
        books = {}
        for word, name, *rest in self.ledger("sender-*"):
            if word == "sent":
                books[name] = (tuple(rest[1].split(",")), rest[0], None)
            else:
                books[name] = (*books[name][:2], int(rest[0]))
        return books

    def arrived(self):
        """(name, recipient) -> [(when, digest)] of each copy, wherever it went; and which were told of."""
        found = collections.defaultdict(list)
        told = collections.defaultdict(set)
        for user in ("alice", "bob"):
            for letter in self.letters_in(user):
                if b"multipart/report" in letter.content.split(b"\n\n")[0]:
                    identity = re.search(rb"(?mi)^Message-ID: *(\S+)", letter.content)[1]
                    for r in re.findall(rb"(?mi)^Final-Recipient: *rfc822; *(\S+)", letter.content):
                        told[r.decode()].add(identity)
                    continue
                found[case_of(letter.content), user].append((letter.path.stat().st_ctime, digest(letter.content)))
        for user in READERS:
            # a letter's UIDL is its file's name, which begins with the time
            taken = {}
            for _, name, identity, octets in self.ledger(f"reader-{user}"):
                taken[identity] = (name, octets)
            for letter in self.letters_in(user):
                taken[letter.path.name.split(",")[0].split(":")[0]] = (case_of(letter.content), digest(letter.content))
            for identity, (name, octets) in taken.items():
                second, micro = re.match(r"(\d+)\.M(\d+)", identity).groups()
                found[name, user].append((int(second) + int(micro) / 1e6, octets))
        if self.person:
            for path in self.person.letters():
                content = Letter(path).content
                found[case_of(content), "person"].append((path.stat().st_ctime, digest(content)))
        for m in list(self.far.received):
            name = case_of(m.content)
            content = m.content[m.content.index(b"X-Case: "):].replace(b"\r\n", b"\n")
            for r in m.recipients:
                found[name, re.search(r"<(\w+)", r)[1]].append((m.when, digest(content)))
        return found, told

    def lost(self):
        """Of what got 250: what is nowhere."""
        found, told = self.arrived()
        return [(name, r) for name, (recipients, _, code) in self.booked().items() if code == 250 for r in recipients
                if not (told.get(f"bad-{name}@{FAR}") if r == "bad" else found.get((name, r)))]

    def audit(self, deaths, least=1):
        """deaths: [(when, kind)] of those that may lose the memory of a delivery. A dictionary of counts."""
        books, (found, told) = self.booked(), self.arrived()
        kept = {n for n, (_, _, code) in books.items() if code == 250}
        lost = [(n, r) for n in kept for r in books[n][0]
                if not (told.get(f"bad-{n}@{FAR}") if r == "bad" else found.get((n, r)))]
        assert not lost, f"LOST {len(lost)} of {len(kept)}: {sorted(lost)[:9]}"
        strange = [(n, r) for n, r in found if n not in books or r not in books[n][0] or (books[n][2] or 250) != 250]
        assert not strange, f"arrived, though refused or never sent: {strange[:9]}"
        spoilt = [key for key, copies in found.items() for _, octets in copies if octets != books[key[0]][1]]
        assert not spoilt, f"not what was sent: {spoilt[:9]}"
        twice = [r for r, ids in told.items() if len(ids) > 1]
        again = {key: sorted(t for t, _ in copies) for key, copies in found.items() if len(copies) > 1}
        free = {key: times for key, times in again.items() for t in times[:-1]
                if not any(-SLACK < when - t < WINDOW + SLACK for when, _ in deaths)}
        assert not free, f"came again outside of the window of any death: {list(free.items())[:5]}"
        most = max((len(times) for times in again.values()), default=1)
        assert most <= 2 + len(deaths) // 100, f"one came {most} times"
        unknown = [n for n, (_, _, code) in books.items() if code is None]
        assert len(kept) >= least
        assert not twice, f"told of again: {twice[:9]}"
        return {"acknowledged": len(kept), "refused": len(books) - len(kept) - len(unknown), "without a reply": len(unknown),
                "copies": sum(map(len, again.values())) - len(again), "lost": 0}


class Client(threading.Thread):
    """One of the twenty: what goes wrong with it that is not an absent server ends it."""

    def __init__(self, town, number, stop, pause, run=0):
        super().__init__(daemon=True)
        self.town, self.number, self.stop, self.pause = town, f"{run}{type(self).__name__[0]}{number}", stop, pause
        self.rng = random.Random(f"{number} {type(self).__name__}")
        self.count, self.wrong = 0, None
        self.book = Ledger(town.ledgers / f"{self.kind}-{self.page(number)}")

    kind = "sender"

    def page(self, number):
        return self.number

    def run(self):
        try:
            while not self.stop.is_set():
                try:
                    self.session()
                except (OSError, EOFError, poplib.error_proto):
                    self.stop.wait(0.05)    # the server is away: a client tries again
        except BaseException as e:
            self.wrong = e
            raise

    def next_case(self):
        """name, content, recipients (as booked), their addresses."""
        name = f"{self.number}.{self.count}"
        self.count += 1
        places = ["bob", "alice", "good", "bad", *READERS, *["person"] * 2 * bool(self.town.person)]
        to = self.rng.sample(sorted(set(places)), self.rng.choice((1, 1, 2, 3)))
        addresses = {"good": f"good-{name}@{FAR}", "bad": f"bad-{name}@{FAR}",
                     "person": self.town.person and f"{self.town.person.name}@{MACHINE}"}
        return name, content_of(name), to, [addresses.get(r) or f"{r}@{DOMAIN}" for r in to]

    def say(self, wire, sender):
        """One message in a session; False: the session is over."""
        name, content, to, addresses = self.next_case()
        for line in [f"MAIL FROM:<{sender}+{name}@{DOMAIN}>"] + [f"RCPT TO:<{a}>" for a in addresses] + ["DATA"]:
            reply = wire.say(line)
            if reply.code >= 400:
                assert reply.code < 500, f"{line}: trouble of our own is not the sender's: {reply}"
                return reply.code != 421 and wire.say("RSET").code == 250
        self.book.note("sent", name, digest(as_kept(content)), ",".join(to))
        reply = wire.content(content)
        self.book.note("reply", name, reply.code)
        assert reply.code < 500, reply
        return reply.code != 421

    def many(self, wire, sender):
        for _ in range(self.rng.randint(1, 20)):
            if self.stop.wait(self.rng.random() * 2 * self.pause) or not self.say(wire, sender):
                return


class Smtp(Client):
    def session(self):
        try:
            wire = self.town.connect(seconds=PATIENCE)
        except AssertionError as e:
            if "expected 220" not in str(e) or "<4" not in str(e):
                raise
            raise OSError(str(e)) from e    # turned away for a while
        with wire:
            self.many(wire, "bob")


class Author(Client):
    """With login and TLS."""

    def session(self):
        try:
            wire = TlsWire(self.town, wrapped=self.rng.random() < 0.5, user="alice", seconds=PATIENCE)
        except AssertionError as e:
            if not re.search(r"got <4(21|5\d) ", str(e)):
                raise
            raise OSError(str(e)) from e
        with wire:
            self.many(wire, "alice")


class Program(Client):
    """sendmail, exit 0 as a 250."""

    def session(self):
        self.stop.wait(self.rng.random() * 2 * self.pause)
        name, content, to, addresses = self.next_case()
        self.book.note("sent", name, digest(as_kept(content)), ",".join(to))
        done = subprocess.run([self.town.program, "-C", self.town.folder / "stagepost.conf", "-i", "-f", f"bob+{name}@{DOMAIN}",
                               *addresses], input=content.replace(b"\r\n", b"\n"), capture_output=True, timeout=120)
        assert done.returncode in (0, 75), f"sendmail: exit {done.returncode}: {done.stderr}"
        self.book.note("reply", name, 250 if done.returncode == 0 else 450)


class Reader(Client):
    """Reads and deletes. What QUIT confirmed is gone for good."""

    kind = "reader"

    def page(self, number):
        self.user = READERS[number]
        self.gone = set()   # UIDLs of what a +OK for QUIT has said to be gone
        return self.user

    def session(self):
        self.stop.wait(self.rng.random() * 4 * self.pause)
        trust = trusting(self.town.folder)
        trust.check_hostname = False
        client = poplib.POP3_SSL("127.0.0.1", self.town.pop3s, timeout=PATIENCE, context=trust)
        try:
            client.user(f"{self.user}@{DOMAIN}")
            client.pass_(f"of {self.user}")
            self.fetch(client)
        finally:
            client.close()

    def fetch(self, client):
        listed = [line.decode().split() for line in client.uidl()[1]]
        came_back = self.gone & {identity for _, identity in listed}
        assert not came_back, f"{self.user}: {came_back} were said to be gone"
        taken = []
        for number, identity in listed[:40]:
            octets = b"\n".join(client.retr(int(number))[1]) + b"\n"
            content = octets[octets.index(b"X-Case: "):]
            taken.append((identity, case_of(content), digest(content)))
            client.dele(int(number))
        for identity, name, octets in taken:    # before QUIT: it may be done, and its answer lost
            self.book.note("had", name, identity, octets)
        client.quit()
        self.gone |= {identity for identity, _, _ in taken}


class Crowd:
    def __init__(self, town, pause=0.05, run=0, clients=((Smtp, 8), (Author, 4), (Program, 4), (Reader, 4))):
        self.town, self.stop = town, threading.Event()
        self.clients = [kind(town, i, self.stop, pause, run) for kind, count in clients for i in range(count)]
        for c in self.clients:
            c.start()

    def wrong(self):
        return [c.wrong for c in self.clients if c.wrong]

    def end(self, seconds=150):
        self.stop.set()
        for c in self.clients:
            c.join(seconds)
        assert not any(c.is_alive() for c in self.clients), "a client hangs"
        assert not self.wrong(), self.wrong()
