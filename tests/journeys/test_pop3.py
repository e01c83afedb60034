"""
Users fetch their mail.

 client -> pop3d -> accounts: does the password hold? -> maildrop: a ticket
                \\-> maildrop: that ticket -> fork server -> child, as the owner -> mail/DOMAIN/USER
                 \\-> the child: list, parts, removal at QUIT
"""
import base64
import hashlib
import hmac
import mailbox
import os
import poplib
import re
import shutil
import signal
import socket
import struct
import subprocess
import time

import pytest

import papers
from people import PASSWORDS, plain, scram_answer
from pop3 import SECONDS, Pop3, fetching, pop3, with_pop3
from stagepost import DOMAIN, IS_ROOT, descendants, is_there, wait_for
from test_system_users import people  # noqa: F401

ALICE = f"alice@{DOMAIN}"
MAIL = b"Subject: a word\r\n\r\n.a dot\r\n..two\r\nfrom far away\r\n"


@pytest.fixture
def house(stagepost):
    return with_pop3(stagepost(start=False)).start()


@pytest.fixture(scope="module")
def common():
    """One house for what leaves no trace in it but alice's mail."""
    from conftest import Maker
    maker = Maker()
    house = with_pop3(maker(start=False), limits="errors 5",
                      auth="ban-after 1000; mechanisms plain login scram-sha-256 scram-sha-256-plus").start()
    yield house
    maker.end()


def put(house, user, content, name):
    """A message in its Maildir, as if it were delivered."""
    box = house.folder / "mail" / DOMAIN / user
    for part in (box.parent, box, box / "new", box / "cur", box / "tmp"):
        if not part.exists():
            part.mkdir(parents=True)
            own(house, part)
    (box / "new" / name).write_bytes(content)
    own(house, box / "new" / name)


def own(house, path):
    if IS_ROOT:
        shutil.chown(path, house.owner, house.owner)


def fetched(client, number=1):
    return b"".join(line + b"\r\n" for line in client.retr(number)[1])


# The way of a message

def test_what_was_delivered_is_fetched_octet_for_octet(house):
    house.deliver(MAIL, ALICE)
    letter = house.wait_letters("alice")[0]
    octets = letter.path.read_bytes().replace(b"\n", b"\r\n")
    assert octets.endswith(MAIL)
    with fetching(house) as client:
        assert client.stat() == (1, len(octets))
        assert client.list()[1] == [b"1 %d" % len(octets)]
        assert fetched(client) == octets
        assert client.uidl()[1] == [b"1 " + letter.path.name.split(",")[0].encode()]
        assert b"\r\n".join(client.top(1, 1)[1]).endswith(b"Subject: a word\r\n\r\n.a dot")
        client.dele(1)
        client.quit()
    assert house.maildir("alice") == []
    disconnected = house.logged(f"disconnected .*how=quit after=QUIT user={ALICE}")[0]
    assert "retrieved=1 octets=" in disconnected and "removed=1 left=0" in disconnected


def test_all_works_in_one_uid(stagepost):
    if not IS_ROOT:
        pytest.skip("then every test is in one uid")
    house = with_pop3(stagepost(start=False, user="nobody"))
    for name in ("server.pem", "server.key"):
        shutil.chown(house.folder / name, "nobody")
    house.start()
    house.deliver(MAIL, ALICE)
    house.wait_letters("alice")
    with fetching(house) as client:
        assert fetched(client).endswith(MAIL)
        client.dele(1)
        client.quit()
    assert house.maildir("alice") == []


def test_the_mailboxes_may_lie_where_their_owner_can_not_go(house):
    """As in root's home, or in that of a user who has started the trial by sudo."""
    if not IS_ROOT:
        pytest.skip("the owner is who runs the test")
    house.deliver(MAIL, ALICE)
    house.wait_letters("alice")
    for owner in "root", "nobody":
        shutil.chown(house.folder, owner)
        house.folder.chmod(0o700)
        with fetching(house) as client:
            assert fetched(client).endswith(MAIL)


def test_mailboxes_may_lie_below_a_folder_that_only_root_may_enter(stagepost):
    house = with_pop3(stagepost(start=False))
    house.folder.chmod(0o700)
    house.start()
    with fetching(house) as client:
        assert client.stat() == (0, 0)  # nothing was delivered yet
    house.deliver(MAIL, ALICE)
    house.wait_letters("alice")
    for stls in (False, True):
        with fetching(house, stls=stls) as client:
            assert fetched(client).endswith(MAIL)
    old = house.kill("maildrop")
    wait_for(lambda: house.serving().get("maildrop", old) != old)  # it is given the directories too
    with fetching(house) as client:
        client.dele(1)
        client.quit()
    assert house.maildir("alice") == []


def test_a_reload_changes_the_directories_and_cuts_no_session(house):
    other = f'deliver maildir "elsewhere/%d/%n" {{ users file:users; owner {house.owner} }}'
    house.folder.chmod(0o700)
    house.deliver(MAIL, ALICE)
    house.wait_letters("alice")
    with fetching(house) as client:
        assert client.stat()[0] == 1
        text = (house.folder / "stagepost.conf").read_text()
        house.write("stagepost.conf", re.sub(r"deliver maildir .*", other, text))
        house.run("reload")
        with fetching(house) as second:
            assert second.stat() == (0, 0)
        assert fetched(client).endswith(MAIL)
        client.dele(1)
        client.quit()
    assert house.maildir("alice") == []
    house.deliver(b"Subject: elsewhere\r\n\r\nx\r\n", ALICE)
    new = house.folder / "elsewhere" / DOMAIN / "alice" / "new"
    wait_for(lambda: new.is_dir() and list(new.iterdir()))
    with fetching(house) as client:
        assert b"Subject: elsewhere" in fetched(client)


def test_a_directory_that_is_gone_is_trouble_until_a_reload(house):
    mail, aside = house.folder / "mail", house.folder / "mail.aside"
    house.deliver(MAIL, ALICE)
    house.wait_letters("alice")
    shutil.rmtree(mail)
    with pop3(house) as wire:
        wire.say(f"USER {ALICE}")
        wire.say(f"PASS {PASSWORDS['alice']}", "-ERR [SYS/TEMP]")
    aside.mkdir()
    own(house, aside)
    aside.rename(mail)
    put(house, "alice", MAIL, "1.M1P1.h")
    house.run("reload")
    with fetching(house) as client:
        assert fetched(client) == MAIL
    house.deliver(b"Subject: again\r\n\r\nx\r\n", ALICE)
    wait_for(lambda: len(house.maildir("alice")) == 2)  # local has gone to the new one too


def test_ids_are_the_same_in_each_session_and_after_a_restart(house):
    for i in range(3):
        house.deliver(MAIL, ALICE)
    house.wait_letters("alice", 3)
    with fetching(house) as client:
        first = [line.split()[1] for line in client.uidl()[1]]
    with fetching(house, stls=True) as client:
        client.dele(2)
        client.quit()
    house.stop()
    house.start()
    with fetching(house) as client:
        assert [line.split()[1] for line in client.uidl()[1]] == [first[0], first[2]]
    assert len(set(first)) == 3


def test_what_comes_while_a_session_is_open_is_for_the_next_one(house):
    house.deliver(MAIL, ALICE)
    house.wait_letters("alice")
    with fetching(house) as client:
        house.deliver(b"Subject: late\r\n\r\nlate\r\n", ALICE)
        house.wait_letters("alice", 2)
        assert client.stat()[0] == 1
        client.dele(1)
        client.quit()
    assert [letter.content for letter in house.letters("alice")] == [b"Subject: late\n\nlate\n"]


def test_without_quit_nothing_is_removed(house):
    house.deliver(MAIL, ALICE)
    house.wait_letters("alice")
    for how in ("close", "kill"):
        with pop3(house, user="alice") as wire:
            wire.say("DELE 1")
            if how == "kill":
                house.kill("pop3d")
                assert wire.is_closed()
        wait_for(lambda: no_children(house), what="end of the session's process")
    house.logged(f"disconnected .*how=(closed|broken) after=DELE user={ALICE}")
    assert len(house.maildir("alice")) == 1


def children(house):
    """The processes that serve sessions: below the fork server of maildrop."""
    servers = descendants(house.pid("maildrop"))
    return [pid for pid in servers if is_there(pid) and any(
        int(open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[1]) == s for s in servers)]


def no_children(house):
    return not children(house)


def test_quit_tells_when_something_could_not_be_removed(house):
    house.deliver(MAIL, ALICE)
    house.wait_letters("alice")
    with pop3(house, user="alice") as wire:
        wire.say("DELE 1")
        os.kill(children(house)[0], signal.SIGSTOP)
        wire.send(b"QUIT\r\n")
        os.kill(children(house)[0], signal.SIGKILL)
        assert wire.line().startswith(b"-ERR [SYS/TEMP]")
        assert wire.is_closed()
    assert len(house.maildir("alice")) == 1


@pytest.mark.parametrize("name", ["maildrop", "accounts", "keys"])
def test_a_session_goes_on_when_a_daemon_behind_it_dies(house, name):
    house.deliver(MAIL, ALICE)
    house.wait_letters("alice")
    with fetching(house) as client:
        old = house.kill(name)
        assert fetched(client).endswith(MAIL)
        client.dele(1)
        client.quit()
    assert house.maildir("alice") == []
    wait_for(lambda: house.serving().get(name) not in (None, old), what=f"a new {name}")
    with fetching(house) as client:
        assert client.stat()[0] == 0


def test_a_stop_lets_a_session_finish_and_waits_for_nobody(house):
    house.deliver(MAIL, ALICE)
    house.wait_letters("alice")
    with pop3(house, user="alice") as wire, pop3(house, user="bob") as idle, pop3(house) as stranger:
        house.see()
        os.kill(house.master(), signal.SIGTERM)
        assert stranger.is_closed()
        wire.say("DELE 1")
        wire.say("QUIT")
        assert idle.is_closed()
    wait_for(lambda: not any(is_there(pid) for pid in house.pids), what="end of all processes")
    assert house.maildir("alice") == []


# Who may

def test_two_sessions_at_once_are_told_so(house):
    house.deliver(MAIL, ALICE)
    house.wait_letters("alice")
    with fetching(house) as client:
        with pop3(house) as wire:
            wire.say(f"USER {ALICE}")
            wire.say(f"PASS {PASSWORDS['alice']}", "-ERR [IN-USE]")
            client.quit()
            wait_for(lambda: no_children(house), what="end of the first")
            wire.login()  # the same connection may try again
        with pop3(house, user="bob") as other:
            other.say("STAT", "+OK 0 0")


@pytest.mark.parametrize("how", ["quit", "close", "reset", "within a reply"])
def test_who_comes_back_at_once_finds_no_lock_of_his_own(house, how):
    put(house, "alice", b"x" * 70 + b"\n", "1700000000.M1P1.host")
    put(house, "alice", b"Subject: large\n\n" + b"y" * 8_000_000, "1700000001.M1P1.host")
    for _ in range(10):
        with pop3(house, user="alice") as wire:
            if how == "quit":
                wire.say("QUIT")
            if how == "within a reply":
                wire.say("RETR 2")
            if how == "reset":
                wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with pop3(house, user="alice") as wire:
        wire.say("STAT", "+OK 2 ")


def test_capabilities_say_what_is_true_now(common):
    always = {"TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "EXPIRE NEVER", "IMPLEMENTATION Stagepost"}
    with pop3(common, secured=False) as wire:
        assert set(wire.capabilities()) == always | {"STLS", "UTF8 USER"}
        wire.say("STLS")
        wire.secure()
        found = set(wire.capabilities())
        sasl = next(c for c in found if c.startswith("SASL "))
        assert found == always | {"USER", "UTF8 USER", sasl}
        assert {"PLAIN", "LOGIN", "SCRAM-SHA-256"} <= set(sasl.split()[1:])
        wire.login()
        assert set(wire.capabilities()) == always


BEFORE_TLS = ["USER alice@trial.example", "PASS x", "AUTH PLAIN", "AUTH", "AUTH PLAIN " + plain(ALICE, PASSWORDS["alice"]),
              "APOP alice c4c9334bac560ecc979e58001b3e22fb", "STAT", "LIST", "UIDL", "RETR 1", "TOP 1 0", "DELE 1", "RSET", "NOOP"]


@pytest.mark.parametrize("command", BEFORE_TLS)
def test_S9_before_tls_there_is_no_login_and_no_mail(common, command):
    with pop3(common, secured=False) as wire:
        wire.say(command, "-ERR")
        wire.say("QUIT")


def test_S8_what_is_said_before_tls_is_not_heard_after_it(common):
    with pop3(common, secured=False) as wire:
        wire.send(b"STLS\r\nUSER alice@trial.example\r\nNOOP\r\n")
        assert wire.line().startswith(b"+OK ")
        time.sleep(0)  # nothing else may come before the handshake
        assert wire.buffer == b""
        wire.secure()
        wire.say("PASS x", "-ERR USER first")
        wire.say("STLS", "-ERR")


@pytest.mark.parametrize("user, password", [(ALICE, "wrong"), (ALICE, PASSWORDS["bob"]), ("nobody@trial.example", "x"),
                                            ("alice@elsewhere.example", PASSWORDS["alice"]), ("\u00e9@trial.example", "x")])
def test_a_wrong_password_is_AUTH_and_the_same_for_all(common, user, password):
    with pop3(common) as wire:
        wire.say(f"USER {user}", "+OK")
        assert wire.say(f"PASS {password}", "-ERR [AUTH]") == "-ERR [AUTH] wrong user or password"


def test_a_bare_name_is_one_of_origin(common):
    with pop3(common) as wire:
        wire.say("USER alice")
        wire.say(f"PASS {PASSWORDS['alice']}")


def test_sasl_plain_and_login(common):
    response = plain(ALICE, PASSWORDS["alice"])
    with pop3(common) as wire:
        wire.say(f"AUTH PLAIN {response}")
        wire.say("STAT")
    with pop3(common) as wire:
        wire.say("AUTH PLAIN", "+ ")
        wire.say(response, "+OK")
    with pop3(common) as wire:
        wire.say("AUTH LOGIN", "+ ")
        wire.say(base64.b64encode(ALICE.encode()).decode(), "+ ")
        wire.say(base64.b64encode(PASSWORDS["alice"].encode()).decode(), "+OK")
    with pop3(common) as wire:
        wire.say("AUTH PLAIN", "+ ")
        wire.say("*", "-ERR")
        wire.say("AUTH PLAIN !!!", "-ERR")
        wire.say("AUTH CRAM-MD5", "-ERR")
        wire.say("AUTH PLAIN " + plain(ALICE, "wrong"), "-ERR [AUTH]")
        wire.say("AUTH")
        assert b"PLAIN" in wire.lines()


def scram(wire, password, plus):
    """RFC 5802, 7677, 5929 by hand: the last line, and whether the server proved itself."""
    head, bound = ("n,,", b"") if not plus else \
        ("p=tls-server-end-point,,", hashlib.sha256(wire.socket.getpeercert(binary_form=True)).digest())
    bare = f"n={ALICE},r={base64.b64encode(os.urandom(18)).decode()}"
    code = lambda text: base64.b64encode(text if isinstance(text, bytes) else text.encode()).decode()
    first = base64.b64decode(wire.say(f"AUTH SCRAM-SHA-256{'-PLUS' if plus else ''} {code(head + bare)}", "+ ")[2:]).decode()
    said = dict(part.split("=", 1) for part in first.split(","))
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(said["s"]), int(said["i"]))
    key = hmac.digest(salted, b"Client Key", "sha256")
    final = f"c={code(head.encode() + bound)},r={said['r']}"
    message = f"{bare},{first},{final}".encode()
    signature = hmac.digest(hashlib.sha256(key).digest(), message, "sha256")
    reply = wire.say(f"{code(f'{final},p={code(bytes(a ^ b for a, b in zip(key, signature)))}')}", "")
    proven = b"v=" + base64.b64encode(hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), message, "sha256"))
    return reply if reply.startswith("-ERR") or base64.b64decode(reply[2:]) != proven else wire.say("", "")


@pytest.mark.parametrize("plus", [False, True])
def test_scram_proves_both_sides(common, plus):
    with pop3(common) as wire:
        assert scram(wire, "wrong", plus).startswith("-ERR [AUTH]")
        assert scram(wire, PASSWORDS["alice"], plus).startswith("+OK ")
        wire.say("STAT", "+OK ")


def test_pop3d_keeps_no_password(house):
    words = {"password": PASSWORDS["alice"].encode(), "base64": plain(ALICE, PASSWORDS["alice"]).encode()}
    with pop3(house) as wire:
        wire.say(f"USER {ALICE}")
        wire.say(f"PASS {PASSWORDS['alice']}\r\nNOOP", "+OK 0 messages")
        wire.say("QUIT")
    with pop3(house) as wire:
        wire.say(f"AUTH PLAIN {words['base64'].decode()}", "+OK 0 messages")
        wire.say("QUIT")
    with pop3(house) as wire:
        wire.say("AUTH PLAIN", "+")
        wire.say(words["base64"].decode(), "+OK 0 messages")
    with pop3(house) as wire:  # what is no line may have been meant as one
        wire.say(f"USER {ALICE}")
        wire.say(f"PASS {PASSWORDS['alice']}\nNOOP", "-ERR")
        wire.say(f"PASS {PASSWORDS['alice'] * 1000}", "-ERR")
        assert papers.known(house.pid("pop3d"), {"what it may keep": ALICE.encode()})
        assert not papers.known(house.pid("pop3d"), words)


def test_many_wrong_passwords_are_a_ban(stagepost):
    house = with_pop3(stagepost(start=False), auth="ban-after 3; ban 1h", log="postfix").start()
    for i in range(3):
        with pop3(house) as wire:
            wire.say("USER bob")
            wire.say("PASS wrong", "-ERR [AUTH]")
    with pop3(house) as wire:
        wire.say("USER bob")
        wire.say(f"PASS {PASSWORDS['bob']}", "-ERR [AUTH]")
        assert wire.is_closed()
    line = house.logged(r"warning: .*\[127\.0\.0\.1\]: SASL LOGIN authentication failed")[0]
    # fail2ban's filter for Postfix: the daemon's tag, then this
    assert re.search(r"/pop3d\[\d+\]: warning: [^[]*\[127\.0\.0\.1\]: SASL (LOGIN|PLAIN) authentication failed:", line)


def test_a_changed_password_ends_the_sessions(house):
    code = lambda text: base64.b64encode(text.encode()).decode()
    with pop3(house, user="alice") as wire, pop3(house) as proven:
        bare = f"n={ALICE},r=ofTheClient"
        first = proven.say("AUTH SCRAM-SHA-256 " + code("n,," + bare), "+ ")
        final, _ = scram_answer(PASSWORDS["alice"], bare, base64.b64decode(first[2:]).decode())
        proven.say(code(final), "+ ")  # all but the last word is said
        house.write("users", (house.folder / "users").read_text().replace("alice:", "alice:{BLF-CRYPT}x"))
        assert wire.is_closed()
        assert proven.is_closed()
    house.logged("disconnected .*how=revoked", count=2)


# What strangers send

def test_a_line_may_come_octet_by_octet(common):
    with pop3(common) as wire:
        for octet in f"USER {ALICE}\r\nPASS {PASSWORDS['alice']}\r\nSTAT\r\nQUIT\r\n".encode():
            wire.send(bytes([octet]))
        assert all(wire.line().startswith(b"+OK") for _ in range(4))
        assert wire.is_closed()


def test_commands_may_be_sent_at_once(common):
    with pop3(common) as wire:
        wire.send(f"CAPA\r\nUSER {ALICE}\r\nPASS {PASSWORDS['alice']}\r\nLIST\r\nUIDL\r\nNOOP\r\nQUIT\r\n".encode())
        assert wire.line() == b"+OK" and wire.lines()
        assert wire.line().startswith(b"+OK") and wire.line().startswith(b"+OK")
        for _ in range(2):
            assert wire.line().startswith(b"+OK")
            wire.lines()
        assert wire.line().startswith(b"+OK") and wire.line().startswith(b"+OK")
        assert wire.is_closed()


NONSENSE = [b"\r\n", b"x" * 3000 + b"\r\n", b"USER a\0b\r\n", b"NOOP\n\r\n", b"RETR 1\r\n", b"\xff\xfe\x00\r\n",
            b"GET / HTTP/1.0\r\n", b"USER " + b"u" * 2000 + b"\r\n", b"LIST 0\r\n", b"RETR -1\r\n", b"QUIT x\r\n"]


@pytest.mark.parametrize("octets", NONSENSE)
def test_nonsense_is_an_error_and_the_session_stays_in_step(common, octets):
    with pop3(common) as wire:
        wire.send(octets)
        assert wire.line().startswith(b"-ERR")
        wire.say("QUIT")


def test_a_line_without_end_holds_no_memory_and_too_many_errors_end_it(common):
    with pop3(common) as wire:
        wire.send(b"x" * 1_000_000 + b"\r\n")
        assert wire.line().startswith(b"-ERR")
        for _ in range(5):
            wire.send(b"x\r\n")
        assert sum(wire.line().startswith(b"-ERR") for _ in range(5)) == 5
        assert wire.is_closed()
    with pop3(common) as wire:
        wire.send(b"AUTH PLAIN\r\n" + b"A" * 1_000_000 + b"\r\n")
        assert wire.line().startswith(b"+ ") and wire.line().startswith(b"-ERR")
        wire.say("QUIT")


def test_numbers_that_name_no_message(stagepost):
    house = with_pop3(stagepost(start=False), limits="errors 100").start()
    house.deliver(MAIL, ALICE)
    house.wait_letters("alice")
    with pop3(house, user="alice") as wire:
        for number in ("0", "2", "4294967295", "4294967296", "99999999999999999999"):
            for command in ("LIST", "UIDL", "RETR", "DELE"):
                wire.say(f"{command} {number}", "-ERR")
                wire.say("RSET")
            if number == "2":
                wire.say("DELE 1")
                wire.say("DELE 1", "-ERR")
                wire.say("RETR 1", "-ERR")
                wire.say("STAT", "+OK 0 0")
                wire.say("RSET")
                wire.say("STAT", "+OK 1 ")


def test_a_client_that_does_not_read_costs_little(house):
    put(house, "alice", b"Subject: x\n\n" + b"0123456789abcdef" * 1000000, "1.M1P1.h")
    with pop3(house, user="alice") as wire:
        before = rss(house.pid("pop3d"))
        for _ in range(50):
            wire.send(b"RETR 1\r\n")
        line = wire.line()
        assert line == b"+OK 16000016 octets"
        time.sleep(0.3)
        assert rss(house.pid("pop3d")) - before < 4 * 1024
        assert sum(len(line) for line in wire.lines()) == 16000016 - 3 * 2


def rss(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{pid}/status").read())[1])


def test_who_does_not_log_in_is_not_waited_for(stagepost):
    house = with_pop3(stagepost(start=False), limits="idle 1s").start()
    with pop3(house, secured=False) as wire, pop3(house, user="alice") as user:
        assert wire.is_closed()
        house.logged("disconnected .*how=late after=CONNECT")
        time.sleep(1)
        user.say("NOOP")  # RFC 1939 3: ten minutes


def test_a_client_has_few_connections(stagepost):
    house = with_pop3(stagepost(start=False), limits="per-client 2").start()
    with pop3(house), pop3(house):
        third = socket.create_connection(("127.0.0.1", house.pop3), SECONDS)
        assert third.recv(1000).startswith(b"-ERR [SYS/TEMP] too many connections")
        third.close()


# Programs

def test_openssl_speaks_to_both_listeners(common):
    for arguments in ([f"127.0.0.1:{common.pop3s}"], [f"127.0.0.1:{common.pop3}", "-starttls", "pop3"]):
        done = subprocess.run(["openssl", "s_client", "-quiet", "-verify_return_error", "-CAfile", common.folder / "server.pem",
                               "-connect", *arguments], input="CAPA\r\nQUIT\r\n", capture_output=True, text=True, timeout=SECONDS)
        assert "SASL" in done.stdout and done.returncode == 0, done


def test_curl_lists_and_fetches(house):
    house.deliver(MAIL, ALICE)
    octets = house.wait_letters("alice")[0].path.read_bytes().replace(b"\n", b"\r\n")

    def curl(url, *arguments):
        return subprocess.run(["curl", "-sS", "--cacert", house.folder / "server.pem", "--user", f"{ALICE}:{PASSWORDS['alice']}",
                               *arguments, url], capture_output=True, timeout=SECONDS)
    assert curl(f"pop3s://localhost:{house.pop3s}/1").stdout == octets
    assert curl(f"pop3://localhost:{house.pop3}/1", "--ssl-reqd").stdout == octets
    listed = curl(f"pop3s://localhost:{house.pop3s}/", "--login-options", "AUTH=PLAIN")
    assert listed.stdout == b"1 %d\r\n" % len(octets), listed
    assert curl(f"pop3://localhost:{house.pop3}/1").returncode != 0  # a password never goes in clear
    assert len(house.maildir("alice")) == 1


def test_fetchmail_takes_all(house, tmp_path):
    for _ in range(3):
        house.deliver(MAIL, ALICE)
    house.wait_letters("alice", 3)
    out = tmp_path / "out"
    (tmp_path / "rc").write_text(
        f'poll localhost protocol pop3 service {house.pop3s} user "{ALICE}" password "{PASSWORDS["alice"]}" '
        f'ssl sslcertck sslcertfile "{house.folder}/server.pem" mda "cat >> {out}"\n')
    (tmp_path / "rc").chmod(0o600)
    done = subprocess.run(["fetchmail", "--nosyslog", "-f", tmp_path / "rc", "--pidfile", tmp_path / "pid"],
                          env={**os.environ, "HOME": str(tmp_path), "FETCHMAILHOME": str(tmp_path)}, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done
    assert out.read_text().count("from far away") == 3
    assert house.maildir("alice") == []


def test_mpop_takes_all_and_keeps_its_ids(house, tmp_path):
    for _ in range(3):
        house.deliver(MAIL, ALICE)
    house.wait_letters("alice", 3)
    (tmp_path / "rc").write_text(f"""\
account default
host localhost
port {house.pop3s}
tls on
tls_starttls off
tls_trust_file {house.folder}/server.pem
user {ALICE}
password "{PASSWORDS['alice']}"
keep on
uidls_file {tmp_path}/ids
delivery mbox {tmp_path}/out
""")
    (tmp_path / "rc").chmod(0o600)
    for count in (3, 3):  # the second time there is nothing new
        done = subprocess.run(["mpop", "-C", tmp_path / "rc"], capture_output=True, text=True, timeout=SECONDS)
        assert done.returncode == 0, done
        assert len(mailbox.mbox(tmp_path / "out")) == count
    assert len(house.maildir("alice")) == 3


def test_getmail_takes_all(house):
    house.deliver(MAIL, ALICE)
    house.wait_letters("alice")
    folder = house.folder / "getmail"
    for part in ("tmp", "new", "cur"):
        (folder / "box" / part).mkdir(parents=True)
    (folder / "rc").write_text(f"""\
[retriever]
type = SimplePOP3SSLRetriever
server = localhost
port = {house.pop3s}
username = {ALICE}
password = {PASSWORDS['alice']}
ca_certs = {house.folder}/server.pem
[destination]
type = Maildir
path = {folder}/box/
[options]
delete = true
""")
    run_as = []
    if IS_ROOT:  # as root it refuses to write mail
        subprocess.run(["chown", "-R", "nobody", folder], check=True)
        run_as = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--"]
    done = subprocess.run([*run_as, "getmail", "--rcfile", folder / "rc", "--getmaildir", folder],
                          capture_output=True, text=True, timeout=SECONDS, env={**os.environ, "HOME": str(folder)})
    assert done.returncode == 0, done
    assert len(list((folder / "box" / "new").iterdir())) == 1
    assert house.maildir("alice") == []


# Other mailboxes

def test_a_system_user_fetches_from_the_spool_and_from_home(stagepost, people):  # noqa: F811
    person = people[0]
    for what, place in (("mbox", person.spool), ("maildir", person.home / "Maildir")):
        house = with_pop3(stagepost(start=False), deliver=f"deliver system {what} {{ users system }}",
                          passwords={person.name: "a pass word"})
        house.start()
        user = f"{person.name}@{DOMAIN}"
        for i in range(3):
            house.deliver(b"Subject: %d\r\n\r\nsystem\r\n" % i, user)
        house.wait_empty()
        with fetching(house, user=user, password="a pass word") as client:
            assert client.stat()[0] == 3
            ids = client.uidl()[1]
            assert fetched(client, 2).endswith(b"\r\n\r\nsystem\r\n")
            house.deliver(b"Subject: late\r\n\r\nlate\r\n", user)  # nobody waits for the session
            house.wait_empty()
            client.dele(1)
            client.quit()
        with fetching(house, user=user, password="a pass word") as client:
            assert client.stat()[0] == 3
            assert [line.split()[1] for line in client.uidl()[1]][:2] == [line.split()[1] for line in ids][1:]
            assert fetched(client, 3).endswith(b"\r\n\r\nlate\r\n")
        assert place.stat().st_uid == person.uid
        wait_for(lambda: not [p for p in place.parent.iterdir() if p.name.endswith((".pop3.lock", ".pop3.new", f"{person.name}.lock"))],
                 what="end of all locks")
        house.stop()
        person.clear()


def test_ten_thousand_messages(house):
    box = house.folder / "mail" / DOMAIN / "alice"
    put(house, "alice", b"x\n", "1000.M1P1.h,S=2,W=3")
    for i in range(1001, 11000):
        os.link(box / "new" / "1000.M1P1.h,S=2,W=3", box / "new" / f"{i}.M1P1.h,S=2,W=3")
    with fetching(house) as client:
        assert client.stat() == (10000, 30000)
        assert len(client.list()[1]) == len(client.uidl()[1]) == 10000
        for i in range(1, 10000):
            client._putcmd(f"DELE {i}")
        for i in range(1, 10000):
            client._getresp()
        client.quit()
    assert [f.name for f in house.maildir("alice")] == ["10999.M1P1.h,S=2,W=3"]
