"""
The servers that are compared. Each lives whole in a folder of its own and offers

    name  port  start()  stop()  pids() -> {process name: [pid, ...]}

What each does for durability is said in README.md.
"""
import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import subprocess
import time

from row import Unavailable

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("BUILD", ROOT / "build")).resolve()
DOMAIN = "bench.example"
COMMAND_SECONDS = 60
IS_ROOT = os.geteuid() == 0
OWNER = "vmail" if IS_ROOT else pwd.getpwuid(os.geteuid()).pw_name
_ports = iter(range(20025, 32000))


def free_port():
    """Below the ports of outgoing connections, and none twice."""
    for port in _ports:
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise RuntimeError("no port is free")


def wait_greeting(port, seconds=20, host="127.0.0.1"):
    """Until an SMTP server greets there."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            with socket.create_connection((host, port), 1) as s:
                s.settimeout(5)
                if s.recv(512).startswith(b"220"):
                    s.sendall(b"QUIT\r\n")
                    s.recv(512)
                    return
        except OSError:
            time.sleep(0.02)
    raise RuntimeError(f"nothing greets on port {port}")


def family(pid):
    """This process and all below it: {pid: the kernel's name of it}."""
    parents, names = {}, {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                with open(f"/proc/{entry.name}/stat", encoding="utf-8", errors="replace") as f:
                    head, rest = f.read().rsplit(")", 1)
            except OSError:
                continue
            names[int(entry.name)] = head.split("(", 1)[1]
            parents.setdefault(int(rest.split()[1]), []).append(int(entry.name))
    found, todo = {}, [pid]
    while todo:
        one = todo.pop()
        if one in names:
            found[one] = names[one]
        todo += parents.get(one, [])
    return found


def kill_all(pids):
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


class Server:
    name = ""

    def __init__(self, folder):
        self.folder = folder / self.name
        self.folder.mkdir()
        self.port = free_port()

    def master(self):
        """Its first process; None when it does not run."""
        raise NotImplementedError

    def command(self, verb):
        raise NotImplementedError

    def start(self):
        self.command("start")
        wait_greeting(self.port)

    def stop(self):
        master = self.master()
        if master is None:
            return
        everyone = family(master)
        try:
            self.command("stop")
        except subprocess.SubprocessError as e:
            print(f"bench: {self.name} did not stop: {e}", flush=True)
            kill_all(everyone)

    def pids(self):
        named = {}
        for pid, name in family(self.master()).items():
            named.setdefault(name, []).append(pid)
        return named

    def log(self):
        try:
            return (self.folder / "log").read_text(errors="replace")
        except OSError:
            return ""


class Ours(Server):
    """sink: a Sink where mail for others goes. users: local parts at DOMAIN. deliver: the whole deliver
    statement, instead of Maildirs of these users below `mail`. limits, domain, extra: more statements of
    limits { }, of the domain, and outside of all."""
    name = "stagepost"

    def __init__(self, folder, *, sink=None, users=("you",), deliver=None, limits="", domain="", extra="",
                 retry=""):
        super().__init__(folder)
        self.mail = self.folder / "mail"
        (self.folder / "users").write_text("".join(f"{user}\n" for user in users))
        deliver = deliver or (f'deliver maildir "{self.mail}/%d/%n" '
                              f'{{ users file:{self.folder}/users; owner {OWNER} }}')
        if "per-client" not in limits:
            limits += "; per-client 20000"
        if sink:
            extra += f"\noutbound {{ via [127.0.0.1]:{sink.port} }}"
        self.conf = self.folder / "stagepost.conf"
        self.conf.write_text(f"""\
hostname us.{DOMAIN}
origin {DOMAIN}
spool {self.folder}/spool
state {self.folder}/state
run {self.folder}/run
log file {self.folder}/log text
listen 127.0.0.1:{self.port} smtp
trust 127.0.0.0/8
limits {{ {limits} }}
retry {{ {retry} }}
domain {DOMAIN} {{
    {deliver}
    {domain}
}}
{extra}
""")

    def run(self, *words, seconds=COMMAND_SECONDS):
        """What `stagepost WORDS...` says."""
        done = subprocess.run([BUILD / "bin/stagepost", "-c", self.conf, *map(str, words)], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, errors="replace", timeout=seconds)
        if done.returncode != 0:
            raise RuntimeError(f"stagepost {words[0]}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def command(self, verb):
        try:
            self.run(verb)
        except RuntimeError as e:
            raise subprocess.SubprocessError(e) from None

    def master(self):
        try:
            pid = int((self.folder / "spool/lock").read_text())
            title = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
        except (OSError, ValueError):
            return None
        return pid if b"stagepost: master" in title else None

    def pids(self):
        named = {}
        for pid in family(self.master()):
            try:
                title = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
            except OSError:
                continue
            name = re.match(rb"stagepost: ([a-z-]+)", title)
            named.setdefault(name[1].decode().rstrip("-") if name else "other", []).append(pid)
        return named


class Postfix(Server):
    """From its package, with a configuration directory of its own. sink, users: as in Ours; extra: more
    lines of main.cf; smtpd_most: processes that take mail."""
    name = "postfix"
    PROGRAM = "/usr/sbin/postfix"
    MASTER_CF = pathlib.Path("/usr/share/postfix/master.cf.dist")

    def __init__(self, folder, *, sink=None, users=("you",), extra="", smtpd_most=100):
        if not os.path.exists(self.PROGRAM) or not self.MASTER_CF.exists():
            raise Unavailable(self.name, "the package postfix is not installed")
        if not IS_ROOT:
            raise Unavailable(self.name, "it needs root")
        super().__init__(folder)
        self.mail = self.folder / "mail"
        for part in ("etc", "spool", "data", f"mail/{DOMAIN}"):
            (self.folder / part).mkdir(parents=True)
        shutil.chown(self.folder / "data", "postfix")
        uid, gid = pwd.getpwnam(OWNER)[2:4]
        os.chown(self.mail, uid, gid)
        os.chown(self.mail / DOMAIN, uid, gid)
        (self.folder / "boxes").write_text("".join(f"{user}@{DOMAIN} {DOMAIN}/{user}/\n" for user in users))
        (self.folder / "etc/master.cf").write_text(re.sub(
            r"(?m)^smtp +inet .*$", f"127.0.0.1:{self.port} inet n - n - {smtpd_most} smtpd", self.MASTER_CF.read_text()))
        if sink:
            extra += f"\nrelayhost = [127.0.0.1]:{sink.port}\nsmtp_dns_support_level = disabled"
        (self.folder / "etc/main.cf").write_text(f"""\
compatibility_level = 3.6
queue_directory = {self.folder}/spool
data_directory = {self.folder}/data
maillog_file = {self.folder}/log
maillog_file_prefixes = {self.folder}
myhostname = postfix.{DOMAIN}
mydestination =
mynetworks = 127.0.0.0/8
biff = no
inet_interfaces = loopback-only
inet_protocols = ipv4
in_flow_delay = 0
default_process_limit = 100
default_destination_concurrency_limit = 100
smtpd_client_connection_count_limit = 20000
smtpd_peername_lookup = no
alias_maps =
alias_database =
virtual_mailbox_domains = {DOMAIN}
virtual_mailbox_base = {self.mail}
virtual_mailbox_maps = texthash:{self.folder}/boxes
virtual_minimum_uid = 1
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
{extra}
""")

    def command(self, verb):
        done = subprocess.run([self.PROGRAM, "-c", self.folder / "etc", verb], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, errors="replace", timeout=COMMAND_SECONDS)
        if done.returncode != 0:
            raise subprocess.SubprocessError(f"postfix {verb}: {done.stderr.strip()[-500:]}")

    def master(self):
        try:
            pid = int((self.folder / "spool/pid/master.pid").read_text())
        except (OSError, ValueError):
            return None
        return pid if family(pid) else None

    @staticmethod
    def version():
        done = subprocess.run(["/usr/sbin/postconf", "-d", "-h", "mail_version"], capture_output=True, text=True)
        return done.stdout.strip()


class OpenSmtpd(Server):
    """Unpacked by ./setup below build/peers, with a view of its own of /etc, /var and /run. It takes mail and
    gives it to the sink; what it has not delivered goes with its folder."""
    name = "opensmtpd"
    PACKAGE = ROOT / "build/peers/opensmtpd"
    USERS = ("opensmtpd", "opensmtpq")
    FIRST_UID = 64500  # of users that this machine does not have
    VIEWS = {"etc": "/etc", "spool": "/var/spool", "lib": "/var/lib", "log": "/var/log", "run": "/run",
             "libexec": "/usr/libexec"}

    def __init__(self, folder, *, sink):
        if not (self.PACKAGE / "usr/sbin/smtpd").exists():
            raise Unavailable(self.name, "the package opensmtpd is not unpacked: ./setup bench does that")
        if not IS_ROOT:
            raise Unavailable(self.name, "it needs root")
        missing = re.findall(r"(\S+) => not found", subprocess.run(["ldd", self.PACKAGE / "usr/sbin/smtpd"],
                                                                   capture_output=True, text=True).stdout)
        if missing:
            raise Unavailable(self.name, f"it needs {' '.join(missing)}")
        super().__init__(folder)
        for part in ("lib/opensmtpd/empty", "log", "libexec"):
            (self.folder / part).mkdir(parents=True)
        shutil.copytree("/etc", self.folder / "etc", symlinks=True)
        (self.folder / "etc/resolv.conf").unlink(missing_ok=True)
        (self.folder / "etc/resolv.conf").write_text("nameserver 127.0.0.1\n")
        for i, name in enumerate(self.USERS):
            number = self.FIRST_UID + i
            with open(self.folder / "etc/passwd", "a") as passwd, open(self.folder / "etc/group", "a") as group:
                passwd.write(f"{name}:x:{number}:{number}::/:/usr/sbin/nologin\n")
                group.write(f"{name}:x:{number}:\n")
        shutil.copytree(self.PACKAGE / "usr/libexec/opensmtpd", self.folder / "libexec/opensmtpd")
        (self.folder / "etc/smtpd.conf").write_text(f"""\
smtp max-message-size "100M"
smtp limit max-mails 1000000
listen on 127.0.0.1 port {self.port} hostname opensmtpd.{DOMAIN}
action "out" relay host smtp://127.0.0.1:{sink.port}
match from any for any action "out"
""")
        self.process, self.starts = None, 0

    def master(self):
        return self.process.pid if self.process and self.process.poll() is None else None

    def start(self):
        """With an empty queue. The former one stays: a file system without a journal is slowed down by inodes
        that were freed a moment ago."""
        self.starts += 1
        fresh = {part: self.folder / f"{part}-{self.starts}" for part in ("spool", "run")}
        for folder in fresh.values():
            folder.mkdir()
        views = "".join(f"mount --bind {fresh.get(part, self.folder / part)} {where} && "
                        for part, where in self.VIEWS.items())
        with open(self.folder / "said", "ab") as said:
            self.process = subprocess.Popen(
                ["unshare", "-m", "--propagation", "private", "sh", "-c",
                 f"{views} exec {self.PACKAGE}/usr/sbin/smtpd -d -F"],
                stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        try:
            wait_greeting(self.port)
        except RuntimeError:
            raise Unavailable(self.name, (self.folder / "said").read_text()[-300:]) from None

    def stop(self):
        if self.process is None:
            return
        if self.process.poll() is None:
            kill_all(family(self.process.pid))
        self.process.wait()

    @classmethod
    def version(cls):
        done = subprocess.run([cls.PACKAGE / "usr/sbin/smtpd", "-h"], capture_output=True, text=True)
        found = re.search(r"OpenSMTPD (\S+)", done.stdout + done.stderr)
        return found[1].rstrip(",") if found else ""
