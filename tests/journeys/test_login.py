"""
Who is who he says he is, and who tries too often.

 client -> submission -> accounts -> users tables: file:, db:
                            |    \\-> accounts-system -> child: PAM
                            \\-> Dovecot's socket for authentication (the master connects)
"""
import contextlib
import os
import shutil
import signal
import statistics
import subprocess
import time
from pathlib import Path

import pytest

import dovecot
import papers
from people import PASSWORDS, TlsWire, plain, scram_entry, tls, with_people
from stagepost import DOMAIN, IS_ROOT, descendants, wait_for

WRONG, HERE = "not the password", "127.0.0.1"
COSTLY = ("{SHA512-CRYPT}$6$rounds=100000$abcdefgh$420RV13VlFE0crM0QlMNzySp6t1LzH"
          "UqZ2A09SgO7WPspFbfpP6CWc4fClzOyGwUZ.yoDbovAgzY.vINLAf8D1")  # "the password"


def login(house, user, password, source=HERE):
    """The reply's first three digits."""
    with tls(house, source=source) as wire:
        return wire.say(f"AUTH PLAIN {plain(user, password)}").code


def holds(house, user, password):
    """As an administrator sees it: exit code of `stagepost user test`."""
    return subprocess.run([house.programs / "bin" / "stagepost", "-c", house.folder / "stagepost.conf", "user", "test",
                           "--stdin", user], input=password + "\n", text=True, capture_output=True, timeout=60)


def ended(wire):
    """Has the server ended this session? A 421, or nothing more."""
    try:
        return wire.say("NOOP").code == 421
    except OSError:
        return True


def people(stagepost, passwords=None, **keywords):
    """A house whose auth block says where passwords are."""
    house = with_people(stagepost(start=False), **keywords)
    if passwords:
        text = (house.folder / "stagepost.conf").read_text()
        assert "passwords file:users;" in text
        house.write("stagepost.conf", text.replace("passwords file:users;", f"passwords {passwords};"))
    return house


def test_a_client_that_fails_too_often_is_banned_from_all_accounts(stagepost):
    house = people(stagepost, auth="ban-after 3; ban 1h").start()
    assert login(house, f"alice@{DOMAIN}", PASSWORDS["alice"]) == 235
    for user in ("alice", "nobody", f"bob@{DOMAIN}"):
        assert login(house, user, WRONG) == 535
    with tls(house, source=HERE) as wire:
        wire.say(f"AUTH PLAIN {plain('alice', PASSWORDS['alice'])}", "454 4.7.0")
    assert len(house.logged(r"login-ban.*client=127\.0\.0\.1")) == 1
    assert login(house, "alice", PASSWORDS["alice"], source="127.0.0.2") == 235


def test_an_account_is_slowed_down_for_strangers_and_its_owner_gets_in_at_a_new_place(stagepost):
    house = people(stagepost, auth="ban-after 3; ban 1h").start()
    assert login(house, "alice", PASSWORDS["alice"], source="127.0.1.1") == 235
    for last in (2, 3, 4):
        assert login(house, "alice", WRONG, source=f"127.0.1.{last}") == 535
    house.logged(rf"login-ban.*user=alice@{DOMAIN}")
    assert login(house, "alice", PASSWORDS["alice"], source="127.0.1.5") == 454
    assert login(house, "alice", PASSWORDS["alice"], source="127.0.1.1") == 235
    assert login(house, "bob", PASSWORDS["bob"], source="127.0.1.5") == 235
    for last in range(20):      # one network has two of the tries that are left to strangers
        assert login(house, "alice", WRONG, source=f"127.0.9.{last + 1}") == (535 if last < 2 else 454)
    assert login(house, "alice", PASSWORDS["alice"], source="127.0.2.1") == 235


def test_the_ban_ends(stagepost):
    house = people(stagepost, auth="ban-after 1; ban 2s").start()
    assert login(house, "nobody", WRONG) == 535
    assert login(house, "alice", PASSWORDS["alice"]) == 454
    wait_for(lambda: login(house, "alice", PASSWORDS["alice"]) == 235, 10, "the ban's end")


def test_a_refusal_is_late_and_later_each_time_and_nobody_else_waits(stagepost):
    house = people(stagepost).start()
    times = []
    with tls(house, source=HERE) as wire:
        for _ in range(3):
            begun = time.monotonic()
            wire.say(f"AUTH PLAIN {plain('alice', WRONG)}", "535 5.7.8")
            times.append(time.monotonic() - begun)
        wire.send(f"AUTH PLAIN {plain('alice', WRONG)}\r\n")
        begun = time.monotonic()
        assert login(house, "bob", PASSWORDS["bob"]) == 235
        passed = time.monotonic() - begun
    assert times[0] >= 0.45 and times[1] >= 0.95 and times[2] >= 1.9, times
    print(f"refusals after {times} s; a login beside them {passed:.3f} s")


def test_a_guesser_with_many_connections_keeps_nobody_else_out(stagepost):
    """Each guess costs a tenth of a second of one of two threads; the guesser waits for himself."""
    house = people(stagepost, auth="ban-after 100000")
    house.write("users", f"alice:{COSTLY}\nbob:{COSTLY}\n")
    house.start()
    with contextlib.ExitStack() as stack:
        guesses = [stack.enter_context(tls(house, source=HERE)) for _ in range(40)]
        for wire in guesses:
            wire.send(f"AUTH PLAIN {plain('alice', WRONG)}\r\n")
        times = []
        for _ in range(3):
            begun = time.monotonic()
            assert login(house, "bob", "the password", source="127.0.0.2") == 235
            times.append(time.monotonic() - begun)
        codes = [wire.reply().code for wire in guesses]
    assert codes.count(535) >= 30 and set(codes) <= {535, 454}, codes
    print(f"logins beside 40 guesses took {times} s")


def test_a_changed_table_ends_sessions_of_the_old_password(stagepost):
    house = people(stagepost).start()
    old, other = TlsWire(house, user="alice"), TlsWire(house, user="bob")
    text = (house.folder / "users").read_text()
    house.write("users", f"alice:{scram_entry('another')}\n{text.splitlines()[1]}\n")
    wait_for(lambda: login(house, "alice", "another") == 235, what="the new password")
    wait_for(lambda: ended(old), what="the end of the session")
    assert not ended(other)
    assert login(house, "alice", PASSWORDS["alice"]) == 535
    assert login(house, "bob", PASSWORDS["bob"]) == 235
    other.close()
    old.close()


def test_what_libcrypt_lacks_is_said_and_is_no_refusal(stagepost):
    house = people(stagepost)
    house.write("users", "alice:{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$c2FsdHNhbHQ$aGFzaGhhc2g\n")
    house.start()
    assert login(house, "alice", "x") == 454
    house.logged(rf"password of alice@{DOMAIN} can't be checked")


@pytest.fixture
def person():
    """A user of the machine with a password."""
    if not IS_ROOT:
        pytest.skip("only root makes users")
    name, password = f"sp{os.getpid() % 10000}p", "Das Pferd frißt keinen Salat"
    subprocess.run(["useradd", "--no-create-home", "--home-dir", "/nonexistent", "--shell", "/bin/sh", name], check=True,
                   capture_output=True)
    try:
        subprocess.run(["chpasswd", "-c", "YESCRYPT"], input=f"{name}:{password}\n", text=True, check=True,
                       capture_output=True)
        yield name, password
    finally:
        subprocess.run(["userdel", name], capture_output=True)


@pytest.fixture
def pam(person):
    """A file of pam.d, as the one that is installed; its name."""
    path = Path("/etc/pam.d") / f"stagepost-{os.getpid()}"
    shutil.copy(Path(__file__).parents[2] / "conf" / "pam", path)
    yield path.name
    path.unlink()


def test_users_of_the_machine_log_in_with_their_password(stagepost, person, pam):
    name, password = person
    house = people(stagepost, passwords=f"file:users; passwords pam {pam}",
                   deliver='deliver system maildir "~/Maildir" { users system }').start()
    assert login(house, name, password) == 235
    assert login(house, f"{name}@{DOMAIN}", password) == 235
    assert login(house, name, password + "x") == 535
    assert login(house, f"{name}@elsewhere.example", password) == 535
    # the users table goes on to count, and root is nobody
    assert login(house, "alice", PASSWORDS["alice"]) == 235
    assert login(house, "root", "root") == 535
    assert holds(house, name, password).returncode == 0
    assert holds(house, name, "wrong").returncode == 1
    subprocess.run(["usermod", "--expiredate", "1", name], check=True, capture_output=True)
    assert holds(house, name, password).returncode == 1
    subprocess.run(["usermod", "--expiredate", "", name], check=True, capture_output=True)
    assert holds(house, name, password).returncode == 0
    subprocess.run(["passwd", "--lock", name], check=True, capture_output=True)
    assert holds(house, name, password).returncode == 1


def test_pam_is_asked_in_a_sandbox(stagepost, person, pam):
    """A module that runs programs or writes files can't: what it would do has not happened."""
    name, password = person
    house = people(stagepost, passwords=f"pam {pam}", deliver='deliver system maildir "~/Maildir" { users system }').start()
    mark = house.folder / "mark"
    (Path("/etc/pam.d") / pam).write_text(f"auth optional pam_exec.so quiet /usr/bin/touch {mark}\n"
                                          "@include common-auth\n@include common-account\n")
    assert holds(house, name, password).returncode == 0
    assert not mark.exists()
    assert holds(house, name, "wrong").returncode == 1


def test_no_process_keeps_a_password(stagepost, person, pam):
    """Not in a buffer of a channel, not where a thread or a child computed: nobody who takes a process over later
    finds who has logged in before."""
    name, password = person
    house = people(stagepost, passwords=f"file:users; passwords pam {pam}",
                   deliver='deliver system maildir "~/Maildir" { users system }').start()
    with tls(house) as wire:
        wire.say(f"AUTH PLAIN {plain('alice', PASSWORDS['alice'])}", "235 2.7.0")
    assert login(house, name, password) == 235
    assert login(house, name, password + "?") == 535
    words = {"alice's": PASSWORDS["alice"].encode(), "the person's": password.encode(),
             "base64": plain("alice", PASSWORDS["alice"]).encode()}
    assert papers.known(house.pid("accounts"), {"what it may keep": f"alice@{DOMAIN}".encode()})
    house.see()
    for pid in house.pids - {house.master()}:
        title = Path(f"/proc/{pid}/cmdline").read_bytes()
        if any(role in title for role in (b"accounts", b"submission")):
            assert not papers.known(pid, words), title


@pytest.fixture
def authority():
    """Dovecot with a socket for authentication, and passwords of its own."""
    why = dovecot.available()
    if why:
        pytest.skip(why)
    server = dovecot.Dovecot(dovecot.shipped("auth.conf", {}) + """
protocols =
ssl = no
auth_mechanisms = plain
passdb {
  driver = passwd-file
  args = /nonexistent
}
service stats {
  unix_listener stats-writer {
    mode = 0666
  }
}
""")
    yield server
    server.end()


def authority_with(server, passwords):
    (server.folder / "passwd").write_text("".join(f"{user}:{{PLAIN}}{password}\n" for user, password in passwords.items()))
    (server.folder / "passwd").chmod(0o644)


def test_dovecot_decides(authority, stagepost):
    conf = authority.folder / "dovecot.conf"
    conf.write_text(conf.read_text().replace("/nonexistent", str(authority.folder / "passwd")))
    authority_with(authority, {f"dora@{DOMAIN}": "from Dovecot", f"alice@{DOMAIN}": "also from Dovecot"})
    subprocess.run(["doveadm", "-c", conf, "reload"], check=True, timeout=20)
    house = people(stagepost, passwords=f"dovecot unix:{authority.run}/stagepost-auth; passwords file:users").start()
    wait_for(lambda: holds(house, "dora", "from Dovecot").returncode == 0, what="Dovecot's passwords")
    assert login(house, f"dora@{DOMAIN}", "from Dovecot") == 235
    assert login(house, "dora", "wrong") == 535
    # Dovecot does not say whom it knows: whom it refuses, the users table may know
    assert login(house, "alice", "also from Dovecot") == 235
    assert login(house, "alice", PASSWORDS["alice"]) == 235
    assert login(house, "bob", PASSWORDS["bob"]) == 235
    # it is gone: that is no refusal, and what is left does not decide instead
    pids = [authority.process.pid, *descendants(authority.process.pid)]  # else it serves whom it has
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    authority.process.wait(20)
    (authority.run / "master.pid").unlink()
    wait_for(lambda: login(house, "dora", "from Dovecot") == 454, what="trouble")
    assert login(house, "bob", PASSWORDS["bob"]) == 454
    # and back
    authority.process = subprocess.Popen(["dovecot", "-F", "-c", conf], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: login(house, "dora", "from Dovecot") == 235, 20, "Dovecot again")


def test_dovecot_may_know_names_alone(authority, stagepost):
    """As when it has them from PAM: conf/dovecot/auth.conf says what it needs then."""
    conf = authority.folder / "dovecot.conf"
    conf.write_text(conf.read_text().replace("/nonexistent", str(authority.folder / "passwd"))
                    + "auth_username_format = %Ln\n")
    authority_with(authority, {"dora": "from Dovecot"})
    subprocess.run(["doveadm", "-c", conf, "reload"], check=True, timeout=20)
    house = people(stagepost, passwords=f"dovecot unix:{authority.run}/stagepost-auth").start()
    wait_for(lambda: holds(house, "dora", "from Dovecot").returncode == 0, what="Dovecot's passwords")
    assert login(house, f"dora@{DOMAIN}", "from Dovecot") == 235
    assert login(house, f"dora@{DOMAIN}", "wrong") == 535
    assert login(house, "dora@elsewhere.example", "from Dovecot") == 535


def test_100_000_users_in_a_database_log_in_as_fast_as_10(stagepost):
    """Told, not judged: another server's load would decide."""
    entry = scram_entry("the same for all")
    seconds = {}
    for count in (10, 100_000):
        house = people(stagepost, passwords="db:many.db")
        house.write("many", "".join(f"user{i}:{entry}\n" for i in range(count)))
        house.run("table", "build", "users", house.folder / "many")
        house.start()
        times = []
        for i in range(20):
            with tls(house) as wire:
                begun = time.monotonic()
                wire.say(f"AUTH PLAIN {plain(f'user{i * count // 20}', 'the same for all')}", "235 2.7.0")
                times.append(time.monotonic() - begun)
        seconds[count] = statistics.median(times)
        house.stop()
    print(f"a login of 10 users: {seconds[10] * 1000:.1f} ms, of 100,000: {seconds[100_000] * 1000:.1f} ms, "
          f"{seconds[100_000] / seconds[10]:.2f} times as long")


def test_accounts_dies_in_the_middle_and_the_next_login_holds(stagepost):
    house = people(stagepost).start()
    with tls(house) as wire:
        wire.send(f"AUTH PLAIN {plain('alice', WRONG)}\r\n")
        house.kill("accounts")
        assert wire.reply().code in (454, 535)
    wait_for(lambda: login(house, "alice", PASSWORDS["alice"]) == 235, what="a login with the next accounts")
