"""
Mail for the users of the machine itself.

 client -> smtpd -> queue -> local-system -> fork server -> child, as the user -> /var/mail/USER
                 \\            |                                               \\-> ~/Maildir, ~/mbox
                  router -> accounts -> accounts-system -> child: NSS

Users are made for these tests alone, as root, and go with them. Without root there is one user, who
runs everything.
"""
import contextlib
import os
import pty
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest

from stagepost import DOMAIN, IS_ROOT, descendants, wait_for

needs_root = pytest.mark.skipif(not IS_ROOT, reason="only root makes users")
SPOOL = Path("/var/mail")


class Person:
    def __init__(self, name):
        self.name = name
        self.home = Path(pwd.getpwnam(name).pw_dir)
        self.uid = pwd.getpwnam(name).pw_uid
        self.spool = SPOOL / name

    def _as_user(self, command):
        return ["setpriv", f"--reuid={self.uid}", f"--regid={pwd.getpwnam(self.name).pw_gid}", "--init-groups", "--",
                "env", "-i", f"HOME={self.home}", f"USER={self.name}", "TERM=vt100", "PATH=/usr/bin:/bin", *command]

    def run(self, *command, text=None):
        return subprocess.run(self._as_user(command), cwd=self.home, input=text, capture_output=True, text=True, timeout=30)

    @contextlib.contextmanager
    def terminal(self, *command):
        """Runs it on a terminal: a function that says what was shown so far, and one that types."""
        try:
            ours, its = pty.openpty()
        except OSError as e:  # no /dev/pts, as in a chroot
            pytest.skip(f"no terminal can be made here: {e}")
        os.set_blocking(ours, False)
        program = subprocess.Popen(self._as_user(command), cwd=self.home, stdin=its, stdout=its, stderr=its,
                                   start_new_session=True)
        os.close(its)
        seen = bytearray()

        def shown():
            try:
                seen.extend(os.read(ours, 65536))
            except OSError:  # nothing now, or it has ended
                pass
            return bytes(seen)
        try:
            yield shown, lambda keys: os.write(ours, keys)
            wait_for(lambda: shown() and program.poll() is not None, what="the program's end")
        finally:
            program.kill()
            program.wait()
            os.close(ours)

    def maildir(self, name="Maildir"):
        new = self.home / name / "new"
        return sorted(new.iterdir()) if new.is_dir() else []

    def clear(self):
        self.spool.unlink(missing_ok=True)
        for path in self.home.iterdir():
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


@pytest.fixture(scope="module")
def people():
    if not IS_ROOT:
        pytest.skip("only root makes users")
    names = [f"sp{os.getpid() % 10000}{letter}" for letter in "abc"]
    # not one of pytest's: the next pytest that starts as root takes the way to them from everybody else
    homes = Path(tempfile.mkdtemp(prefix="stagepost-homes-"))
    homes.chmod(0o755)
    made = []
    try:
        for name in names:
            subprocess.run(["useradd", "--create-home", "--home-dir", homes / name, "--skel", "/nowhere", "--shell", "/bin/sh",
                            name], check=True, capture_output=True)
            made.append(name)
        yield [Person(name) for name in names]
    finally:
        for name in made:
            (SPOOL / name).unlink(missing_ok=True)
            subprocess.run(["userdel", name], capture_output=True)
        shutil.rmtree(homes)


@pytest.fixture
def fresh(people):
    yield people
    for person in people:
        person.clear()


def server(stagepost, what="maildir", start=True, **keywords):
    house = stagepost(start=False)
    house.configure(deliver=f"deliver system {what} {{ users system }}", **keywords)
    house.write("aliases", "postmaster: root\n")
    return house.start() if start else house


def codes(house, *recipients):
    with house.connect() as wire:
        wire.say("MAIL FROM:<sender@remote.example>", "250 2.1.0")
        return [wire.say(f"RCPT TO:<{r}>").code for r in recipients]


@needs_root
def test_a_users_mail_is_in_the_spool_and_s_nail_reads_it(stagepost, fresh):
    """As Debian has it: /var/mail/USER, 0660 USER:mail."""
    ann = fresh[0]
    house = server(stagepost, "mbox")
    house.deliver(b"Subject: first\r\nFrom: <far@remote.example>\r\n\r\nFrom here on\r\n", f"{ann.name}@{DOMAIN}")
    house.deliver(b"Subject: second\r\nFrom: <far@remote.example>\r\n\r\nno newline at the end", f"{ann.name}@{DOMAIN}")
    house.assert_clean()
    status = ann.spool.stat()
    assert status.st_uid == ann.uid and status.st_gid == SPOOL.stat().st_gid and status.st_mode & 0o7777 == 0o660
    lines = ann.spool.read_text().split("\n")
    assert re.fullmatch(r"From \S+  [A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d [\d:]{8} \d{4}", lines[0]), lines[0]
    assert lines[1].startswith("Return-Path: <") and lines[2] == f"Delivered-To: {ann.name}@{DOMAIN}"
    assert ">From here on" in lines and lines[-3:] == ["no newline at the end", "", ""]
    assert not Path(f"{ann.spool}.lock").exists()
    listed = ann.run("s-nail", "-n", "-S", "quiet", "-H", "-f", str(ann.spool))
    assert listed.returncode == 0 and "first" in listed.stdout and "second" in listed.stdout, listed
    read = ann.run("s-nail", "-n", "-S", "quiet", "-S", "crt=", "-R", "-f", str(ann.spool), text="type 1\nexit\n")
    assert "From here on" in read.stdout, read
    assert ann.run("cat", str(fresh[1].spool)).returncode != 0


@needs_root
def test_a_users_mail_is_in_the_home_and_mutt_reads_it(stagepost, fresh):
    ann, ben, _ = fresh
    house = server(stagepost, "maildir")
    house.deliver(b"Subject: to both\r\nFrom: <far@remote.example>\r\n\r\nhello\r\n",
                  f"{ann.name}@{DOMAIN}", f"{ben.name}@{DOMAIN}")
    house.assert_clean()
    for person in (ann, ben):
        (file,) = person.maildir()
        for path in (file, file.parent, file.parent.parent):
            assert path.stat().st_uid == person.uid
        assert file.stat().st_mode & 0o7777 == 0o600 and file.parent.parent.stat().st_mode & 0o7777 == 0o700
    mutt = ["mutt", "-F", "/dev/null", "-n", "-R", "-f", "Maildir", "-e", "set wait_key=no folder=~/Maildir"]
    with ann.terminal(*mutt) as (shown, keys):
        wait_for(lambda: b"Msgs:1" in shown(), what="mutt's index")
        keys(b"|cat >seen\n")
        wait_for(lambda: (ann.home / "seen").exists() and (ann.home / "seen").stat().st_size, what="what mutt reads")
        keys(b"x")
    assert "hello" in (ann.home / "seen").read_text()


@needs_root
def test_root_has_no_mailbox_and_an_alias_gives_its_mail_to_somebody(stagepost, fresh):
    ann = fresh[0]
    house = server(stagepost, "maildir", start=False)
    assert codes(house.start(), f"root@{DOMAIN}", f"nobody-here@{DOMAIN}", f"{ann.name}@{DOMAIN}") == [550, 550, 250]
    house.write("aliases", f"root: {ann.name}\n")
    wait_for(lambda: codes(house, f"root@{DOMAIN}") == [250], 5)
    house.deliver(b"Subject: for root\r\n\r\n", f"root@{DOMAIN}")
    house.assert_clean()
    assert b"X-Original-To: root@" in ann.maildir()[0].read_bytes()


@needs_root
def test_a_new_user_has_mail_soon(stagepost, fresh):
    """Who was missing is asked for again after ten seconds."""
    house = server(stagepost)
    name = f"sp{os.getpid() % 10000}n"
    assert codes(house, f"{name}@{DOMAIN}") == [550]
    home = fresh[0].home.parent / name
    subprocess.run(["useradd", "--create-home", "--home-dir", home, "--skel", "/nowhere", name], check=True, capture_output=True)
    try:
        wait_for(lambda: codes(house, f"{name}@{DOMAIN}") == [250], 15)
        house.deliver(b"Subject: welcome\r\n\r\n", f"{name}@{DOMAIN}")
        house.assert_clean()
        assert len(Person(name).maildir()) == 1
    finally:
        # the child that delivered stays for two seconds, and who has a process is not removed
        wait_for(lambda: subprocess.run(["userdel", "--remove", name], capture_output=True).returncode == 0, what="userdel")


@needs_root
def test_S54_a_missing_home_is_waited_for(stagepost, fresh):
    ann = fresh[0]
    house = server(stagepost)
    away = ann.home.with_name("away")
    ann.home.rename(away)
    house.deliver(b"Subject: x\r\n\r\n", f"{ann.name}@{DOMAIN}")
    house.logged("4\\.2\\.1.*home directory is not there")
    away.rename(ann.home)
    house.assert_clean()
    assert len(ann.maildir()) == 1


@needs_root
def test_S52_what_a_user_links_leads_to_nothing_more(stagepost, fresh):
    """A link to another's file is opened by the user, who may not; a link out of the home is refused."""
    ann, ben, _ = fresh
    secret = ben.home / "secret"
    secret.write_text("ben's\n")
    shutil.chown(secret, ben.name)
    secret.chmod(0o600)
    (ann.home / "mbox").symlink_to(secret)
    (ann.home / "Maildir").symlink_to(ben.home)
    house = server(stagepost, 'mbox "~/mbox"')
    house.deliver(b"Subject: x\r\n\r\n", f"{ann.name}@{DOMAIN}")
    house.logged("4\\.2\\.0.*symbolic link")
    assert secret.read_text() == "ben's\n"
    (ann.home / "mbox").unlink()
    house.assert_clean()
    house.configure(deliver="deliver system maildir { users system }")
    house.run("reload")
    house.deliver(b"Subject: x\r\n\r\n", f"{ann.name}@{DOMAIN}")
    house.logged("4\\.2\\.0.*Maildir")
    assert {path.name for path in ben.home.iterdir()} == {"secret"}


@needs_root
def test_S51_a_locked_mailbox_is_waited_for_and_others_do_not_wait(stagepost, fresh):
    ann, ben, _ = fresh
    house = server(stagepost, "mbox")
    lock = Path(f"{ann.spool}.lock")
    lock.touch()
    try:
        house.deliver(b"Subject: locked\r\n\r\n", f"{ann.name}@{DOMAIN}", f"{ben.name}@{DOMAIN}")
        wait_for(lambda: ben.spool.exists() and ben.spool.stat().st_size > 0)
        assert not ann.spool.exists()
    finally:
        lock.unlink()
    house.assert_clean()
    assert ann.spool.read_text().count("Subject: locked") == 1


@needs_root
def test_a_reload_brings_the_daemons_for_the_machines_users(stagepost, fresh):
    house = stagepost()
    assert "local-system" not in house.serving() and "accounts-system" not in house.serving()
    house.configure(deliver="deliver system maildir { users system }")
    house.run("reload")
    assert {"local-system", "accounts-system"} <= set(house.serving())
    house.deliver(b"Subject: x\r\n\r\n", f"{fresh[0].name}@{DOMAIN}")
    house.assert_clean()
    assert len(fresh[0].maildir()) == 1


@needs_root
@pytest.mark.parametrize("victim", ["local-system", "accounts-system", "accounts", "fork server"])
def test_S59_no_mail_is_lost_when_a_daemon_is_killed_under_load(stagepost, fresh, victim):
    house = server(stagepost, "mbox")
    count = 120
    for i in range(count):
        house.deliver(f"Subject: number {i}\r\n\r\n".encode(), f"{fresh[i % 3].name}@{DOMAIN}")
        if i % 40 == 20:
            if victim == "fork server":
                for pid in descendants(house.pid("local-system")):
                    try:
                        os.kill(pid, signal.SIGKILL)
                    except ProcessLookupError:
                        pass
            else:
                house.kill(victim)
    house.assert_clean(60)
    seen = set()
    for person in fresh:
        text = person.spool.read_text()
        seen |= set(re.findall(r"^Subject: number (\d+)$", text, re.M))
    assert seen == {str(i) for i in range(count)}


def processes_of(house, person):
    """Children of local-system that are this user."""
    found = []
    for pid in descendants(house.pid("local-system")):
        with contextlib.suppress(OSError):
            if os.stat(f"/proc/{pid}").st_uid in (0, person.uid) and \
                    re.search(rf"(?m)^Uid:\s+{person.uid}\s", Path(f"/proc/{pid}/status").read_text()):
                found.append(pid)
    return found


@needs_root
@pytest.mark.parametrize("working", [True, False], ids=["at-work", "idle"])
def test_a_child_that_its_user_has_stopped_ends_with_the_server(stagepost, fresh, working):
    ann = fresh[0]
    house = server(stagepost, "mbox")
    lock = Path(f"{ann.spool}.lock")
    if working:
        lock.touch()
    house.deliver(b"Subject: once\r\n\r\n", f"{ann.name}@{DOMAIN}")
    child = wait_for(lambda: processes_of(house, ann), what="a child")[0]
    if not working:
        house.wait_empty()
    assert ann.run("kill", "-STOP", str(child)).returncode == 0
    house.stop()  # proves that nothing is left
    assert "daemon-ended role=local-system pid=" in house.log()
    assert not re.search(r"daemon-ended role=local-system pid=\d+ signal", house.log())
    lock.unlink(missing_ok=True)
    house.start()
    house.assert_clean(60)
    assert ann.spool.read_text().count("Subject: once") == 1


def test_one_user_may_have_mail_where_one_user_runs_all(stagepost):
    """Started by an ordinary user: that user's mail alone."""
    user = "nobody" if IS_ROOT else None
    house = stagepost(user=user, start=False)
    name = user or pwd.getpwuid(os.getuid()).pw_name
    (house.folder / "mail").mkdir(exist_ok=True)
    if user:
        shutil.chown(house.folder / "mail", user)
    house.configure(deliver=f'deliver system mbox "{house.folder}/mail/%n" {{ users system }}')
    house.start()
    house.deliver(b"Subject: mine\r\n\r\n", f"{name}@{DOMAIN}")
    house.assert_clean()
    assert "Subject: mine" in (house.folder / "mail" / name).read_text()
    house.deliver(b"Subject: another's\r\n\r\n", f"mail@{DOMAIN}")
    house.logged("delivers to that user alone")
