"""
Bad clients, many at once in one thread: each plays a conversation as it should be up to one step, and
misbehaves there.

    script = [Step("EHLO", b"EHLO x\r\n", b"250 "), TLS, Step(...)]
    seen = asyncio.run(crowd([Stranger(port, script, at=3, how="half"), ...], at_once=500))

A step is octets and how the answer's last line begins. TLS is two steps, the client's two flights. A stranger
that is under TLS misbehaves in the octets below it: half a command is half a record.
"""
import asyncio
import itertools
import random
import socket
import ssl
import struct
import time

PIECE = 65536
CLIENTS = itertools.count()
GARBAGE = 3000
DEAF_PIECE = 5000
PATIENCE = 90    # of a stranger for its end; what the server may take at most is judged by the test

# What each does at its step, having sent nothing or half of it before.
SILENT, HALF, TRICKLE, FIN, RST, GARBLE, DEAF = "silent", "half", "trickle", "fin", "rst", "garble", "deaf"
WAYS = (SILENT, HALF, TRICKLE, FIN, RST, GARBLE, DEAF)


CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
CONTEXT.check_hostname, CONTEXT.verify_mode = False, ssl.CERT_NONE


class Step:
    def __init__(self, name, octets, answer, more=b"", flight=0):
        """more: what a trickle goes on with, when the step's own octets are over."""
        self.name, self.octets, self.answer, self.more, self.flight = name, octets, answer, more, flight

    def __repr__(self):
        return self.name


CLIENT_HELLO = Step("ClientHello", b"", b"", flight=1)
CLIENT_FINISHED = Step("Finished", b"", b"", flight=2)
TLS = (CLIENT_HELLO, CLIENT_FINISHED)


def source():
    """An address of 127/8 for each; many more than per-client would allow for one."""
    n = next(CLIENTS)
    return f"127.{101 + n // 62500 % 100}.{1 + n // 250 % 250}.{1 + n % 250}"


class Unexpected(Exception):
    pass


class Stranger:
    def __init__(self, port, script, at=None, how=None, seed=0, gap=0.1, host=None, name="", idle=2):
        """at: index of the step where it misbehaves; None: never."""
        self.port, self.script, self.at, self.how, self.gap = port, list(script), at, how, gap
        self.host, self.name, self.idle = host or source(), name, idle
        self.rng = random.Random(f"{seed} {port} {at} {how}")
        self.said = b""         # by the server at the place where it misbehaved, as plain text
        self.ended = None       # "end", "reset"; None: the server did not end it
        self.seconds = None     # from the misbehaviour to the end
        self.trouble = None     # before it came that far
        self.before = self.slowest = 0
        self.lagged = False     # so much of this came late that the server had enough before the misbehaviour
        self.secure = None
        self.buffer = b""

    def __repr__(self):
        where = self.script[self.at] if self.at is not None else "well"
        return f"{self.name} {where} {self.how}: {self.ended} after {self.seconds and round(self.seconds, 2)} s, said {self.said[-90:]!r} {self.trouble or ''}"

    # The wire

    async def open(self):
        self.loop = asyncio.get_running_loop()
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.how == DEAF:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        self.socket.bind((self.host, 0))
        await self.loop.sock_connect(self.socket, ("127.0.0.1", self.port))

    async def raw(self, octets):
        await self.loop.sock_sendall(self.socket, octets)

    def sealed(self, octets):
        """As they go over the line."""
        if not self.secure:
            return octets
        self.secure.write(octets)
        return self.outgoing.read()

    async def more(self):
        """Some more plain text; empty: the end."""
        while True:
            got = await self.loop.sock_recv(self.socket, PIECE)
            if not self.secure:
                return got
            if not got:
                return b""
            self.incoming.write(got)
            try:
                return self.secure.read(PIECE)
            except ssl.SSLWantReadError:
                continue
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return b""

    async def answer(self, begin):
        """Up to a line that begins so; anything else that ends an answer is Unexpected."""
        while True:
            line, end, rest = self.buffer.partition(b"\n")
            if end:
                self.buffer = rest
                if line.startswith(begin):
                    return
                if begin != b"." and line[3:4] != b"-":
                    raise Unexpected(f"{begin!r} expected, {line!r} came")
                continue
            got = await self.more()
            if not got:
                raise Unexpected(f"{begin!r} expected, the end came behind {self.buffer!r}")
            self.buffer += got

    def flight(self, number):
        """The client's flight of the handshake, not sent yet."""
        if number == 1:
            self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            self.handshake = CONTEXT.wrap_bio(self.incoming, self.outgoing)
        try:
            self.handshake.do_handshake()
        except ssl.SSLWantReadError:
            if number == 2:
                return None
        return self.outgoing.read()

    async def second_flight(self):
        while True:
            got = await self.loop.sock_recv(self.socket, PIECE)
            if not got:
                raise Unexpected("the end in the handshake")
            self.incoming.write(got)
            octets = self.flight(2)
            if octets is not None:
                return octets

    async def octets_of(self, step):
        if step.flight == 2:
            return await self.second_flight()
        return self.flight(1) if step.flight else self.sealed(step.octets)

    # Behaviour

    def slow(self, last):
        """So slow itself that the server may have had enough of it."""
        return max(self.slowest, time.monotonic() - last) > self.idle * 0.6

    async def play(self):
        try:
            await self.open()
            last = time.monotonic()
            for i, step in enumerate(self.script):
                octets = await self.octets_of(step)
                if i == self.at:
                    self.begun = time.monotonic()
                    self.before = self.begun - last     # the server has waited so long already, at most
                    await asyncio.wait_for(getattr(self, self.how)(step, octets), PATIENCE)
                    break
                if not step.flight:     # a handshake has one deadline, from the command before it
                    self.slowest, last = max(self.slowest, time.monotonic() - last), time.monotonic()
                await self.raw(octets)
                if step.flight == 2:
                    self.secure = self.handshake
                if step.answer:
                    await self.answer(step.answer)
        except Unexpected as e:
            self.trouble = str(e)
            self.lagged = self.slow(last)
        except asyncio.TimeoutError:
            self.trouble = f"the server did not end it in {PATIENCE} s"
        except OSError as e:
            self.trouble = f"{type(e).__name__} {e}"
            self.lagged = self.slow(last)
        finally:
            self.socket.close()
        return self

    async def until_end(self):
        """Reads until the server ends it."""
        try:
            while got := await self.more():
                self.said += got
            self.ended = "end"
        except ssl.SSLError:
            self.ended = "end"
        except OSError:
            self.ended = "reset"
        self.seconds = time.monotonic() - self.begun

    async def silent(self, step, octets):
        await self.until_end()

    async def half(self, step, octets):
        await self.raw(octets[:len(octets) // 2])
        await self.until_end()

    async def trickle(self, step, octets):
        """An octet each `gap` s for ever, and never what ends the step."""
        end = asyncio.ensure_future(self.until_end())
        try:
            source = itertools.chain(octets[:-1] if not step.more or self.secure else b"", itertools.cycle(step.more or b"x"))
            while not end.done():
                await self.raw(bytes([next(source)]))
                await asyncio.wait([end], timeout=self.gap)
        except OSError:
            pass
        await end

    async def fin(self, step, octets):
        await self.raw(octets[:len(octets) // 2])
        self.socket.shutdown(socket.SHUT_WR)
        await self.until_end()

    async def rst(self, step, octets):
        await self.raw(octets[:len(octets) // 2])
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()
        self.ended, self.seconds = "reset", 0

    async def garble(self, step, octets):
        """Random octets behind half of it, then silence."""
        with_crlf = self.rng.randbytes(GARBAGE).replace(b"\0", b"\r\n")
        try:
            await self.raw(octets[:len(octets) // 2] + with_crlf)
        except OSError:
            pass
        await self.until_end()

    async def deaf(self, step, octets):
        """The step thousands of times, and no answer is read. What the server has to say fills its buffers."""
        in_handshake = step.flight > 0
        try:
            for _ in range(100):
                await self.raw(octets if in_handshake else self.sealed(DEAF_PIECE // (len(step.octets) + 1) * step.octets))
            while True:     # nothing is to be sent any more; the end shows at a write
                await asyncio.sleep(0.2)
                await self.raw(b"\r\n")
        except OSError:
            self.ended = "reset"
        self.seconds = time.monotonic() - self.begun


async def crowd(strangers, at_once=400):
    """All of them, so many at once."""
    room = asyncio.Semaphore(at_once)

    async def one(stranger):
        async with room:
            return await stranger.play()
    return await asyncio.gather(*(one(s) for s in strangers))


def script_of(kind, name, login=None, password=None, chunks=False):
    """A whole conversation with a listener of that kind, that leaves a message of `name` (SMTP) or fetches one."""
    import base64
    secret = base64.b64encode(f"\0{login}\0{password}".encode())
    if kind in ("pop3", "pop3s"):
        tls = [Step("STLS", b"STLS\r\n", b"+OK"), *TLS] if kind == "pop3" else []
        return [*(TLS if kind == "pop3s" else []), Step("greeting", b"", b"+OK"), Step("CAPA", b"CAPA\r\n", b"."), *tls,
                Step("USER", f"USER {login}\r\n".encode(), b"+OK"), Step("PASS", f"PASS {password}\r\n".encode(), b"+OK")]
    content = f"Subject: {name}\r\n\r\n".encode() + 40 * b"a line of it that is not dotted\r\n"
    sender = login or f"{name}@strange.example"
    steps = [*(TLS if kind == "submissions" else []), Step("greeting", b"", b"220 "), Step("EHLO", b"EHLO strange.example\r\n", b"250 ")]
    if kind in ("starttls", "submission"):
        steps += [Step("STARTTLS", b"STARTTLS\r\n", b"220 "), *TLS, Step("EHLO again", b"EHLO strange.example\r\n", b"250 ")]
    if kind in ("submission", "submissions"):
        steps += [Step("AUTH", b"AUTH PLAIN\r\n", b"334"), Step("password", secret + b"\r\n", b"235 ")]
    steps += [Step("MAIL", f"MAIL FROM:<{sender}>\r\n".encode(), b"250 "), Step("RCPT", b"RCPT TO:<bob@trial.example>\r\n", b"250 ")]
    if chunks:
        steps += [Step("BDAT", b"BDAT %d\r\n" % (len(content) * 8) + content * 8, b"250 "),
                  Step("BDAT LAST", b"BDAT %d LAST\r\n" % len(content) + content, b"250 ")]
    else:
        steps += [Step("DATA", b"DATA\r\n", b"354 "), Step("content", content + b".\r\n", b"250 ", more=b"a line of it\r\n")]
    return steps + [Step("QUIT", b"QUIT\r\n", b"221 ")]
