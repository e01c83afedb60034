"""
Messages as real life sends them, and what a Maildir holds of each. Everything comes from a seed.
"""
import base64
import random
import re

WORDS = ("relay courier horse inn letter seal road night snow station bag hostler post wheel bridge ledger rider lamp "
         "morning parcel").split()
ACCENTED = ["Grüße", "élan", "naïve", "Øresund", "łódź", "Ελλάδα", "почта", "駅逓", "🐎"]
FIELD = re.compile(rb"[!-9;-~]{1,997}[ \t]*:")


class Message:
    def __init__(self, name, content, sender="sender@remote.example", recipients=("bob@trial.example",)):
        self.name, self.content = name, content
        self.sender, self.recipients = sender, recipients

    def __repr__(self):
        return self.name


def as_kept(content):
    """What lies behind the trace fields in a Maildir: LF line ends, `From ` lines named and
    Return-Path and blind copies taken out of the header, an empty line where the header lacks its end."""
    if content and not content.endswith(b"\r\n"):
        content += b"\r\n"  # as every client does
    assert not re.search(rb"[^\r]\n|\r[^\n]|\A\n|\r\Z", content), "not to be accepted at all"
    out, rest, begun, dropping = [], content, False, False
    while rest:
        end = rest.index(b"\r\n") + 2
        line, after = rest[:end], rest[end:]
        if line == b"\r\n":
            break
        if FIELD.match(line):
            begun = True
            dropping = re.match(rb"(return-path|bcc|resent-bcc)[ \t]*:", line, re.I)
        elif line[:1] in b" \t" and begun:
            pass
        elif re.match(rb">*From ", line) and not begun:
            line = b"X-Mailbox-Line: " + line
        else:
            out.append(b"\r\n")
            break
        if not dropping:
            out.append(line)
        rest = after
    return (b"".join(out) + rest).replace(b"\r\n", b"\n")


class Generator:
    def __init__(self, seed):
        self.rng = random.Random(seed)

    def phrase(self, least=2, most=9):
        return " ".join(self.rng.choice(WORDS) for _ in range(self.rng.randint(least, most)))

    def lines(self, octets, width=76):
        """Body text of exactly so many octets, CRLF counted; 2 at least."""
        out, left = [], octets
        while left:
            size = min(left, self.rng.randint(2, width + 2))
            if left - size == 1:
                size = size - 1 if size > 2 else size + 1
            text = self.phrase(1, 14).encode()
            text = (text * (size // len(text) + 1))[:size - 2]
            out.append(text + b"\r\n")
            left -= size
        return b"".join(out)

    def header(self, *more):
        rng = self.rng
        fields = [f"From: {self.phrase(1, 2)} <{rng.choice(WORDS)}@remote.example>", "To: bob@trial.example",
                  f"Subject: {self.phrase()}", f"Message-ID: <{rng.getrandbits(64):x}@remote.example>",
                  f"Date: Mon, {rng.randint(1, 28)} Jan 2024 {rng.randint(0, 23):02}:00:00 +0100"]
        rng.shuffle(fields)
        return "\r\n".join([*fields, *more, ""]).encode()

    # Each kind returns content

    def plain(self):
        return self.header() + b"\r\n" + self.lines(self.rng.randint(2, 6000))

    def eight_bit(self):
        text = " ".join(self.rng.choice(ACCENTED + WORDS) for _ in range(300))
        return (self.header(f"X-Raw: {self.rng.choice(ACCENTED)}").decode() + "\r\n" + "\r\n".join(
            text[i:i + 60] for i in range(0, len(text), 60))).encode(self.rng.choice(("utf-8", "utf-8", "utf-16-le", "koi8-r")),
                                                                   "replace").replace(b"\r", b"").replace(b"\n", b"\r\n")

    def every_octet(self):
        octets = bytes(b for b in range(256) if b not in b"\r\n")
        return self.header() + b"\r\n" + b"".join(octets[i:] + octets[:i] + b"\r\n" for i in range(0, 254, 17))

    def long_lines(self):
        return (self.header("X-Long: " + "v" * self.rng.choice((990, 998, 999, 5000))) + b"\r\n" +
                b"".join(b"w" * n + b"\r\n" for n in (997, 998, 999, 1000, 4096, self.rng.randint(1000, 60000))))

    def dots(self):
        lines = [self.rng.choice((b"", b".", b"..", b"...", b".a", b"a.", b". ", b" .", b".\t", b"." * 70)) for _ in range(200)]
        return self.rng.choice((self.header() + b"\r\n", b".\r\n", b"")) + b"\r\n".join(lines) + b"\r\n"

    def huge_header(self):
        size = self.rng.choice((64 * 1024 - 1, 64 * 1024, 64 * 1024 + 1, 100 * 1024, 200 * 1024))
        head = self.header()
        while len(head) < size:
            head += f"X-{self.rng.choice(WORDS)}-{len(head)}: {self.phrase(5, 400)}\r\n\tfolded {self.phrase()}\r\n".encode()
        return head + b"\r\n" + self.lines(100)

    def one_huge_field(self):
        return self.header() + b"References:" + b"".join(b" <%032x@remote.example>\r\n" % self.rng.getrandbits(120)
                                                          for _ in range(1500)) + b"\r\nend\r\n"

    def no_header(self):
        return self.rng.choice((b"just text\r\n", b"\r\nonly a body\r\n", b" blank first: x\r\nSubject: no\r\n",
                                b"no colon here\r\nTo: x\r\n\r\nbody\r\n", b": empty name\r\n\r\n", b"\t\r\n\r\n"))

    def empty(self):
        return self.rng.choice((b"", b"\r\n", b"\r\n\r\n", b"\r\n" * 500))

    def nul(self):
        return self.header("X-Nul: a\0b") + b"\r\n" + b"\0" * self.rng.randint(1, 3000) + b"\r\n\0\r\n.\0\r\n"

    def no_blank_line(self):
        return self.header() + self.rng.choice((b"the body begins at once\r\nTo: no field\r\n", b"",
                                               b"=====\r\n\r\n", b"\x80\x81: not a name\r\n", b"From here on it is body\r\n"))

    def from_line(self):
        return (self.rng.choice((b"From ", b">From ", b">>>From ")) + b"rider@remote.example Mon Jan  1 00:00:00 2024\r\n" +
                self.rng.choice((b"", b"From \r\n")) + self.header() + b"\r\nFrom the body on\r\n>From too\r\n")

    def return_path(self):
        return (b"Return-Path: <old@elsewhere.example>\r\n" + self.header("RETURN-PATH :", "\t<folded@elsewhere.example>", "X: y") +
                b"\r\nReturn-Path: <kept@in.the.body>\r\n")

    def mime(self):
        mark = f"=_{self.rng.getrandbits(80):x}"
        data = base64.encodebytes(self.rng.randbytes(self.rng.randint(1, 60000))).replace(b"\n", b"\r\n")
        return (self.header("MIME-Version: 1.0", f'Content-Type: multipart/mixed;\r\n boundary="{mark}"') +
                f"\r\npreamble\r\n--{mark}\r\nContent-Type: text/plain; charset=utf-8\r\n"
                f"Content-Transfer-Encoding: 8bit\r\n\r\n{self.rng.choice(ACCENTED)}\r\n--{mark}\r\n"
                "Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n".encode() + data +
                f"--{mark}--\r\nepilogue\r\n".encode())

    def nested(self):
        inner = self.plain()
        for _ in range(self.rng.randint(1, 12)):
            inner = self.header("Content-Type: message/rfc822") + b"\r\n" + inner
        return inner

    def received(self):
        return b"".join(b"Received: from a by b\r\n\t(x) id %d;\r\n\tMon, 1 Jan 2024 00:00:00 +0000\r\n" % i
                        for i in range(self.rng.randint(1, 99))) + self.header() + b"\r\nx\r\n"

    def no_final_newline(self):
        return self.header() + b"\r\n" + self.lines(500)[:-2]

    def white_space(self):
        return self.header("X-Blank:", "X-Blanks:   ", "X-Folded:\r\n \r\n\t\r\n x") + b"\r\n \r\n\t\r\n   \r\n"

    def sized(self, octets):
        """Header and body together of exactly so many octets."""
        head = self.header() + b"\r\n"
        return head + self.lines(octets - len(head))

    EVERYDAY = (plain, plain, plain, eight_bit, every_octet, long_lines, dots, dots, huge_header, one_huge_field, no_header,
                empty, nul, no_blank_line, from_line, return_path, mime, mime, nested, received, no_final_newline,
                white_space)


def borders():
    """Sizes around the limits of the store: memory, a packet, a file of its own."""
    for limit in (4096, 16384, 64 * 1024, 128 * 1024, 192 * 1024, 1024 * 1024):
        for off in (-513, -65, -2, -1, 0, 1, 2, 65):
            yield limit + off


def messages(seed, count=300):
    """The first ones are of every size that matters, the others of every kind in turn."""
    g = Generator(seed)
    sizes = list(borders())
    for i in range(count):
        if i == 0:
            name, content = "20 MB", g.sized(20 * 1000 * 1000)
        elif i <= len(sizes):
            name, content = f"{sizes[i - 1]} octets", g.sized(sizes[i - 1])
        else:
            kind = g.EVERYDAY[i % len(g.EVERYDAY)]
            name, content = kind.__name__, kind(g)
        # the sender tells which message it was, whatever becomes of the content
        yield Message(f"{i} {name}", content, sender=f"m{i}@remote.example")
