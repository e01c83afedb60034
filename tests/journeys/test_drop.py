"""
    program -- sendmail --(nobody listens)--> SPOOL/drop -- pickup --> submission --> queue --> Maildir

Mail of this machine's programs while the server is down, and when it does not take a message now:
it is kept, and arrives when the server is back, each message once.
"""
import contextlib
import email
import os
import pwd
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest

from stagepost import BUILD, DOMAIN, IS_ROOT, wait_for

# LeakSanitizer gives up in a program that gives rights.
MANY_USERS = IS_ROOT and "san" not in BUILD.parts
as_root = pytest.mark.skipif(not MANY_USERS, reason="calling as another user needs root, and no sanitizer")
DOWN = "Subject: {}\n\nkept\n"


class Drop:
    """A server that can be down, and its users' sendmail, installed as it should be."""

    def __init__(self, us):
        self.us = us
        self.place = us.folder / "spool" / "drop"
        self.program = us.programs / "bin" / "sendmail"
        if IS_ROOT and not us.user:
            (us.folder / "sbin").mkdir()
            self.program = us.folder / "sbin" / "sendmail"
            shutil.copy(us.programs / "bin" / "sendmail", self.program)
            shutil.chown(self.program, "root", "stagepost-drop")
            self.program.chmod(0o2555)

    def sendmail(self, *words, content="Subject: x\n\nx\n", user=None, check=0, program=None, env=None, **keywords):
        front = ["/usr/bin/setpriv", f"--reuid={user}", "--regid=nogroup", "--clear-groups", "--"] if user else []
        done = subprocess.run([*front, program or self.program, "-C", self.us.folder / "stagepost.conf", *words],
                              input=content, capture_output=True, text=True, timeout=60, env=env, **keywords)
        assert check is None or done.returncode == check, f"{words}: exit {done.returncode}: {done.stderr}"
        return done

    def files(self):
        """What waits; whole or not."""
        return sorted(f for f in self.place.iterdir() if not f.name.startswith("bad.") and f.name != "looking")

    def wait_gone(self, seconds=20):
        wait_for(lambda: not self.files(), seconds, "an empty drop directory")

    def subjects(self, user="bob"):
        return [email.message_from_bytes(f.read_bytes())["Subject"] for f in self.us.maildir(user)]


@pytest.fixture
def down(stagepost):
    """It has run once, and is down."""
    us = stagepost()
    us.stop()
    return Drop(us)


@pytest.fixture(scope="module")
def up(shared):
    return Drop(shared)


# Down

def test_mail_is_kept_and_arrives_once_when_the_server_is_back(down):
    for user in [None, *(["nobody", "games"] if MANY_USERS else [])]:
        down.sendmail("-i", "-t", user=user, content=f"To: bob\nBcc: alice\nSubject: of {user}\n\n.\nkept\n")
    assert len(down.files()) == (3 if MANY_USERS else 1)
    down.us.start()
    down.wait_gone()
    down.us.wait_letters("bob", 3 if MANY_USERS else 1)
    down.us.assert_clean()
    assert sorted(down.subjects()) == sorted(down.subjects("alice")) == \
        (["of None", "of games", "of nobody"] if MANY_USERS else ["of None"])
    for file in down.us.maildir("bob"):
        letter = email.message_from_bytes(file.read_bytes())
        assert letter["Bcc"] is None and letter["Date"] and letter["Message-ID"]
        assert letter.get_payload() == ".\nkept\n"
        if letter["Subject"] != "of None":
            assert letter["Return-Path"] == f"<{letter['Subject'][3:]}@{DOMAIN}>"
    if MANY_USERS:
        down.us.logged(f"accepted client=local uid={pwd.getpwnam('games').pw_uid} ")


@as_root
def test_nobody_reads_or_removes_what_is_kept(down):
    down.sendmail("bob", user="nobody")
    file = down.files()[0]
    assert oct(file.stat().st_mode & 0o7777) == "0o604" and file.stat().st_uid == pwd.getpwnam("nobody").pw_uid
    for what in (f"cat {file}", f"ls {down.place}", f"rm -f {file}; test -e {file}", f"touch {down.place}/x"):
        tried = subprocess.run(["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--", "sh", "-c", what],
                               capture_output=True)
        assert tried.returncode != 0, what
    assert file.exists()


@as_root
def test_without_the_group_a_user_hears_what_is_missing(down):
    plain = down.us.folder / "sbin" / "plain"
    shutil.copy(down.us.programs / "bin" / "sendmail", plain)
    done = down.sendmail("bob", user="nobody", program=plain, check=75)
    assert "stagepost-drop" in done.stderr and "is it running" in done.stderr
    assert not down.files()


def test_an_ordinary_user_keeps_his_own(stagepost):
    us = stagepost(user="nobody") if IS_ROOT else stagepost()
    us.stop()
    drop = Drop(us)
    drop.sendmail("bob", user="nobody" if IS_ROOT else None)
    assert len(drop.files()) == 1
    us.start()
    us.wait_letters("bob")
    drop.wait_gone()


# Each as the program calls it; what its author may expect.
LINES = {
    "cron": (["-i", "-FCronDaemon", "-B8BITMIME", "-oem", "root"],
             "From: root (Cron Daemon)\nTo: root\nSubject: Cron <root@host> date\nMIME-Version: 1.0\n"
             "Content-Type: text/plain; charset=UTF-8\nAuto-Submitted: auto-generated\n\nwhat it said\n"),
    "cronie": (["-FCronDaemon", "-i", "-odi", "-oem", "-oi", "-t", "-f", "root"], "To: root\nSubject: c\n\nx\n"),
    "php": (["-t", "-i"], "To: root\nSubject: form\nX-PHP-Originating-Script: 33:form.php\n\nx\n"),
    "php -f": (["-t", "-i", "-f", "web@" + DOMAIN], "To: root\nSubject: form\n\nx\n"),
    "smartd": (["-oi", "-t"], "To: root\nSubject: SMART error\n\nx\n"),
    "at": (["-i", "root"], "Subject: Output from your job        1\nTo: root\n\nx\n"),
    "mailx": (["-i", "-r", "root", "--", "root"], "To: root\nSubject: m\n\nx\n"),
    "git": (["-i", f"root@{DOMAIN}", f"alice@{DOMAIN}"], "From: A <a@b.example>\nTo: root\nSubject: [PATCH] x\n\nx\n"),
    "mutt": (["-oem", "-oi", "--", "root"], "To: root\nSubject: m\n\nx\n"),
    "logcheck": (["-oem", "-oi", "-t"], "To: root\nSubject: l\n\nx\n"),
}


def test_each_program_is_served_while_the_server_is_down(down):
    down.us.write("aliases", "root: bob\n")
    for name, (words, content) in LINES.items():
        assert down.sendmail(*words, content=content).stderr == "", name
    down.us.start()
    down.us.wait_letters("bob", len(LINES))
    down.wait_gone()
    assert "[PATCH] x" in down.subjects("alice")


def test_bs_says_that_nobody_is_there(down):
    done = down.sendmail("-bs", content="EHLO x\r\nQUIT\r\n", check=75)
    assert done.stdout.startswith("421 4.3.2 ")


def test_git_sends_patches(down):
    git = shutil.which("git")
    if not git or not os.path.exists(os.path.join(subprocess.check_output([git, "--exec-path"], text=True).strip(),
                                                  "git-send-email")):
        pytest.skip("git send-email is not installed")
    work = down.us.folder / "patches"
    work.mkdir()
    call = lambda *words: subprocess.run([git, "-c", "user.name=A", "-c", f"user.email=alice@{DOMAIN}", *words], cwd=work,
                                         check=True, capture_output=True, env={"HOME": str(work), "PATH": "/usr/bin:/bin"})
    call("init", "-q")
    (work / "file").write_text("x\n")
    call("add", "file")
    call("commit", "-qm", "a change")
    call("format-patch", "-1", "--root")
    call("send-email", f"--smtp-server={down.program}", f"--smtp-server-option=-C{down.us.folder}/stagepost.conf",
         f"--to=bob@{DOMAIN}", "--confirm=never", "--suppress-cc=all", "0001-a-change.patch")
    down.us.start()
    down.us.wait_letters("bob")
    assert down.subjects() == ["[PATCH] a change"]


# Up, and not taking it

def test_recipients_that_are_refused_stop_no_others(up):
    before = len(up.subjects("alice"))
    done = up.sendmail("-f", "alice", "bob", "who-is-that", content=DOWN.format("for most"))
    assert "who-is-that" in done.stderr
    wait_for(lambda: "for most" in up.subjects(), what="the letter of the one who is there")
    wait_for(lambda: len(up.subjects("alice")) > before, what="the report")
    report = up.us.maildir("alice")[-1].read_text()
    assert "Final-Recipient: rfc822; who-is-that@" in report and "Final-Recipient: rfc822; bob@" not in report
    assert "multipart/report" in report and "Subject: for most" in report
    up.wait_gone()


def test_one_who_is_refused_alone_is_told_by_the_exit_code(up):
    assert "User unknown" in up.sendmail("who-is-that", check=67).stderr
    assert not up.files()


def test_oem_has_refusals_told_by_mail(up):
    """cron hears no exit code."""
    before = len(up.subjects("alice"))
    assert up.sendmail("-oem", "-f", "alice", "who-is-that").stderr == ""
    wait_for(lambda: len(up.subjects("alice")) > before, what="the report")


def test_who_wants_no_report_gets_none(up):
    before = len(up.subjects("alice"))
    up.sendmail("-oem", "-N", "never", "-f", "alice", "who-is-that")
    up.us.logged("nobody wants to hear of it")
    up.wait_gone()
    assert len(up.subjects("alice")) == before


def test_the_postmaster_is_told_when_the_sender_can_not_be(up):
    before = len(up.subjects("alice"))
    up.sendmail("-oem", "-f", "gone-away", "who-is-that")
    wait_for(lambda: len(up.subjects("alice")) > before, what="the postmaster's copy")
    assert up.subjects("alice")[-1].startswith("Postmaster Copy")
    up.wait_gone()


def test_more_refusals_than_a_report_tells(up):
    before = len(up.subjects("alice"))
    up.us.configure(limits="recipients 3000")
    up.us.run("reload")
    up.sendmail("-oem", "-f", "alice", *[f"x{i}" for i in range(1200)], "bob", content=DOWN.format("among many"))
    wait_for(lambda: len(up.subjects("alice")) == before + 2, 30, "two reports")
    wait_for(lambda: "among many" in up.subjects(), what="the letter of the one who is there")
    told = "".join(f.read_text() for f in up.us.maildir("alice")[-2:])
    assert told.count("Final-Recipient: ") == 1200
    up.wait_gone()
    up.us.configure()
    up.us.run("reload")


def test_a_large_one_and_every_option_come_through(down):
    body = "".join(f".{i}\n" for i in range(700_000)) + "x" * 5000 + "\n"
    down.sendmail("-i", "-f", f"alice@{DOMAIN}", "-N", "success", "-R", "hdrs", "-V", "id-7", "bob",
                  content=f"Subject: gr\u00fc\u00dfe\n\n{body}")
    down.us.start()
    letter = down.us.wait_letters("bob")[0]
    assert letter.content.decode().split("\n\n", 1)[1] == body
    wait_for(lambda: down.us.maildir("alice"), what="the notice")
    assert "Original-Envelope-Id: id-7" in down.us.maildir("alice")[0].read_text()


def test_what_pickup_could_not_read_is_not_kept(down):
    done = down.sendmail("-N", ",".join(["success"] * 30), "bob", check=os.EX_DATAERR)
    assert "can't be kept" in done.stderr
    assert down.files() == []


def test_what_the_server_does_not_take_now_is_kept(stagepost):
    """452: the queue is full."""
    us = stagepost()
    drop = Drop(us)
    us.deliver(b"Subject: first\r\n\r\nx\r\n", f"alice@{DOMAIN}")
    us.wait_letters("alice")
    block = us.folder / "mail" / DOMAIN / "bob"
    block.write_text("no mailbox")
    us.deliver(b"Subject: stuck\r\n\r\nx\r\n", f"bob@{DOMAIN}")
    us.configure(limits="queue-messages 1")
    us.run("reload")
    wait_for(lambda: drop.sendmail("bob") and drop.files(), what="a queue that is full")
    drop.sendmail("alice", content=DOWN.format("later"))
    assert drop.files()
    us.logged("waits: submission says 452")
    block.unlink()
    drop.wait_gone(40)
    us.wait_letters("alice", 2)
    us.assert_clean()


def test_idle_costs_nothing(up):
    """It sleeps: no look at an empty directory, no turn of its loop but those that every daemon has."""
    pid = up.us.pid("pickup")
    switches = lambda: sum(int(line.split()[1]) for line in open(f"/proc/{pid}/status") if "ctxt_switches" in line)
    up.wait_gone()
    before = switches()
    time.sleep(2)
    assert switches() - before < 8


# Trouble

def test_a_thousand_wait(down):
    def many(number):
        for i in range(number, 1000, 4):
            down.sendmail("bob", content=DOWN.format(i))
    threads = [threading.Thread(target=many, args=(n,)) for n in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(down.files()) == 1000
    down.us.start()
    down.wait_gone(60)
    down.us.wait_letters("bob", 1000, seconds=60)
    assert sorted(map(int, down.subjects())) == list(range(1000))
    down.us.assert_clean()


@pytest.mark.parametrize("role", ["pickup", "submission", "queue"])
def test_deaths_while_it_is_sent_lose_nothing(down, role):
    """What was in the queue when its file had not gone yet may come twice."""
    for i in range(120):
        down.sendmail("bob", content=DOWN.format(i))
    down.us.start()
    for _ in range(4):
        if not down.files():
            break
        down.us.kill(role)
        time.sleep(0.05)
    down.wait_gone(60)
    wait_for(lambda: set(map(int, down.subjects())) == set(range(120)), 60, "all of them")
    assert len(down.subjects()) <= 120 + 4 * 100
    down.us.wait_empty()


def test_kills_of_sendmail_leave_nothing_that_is_sent_but_what_is_whole(down):
    sent = set()
    for i in range(40):
        p = subprocess.Popen([down.program, "-C", down.us.folder / "stagepost.conf", "bob"], stdin=subprocess.PIPE,
                             stderr=subprocess.DEVNULL, text=True)
        p.stdin.write(DOWN.format(i) + "y" * 70 * 1000)
        p.stdin.close()
        time.sleep(i * 0.0002)
        p.kill()
        if p.wait() == 0:
            sent.add(i)
    down.us.start()
    wait_for(lambda: not [f for f in down.files() if not f.name.endswith(".part")], what="the whole ones to go")
    down.us.wait_empty()
    arrived = list(map(int, down.subjects()))
    assert sent <= set(arrived) and len(arrived) == len(set(arrived))
    for letter in down.us.letters("bob"):
        assert letter.content.endswith(b"y\n")


def test_a_part_is_removed_when_it_is_old(down):
    place = down.place
    names = [f"{os.getuid()}.{1:016x}.{n:016x}.part" for n in range(2)]
    for name in names:
        (place / name).write_text("half")
    os.utime(place / names[0], (time.time() - 4000,) * 2)
    down.us.start()
    down.us.logged("was never finished")
    assert [f.name for f in down.files()] == [names[1]]


def test_strange_files_are_never_followed(down):
    """They lie there by root's hand or a bug's: users have no way to make any."""
    secret = down.us.folder / "secret"
    secret.write_text("nobody's business\n")
    down.sendmail("bob", content=DOWN.format("good"))
    good = down.files()[0]
    octets = good.read_bytes()
    name = lambda n: down.place / f"0.{1:016x}.{n:016x}"
    name(1).symlink_to(secret)
    os.mkfifo(name(2))
    os.link(secret, name(3))
    for n, torn in enumerate((b"", b"garbage", octets[:-1], octets[:40], octets + b"x", octets.replace(b"good", b"evil"),
                              octets.replace(b"drop 1", b"drop 2"),
                              octets.replace(f"bob@{DOMAIN}".encode(), f"b\r\n@{DOMAIN}".encode())), 4):
        name(n).write_bytes(torn)
    (down.place / "what-is-this").write_text("x")
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(str(name(20))[:107]) if len(str(name(20))) < 108 else os.mkfifo(name(20))
    name(21).mkdir()
    for f in down.place.iterdir():
        with contextlib.suppress(OSError):
            f.chmod(0o604, follow_symlinks=False) if not f.is_symlink() else None
    down.us.start()
    down.us.wait_letters("bob", 1)
    wait_for(lambda: [f.name for f in down.files()] == [name(21).name], what="the others to be seen to")
    assert down.subjects() == ["good"]
    assert secret.read_text() == "nobody's business\n" and secret.stat().st_nlink == 1
    bad = [f.name for f in down.place.iterdir() if f.name.startswith("bad.")]
    assert len(bad) == 9, bad
    down.us.kill("pickup")
    down.us.logged("is a directory, and stays", count=2)


@as_root
def test_a_full_disk_says_try_later(stagepost):
    us = stagepost(start=False)
    (us.folder / "spool").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400m", "none", us.folder / "spool"], check=True)
    try:
        us.start().stop()
        drop = Drop(us)
        with open(us.folder / "spool" / "filler", "wb") as filler:
            with contextlib.suppress(OSError):
                while True:
                    filler.write(b"x" * 1_000_000)
                    filler.flush()
        assert "no room" in drop.sendmail("bob", user="nobody", check=75).stderr
        # a file of the caller's own asks for less: that is not for him to say
        with open(us.folder / "spool" / "filler", "r+b") as filler:
            filler.truncate(os.path.getsize(filler.name) - 20_000_000)
        own = us.folder / "own.conf"
        text = (us.folder / "stagepost.conf").read_text()
        assert "limits {" in text
        own.write_text(text.replace("limits {", "limits { spool-free 0;").replace("spool spool", f"spool {us.folder}/spool"))
        own.chmod(0o644)
        done = subprocess.run(["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--", drop.program, "-C", own, "bob"],
                              input=DOWN.format("x"), capture_output=True, text=True)
        assert done.returncode == 75 and "no room" in done.stderr, done
        assert not drop.files()
        (us.folder / "spool" / "filler").unlink()
        drop.sendmail("bob", user="nobody")
        us.start()
        us.wait_letters("bob")
    finally:
        us.end()
        subprocess.run(["umount", us.folder / "spool"], check=False)
        shutil.rmtree(us.folder, ignore_errors=True)


@as_root
def test_one_user_can_not_take_all_the_room(down):
    uid = pwd.getpwnam("nobody").pw_uid
    for n in range(4096):
        (down.place / f"{uid}.{1:016x}.{n:016x}").touch()
    assert "4096 messages of yours" in down.sendmail("bob", user="nobody", check=75).stderr
    down.sendmail("bob", user="games")


@as_root
def test_many_that_wait_for_ever_leave_room_for_others(down):
    """As many letters of four users as pickup knows at once, and none of them can be sent."""
    down.sendmail("bob", user="games", content=DOWN.format("of another"))
    letter, = down.files()
    aside = letter.rename(down.us.folder / letter.name)
    for user in range(4):
        for n in range(4096):
            path = down.place / f"{70000 + user}.{1:016x}.{n:016x}"
            path.touch()
            path.chmod(0)
    down.us.start()
    down.us.logged("can't be read now", seconds=60, count=4 * 4096)
    aside.rename(letter)
    wait_for(lambda: "of another" in down.subjects(), 60, "the letter of another user")
    assert len(down.files()) == 4 * 4096


@as_root
def test_the_callers_surroundings_do_nothing(down):
    """Environment, umask, limits, descriptors that a set-group-ID program has to be wary of."""
    evil = {"LD_PRELOAD": "/nowhere.so", "LD_LIBRARY_PATH": "/tmp", "PATH": "/tmp", "TZ": "../../etc/shadow",
            "MALLOC_CHECK_": "3", "STAGEPOST_FAULTS": "sendmail:*:1+:EIO"}
    down.sendmail("bob", user="nobody", env=evil, umask=0)
    assert down.files()[0].stat().st_mode & 0o777 == 0o604
    shell = f"ulimit -f 0; exec {down.program} -C {down.us.folder}/stagepost.conf bob <&- >&- 2>&-"
    assert subprocess.run(["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "sh", "-c", shell]).returncode != 0
    shell = f"ulimit -f 1; (echo; head -c 100000 /dev/zero | tr '\\0' x) | {down.program} -C {down.us.folder}/stagepost.conf bob"
    assert subprocess.run(["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "sh", "-c", shell],
                          capture_output=True).returncode == 75
    assert len(down.files()) == 1


@as_root
def test_two_servers_get_their_own(stagepost):
    drops = []
    for _ in range(2):
        us = stagepost()
        us.stop()
        drops.append(Drop(us))
    for i, drop in enumerate(drops):
        drop.sendmail("bob", user="nobody", content=DOWN.format(i))
    for i, drop in enumerate(drops):
        drop.us.start()
        drop.us.wait_letters("bob")
        assert drop.subjects() == [str(i)]


def test_a_server_that_dies_in_the_middle(up):
    """A connection that is lost is kept mail, too."""
    up.us.kill("submission", signal.SIGSTOP)
    pid = up.us.pid("submission")
    p = subprocess.Popen([up.program, "-C", up.us.folder / "stagepost.conf", "bob"], stdin=subprocess.PIPE, text=True)
    p.stdin.write(DOWN.format("in the middle"))
    p.stdin.close()
    time.sleep(0.3)
    os.kill(pid, signal.SIGKILL)
    assert p.wait(timeout=30) == 0
    wait_for(lambda: "in the middle" in up.subjects(), 30, "the letter")
    up.wait_gone()
    assert up.subjects().count("in the middle") == 1
