"""
Debian's Postfix as a peer on a host of net.py: it takes mail on port 25 into one Maildir, relays
what it is told to, and sends by `sendmail`. Its configuration, queue and log are in a folder of
their own.
"""
import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from stagepost import descendants, is_there, wait_for

PROGRAMS = Path("/usr/sbin/postfix"), Path("/usr/share/postfix/master.cf.dist")


def available():
    return "" if all(p.exists() for p in PROGRAMS) else "Postfix is not installed"


class Postfix:
    def __init__(self, net, host, domains=("example.org",), main="", start=True):
        """main: more lines of main.cf. Mail to any address of domains goes to one Maildir."""
        self.net, self.host = net, host
        self.folder = Path(tempfile.mkdtemp(prefix="stagepost-postfix-"))
        self.folder.chmod(0o755)
        for part in ("etc", "spool", "data", "mail"):
            (self.folder / part).mkdir()
        shutil.chown(self.folder / "data", "postfix")
        (self.folder / "log").touch()  # what is not root writes there too, when it has to complain
        (self.folder / "log").chmod(0o666)
        owner = pwd.getpwnam("nobody")
        os.chown(self.folder / "mail", owner.pw_uid, owner.pw_gid)
        master = PROGRAMS[1].read_text()
        (self.folder / "etc/master.cf").write_text(re.sub(r"(?m)^(smtp +inet .*)$", "25 inet n - n - - smtpd", master))
        self.configure(domains, main, owner)
        if start:
            self.start()

    def configure(self, domains, main, owner):
        (self.folder / "etc/main.cf").write_text(f"""\
compatibility_level = 3.6
queue_directory = {self.folder}/spool
data_directory = {self.folder}/data
maillog_file = {self.folder}/log
maillog_file_prefixes = {self.folder}
myhostname = {self.host}.hosts.test
mydestination =
mynetworks = {"10.113.0.0/24 [fd00:113::]/64 127.0.0.0/8"}
inet_interfaces = all
inet_protocols = all
smtpd_peername_lookup = no
smtp_dns_support_level = disabled
in_flow_delay = 0
alias_maps =
alias_database =
virtual_mailbox_domains = {" ".join(domains)}
virtual_mailbox_base = {self.folder}/mail
virtual_mailbox_maps = static:box/
virtual_minimum_uid = 1
virtual_uid_maps = static:{owner.pw_uid}
virtual_gid_maps = static:{owner.pw_gid}
{main}
""")

    def command(self, *words, check=True):
        return subprocess.run([*self.net.command(self.host), "/usr/sbin/postfix", "-c", self.folder / "etc", *words],
                              capture_output=True, text=True, check=check, stdin=subprocess.DEVNULL, timeout=60)

    def pid(self):
        """Of its master; None: it does not run."""
        try:
            pid = int((self.folder / "spool/pid/master.pid").read_text())
            os.kill(pid, 0)
            return pid
        except (OSError, ValueError):
            return None

    def start(self):
        done = self.command("start", check=False)
        assert done.returncode == 0, done.stderr + self.log()
        wait_for(self._listens, 20, f"port 25 of {self.host}")

    def _listens(self):
        done = self.net.run(self.host, "ss", "-Hltn", "sport = :25")
        return "LISTEN" in done.stdout

    def stop(self):
        if self.pid():
            self.command("stop", check=False)
            wait_for(lambda: not self.pid(), 20, "end of Postfix")

    def kill(self):
        """SIGKILL to all of it at once; returns when none is left. Its queue stays."""
        pid = self.pid()
        os.kill(pid, signal.SIGSTOP)  # has no more children from here on
        everyone = [pid, *descendants(pid)]
        for one in everyone:
            try:
                os.kill(one, signal.SIGKILL)
            except ProcessLookupError:
                pass
        wait_for(lambda: not any(map(is_there, everyone)), what=f"death of Postfix at {self.host}")

    def send(self, content, *recipients, sender="sender@source.example", options=()):
        """By its sendmail command."""
        done = subprocess.run([*self.net.command(self.host), "/usr/sbin/sendmail", "-C", self.folder / "etc", "-i",
                               "-f", sender, *options, *recipients], input=content, capture_output=True, timeout=60)
        assert done.returncode == 0, done.stderr

    def letters(self):
        """Files of its Maildir, in the order of their arrival."""
        new = self.folder / "mail/box/new"
        files = list(new.iterdir()) if new.is_dir() else []
        return sorted(files, key=lambda f: (f.stat().st_mtime_ns, f.name))

    def wait_letters(self, count=1, seconds=30):
        wait_for(lambda: len(self.letters()) >= count, seconds, f"{count} letters at {self.host}")
        return self.letters()

    def queue_is_empty(self):
        done = subprocess.run([*self.net.command(self.host), "/usr/sbin/postqueue", "-c", self.folder / "etc", "-p"],
                              capture_output=True, text=True, timeout=60)
        return "queue is empty" in done.stdout

    def log(self):
        path = self.folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def end(self):
        try:
            self.stop()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)


def content_of(letter):
    """What was sent, without the fields that Postfix's delivery and relaying put in front of the
    first field that is not one of them; line ends as CRLF."""
    octets = letter.read_bytes()
    front = re.compile(rb"(?:(?:Return-Path|X-Original-To|Delivered-To|Received): [^\n]*\n(?:[ \t][^\n]*\n)*)*")
    return octets[front.match(octets).end():].replace(b"\n", b"\r\n")
