"""
SMTP as octets: a client that says exactly what it is told, in the pieces it is told, and that
judges each reply: its shape (RFC 5321 4.2) and its enhanced code (RFC 2034).
"""
import re
import socket

REPLY = re.compile(rb"([2-5][0-9][0-9])([ -])([\x20-\x7e]*)\r\n")
ENHANCED = re.compile(r"([245])\.\d{1,3}\.\d{1,3} ")


def stuffed(content):
    """Content as it goes over the line, with its end (RFC 5321 4.5.2)."""
    if content.startswith(b"."):
        content = b"." + content
    content = content.replace(b"\r\n.", b"\r\n..")
    if content and not content.endswith(b"\r\n"):
        content += b"\r\n"
    return content + b".\r\n"


class Reply:
    def __init__(self, code, texts):
        self.code, self.texts = code, texts
        self.text = texts[-1]
        found = ENHANCED.match(self.text)
        self.enhanced = found and found[0].strip()

    @property
    def short(self):
        """`550 5.1.1`, or `220` where there is no enhanced code."""
        return f"{self.code} {self.enhanced}" if self.enhanced else str(self.code)

    def __repr__(self):
        return f"<{self.code} {' / '.join(self.texts)}>"


class Wire:
    def __init__(self, port, host="127.0.0.1", source=None, greet=True, hello="client.example", seconds=20,
                 pieces=None, path=None):
        """pieces: a function from what is to be sent to an iterable of its pieces. path: of a unix socket."""
        self.buffer = b""
        self.pieces = pieces
        if path:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(seconds)
            self.socket.connect(str(path))
        else:
            self.socket = socket.create_connection((host, port), seconds, (source, 0) if source else None)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if greet:
            self.expect("220")
        if greet and hello:
            self.features = self.ehlo(hello)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, octets):
        if isinstance(octets, str):
            octets = octets.encode("latin-1")
        if self.pieces:
            for piece in self.pieces(octets):
                self.socket.sendall(piece)
        else:
            self.socket.sendall(octets)

    def _line(self):
        while b"\n" not in self.buffer:
            more = self.socket.recv(65536)
            if not more:
                raise ConnectionError(f"the server closed; unread: {self.buffer!r}")
            self.buffer += more
        line, _, self.buffer = self.buffer.partition(b"\n")
        return line + b"\n"

    def reply(self, plain=False):
        """The next reply. plain: of greeting, HELO or EHLO, which carry no enhanced code."""
        texts, code = [], None
        while True:
            line = self._line()
            found = REPLY.fullmatch(line)
            assert found, f"no reply line: {line!r}"
            assert len(line) <= 512, "RFC 5321 4.5.3.1.5"
            assert code in (None, found[1]), f"codes differ within a reply: {line!r}"
            code = found[1]
            texts.append(found[3].decode())
            if found[2] == b" ":
                break
        r = Reply(int(code), texts)
        for text in texts:
            enhanced = ENHANCED.match(text)
            if plain or r.code == 354:
                assert not enhanced or r.code >= 400, f"an enhanced code where none belongs: {r}"
            else:
                assert enhanced and enhanced[1] == code[:1].decode(), f"no enhanced code of its class (S17): {r}"
        return r

    def expect(self, short, plain=None):
        """The next reply, which must be `550 5.1.1` or as far as `short` says."""
        r = self.reply(plain=" " not in short and short != "354" if plain is None else plain)
        assert r.short == short or str(r.code) == short, f"expected {short}, got {r}"
        return r

    def say(self, line, short=None):
        """A command and its reply."""
        self.send(line + "\r\n" if isinstance(line, str) else line + b"\r\n")
        return self.expect(short) if short else self.reply()

    def ehlo(self, name="client.example"):
        self.send(f"EHLO {name}\r\n")
        return self.reply(plain=True).texts

    def begin(self, *recipients, sender="sender@remote.example", more=""):
        """A transaction up to 354."""
        self.say(f"MAIL FROM:<{sender}>{more}", "250 2.1.0")
        for recipient in recipients or ("bob@trial.example",):
            self.say(f"RCPT TO:<{recipient}>", "250 2.1.5")
        self.say("DATA", "354")

    def content(self, content):
        """Content and its end; the reply."""
        self.send(stuffed(content))
        return self.reply()

    def deliver(self, content, *recipients, sender="sender@remote.example", pipelined=False):
        """A whole transaction; its queue id."""
        recipients = recipients or ("bob@trial.example",)
        if pipelined:
            self.send("".join([f"MAIL FROM:<{sender}>\r\n"] + [f"RCPT TO:<{r}>\r\n" for r in recipients] + ["DATA\r\n"]))
            self.expect("250 2.1.0")
            for _ in recipients:
                self.expect("250 2.1.5")
            self.expect("354")
        else:
            self.begin(*recipients, sender=sender)
        return queue_id(self.content(content))

    def ended(self):
        """Waits until the server has closed; what it said before."""
        said = self.buffer
        try:
            while more := self.socket.recv(65536):
                said += more
        except ConnectionResetError:
            pass
        self.buffer = b""
        return said

    def quit(self):
        self.say("QUIT", "221 2.0.0")
        assert self.ended() == b""
        self.close()


def queue_id(reply):
    assert reply.code == 250, reply
    found = re.fullmatch(r"2\.0\.0 Ok: queued as ([0-9A-Z]{12})", reply.text)
    assert found, reply
    return found[1]


def one_by_one(octets):
    """Every octet by itself."""
    for i in range(len(octets)):
        yield octets[i:i + 1]


def chopped(rng, most=1400):
    """A cutter that cuts anywhere."""
    def pieces(octets):
        at = 0
        while at < len(octets):
            size = rng.choice((1, 2, 3, rng.randrange(1, 80), rng.randrange(1, most)))
            if len(octets) > 200000:
                size = rng.randrange(1, 65536)
            yield octets[at:at + size]
            at += size
    return pieces
