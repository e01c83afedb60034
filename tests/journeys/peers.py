"""
Mail servers of other people that are not installed but unpacked below build/peers, on a host of net.py.
Such a server looks for its users, configuration and spool where its package would have put them: it
gets a view of its own of /etc, /var and /run (a mount namespace), in a folder that ends with it.
"""
import pwd
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from stagepost import ROOT, wait_for

PEERS = ROOT / "build" / "peers"
FIRST_UID = 64500  # of users that such a server needs and this machine does not have


class Peer:
    """A server that takes mail for every address into one Maildir. What a class of it says: PACKAGE, PROGRAM below it,
    its USERS, and the ARGUMENTS that keep it in the foreground."""
    PACKAGE = PROGRAM = ""
    USERS = ARGUMENTS = ()

    @classmethod
    def available(cls):
        program = PEERS / cls.PACKAGE / cls.PROGRAM
        if not program.exists():
            return f"{cls.PACKAGE} is not unpacked: ./setup does that"
        done = subprocess.run(["ldd", program], capture_output=True, text=True)
        missing = re.findall(r"(\S+) => not found", done.stdout)
        return f"{cls.PACKAGE} needs {' '.join(missing)}" if missing else ""

    def __init__(self, net, host):
        self.net, self.host = net, host
        self.root = PEERS / self.PACKAGE
        self.folder = Path(tempfile.mkdtemp(prefix="stagepost-peer-"))
        self.folder.chmod(0o755)
        for part in ("spool", "lib", "log", "run", "libexec", "mail"):
            (self.folder / part).mkdir()
        owner = pwd.getpwnam("nobody")
        shutil.chown(self.folder / "mail", owner.pw_uid, owner.pw_gid)
        shutil.copytree("/etc", self.folder / "etc", symlinks=True)
        for i, name in enumerate(self.USERS):
            with open(self.folder / "etc/passwd", "a") as passwd, open(self.folder / "etc/group", "a") as group:
                passwd.write(f"{name}:x:{FIRST_UID + i}:{FIRST_UID + i}::/:/usr/sbin/nologin\n")
                group.write(f"{name}:x:{FIRST_UID + i}:\n")
        self.prepare()
        self.start()

    def prepare(self):
        """Writes its configuration."""

    def start(self):
        views = {"etc": "/etc", "spool": "/var/spool", "lib": "/var/lib", "log": "/var/log", "run": "/run", "libexec": "/usr/libexec"}
        script = "".join(f"mount --bind {self.folder / part} {where} && " for part, where in views.items())
        words = " ".join(map(str, (self.root / self.PROGRAM, *self.ARGUMENTS)))
        with open(self.folder / "said", "ab") as said:
            self.process = self.net.spawn(self.host, "unshare", "-m", "--propagation", "private", "sh", "-c",
                                          f"{script} exec {words}", stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        wait_for(lambda: self.process.poll() is not None or
                 "LISTEN" in self.net.run(self.host, "ss", "-Hltn", "sport = :25").stdout, 20, f"port 25 of {self.host}")
        assert self.process.poll() is None, self.log()

    def letters(self):
        new = self.folder / "mail" / "new"
        return [f.read_bytes() for f in new.iterdir()] if new.is_dir() else []

    def wait_letters(self, count, seconds=30):
        wait_for(lambda: len(self.letters()) >= count, seconds, f"{count} letters at {self.host}")
        return self.letters()

    def log(self):
        return "".join(f.read_text(errors="replace") for f in [self.folder / "said", *(self.folder / "log").rglob("*")]
                       if f.is_file())

    def end(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


class Exim(Peer):
    PACKAGE, PROGRAM, USERS = "exim4-daemon-light", "usr/sbin/exim4", ["Debian-exim"]
    ARGUMENTS = ["-bdf", "-q10s"]

    def prepare(self):
        for part in ("spool/exim4", "log/exim4", "run/exim4"):
            (self.folder / part).mkdir()
            shutil.chown(self.folder / part, FIRST_UID, FIRST_UID)
        (self.folder / "etc/exim4").mkdir(exist_ok=True)
        (self.folder / "etc/exim4/exim4.conf").write_text(f"""\
exim_path = {self.root / self.PROGRAM}
primary_hostname = {self.host}.hosts.test
daemon_smtp_ports = 25
local_interfaces = <; 0.0.0.0 ; ::0
acl_smtp_rcpt = everybody
message_size_limit = 100M
received_headers_max = 200
accept_8bitmime = true
keep_environment =
return_path_remove = false
smtp_accept_queue_per_connection = 0
begin acl
everybody:
  accept
begin routers
box:
  driver = accept
  transport = box
begin transports
box:
  driver = appendfile
  directory = {self.folder}/mail
  maildir_format
  return_path_add
  user = nobody
  group = nogroup
""")


class OpenSMTPD(Peer):
    PACKAGE, PROGRAM, USERS = "opensmtpd", "usr/sbin/smtpd", ["opensmtpd", "opensmtpq"]
    ARGUMENTS = ["-d", "-F"]

    def prepare(self):
        (self.folder / "lib/opensmtpd/empty").mkdir(parents=True)
        shutil.copytree(self.root / "usr/libexec/opensmtpd", self.folder / "libexec/opensmtpd")
        (self.folder / "etc/smtpd.conf").write_text(f"""\
smtp max-message-size "100M"
listen on 0.0.0.0 port 25 hostname {self.host}.hosts.test
listen on :: port 25 hostname {self.host}.hosts.test
table users {{ "@" = "nobody" }}
action "box" maildir "{self.folder}/mail" virtual <users>
match from any for any action "box"
""")
