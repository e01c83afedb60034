"""
What strangers try: to fill memory and descriptors, to write into the log or beyond their mailbox,
to leave at the worst moment, to never read. Everyone else's mail goes on:

    strangers, hundreds ---.
    a mail ----------------'---> smtpd ---> queue ---> local ---> mail/trial.example/bob
"""
import os
import random
import re
import select
import signal
import socket
import struct
import subprocess
import threading
import time
from collections import Counter

import pytest

from stagepost import BUILD, IS_ROOT, wait_for
from wire import Wire

CONTENT = b"Subject: a word\r\n\r\nfrom far away\r\n"
LARGE = b"Subject: large\r\n\r\n" + 20000 * b"a line of it\r\n"
LOG_LINE = re.compile(rb"2\d{3}-\d\d-\d\dT[\d:.]+[+-]\d\d:\d\d [\w.-]+/[a-z0-9-]+\[\d+\]: [\x20-\x7e]*")


def descriptors(pid):
    """0 where only root may look; the rest of a test holds all the same."""
    return len(os.listdir(f"/proc/{pid}/fd")) if IS_ROOT else 0


def resident(pid):
    with open(f"/proc/{pid}/status") as f:
        return int(re.search(r"VmRSS:\s+(\d+) kB", f.read())[1]) * 1024


def no_restarts(house):
    return all(p["restarts"] == 0 for p in house.status()["processes"])


# Memory and descriptors


def test_header_blocks_of_all_sessions_together_are_bounded(stagepost):
    house = stagepost()
    smtpd = house.pid("smtpd")
    header = b"".join(b"Field-%d: %s\r\n" % (n, 900 * b"x") for n in range(260))
    wires = [house.connect() for _ in range(330)]
    for wire in wires:
        wire.begin()
        wire.send(header)
    sanitized = "san" in BUILD.parts  # keeps what is freed for a while
    assert resident(smtpd) < (300 if sanitized else 110) * 1024 * 1024
    for wire in wires:
        wire.send(b"\r\nbody\r\n.\r\n")
    replies = Counter(wire.reply().short for wire in wires)
    assert set(replies) == {"250 2.0.0", "452 4.3.1"} and replies["250 2.0.0"] > 200, replies
    for wire in wires:  # the room is there again, in the same sessions
        wire.close()
    with house.connect() as wire:
        wire.begin()
        assert wire.content(header + b"\r\n").code == 250
    house.wait_letters("bob", replies["250 2.0.0"] + 1, seconds=30)
    house.assert_clean()


def test_connections_leave_descriptors_for_mail(stagepost):
    """Fewer open files than limits { connections } would take."""
    house = stagepost(start=False)
    started = subprocess.run(["sh", "-c", 'ulimit -n 160; exec "$@"', "sh", house.programs / "bin" / "stagepost", "-c",
                              house.folder / "stagepost.conf", "start"], capture_output=True, text=True, timeout=30)
    assert started.returncode == 0, started.stderr
    house.see()
    smtpd = house.pid("smtpd")
    before = descriptors(smtpd)
    with house.connect() as wire:
        strangers = [socket.create_connection(("127.0.0.1", house.port), 10) for _ in range(250)]
        said = Counter(s.recv(200)[:4] for s in strangers)
        assert set(said) == {b"220 ", b"421 "} and said[b"220 "] > 50, said
        house.logged("connections get 421")
        for _ in range(5):
            wire.deliver(LARGE)  # needs a descriptor from the queue
        for s in strangers:
            s.close()
        wait_for(lambda: descriptors(smtpd) < before + 20, what="end of the sessions")
    house.wait_letters("bob", 5)
    assert no_restarts(house)
    house.assert_clean()


def test_whoever_leaves_at_whatever_moment_leaves_nothing(stagepost):
    house = stagepost()
    smtpd = house.pid("smtpd")
    house.deliver(LARGE)
    before = descriptors(smtpd)
    said = (b"EHLO client.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<bob@trial.example>\r\nDATA\r\n"
            + LARGE[:100000] + b"\r\n.\r\nQUIT\r\n")
    cuts = [*range(0, 120, 4), 1000, 30000, 70000, 100000, *range(len(said) - 12, len(said))]
    for how in ("reset", "close", "half"):
        for cut in cuts:
            with Wire(house.port, hello=None) as wire:
                rest = said[:cut]
                for command in (b"EHLO", b"DATA"):  # what follows has to wait for the reply
                    head, end, tail = rest.partition(b"\r\n") if command == b"EHLO" else rest.partition(b"DATA\r\n")
                    wire.send(head + end)
                    if not end:
                        break
                    until = b"250 " if command == b"EHLO" else b"354 "
                    while until not in wire.buffer:
                        wire.buffer += wire.socket.recv(4096)
                    rest = tail
                else:
                    wire.send(rest)
                if how == "reset":
                    wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                elif how == "half":
                    wire.socket.shutdown(socket.SHUT_WR)
                    wire.ended()
    wait_for(lambda: descriptors(smtpd) <= before + 4, what="end of the sessions")
    assert no_restarts(house)
    house.assert_clean()


def test_a_client_that_never_reads_is_let_go(stagepost):
    house = stagepost(limits="idle 1s; recipients 1")
    smtpd = house.pid("smtpd")
    before = descriptors(smtpd)
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    deaf.settimeout(0.5)
    deaf.connect(("127.0.0.1", house.port))
    deaf.recv(200)
    deaf.sendall(b"EHLO client.example\r\n")
    deaf.recv(500)
    deaf.sendall(b"MAIL FROM:<a@b.example>\r\nRCPT TO:<bob@trial.example>\r\n")
    with pytest.raises(OSError):
        for _ in range(1000):
            deaf.sendall(10000 * b"RCPT TO:<a@b.c>\r\n")  # 452, and nobody has to be asked
    assert resident(smtpd) < 60 * 1024 * 1024
    house.deliver(CONTENT)
    house.logged("disconnected .*how=(late|closed|broken) ", count=2)
    deaf.close()
    wait_for(lambda: descriptors(smtpd) <= before + 4, what="end of the session")


def test_a_crowd_that_comes_and_goes_is_let_go_at_once(stagepost):
    """Sessions end in every turn of the loop; each end must be done all the same."""
    house = stagepost(limits="connections 12000")
    crowd, gone = select.epoll(), 0
    sockets = {}

    def come():
        s = socket.socket()
        s.setblocking(False)
        s.connect_ex(("127.0.0.1", house.port))
        sockets[s.fileno()] = s
        crowd.register(s.fileno(), select.EPOLLIN)

    for _ in range(150):
        come()
    end = time.monotonic() + 2
    while time.monotonic() < end:
        for fd, _ in crowd.poll(0.1):
            said = sockets[fd].recv(500)
            if said.startswith(b"220 "):
                sockets[fd].send(b"QUIT\r\n")
            elif not said:
                crowd.unregister(fd)
                sockets.pop(fd).close()
                gone += 1
                come()
    for s in sockets.values():
        s.close()
    print("gone", gone)
    assert gone > 1500


# What they write


HOSTILE_NAMES = [b"../../tmp/x", b"..", b".", b"a/b", b'".."', b'"../x"', b'"a\\/b"', b".dot", b"bob+../../x", b'"bob/../alice"',
                 b'"\x01"', b"%n", b"%d", b"-rf", b"new", b'"quo ted"', b"z" * 64, b"z" * 65, b'"nl reply=\\"250 ok"']


def test_no_name_leads_out_of_the_domains_folder(stagepost):
    house = stagepost(limits="errors 1000; unknown-recipients 1000",
                      deliver='deliver maildir "mail/%d/%n" { users any; owner vmail }' if IS_ROOT else None)
    accepted = 0
    with house.connect() as wire:
        for name in HOSTILE_NAMES:
            wire.say("MAIL FROM:<a@b.example>", "250 2.1.0")
            if wire.say(b"RCPT TO:<" + name + b"@trial.example>").code == 250:
                wire.say("DATA", "354")
                assert wire.content(CONTENT).code == 250
                accepted += 1
            else:
                wire.say("RSET", "250 2.0.0")
    house.wait_empty()
    domain = house.folder / "mail" / "trial.example"
    letters = [p for p in house.folder.rglob("new/*") if p.is_file()]
    assert len(letters) == accepted
    for letter in letters:
        box = letter.parent.parent
        assert box.parent == domain and not box.name.startswith("."), letter


def test_what_strangers_say_never_begins_a_log_line(stagepost):
    house = stagepost(limits="errors 1000; unknown-recipients 1000")
    forged = b"2026-01-01T00:00:00.000000+00:00 stagepost/queue[1]: FORGED"
    with house.connect(hello=None) as wire:
        for helo in (b'a"b', b"a=b", b"a\\", b"a\rb", b"a\x00b", b"\xff", b"a\x1b[31m"):
            wire.send(b"EHLO " + helo + b"\r\n")
            wire.reply(plain=True)
        wire.ehlo('x"=\\')
        for address in (b'"a\\" to=x reply=\\"250"@b.example', b'"\\\\"@b.example', forged + b"@b.example", b'"' + forged + b'"@b.example'):
            wire.say(b"MAIL FROM:<" + address + b">")
            wire.say(b"RCPT TO:<" + address.rpartition(b"@")[0] + b"@trial.example>")
            wire.say("RCPT TO:<bob@trial.example>")
            if wire.say("DATA").code == 354:
                wire.content(b"Subject: x\r\nMessage-ID: <a\r\n " + forged + b">\r\n\r\n" + forged + b"\r\n")
            wire.say("RSET", "250 2.0.0")
    house.wait_empty()
    lines = (house.folder / "log" / "mail.log").read_bytes().splitlines()
    assert len(lines) > 10
    for line in lines:
        assert LOG_LINE.fullmatch(line) and not line.startswith(forged), line


# The command


def test_status_does_not_wait_long_for_a_process_that_hangs(stagepost):
    house = stagepost()
    house.deliver(CONTENT)
    house.wait_letters("bob")
    queue = house.kill("queue", signal.SIGSTOP)
    try:
        begun = time.monotonic()
        said = house.run("status", check=False)
        assert time.monotonic() - begun < 15
        assert "degraded" in said.stdout and "queue     not known" in said.stdout
    finally:
        os.kill(queue, signal.SIGCONT)
    house.deliver(CONTENT)
    house.wait_letters("bob", 2)


@pytest.mark.skipif(not IS_ROOT, reason="needs another user to be")
def test_who_may_not_have_the_spool_may_not_start(stagepost):
    house = stagepost(user="nobody", start=False)
    spool = house.folder / "spool"
    spool.mkdir(mode=0o700)
    assert house.run("start", check=False).returncode == 77


def test_reloads_without_end_disturb_nobody(stagepost):
    house = stagepost()
    smtpd = house.pid("smtpd")
    sent, end = 0, time.monotonic() + 3
    with house.connect() as wire:
        while time.monotonic() < end:
            reload = subprocess.Popen([house.programs / "bin" / "stagepost", "-c", house.folder / "stagepost.conf", "reload"],
                                      stdout=subprocess.DEVNULL)
            while reload.poll() is None:
                wire.deliver(CONTENT)
                sent += 1
            assert reload.returncode == 0
    house.wait_letters("bob", sent)
    assert house.pid("smtpd") == smtpd
    house.assert_clean()


def test_a_transaction_keeps_the_settings_that_it_began_with(stagepost):
    """A reload each 100 ms, to and fro between two configurations that differ in all that a session looks at, while
    content comes slowly: it is refused or normalized as a whole, and nobody is refused for a limit that is not his."""
    ways = [dict(limits="message-size 60K; recipients 3; errors 10000"),
            dict(limits="message-size 50M; recipients 1000; errors 10000", top="trust 127.0.0.0/8", listen="{ bare-newline normalize }")]
    house = stagepost(**ways[1])
    smtpd = house.pid("smtpd")
    stop, failures, kept = threading.Event(), [], Counter()

    def load(number):
        rng = random.Random(number)
        bare = number % 2 == 0
        try:
            with house.connect() as wire:
                while not stop.is_set():
                    content = b"Subject: x\r\n\r\n" + (b"one\ntwo\r\n" if bare else b"one\r\ntwo\r\n") * rng.randrange(1, 5000)
                    wire.begin("bob@trial.example", sender=f"{number}@remote.example")
                    for at in range(0, len(content), 4000):
                        wire.send(content[at:at + 4000])
                        stop.wait(0.003)
                    wire.send(b".\r\n")
                    reply = wire.reply()
                    if reply.code == 250:
                        kept[number] += 1
                    else:
                        assert bare and reply.short == "550 5.5.2", reply
        except BaseException as e:  # told by the test
            failures.append((number, repr(e)))

    threads = [threading.Thread(target=load, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    begun = time.monotonic()
    for n in range(40):
        house.configure(**ways[n % 2])
        house.run("reload")
        time.sleep(max(0, begun + n / 10 - time.monotonic()))
    stop.set()
    for thread in threads:
        thread.join()
    assert not failures
    assert house.pid("smtpd") == smtpd
    letters = house.wait_letters("bob", sum(kept.values()), seconds=30)
    assert len(kept) == 4 and all(b"one\ntwo\n" in l.content and b"\r" not in l.content for l in letters)
    house.assert_clean()
