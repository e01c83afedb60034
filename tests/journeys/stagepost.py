"""
One Stagepost in a folder of its own, started and stopped by the command that an administrator uses.

    FOLDER/stagepost.conf users aliases names mail/DOMAIN/USER/{new,cur,tmp} spool/ run/ log/mail.log
"""
import contextlib
import json
import os
import pwd
import random
import re
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from wire import Wire

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("BUILD", ROOT / "build")).resolve()
DOMAIN = "trial.example"
IS_ROOT = os.getuid() == 0
COMMAND_SECONDS = 60
ROLES = ("smtpd", "submission", "pop3d", "keys", "usage", "maildrop", "pickup", "queue", "router", "accounts", "local",
         "control", "log", "smtp", "resolver", "bounce")

# test_many.py needs a descriptor for each connection.
_, _most = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (_most, _most))


def has_users():
    """Are the system users of conf/sysusers.conf there?"""
    try:
        for name in [f"stagepost-{role}" for role in ROLES] + ["vmail"]:
            pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def holds_content(large):
    """Does a file of the spool's large/ have content of its own? Else it is empty, or waits for content: kept
    when its message had ended, or lent again, then with another number than its name's in its head."""
    if large.suffix == ".free":
        return False
    with large.open("rb") as f:
        head = f.read(16)
    return head != b"" and (head[:4] != b"SPF1" or int.from_bytes(head[8:16], "little") == int(large.name))


def wait_for(condition, seconds=15, what="it"):
    """Asks every 20 ms until the answer is true, and returns it."""
    end = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not come true in {seconds} s; the last answer was {answer!r}")
        time.sleep(0.02)


_ports = set()  # that were given: they may not be bound yet


def free_port():
    """Below the ports of outgoing connections, and not one of the other worker's."""
    worker = int(re.sub(r"\D", "", os.environ.get("PYTEST_XDIST_WORKER", "")) or 0) % 4
    while True:
        port = random.SystemRandom().randrange(10000, 15000) + 5000 * worker
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in _ports or len(_ports) > 2000:
            _ports.add(port)
            return port


def is_there(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def title_of(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").decode(errors="replace")
    except OSError:
        return "gone"


def descendants(pid):
    """Every process below this one."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rsplit(")", 1)[1].split()[1])
        except (OSError, IndexError, ValueError):
            continue
    found, todo = set(), [pid]
    while todo:
        parent = todo.pop()
        fresh = [p for p, up in parents.items() if up == parent]
        found.update(fresh)
        todo += fresh
    return found


class Letter:
    """A file of a Maildir: the fields that delivery put in front, and the content behind them."""

    FRONT = re.compile(rb"Return-Path: <(?P<sender>[^\n]*)>\n"
                       rb"(?:X-Original-To: (?P<original>[^\n]*)\n)?"
                       rb"Delivered-To: (?P<address>[^\n]*)\n"
                       rb"(?P<received>Received: [^\n]*\n(?:[ \t][^\n]*\n)+)")

    def __init__(self, path):
        self.path = path
        octets = path.read_bytes()
        front = self.FRONT.match(octets)
        assert front, f"{path} has no trace fields: {octets[:400]!r}"
        self.sender = front["sender"].decode()
        self.original = front["original"] and front["original"].decode()
        self.address = front["address"].decode()
        self.received = front["received"].decode()
        self.content = octets[front.end():]


class Stagepost:
    def __init__(self, user=None, net=None, host="us", **configuration):
        """user: everything runs as this one user. Without it, as whoever runs the test: as root,
        that gives each daemon its own. net: it lives on that host of a Network (net.py), listens on
        port 25 too, and asks that network's DNS server."""
        self.user, self.net, self.host = user, net, host
        self.owner = user or ("vmail" if IS_ROOT else pwd.getpwuid(os.getuid()).pw_name)
        self.folder = Path(tempfile.mkdtemp(prefix="stagepost-"))
        self.folder.chmod(0o755)
        self.programs = BUILD
        self.port = free_port()
        self.pids = set()  # of every process that was seen
        if user:
            shutil.chown(self.folder, user)
            self._copy_programs()
        self.write("users", "alice\nbob\n")
        self.write("aliases", "both: alice, bob\n")
        self.write("names", "")
        (self.folder / "log").mkdir()
        if user:
            shutil.chown(self.folder / "log", user)
        self.configure(**configuration)

    def _copy_programs(self):
        """The checkout may lie where only root can enter."""
        self.programs = self.folder / "programs"
        for part in ("bin", "libexec"):
            shutil.copytree(BUILD / part, self.programs / part)

    def configure(self, *, top="", limits="", listen="", domain="", deliver=None, retry="first 1s; longest 2s",
                  log="text", resolver=""):
        """Writes stagepost.conf; each argument is text for that place."""
        if "per-client" not in limits:
            limits = f"per-client 1000; {limits}"
        if self.net:
            listen += "; listen *:25 smtp"
            if resolver is not None:  # None: as /etc/resolv.conf says
                top += f"\nresolver {{ server {self.net.ip4('dns')}:53; {resolver} }}"
        self.write("stagepost.conf", f"""\
hostname mx.{DOMAIN}
origin {DOMAIN}
postmaster alice@{DOMAIN}
spool spool
run run
state state
log file log/mail.log {log}
aliases file:names
listen 127.0.0.1:{self.port} smtp {listen}
limits {{ {limits} }}
retry {{ {retry} }}
{top}
domain {DOMAIN} {{
    aliases file:aliases
    {deliver or f'deliver maildir "mail/%d/%n" {{ users file:users; owner {self.owner} }}'}
}}
{domain}
""")

    def write(self, name, text):
        """A file of the folder; a change replaces it whole, as editors do."""
        fresh = self.folder / (name + ".new")
        fresh.write_bytes(text if isinstance(text, bytes) else text.encode())
        fresh.chmod(0o644)
        if self.user:
            shutil.chown(fresh, self.user)
        fresh.rename(self.folder / name)

    # The command

    def run(self, *arguments, check=True, seconds=COMMAND_SECONDS):
        """stagepost -c FILE ...; check: it must exit 0."""
        as_user = []
        if self.user and IS_ROOT:
            as_user = ["setpriv", f"--reuid={self.user}", f"--regid={pwd.getpwnam(self.user).pw_gid}",
                       "--clear-groups", "--"]
        if self.net:
            as_user = self.net.command(self.host)
        done = subprocess.run([*as_user, self.programs / "bin" / "stagepost", "-c", self.folder / "stagepost.conf",
                               *map(str, arguments)],
                              cwd=self.folder, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              errors="replace", timeout=seconds)
        if check:
            assert done.returncode == 0, f"{arguments}: exit {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def start(self):
        """Returns when every socket accepts; again after a death that it may not have seen whole."""
        self.run("start")
        self.see()
        return self

    def stop(self):
        """Returns when all processes are gone, and proves it."""
        self.see()
        self.run("stop")
        left = {pid: title_of(pid) for pid in self.pids if is_there(pid)}
        assert not left, f"processes left over: {left}"
        assert not (self.folder / "run" / "control").exists()

    def end(self):
        """Whatever the test left behind; says which processes would not end."""
        master = self.master()
        self.see()
        if master:
            os.kill(master, signal.SIGTERM)
        left = lambda: [pid for pid in self.pids if is_there(pid)]
        try:
            wait_for(lambda: not left(), 40, "end of all processes")
        finally:
            for pid in left():
                os.kill(pid, signal.SIGKILL)
            shutil.rmtree(self.folder, ignore_errors=True)

    def status(self):
        return json.loads(self.run("status", "--json").stdout)

    # Processes

    def master(self):
        """Its pid, None when it does not run."""
        try:
            pid = int((self.folder / "spool" / "lock").read_text())
            title = Path(f"/proc/{pid}/cmdline").read_bytes()  # /exe has another path from another root
        except (OSError, ValueError):
            return None
        return pid if b"stagepost: master" in title and is_there(pid) else None

    def see(self):
        """Remembers every process that runs now."""
        master = self.master()
        if master:
            self.pids |= {master} | descendants(master)

    def serving(self):
        """pid by name, as `status` has it (smtpd, smtpd-1), of each that serves; none while it can't say."""
        said = self.run("status", "--json", check=False)
        if said.returncode != 0:
            return {}
        return {p["name"]: p["pid"] for p in json.loads(said.stdout)["processes"] if p["state"] == "serving"}

    def pid(self, name):
        return wait_for(lambda: (pid := self.serving().get(name)) and is_there(pid) and pid, what=f"process {name}")

    def kill(self, name, signal_number=signal.SIGKILL):
        """Sends the signal to one process; its pid."""
        pid = self.pid(name)
        self.see()
        os.kill(pid, signal_number)
        return pid

    def kill_all(self):
        """SIGKILL to all of them as one; returns when none is left."""
        self.see()
        master = self.master()
        everyone = [master, *descendants(master)]
        for pid in everyone:
            os.kill(pid, signal.SIGSTOP)
        for pid in everyone:
            os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not any(is_there(pid) for pid in self.pids), what="death of all")

    # Mail

    def connect(self, **keywords):
        with self.net.inside(self.host) if self.net else contextlib.nullcontext():
            return Wire(self.port, **keywords)

    def deliver(self, content=b"Subject: a word\r\n\r\nfrom far away\r\n", *recipients, **keywords):
        """Sends one message; its queue id."""
        with self.connect() as wire:
            return wire.deliver(content, *recipients, **keywords)

    def maildir(self, user, domain=DOMAIN):
        """Files of new/ and cur/, in the order of their arrival."""
        box = self.folder / "mail" / domain / user
        files = [f for part in ("new", "cur") if (box / part).is_dir() for f in (box / part).iterdir()]
        return sorted(files, key=lambda f: (f.stat().st_mtime_ns, f.name))

    def letters(self, user, domain=DOMAIN):
        return [Letter(f) for f in self.maildir(user, domain)]

    def wait_letters(self, user, count=1, domain=DOMAIN, seconds=15):
        wait_for(lambda: len(self.maildir(user, domain)) >= count, seconds, f"{count} letters of {user}")
        letters = self.letters(user, domain)
        assert len(letters) == count
        return letters

    # What it says

    def log(self):
        path = self.folder / "log" / "mail.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def logged(self, pattern, seconds=15, count=1):
        """Waits for so many log lines like this; all of them."""
        return wait_for(lambda: len(found := re.findall(f"(?m)^.*{pattern}.*$", self.log())) >= count and found,
                        seconds, f"log line {pattern!r}")

    def queue(self, *selectors):
        return [json.loads(line) for line in self.run("queue", "list", "--json", *selectors).stdout.splitlines()]

    def wait_empty(self, seconds=30):
        wait_for(lambda: not self.queue(), seconds, "an empty queue")

    def verify(self):
        return self.run("queue", "verify")

    def assert_clean(self, seconds=30):
        """The queue is empty and proves to be right, and no file is left over. A writer that outlived
        its master may hold what the queue does not know yet."""
        wait_for(lambda: "not read yet" not in self.verify().stdout, seconds, "every segment to be read")
        self.wait_empty(seconds)
        self.verify()

        def left():
            """What is lent or spare in large/ is empty, or has another's head: of the message before."""
            files = list((self.folder / "spool" / "corrupt").iterdir())
            for large in (self.folder / "spool" / "large").iterdir():
                with contextlib.suppress(FileNotFoundError):  # it goes just now
                    files += [large] * holds_content(large)
            return files + list((self.folder / "mail").glob("*/*/tmp/*"))
        try:
            wait_for(lambda: not left(), seconds)
        except AssertionError:
            raise AssertionError(f"left over: {[str(f) for f in left()]}") from None
