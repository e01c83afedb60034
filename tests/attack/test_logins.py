"""
What decides logins refuses, hangs, lies, ends in the middle of a word:

    user ---> submission ---> accounts ---> a Dovecot that is none
    client -> smtpd, all the time

The user hears 454 in bounded time and is never let in; everyone else's mail flows; when it is well again he is let in.
"""
import contextlib
import os
import signal
import socket
import threading
import time

import pytest

from house import SHORT
from people import PASSWORDS, fresh_address, plain, tls, with_people
from stagepost import DOMAIN, wait_for
from test_clients import Healthy

pytestmark = pytest.mark.row("login services")
ANSWER_SECONDS = 30     # DOVECOT_ANSWER_US, the longest of all
SLOWER = 20
GREETING = b"VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nSPID\t1\nCUID\t1\nCOOKIE\t00\nDONE\n"
MIB = 1024 * 1024


class Fake(threading.Thread):
    """Stands for Dovecot's socket. greeting: what it says first; answer(id): octets, None for silence, b"" for the end."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.path, self.greeting, self.answer = path, GREETING, self.right
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen(50)
        path.chmod(0o666)
        self.asked = self.connections = 0
        self.start()

    @staticmethod
    def right(number):
        return f"OK\t{number}\tuser=alice@{DOMAIN}\n".encode()

    def run(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with contextlib.suppress(OSError), connection:
            if self.greeting is None:
                connection.recv(65536)
                time.sleep(ANSWER_SECONDS + SLOWER)
                return
            connection.sendall(self.greeting)
            if self.greeting != GREETING:
                return
            said = b""
            while more := connection.recv(65536):
                said += more
                *lines, said = said.split(b"\n")
                for line in lines:
                    if line.startswith(b"AUTH\t"):
                        self.asked += 1
                        answer = self.answer(int(line.split(b"\t")[1]))
                        if answer == b"":
                            return
                        if answer is not None:
                            connection.sendall(answer)
                            if not answer.endswith(b"\n"):
                                return

    def end(self):
        with contextlib.suppress(OSError):      # the second time
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def try_login(house, user="alice", password=None, seconds=120):
    """The code that it hears, and after how long; 0: the end."""
    begun = time.monotonic()
    try:
        with tls(house, source=fresh_address(), seconds=seconds) as wire:
            code = wire.say(f"AUTH PLAIN {plain(f'{user}@{DOMAIN}', password or PASSWORDS[user])}").code
    except (OSError, EOFError):
        code = 0
    return code, time.monotonic() - begun


GREETINGS = {
    "silent": None, "closes": b"", "half": GREETING[:30], "garbage": bytes(range(1, 255)) * 20 + b"\n", "a-line-of-a-MiB": MIB * b"x",
    "lines-for-ever": 100000 * b"SPID\t1\n", "no-plain": GREETING.replace(b"PLAIN", b"CRAM-MD5"), "another-version": GREETING.replace(b"VERSION\t1", b"VERSION\t9"),
    "answers-before-it-is-asked": GREETING.replace(b"DONE\n", b"OK\t1\tuser=alice\nDONE\n"),
}
ANSWERS = {
    "silent": lambda n: None, "closes": lambda n: b"", "half": lambda n: f"OK\t{n}\tuser=al".encode(), "half-a-word": lambda n: b"O",
    "garbage": lambda n: bytes(range(1, 255)) * 20 + b"\n", "a-line-of-a-MiB": lambda n: b"OK\t%d\t" % n + MIB * b"x",
    "of-another": lambda n: f"OK\t{n + 1}\tuser=alice\n".encode(), "of-0": lambda n: b"OK\t0\tuser=alice\n", "of-too-many": lambda n: b"OK\t18446744073709551617\tuser=alice\n",
    "continue": lambda n: f"CONT\t{n}\tAAAA\n".encode(), "temp": lambda n: f"FAIL\t{n}\tuser=alice\ttemp\n".encode(),
}
SLOW = {"silent", "garbage", "of-another", "of-0", "of-too-many", "continue"}


@pytest.fixture
def world(houses):
    house = houses()
    with_people(house, auth="ban-after 1000000", limits="spool-free 0; per-client 1000; errors 1000")
    path = house.folder / "auth"
    fake = Fake(path)
    text = (house.folder / "stagepost.conf").read_text()
    house.write("stagepost.conf", text.replace("passwords file:users;", f"passwords dovecot unix:{path};"))
    house.start()
    wait_for(lambda: try_login(house)[0] == 235, 20, "a login while all is well")
    yield house, fake
    fake.end()


def judge(house, fake, name, most):
    """One user tries while it is bad, mail flows meanwhile; then it is well and he is let in."""
    with Healthy(house) as healthy:
        code, took = try_login(house)
        wait_for(lambda: healthy.sent > 5, 30, "mail meanwhile")
    fake.greeting, fake.answer = GREETING, fake.right
    begun = time.monotonic()
    wait_for(lambda: try_login(house)[0] == 235, 30, f"a login after {name}")
    if healthy.failed:
        return f"{name}: mail failed: {healthy.failed[:2]}"
    if code != 454 or took > most + SLOWER:
        return f"{name}: {code} after {took:.1f} s"
    print(f"{name}: {code} after {took:.1f} s, well again after {time.monotonic() - begun:.1f} s, {healthy.sent} messages meanwhile")
    return None


@pytest.mark.long
def test_a_dovecot_that_greets_badly(world, tally):
    house, fake = world
    faults = []
    for name, greeting in GREETINGS.items():
        time.sleep(1.2)     # DOVECOT_IDLE_US: the connection from before is closed
        fake.greeting = greeting
        faults.append(judge(house, fake, f"greeting {name}", 10))
        tally(tries=1)
    assert not [f for f in faults if f], faults


@pytest.mark.long
def test_a_dovecot_that_answers_badly(world, tally):
    house, fake = world
    faults = []
    for name, answer in ANSWERS.items():
        fake.answer = answer
        faults.append(judge(house, fake, f"answer {name}", ANSWER_SECONDS if name in SLOW else 5))
        tally(tries=1)
    assert not [f for f in faults if f], faults


def test_some_of_them_answered_badly_at_once(world, tally):
    """As above, the quick ones, without waiting."""
    house, fake = world
    for name in ("closes", "half", "a-line-of-a-MiB", "temp"):
        fake.answer = ANSWERS[name]
        code, took = try_login(house)
        assert code == 454 and took < 5 + SLOWER, (name, code, took)
        fake.answer = fake.right
        wait_for(lambda: try_login(house)[0] == 235, 30, f"a login after {name}")
        tally(tries=1)


@pytest.mark.long
def test_a_dovecot_that_is_not_there(world, tally):
    house, fake = world
    fake.end()
    fake.path.unlink()
    time.sleep(1.2)
    with Healthy(house) as healthy:
        for _ in range(5):
            code, took = try_login(house)
            assert code == 454 and took < 10 + SLOWER, (code, took)
        wait_for(lambda: healthy.sent > 5, 30, "mail meanwhile")
    assert not healthy.failed
    back = Fake(fake.path)
    wait_for(lambda: try_login(house)[0] == 235, 30, "a login when it is back")
    back.end()
    tally(tries=5)


@pytest.mark.parametrize("role", ["accounts", "usage"][:1 if SHORT else 2])
@pytest.mark.parametrize("how", ["dies", pytest.param("hangs", marks=pytest.mark.long)])
def test_a_daemon_behind_logins_that_dies_or_hangs(houses, tally, role, how):
    """A session under way hears 4xx or its end; mail of others flows; then all is well."""
    house = houses()
    with_people(house, auth="ban-after 1000000", limits="spool-free 0; per-client 1000; errors 1000").start()
    assert try_login(house)[0] == 235
    with Healthy(house) as healthy:
        for _ in range(2 if SHORT else 10):
            pid = house.kill(role, signal.SIGKILL if how == "dies" else signal.SIGSTOP)
            code = []
            if how == "hangs":
                waiting = threading.Thread(target=lambda: code.append(try_login(house)[0]), daemon=True)
                waiting.start()
                time.sleep(1)
                os.kill(pid, signal.SIGCONT)
                waiting.join(60)
                assert code and code[0] in (235, 454, 421, 0), code
            wait_for(lambda: try_login(house)[0] == 235, 30, "a login")
        wait_for(lambda: healthy.sent > 5, 30, "mail meanwhile")
    assert not healthy.failed, healthy.failed[:2]
    tally(strikes=2 if SHORT else 10)


# A test of the test

@pytest.mark.control
def test_control_who_is_let_in_or_told_late_is_noticed(world):
    house, fake = world
    assert "235" in judge(house, fake, "well", 5)     # it is not bad at all
    fake.answer = lambda n: (time.sleep(1), b"FAIL\t%d\n" % n)[1]
    assert "535" in judge(house, fake, "refuses", 5)
