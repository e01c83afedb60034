"""
TLS where mail comes in: STARTTLS (RFC 3207) on smtp and submission, from the first octet (RFC 8314) on submissions.

    test --- octets --- STARTTLS, handshake ---> smtpd, submission --- what is to be signed ---> keys

What was said before counts for nothing (S8); half a handshake costs nobody anything.
"""
import contextlib
import re
import socket
import ssl
import subprocess
import time
from pathlib import Path

import pytest

from people import TlsWire, tls, trusting, with_people
from stagepost import DOMAIN, wait_for
from wire import Wire

IDLE_SECONDS = 3
CONTENT = b"Subject: a word\r\n\r\nunder a seal\r\n"


@pytest.fixture(scope="module")
def house():
    from conftest import Maker
    maker = Maker()
    yield with_people(maker(start=False), limits=f"idle {IDLE_SECONDS}s; per-client 200").start()
    maker.end()


def smtp(house, **keywords):
    return Wire(house.port, **keywords)


class SmtpTls(TlsWire):
    """Port 25, under TLS."""

    def __init__(self, house):
        self.context = trusting(house.folder)
        Wire.__init__(self, house.port)
        self.starttls()


def words(features):
    return {line.split()[0] for line in features[1:]}


def test_each_listener_offers_what_it_takes(house):
    with smtp(house) as wire:
        assert "STARTTLS" in words(wire.features) and "AUTH" not in words(wire.features)
    with SmtpTls(house) as wire:
        assert not words(wire.features) & {"STARTTLS", "AUTH"}
    with Wire(house.submission) as wire:
        assert "STARTTLS" in words(wire.features) and "AUTH" not in words(wire.features)
    for wrapped in (False, True):
        with tls(house, wrapped=wrapped) as wire:
            assert "AUTH" in words(wire.features) and "STARTTLS" not in words(wire.features)


def test_without_a_certificate_nothing_is_offered(stagepost):
    with stagepost().connect() as wire:
        assert not words(wire.features) & {"STARTTLS", "AUTH"}
        wire.say("STARTTLS", "502 5.5.1")
        wire.say("AUTH PLAIN =", "502 5.5.1")


def test_S8_an_argument_is_501(house):
    with smtp(house) as wire:
        wire.say("STARTTLS now", "501 5.5.4")
        wire.say("NOOP", "250 2.0.0")


def test_S8_a_second_time_is_554(house):
    with SmtpTls(house) as wire:
        wire.say("STARTTLS", "554 5.5.1")
        wire.say("NOOP", "250 2.0.0")
    with tls(house) as wire:
        wire.say("STARTTLS", "554 5.5.1")


def test_S8_what_was_said_before_is_forgotten(house):
    with smtp(house) as wire:
        wire.say("MAIL FROM:<a@b.example>", "250 2.1.0")
        wire.say("RCPT TO:<bob@trial.example>", "250 2.1.5")
        wire.say("STARTTLS", "220 2.0.0")
        wire.socket = trusting(house.folder).wrap_socket(wire.socket, server_hostname="localhost")
        wire.say("DATA", "503 5.5.1")
        wire.say("MAIL FROM:<a@b.example>", "503 5.5.1")  # no HELO yet
        wire.ehlo()
        wire.say("MAIL FROM:<a@b.example>", "250 2.1.0")


@pytest.mark.parametrize("port", ["port", "submission"])
@pytest.mark.parametrize("more", [b"NOOP\r\n", b"EHLO injected.example\r\n", b"MAIL FROM:<a@b.example>\r\n", b"x"])
def test_S8_what_follows_starttls_in_the_same_packet_ends_the_session(house, port, more):
    """CVE-2011-0411: it would be taken for what came under TLS."""
    with Wire(getattr(house, port)) as wire:
        wire.send(b"STARTTLS\r\n" + more)
        wire.expect("554 5.5.0")
        assert wire.ended() == b""
    house.logged('step=STARTTLS .*improper pipelining')


@pytest.mark.parametrize("more", [b"NOOP\r\n", b"EHLO injected.example\r\n", b"\r\n" * 3000])
def test_S8_plain_text_between_the_reply_and_the_handshake_is_never_read_as_smtp(house, more):
    with smtp(house) as wire:
        wire.say("STARTTLS", "220 2.0.0")
        wire.send(more)
        said = wire.ended()
        assert b"250" not in said and b"500" not in said and not said.startswith(b"2")


class SealedWire:
    """TLS by hand over an open socket, so that what is said after its end can be said in plain text too."""

    def __init__(self, house):
        self.wire = smtp(house)
        self.wire.say("STARTTLS", "220 2.0.0")
        self.socket, self.inward, self.outward = self.wire.socket, ssl.MemoryBIO(), ssl.MemoryBIO()
        context = trusting(house.folder)
        context.check_hostname = False
        self.tls = context.wrap_bio(self.inward, self.outward)
        self.until(self.tls.do_handshake)

    def until(self, act):
        while True:
            try:
                done = act()
                self.flush()
                return done
            except ssl.SSLWantReadError:
                self.flush()
                self.inward.write(self.socket.recv(65536))

    def flush(self):
        self.socket.sendall(self.outward.read())

    def say(self, text, short):
        self.tls.write(text.encode() + b"\r\n")
        reply = self.until(lambda: self.tls.read(4096)).decode()
        while not re.search(r"^\d{3} ", reply, re.M):
            reply += self.until(lambda: self.tls.read(4096)).decode()
        assert reply.startswith(short), reply

    def end_of_tls(self):
        """close_notify, and no end of the connection."""
        try:
            self.tls.unwrap()
        except ssl.SSLWantReadError:
            pass
        self.flush()


@pytest.mark.parametrize("begin,plain", [("BDAT 100 LAST", b"x" * 200), ("BDAT 100 LAST", b"x"), ("DATA", b"rest\r\n.\r\n"), ("DATA", b".")],
                         ids=["chunk", "chunk-octet", "data", "data-octet"])
def test_what_is_said_in_plain_text_after_the_end_of_tls_is_never_content(house, begin, plain):
    """CVE-2026-45185: TLS ends in the middle of a message, and octets of the connection below go on."""
    before = len(house.maildir("alice"))
    sealed = SealedWire(house)
    with sealed.wire:
        sealed.say("EHLO client.example", "250")
        sealed.say("MAIL FROM:<sender@far.example>", "250")
        sealed.say(f"RCPT TO:<alice@{DOMAIN}>", "250")
        if begin == "DATA":
            sealed.say(begin, "354")
            sealed.tls.write(b"Subject: half\r\n\r\nfirst\r\n")
        else:
            sealed.tls.write(begin.encode() + b"\r\nSubject: half\r\n")
        sealed.flush()
        sealed.end_of_tls()
        try:
            sealed.socket.sendall(plain)
        except OSError:     # it has been closed already, which is right too
            pass
        said = sealed.wire.ended()
        assert b"250" not in said and b"354" not in said
    house.wait_empty()
    assert len(house.maildir("alice")) == before


BEFORE_TLS = [("MAIL FROM:<alice@trial.example>", "530 5.7.0"), ("RCPT TO:<bob@trial.example>", "530 5.7.0"),
              ("DATA", "530 5.7.0"), ("RSET", "530 5.7.0"), ("VRFY bob", "530 5.7.0"), ("NOOP", "250 2.0.0"),
              ("HELP", "214 2.0.0"), ("AUTH PLAIN AGFsaWNlAHg=", "538 5.7.11"), ("AUTH", "538 5.7.11"),
              ("FOO", "500 5.5.2"), ("EHLO again.example", "250"), ("QUIT", "221 2.0.0")]


def test_S9_where_users_log_in_little_can_be_said_before_tls(house):
    with Wire(house.submission) as wire:
        for line, short in BEFORE_TLS:
            wire.send(line + "\r\n")
            wire.expect(short, plain=short == "250")


def test_S9_chunks_before_tls_end_the_session(house):
    with Wire(house.submission) as wire:
        wire.send(b"BDAT 6 LAST\r\nNOOP\r\n")
        wire.expect("530 5.7.0")
        assert wire.ended() == b""


def test_the_trace_field_tells_of_tls(house):
    with SmtpTls(house) as wire:
        wire.deliver(CONTENT)
    received = house.wait_letters("bob")[0].received
    assert re.search(r"\(using TLSv1\.3 with cipher TLS_\w+ \(\d+\n?\s*bits\)\)", received), received
    assert " with ESMTPS id " in re.sub(r"\s+", " ", received)
    house.logged(r"secured client=127\.0\.0\.1 version=TLSv1\.3 cipher=TLS_\w+ bits=\d+ resumed=no")


# By openssl s_client

def s_client(house, *arguments, port="submissions", said=b"QUIT\r\n"):
    starttls = [] if port == "submissions" else ["-starttls", "smtp"]
    done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{getattr(house, port)}", *starttls,
                           "-CAfile", house.folder / "server.pem", "-servername", f"mx.{DOMAIN}", *arguments],
                          input=said, capture_output=True, timeout=20)
    return (done.stdout + done.stderr).decode(errors="replace")


@pytest.mark.parametrize("port", ["port", "submission", "submissions"])
@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_versions_of_now_are_spoken(house, port, version):
    said = s_client(house, f"-{version.lower().replace('v', '').replace('.', '_')}", port=port)
    assert f"{version}, Cipher is " in said and "Verification: OK" in said, said
    assert "Compression: NONE" in said


@pytest.mark.parametrize("version", ["-tls1", "-tls1_1"])
def test_old_versions_are_not(house, version):
    said = s_client(house, version, "-cipher", "ALL:@SECLEVEL=0")
    assert "Cipher is (NONE)" in said and "220" not in said, said


def test_nobody_negotiates_again(house):
    """R makes s_client ask for it; in TLS 1.2, for 1.3 knows no such thing."""
    said = s_client(house, "-tls1_2", "-legacy_renegotiation", said=b"R\nNOOP\r\n")
    assert "no renegotiation" in said and "250 2.0.0" not in said, said


def test_no_weak_cipher_is_spoken(house):
    for ciphers in ("RC4", "3DES", "NULL", "aNULL", "EXPORT", "PSK", "kRSA", "CBC"):
        listed = subprocess.run(["openssl", "ciphers", "-tls1_2", "-s", ciphers + ":@SECLEVEL=0"], capture_output=True,
                                timeout=10)
        if listed.returncode == 0 and listed.stdout.strip():
            said = s_client(house, "-tls1_2", "-cipher", ciphers + ":@SECLEVEL=0")
            assert "Cipher is (NONE)" in said, f"{ciphers}: {said}"


# Those that mean harm

def hello_record(house):
    """A client's first record."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    half = trusting(house.folder).wrap_bio(incoming, outgoing, server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        half.do_handshake()
    return outgoing.read()


def test_half_a_handshake_ends_by_its_time_and_stalls_nobody(house):
    """20 of each: nothing said, half a record, a whole hello and no more."""
    hello = hello_record(house)
    begun = time.monotonic()
    with contextlib.ExitStack() as stack:
        half_open = [stack.enter_context(socket.create_connection(("127.0.0.1", house.submissions), 20)) for _ in range(60)]
        for i, s in enumerate(half_open):
            s.sendall([b"", hello[:len(hello) // 2], hello][i % 3])
        with tls(house) as wire:
            wire.say("NOOP", "250 2.0.0")
        assert time.monotonic() - begun < IDLE_SECONDS, "they were there all the time"
        for s in half_open:
            said = b""
            with contextlib.suppress(ConnectionResetError):
                while more := s.recv(65536):
                    said += more
            assert b"220" not in said
    assert time.monotonic() - begun < 5 * IDLE_SECONDS
    house.logged("unsecured client=127.0.0.1 listener=submissions .*late", count=60)


def test_who_speaks_smtp_where_tls_is_spoken_is_not_heard(house):
    with socket.create_connection(("127.0.0.1", house.submissions), 20) as s:
        s.sendall(b"EHLO client.example\r\n" * 20)
        said = b""
        with contextlib.suppress(ConnectionResetError):
            while more := s.recv(65536):
                said += more
        assert b"250" not in said
    house.logged("unsecured client=127.0.0.1 listener=submissions text=")


def test_the_limit_for_one_client_holds_before_the_handshake(stagepost):
    house = with_people(stagepost(start=False), limits="per-client 3").start()
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(socket.create_connection(("127.0.0.1", house.submissions), 20))
        with socket.create_connection(("127.0.0.1", house.submissions), 20) as fourth:
            assert fourth.recv(100) == b""
        with socket.create_connection(("127.0.0.1", house.submission), 20) as fifth:
            assert fifth.recv(100).startswith(b"421 4.7.0 ")
    house.logged("refused step=connect .*listener=submissions .*too many connections from your address")


def test_idle_sessions_under_tls_are_cheap(stagepost):
    house = with_people(stagepost(start=False)).start()
    pss = lambda: int(re.search(r"Pss:\s+(\d+)", Path(f"/proc/{house.pid('submission')}/smaps_rollup").read_text())[1])
    context = trusting(house.folder)
    with contextlib.ExitStack() as stack:
        def more(count):
            for _ in range(count):
                stack.enter_context(TlsWire(house, context=context))
        more(20)
        before = pss()
        more(200)
        each = (pss() - before) / 200
        print(f"one idle session under TLS: {each:.1f} KiB")
        assert each < (400 if "san" in house.programs.parts else 60)
