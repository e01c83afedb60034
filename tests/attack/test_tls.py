"""
TLS that fails, from both sides:

    client ---> smtpd ---> queue ---> smtp ---.--- servers whose STARTTLS fails in every way
    clients that cut TLS in the middle of a message ---> smtpd, submission

Towards others TLS is opportunistic: a server whose handshake fails gets its mail without, at once; what is said between
STARTTLS and the handshake, or under a TLS that was cut, decides nothing.
"""
import contextlib
import os
import socket
import ssl
import struct
import subprocess
import time

import pytest

from hostile import Ended, Hostile, closes, silent
from house import SHORT
from people import TlsWire, trusting, with_people
from stagepost import DOMAIN, wait_for
from test_servers import Case, first_reply, serve
from wire import Wire

pytestmark = [pytest.mark.row("TLS failures"), pytest.mark.filterwarnings("ignore::DeprecationWarning")]   # of old versions of TLS
EXTENSIONS = ("PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES", "STARTTLS")
CONTENT = b"Subject: x\r\n\r\nunder a seal\r\n"
ALERT = b"\x15\x03\x03\x00\x02\x02\x28"     # fatal, handshake_failure


def papers(folder, name, host="other.example", days="30"):
    """A certificate that signs itself, and its key; days: may have passed already."""
    pem, key, request = (folder / f"{name}.{end}" for end in ("pem", "key", "csr"))
    subprocess.run(["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={host}",
                    "-keyout", key, "-out", request], check=True, capture_output=True)
    subprocess.run(["openssl", "x509", "-req", "-in", request, "-signkey", key, "-days", days, "-out", pem], check=True, capture_output=True)
    return pem, key


def server_context(pem, key, **settings):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    c.load_cert_chain(pem, key)
    for name, value in settings.items():
        getattr(c, name)(value) if callable(getattr(c, name)) else setattr(c, name, value)
    return c


class Octets:
    """A socket that sends one octet at a time, for an ssl object over memory."""

    def __init__(self, connection, context):
        self.connection = connection
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_side=True)
        self.step(self.tls.do_handshake)

    def flush(self):
        for octet in self.outgoing.read():
            self.connection.sendall(bytes([octet]))

    def step(self, call, *arguments):
        while True:
            try:
                result = call(*arguments)
                self.flush()
                return result
            except ssl.SSLWantReadError:
                self.flush()
                got = self.connection.recv(65536)
                self.incoming.write(got) if got else self.incoming.write_eof()

    def sendall(self, octets):
        self.step(self.tls.write, octets)

    def makefile(self, mode):
        return self

    def readline(self):
        line = b""
        while not line.endswith(b"\n"):
            try:
                got = self.step(self.tls.read, 1)
            except ssl.SSLError:
                return b""
            if not got:
                return b""
            line += got
        return line

    def read(self):
        with contextlib.suppress(ssl.SSLError, OSError):
            while self.step(self.tls.read, 65536):
                pass
        return b""

    def shutdown(self, how):
        self.connection.shutdown(how)

    def close(self):
        self.connection.close()


def starts(context, wrap=None):
    """STARTTLS as it should be, with that context."""
    def behave(session):
        session.connection.sendall(b"220 2.0.0 go\r\n")
        try:
            session.connection = wrap(session.connection, context) if wrap else context.wrap_socket(session.connection, server_side=True)
        except (ssl.SSLError, OSError):
            raise Ended from None
        session.input = session.connection.makefile("rb")
        session.lines.append(b"(TLS)\n")
        return "SENT"
    return behave


def go_then(what, stays=False):
    """220, and then something that is no handshake."""
    def behave(session):
        session.connection.sendall(b"220 2.0.0 go\r\n")
        session.connection.recv(65536)     # the ClientHello
        if what:
            session.connection.sendall(what)
        if stays:
            session.input.read()
        raise Ended
    return behave


class Secured(Hostile):
    """Says nothing for SENT, which was said; two: what it does at a second phase, under TLS."""

    def __init__(self, behaviour, phase2=None, behaviour2=None):
        self.phase2, self.behaviour2 = phase2, behaviour2
        super().__init__("STARTTLS", behaviour, extensions=EXTENSIONS)

    def has(self, phase):
        return super().has(phase) or phase == self.phase2 and not self.well.is_set()

    def next(self, phase):
        if phase == self.phase2 and not self.well.is_set():
            return self.behaviour2
        return super().next(phase)


# A reply that was sent by the behaviour itself.
def unsaid(session_class):
    real = session_class.say

    def say(self, phase, usual=None):
        if phase != "STARTTLS":
            return real(self, phase, usual)
        item = self.remote.next(phase)
        reply = item(self) if callable(item) else item
        if reply == "SENT":     # goes on here, under TLS
            for line in iter(self.input.readline, b""):
                self.lines.append(line)
                self.command(line.strip().decode("utf-8", "replace"))
            raise Ended
        self.connection.sendall((reply or "454 4.7.0 not now").encode() + b"\r\n")
        if reply and reply.startswith("421"):
            raise Ended
        return True
    session_class.say = say
    return real


@pytest.fixture(autouse=True)
def sessions_that_can_start_tls():
    import remote
    real = unsaid(remote.Session)
    yield
    remote.Session.say = real


def close_notify(session):
    """TLS ends in good order, the connection too, in the middle of a transaction."""
    with contextlib.suppress(OSError):
        session.connection.unwrap()
    raise Ended


def truncated(session):
    """The connection ends without TLS having ended."""
    raw = socket.socket(fileno=session.connection.detach())
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 0, 0))
    raw.shutdown(socket.SHUT_RDWR)
    session.connection = raw
    raise Ended


def forged(session):
    """Plain text where TLS should be: a 250 that nobody sealed."""
    fd = session.connection.fileno()
    raw = socket.socket(fileno=os.dup(fd))
    raw.sendall(b"250 2.0.0 Ok: queued\r\n" * 3)
    time.sleep(0.3)
    raw.close()
    raise Ended


def cases(folder):
    good = papers(folder, "good", host="127.0.0.1")
    expired = papers(folder, "expired", days="-1")
    return [
        # name, server, end, whether under TLS
        ("unknown-ca", Secured(starts(server_context(*good))), "at_once", True),
        ("wrong-name", Secured(starts(server_context(*papers(folder, "wrong", host="elsewhere.example")))), "at_once", True),
        ("expired", Secured(starts(server_context(*expired))), "at_once", True),
        ("tls-1.2", Secured(starts(server_context(*good, maximum_version=ssl.TLSVersion.TLSv1_2))), "at_once", True),
        ("octet-by-octet", Secured(starts(server_context(*good), Octets)), "at_once", True),
        ("old-version", Secured(starts(server_context(*good, set_ciphers="ALL:@SECLEVEL=0", minimum_version=ssl.TLSVersion.TLSv1, maximum_version=ssl.TLSVersion.TLSv1_1))), "at_once", False),
        ("no-common-cipher", Secured(starts(server_context(*good, set_ciphers="AES128-SHA:@SECLEVEL=0", maximum_version=ssl.TLSVersion.TLSv1_2))), "at_once", False),
        ("alert", Secured(go_then(ALERT)), "at_once", False),
        ("alert-stays", Secured(go_then(ALERT, True)), "at_once", False),
        ("garbage", Secured(go_then(b"\x00garbage" * 1000)), "at_once", False),
        ("plain-reply", Secured(go_then(b"250 2.0.0 Ok\r\n" * 5)), "at_once", False),
        ("huge-record", Secured(go_then(b"\x16\x03\x03\xff\xff" + 70000 * b"x")), "at_once", False),
        ("huge-message", Secured(go_then(b"\x16\x03\x03\x40\x00\x02\xff\xff\xff" + 16380 * b"x", True)), "at_once", False),
        ("silence", Secured(go_then(b"", True)), "at_once", False),
        ("half-a-record", Secured(go_then(b"\x16\x03\x03\x01\x00ab", True)), "at_once", False),
        ("closes", Secured(go_then(b"")), "at_once", False),
        ("refused-454", Secured(lambda s: "454 4.7.0 not now"), "at_once", False),
        ("refused-554", Secured(lambda s: "554 5.7.0 never"), "at_once", False),
        ("421", Secured(lambda s: "421 4.3.2 going"), "once", False),
        ("silent", Secured(silent), "once", False),
        ("closed", Secured(closes), "once", False),
        ("injected", Secured(lambda s: "220 go\r\n250 2.0.0 Ok\r\n250 2.0.0 Ok"), "once", False),
        ("notify-at-MAIL", Secured(starts(server_context(*good)), "MAIL", close_notify), "once", None),
        ("notify-at-DATA", Secured(starts(server_context(*good)), "DATA", close_notify), "once", None),
        ("notify-at-END", Secured(starts(server_context(*good)), "END", close_notify), "maybe", None),
        ("truncated-at-RCPT", Secured(starts(server_context(*good)), "RCPT", truncated), "once", None),
        ("truncated-at-END", Secured(starts(server_context(*good)), "END", truncated), "maybe", None),
        ("forged-at-END", Secured(starts(server_context(*good)), "END", forged), "maybe", None),
    ]


def judge(name, server, end, sealed, house):
    told = first_reply(house, name)
    if not told:
        return "nothing was told"
    if (told[0] == "delivered") != (end == "at_once"):
        return f"{told} at the first attempt, not {end}"
    if end == "maybe" and not told[1].startswith("451 4.4.2"):
        return f"told {told[1]}"
    least, most = (1, 1 + server.struck) if end == "maybe" else (1, 1)
    if not least <= len(server.received) <= most:
        return f"it arrived {len(server.received)} times"
    under = any(line == b"(TLS)\n" for line in server.sessions[server.received[0].session].lines)
    if sealed is not None and under != sealed:
        return f"under TLS: {under}"
    return None if server.struck else "the server was never asked"


def test_servers_whose_tls_fails_in_every_way(houses, tally, tmp_path):
    found = cases(tmp_path)
    found = found[::3] if SHORT else found
    servers = [server for _, server, _, _ in found]
    house, good = serve(houses, [Case(name, "", None, None, end) for name, _, end, _ in found], servers)
    try:
        with house.connect() as wire:
            for name, *_ in found:
                wire.deliver(CONTENT, f"x@{name.lower()}.example", sender="alice@trial.example")
        for name, *_ in found:
            wait_for(lambda: first_reply(house, name), 30, f"a word about {name}")
        for server in servers:
            server.well.set()
        wait_for(lambda: not house.queue(), 120, "an empty queue")
        faults = [(judge(name, server, end, sealed, house), name, first_reply(house, name)) for name, server, end, sealed in found]
        faults = [f for f in faults if f[0]]
        plain = sum(sealed is False and end == "at_once" for _, _, end, sealed in found)
        copies = sum(len(s.received) - 1 for s in servers)
        print(f"\n{len(found)} servers, {plain} of them spoken to without TLS at once, {copies} copies")
        tally(servers=len(found), copies=copies)
        assert not faults, "\n".join(map(str, faults))
        assert not house.letters("alice"), "nothing is reported: nothing has failed for good"
    finally:
        for server in [*servers, good]:
            server.end()


@pytest.mark.parametrize("how", ["close_notify", "fin", "rst", "plain text"])
@pytest.mark.parametrize("port", ["port", "submission"])
def test_half_a_message_under_a_tls_that_ends_is_no_message(houses, tally, port, how):
    if SHORT and port == "port":
        pytest.skip("in the full form")
    house = houses()
    with_people(house, limits="idle 5s; spool-free 0; per-client 100").start()

    class Sealed(TlsWire):
        def __init__(self):
            self.context = trusting(house.folder)
            Wire.__init__(self, getattr(house, port))
            self.starttls()
            if port == "submission":
                self.login("alice")
    times = 2 if SHORT else 25
    for cut in range(times):
        wire = Sealed()
        wire.begin("bob@trial.example", sender=f"alice@{DOMAIN}")
        wire.send(b"Subject: half\r\n\r\n" + cut * b"a line\r\n" + b"."[:cut % 2])
        if how == "close_notify":
            with contextlib.suppress(OSError, ssl.SSLError):
                wire.socket.settimeout(0.2)
                wire.socket.unwrap()
        elif how == "plain text":   # the end of the content, but nobody sealed it
            raw = socket.socket(fileno=wire.socket.detach())
            raw.sendall(b"\r\n.\r\n")
            raw.close()
        else:
            raw = socket.socket(fileno=wire.socket.detach())
            if how == "rst":
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            raw.close()
        with contextlib.suppress(OSError):
            wire.close()
    whole = Sealed()
    whole.deliver(b"Subject: whole\r\n\r\n", "bob@trial.example", sender=f"alice@{DOMAIN}")
    house.wait_letters("bob", 1)
    house.logged("disconnected ", count=times, seconds=30)
    house.wait_empty()
    assert [b"Subject: whole" in l.content for l in house.letters("bob")] == [True]
    tally(half_messages=times)


# A test of the test

@pytest.mark.control
def test_control_a_server_that_gets_mail_without_tls_is_noticed(houses, tmp_path):
    server = Secured(lambda session: "454 4.7.0 not now")
    house, good = serve(houses, [Case("control", "", None, None, "at_once")], [server])
    try:
        house.deliver(CONTENT, "x@control.example")
        wait_for(lambda: first_reply(house, "control"), 30, "its outcome")
        assert judge("control", server, "at_once", False, house) is None
        assert judge("control", server, "at_once", True, house) == "under TLS: False"
        assert "first attempt" in judge("control", server, "once", False, house)
    finally:
        server.end()
        good.end()
