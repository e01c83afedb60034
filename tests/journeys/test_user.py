"""
    administrator -- stagepost user --> users (text) --> users.db
                          |               |
                          control --> accounts <-- master, which passes each new file

Users and their passwords, as an administrator sees to them.
"""
import base64
import os
import poplib
import pty
import re
import select
import shutil
import subprocess
import time

import pytest

from papers import known
from people import plain, scram_entry, tls, trusting, with_people
from stagepost import DOMAIN, IS_ROOT, free_port, wait_for

USERS = """\
# people
alice:*:1000:1000::/home/alice::x=1

  # not here any more
bob
"""


def server(stagepost, passwords="file:users", **configuration):
    return stagepost(start=False, top=f"auth {{ passwords {passwords} }}", **configuration)


def user(us, *arguments, password=None, check=True):
    """stagepost user ..., the password as standard input."""
    done = subprocess.run([us.programs / "bin/stagepost", "-c", us.folder / "stagepost.conf", "user", *arguments],
                          input=None if password is None else password + "\n", cwd=us.folder, capture_output=True,
                          stdin=subprocess.DEVNULL if password is None else None, text=True, timeout=60)
    if check:
        assert done.returncode == 0, f"{arguments}: exit {done.returncode}\n{done.stdout}{done.stderr}"
    return done


def holds(us, name, password):
    """0 yes, 1 no, or what else."""
    return user(us, "test", "--stdin", name, password=password, check=False).returncode


def at_terminal(us, arguments, answers):
    """Runs it with a terminal of its own, one answer for each question; its exit code, what the terminal showed,
    and its command line."""
    pid, fd = pty.fork()
    if pid == 0:
        os.chdir(us.folder)
        program = str(us.programs / "bin/stagepost")
        os.execv(program, [program, "-c", "stagepost.conf", "user", *arguments])
    shown, said, arguments_seen, end = "", 0, "", time.monotonic() + 30
    while time.monotonic() < end:
        if not select.select([fd], [], [], 1)[0]:
            continue
        try:
            octets = os.read(fd, 4096)
        except OSError:  # the other end has gone
            break
        if not octets:
            break
        shown += octets.decode()
        if said < len(answers) and shown.count(": ") > said and shown.endswith(": "):
            with open(f"/proc/{pid}/cmdline", encoding="utf-8") as f:
                arguments_seen = f.read()
            os.write(fd, answers[said].encode() + b"\n")
            said += 1
    os.close(fd)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown, arguments_seen


def test_a_password_is_asked_for_twice_and_never_shown(stagepost):
    us = server(stagepost)
    us.write("users", USERS)
    before = (us.folder / "users").stat()
    code, shown, arguments = at_terminal(us, ["passwd", "alice"], ["correct horse", "correct horse"])
    assert code == 0, shown
    assert "New password of alice@trial.example: " in shown and "Again: " in shown
    assert "horse" not in shown + arguments
    text = (us.folder / "users").read_text()
    assert re.fullmatch(re.escape(USERS).replace(r"\*", r"\{SCRAM\-SHA\-256\}65536,[^:]*"), text), text
    assert "horse" not in text
    after = (us.folder / "users").stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    code, shown, _ = at_terminal(us, ["passwd", "alice"], ["correct horse", "battery staple"])
    assert code == 65 and "not the same" in shown and "staple" not in shown
    assert (us.folder / "users").read_text() == text
    # without a terminal nothing waits for ever
    no_terminal = subprocess.run(["setsid", "-w", us.programs / "bin/stagepost", "-c", us.folder / "stagepost.conf",
                                  "user", "passwd", "alice"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                 timeout=60)
    assert no_terminal.returncode == 64 and "--stdin" in no_terminal.stderr


def test_users_come_change_and_go_while_the_server_runs(stagepost):
    us = server(stagepost)
    us.write("users", USERS)
    us.start()
    assert holds(us, "carol", "one") == 1
    assert "carol@trial.example" in user(us, "add", "--stdin", "carol", password="one").stdout
    wait_for(lambda: holds(us, f"carol@{DOMAIN}", "one") == 0, what="carol's login")
    assert holds(us, "Carol", "one") == 0
    assert holds(us, "carol", "two") == 1
    assert user(us, "add", "--stdin", f"Carol@{DOMAIN}", password="x", check=False).returncode == 1
    user(us, "passwd", "--stdin", "carol", password="two")
    wait_for(lambda: holds(us, "carol", "two") == 0, what="carol's new password")
    assert holds(us, "carol", "one") == 1
    assert holds(us, "alice", "*") == 1 and holds(us, "bob", "") == 65
    for scheme, name in (("yescrypt", "bob"), ("sha512-crypt", "alice")):
        user(us, "passwd", "--stdin", "--scheme", scheme, name, password="gr\u00fcn")
        wait_for(lambda: holds(us, name, "gr\u00fcn") == 0, what=scheme)
        assert holds(us, name, "gru\u0308n") == 0, "the same on another keyboard"
    listed = user(us, "list").stdout
    assert re.search(r"(?m)^alice +sha512-crypt\b", listed) and re.search(r"(?m)^bob +yescrypt\b", listed)
    assert re.search(r"(?m)^carol@trial.example +scram-sha-256\b", listed)
    user(us, "delete", "carol")
    assert user(us, "delete", "carol", check=False).returncode == 1
    wait_for(lambda: holds(us, "carol", "two") == 1, what="the end of carol")
    secrets = ("gr\u00fcn", "SCRAM-SHA-256}", "$y$", "$6$")
    assert not any(s in us.log() + listed for s in secrets)
    assert "login-failed" not in us.log()


def test_a_deleted_user_has_no_other_entry(stagepost):
    us = server(stagepost)
    us.write("users", f"carol\nbob\ncarol@{DOMAIN}\n")
    us.start()
    user(us, "passwd", "--stdin", "carol", password="new")
    us.write("users", (us.folder / "users").read_text().replace("carol\n", f"carol:{scram_entry('old')}\n"))
    wait_for(lambda: holds(us, "carol", "new") == 0, what="the password of the address")
    user(us, "delete", "carol")
    wait_for(lambda: holds(us, "carol", "new") == 1, what="the end of carol")
    assert holds(us, "carol", "old") == 1
    assert (us.folder / "users").read_text() == "bob\n"


def test_a_database_is_made_of_the_text_beside_it(stagepost):
    us = server(stagepost, "db:users", deliver='deliver maildir "mail/%d/%n" { users db:users; owner vmail }'
                if IS_ROOT else 'deliver maildir "mail/%d/%n" { users db:users }')
    us.write("users", USERS)
    us.run("table", "build", "users", us.folder / "users")
    us.start()
    user(us, "passwd", "--stdin", "alice", password="one")
    wait_for(lambda: holds(us, "alice", "one") == 0, what="alice's login")
    assert "# people" in (us.folder / "users").read_text()


def test_of_several_tables_one_is_said(stagepost):
    us = server(stagepost, "file:users file:more")
    us.write("more", "carol\n")
    refused = user(us, "add", "--stdin", "dave", password="x", check=False)
    assert refused.returncode == 64 and "--table" in refused.stderr
    user(us, "add", "--stdin", "--table", "file:more", "dave", password="x")
    user(us, "passwd", "--stdin", "carol", password="x")
    assert (us.folder / "more").read_text().count("{SCRAM-SHA-256}") == 2
    assert len(user(us, "list", "--json").stdout.splitlines()) == 4


@pytest.mark.parametrize("password", ["", "x" * 1025, "a\x07b"])
def test_what_is_no_password_changes_nothing(stagepost, password):
    us = server(stagepost)
    before = (us.folder / "users").read_text()
    assert user(us, "passwd", "--stdin", "alice", password=password, check=False).returncode == 65
    assert user(us, "add", "--stdin", "carol", password=password, check=False).returncode == 65
    assert (us.folder / "users").read_text() == before


@pytest.mark.parametrize("scheme", ["scram-sha-256", "yescrypt", "sha512-crypt"])
def test_dovecot_reads_what_we_write(stagepost, scheme):
    if not shutil.which("doveadm"):
        pytest.skip("doveadm is not installed")
    us = server(stagepost)
    user(us, "passwd", "--stdin", "--scheme", scheme, "alice", password="correct horse")
    entry = (us.folder / "users").read_text().splitlines()[0].split(":")[1]
    for password, verified in (("correct horse", True), ("battery staple", False)):
        said = subprocess.run(["doveadm", "pw", "-t", entry, "-p", password], capture_output=True, text=True, timeout=60)
        assert ("(verified)" in said.stdout) == verified, said


@pytest.mark.skipif(not IS_ROOT, reason="looks into the memories of other users' processes")
def test_no_process_keeps_a_password(stagepost):
    """Right and wrong ones, by each way in that sends the password itself; sessions that go on and that have ended."""
    right, wrong = "Xyzzy right 4711 horse", "Xyzzy wrong 4711 staple"
    name, port = f"alice@{DOMAIN}", free_port()
    us = with_people(stagepost(start=False), passwords={"alice": right}, listen=f"; listen 127.0.0.1:{port} pop3s").start()
    assert (holds(us, name, right), holds(us, name, wrong)) == (0, 1)
    with tls(us) as first, tls(us) as second:
        first.say("AUTH PLAIN " + plain(name, wrong), "535 5.7.8")
        first.say("AUTH PLAIN " + plain(name, right), "235 2.7.0")
        second.say("AUTH LOGIN", "334")
        second.say(base64.b64encode(name.encode()).decode(), "334")
        second.say(base64.b64encode(right.encode()).decode(), "235 2.7.0")
        mailbox = poplib.POP3_SSL("localhost", port, context=trusting(us.folder), timeout=30)
        mailbox.user(name)
        mailbox.pass_(right)
        first.say("NOOP", "250 2.0.0")
        mailbox.noop()
        secrets = {what: octets for password in (right, wrong) for what, octets in {
            password: password.encode(),
            f"{password} of PLAIN": plain(name, password).encode()[-20:],
            f"{password} of LOGIN": base64.b64encode(password.encode())[:20]}.items()}
        kept = {role: found for role, pid in us.serving().items() if (found := known(pid, secrets))}
        assert not kept, kept
        assert known(us.pid("accounts"), {"name": b"alice"}), "the search finds what is there"
        mailbox.quit()
