"""
What the journeys of relayed mail share: what goes out of a message that came in, BDAT as a client
says it, and smtp-sink with its dump files.
"""
import collections
import re
import subprocess
from pathlib import Path

from corpus import FIELD
from stagepost import wait_for
from wire import queue_id

LINE_MAX = 998  # octets of a line that is sent (RFC 5321 4.5.3.1.6)
TRACE = re.compile(rb"(?:(?:Return-[Pp]ath|X-Original-To|Delivered-To|Received|X-[A-Z][a-z]+-[AP][a-z]+): [^\n]*\n(?:[ \t][^\n]*\n)*)*\Z")


class Outgoing:
    """What goes to the next server behind our Received, for the content of a client that we trust."""

    def __init__(self, content):
        if content and not content.endswith(b"\r\n"):
            content += b"\r\n"
        self.header, self.body = self._split(content)
        have = {name.lower() for name in re.findall(rb"(?m)^([!-9;-~]+)[ \t]*:", self.header)}
        self.added = b"".join(rb"%s: [^\n]*\n" % name for name in (b"Date", b"Message-ID") if name.lower() not in have)

    @staticmethod
    def _split(content):
        """The header block, without blind copies and with From lines renamed, and the rest, which begins with
        the empty line."""
        out, rest, begun, dropping = [], content, False, False
        while rest:
            end = rest.index(b"\r\n") + 2
            line = rest[:end]
            if FIELD.match(line):
                begun = True
                dropping = re.match(rb"(bcc|resent-bcc)[ \t]*:", line, re.I)
            elif re.match(rb">*From ", line) and not begun:
                line = b"X-Mailbox-Line: " + line
            elif not (line[:1] in b" \t" and begun):
                break
            if not dropping:
                out.append(line)
            rest = rest[end:]
        if rest and not rest.startswith(b"\r\n"):
            rest = b"\r\n" + rest
        return b"".join(out), rest

    def is_in(self, octets, keeps=lambda header, body: (header, body)):
        """octets have LF line ends. keeps: what the server behind us makes of it."""
        header, body = keeps(broken(self.header), broken(self.body))
        if not octets.startswith(header) or not octets.endswith(body):
            return False
        return re.fullmatch(self.added, octets[len(header):len(octets) - len(body)]) is not None


def broken(content):
    """Lines that are too long are broken by CRLF and a blank (S25), which counts in the next one; LF line ends."""
    lines = []
    for line in content.split(b"\r\n"):
        lines.append(line[:LINE_MAX])
        rest = line[LINE_MAX:]
        while rest:
            lines.append(b" " + rest[:LINE_MAX - 1])
            rest = rest[LINE_MAX - 1:]
    return b"\n".join(lines)


def behind_ours(octets, identity):
    """The content behind the Received that we wrote into the message of that queue id; before it stand only trace
    fields of those behind us. LF line ends."""
    ours = re.search(rb"(?m)^Received: [^\n]*\n(?:[ \t][^\n]*\n)*?[ \t][^\n]*\bid %s\b[^\n]*\n(?:[ \t][^\n]*\n)*" %
                     identity.encode(), octets)
    assert ours, f"no Received with {identity}: {octets[:1000]!r}"
    assert TRACE.match(octets[:ours.start()]), f"what is before {identity}'s Received? {octets[:ours.start()]!r}"
    return octets[ours.end():]


def deliver_chunks(wire, content, rng, *recipients, sender="sender@remote.example"):
    """A whole transaction by BDAT, cut anywhere; its queue id. The last chunk may be empty."""
    wire.send("".join([f"MAIL FROM:<{sender}>\r\n"] + [f"RCPT TO:<{r}>\r\n" for r in recipients]))
    wire.expect("250 2.1.0")
    for _ in recipients:
        wire.expect("250 2.1.5")
    at = 0
    while True:
        size = rng.choice((1, 2, rng.randint(1, 80), rng.randint(1, 20000), rng.randint(1, 20000), rng.randint(1, 3000000)))
        piece = content[at:at + size]
        at += len(piece)
        last = at == len(content) and rng.random() < 0.8
        if last or piece:
            wire.send(b"BDAT %d%s\r\n" % (len(piece), b" LAST" if last else b"") + piece)
        else:
            last = True
            wire.send("BDAT 0 LAST\r\n")
        reply = wire.expect("250 2.0.0")
        if last:
            return queue_id(reply)


Dump = collections.namedtuple("Dump", "sender recipients when octets")


class Sink:
    """smtp-sink on a host of net.py, with a file for each message."""

    PROGRAM = Path("/usr/sbin/smtp-sink")

    def __init__(self, net, host, *options):
        self.folder = net.folder / f"sink-{host}"
        self.folder.mkdir()
        self.folder.chmod(0o777)
        self.process = net.spawn(host, self.PROGRAM, "-u", "nobody", "-d", f"{self.folder}/", *options, ":25", "128",
                                 stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(lambda: "LISTEN" in net.run(host, "ss", "-Hltn", "sport = :25").stdout, 10, f"port 25 of {host}")

    def dumps(self):
        """Each message that is whole: sender, recipients, when its end came, octets with LF line ends."""
        found = []
        for path in self.folder.iterdir():
            octets = path.read_bytes()
            sender = re.search(rb"(?m)^X-Mail-Args: <([^>]*)>", octets)
            if sender and octets.endswith(b"\n\n"):
                head = octets[:octets.index(b"\nReceived: ")]
                recipients = [r.decode() for r in re.findall(rb"(?m)^X-Rcpt-Args: <([^>]*)>", head)]
                found.append(Dump(sender[1].decode(), recipients, path.stat().st_mtime, octets[:-1]))
        return found

    def forget(self):
        for path in self.folder.iterdir():
            path.unlink()
