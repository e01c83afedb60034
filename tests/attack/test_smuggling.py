"""
Smuggling, both ways: whatever stands in a message where another server might see its end, one message in is one message
out, and no command of a stranger is ever executed behind us.

    stranger -- DATA, BDAT: ... <almost an end> MAIL FROM:<evil...> --> us, bare-newline refuse | normalize
                                                                        '-- MX --> Postfix, Exim with and without CHUNKING, OpenSMTPD

An end is made of every mixture of line ends, NUL and dots, and lies at every octet around the borders of buffers.
"""
import itertools
import random

import pytest

import net as networks
import postfix as postfixes
from house import SHORT, House
from peers import Exim, OpenSMTPD
from stagepost import DOMAIN, free_port, wait_for
from wire import Wire

pytestmark = pytest.mark.row("smuggling")

ENDS = [b"\r\n", b"\n", b"\r", b"\n\r", b"\r\r\n", b"\0\r\n", b"\r\0\n", b"\r\n\0", b"\0"]
DOTS = [b".", b"..", b".\0", b". "]
BORDERS = [4096, 16384, 65536, 131072]
INSIDE = b"MAIL FROM:<evil@far.example>\r\nRCPT TO:<you@%s>\r\nDATA\r\nSubject: smuggled\r\n\r\nevil\r\n.\r\n"
SEED = 17
SESSION = 25    # messages: a session without accepted mail has its limit too


class PlainExim(Exim):
    """One that gets its mail by DATA."""

    def prepare(self):
        super().prepare()
        path = self.folder / "etc/exim4/exim4.conf"
        path.write_text("chunking_advertise_hosts =\n" + path.read_text())


class OtherPostfix(postfixes.Postfix):
    """As Debian had it before smuggling was known: a bare LF ends a line."""

    @classmethod
    def available(cls):
        return postfixes.available()

    def __init__(self, net, host):
        super().__init__(net, host, domains=[f"{host}.example"], main="smtpd_forbid_bare_newline = no\nsmtpd_forbid_unauth_pipelining = no\n")

    def letters(self):
        return [f.read_bytes() for f in super().letters()]


PEERS = {"postfix": OtherPostfix, "exim": Exim, "plain": PlainExim, "open": OpenSMTPD}
ZONES = {f"{host}.example": f"@ MX 10 {host}.hosts.test." for host in PEERS}


@pytest.fixture(scope="module")
def world():
    why = networks.available()
    if why:
        pytest.skip(why)
    net = networks.Network({"us": 2, "postfix": 11, "exim": 12, "plain": 13, "open": 14}, zones=ZONES)
    us = House(net=net, top="trust 127.0.0.0/8", retry="first 1s; longest 1s",
               listen=f"; listen 127.0.0.1:{(lax := free_port())} smtp {{ bare-newline normalize }}")
    us.lax = lax
    peers = {}
    try:
        net.us = us.start()
        net.peers = peers
        for host, kind in PEERS.items():
            if not kind.available():
                peers[host] = kind(net, host)
        yield net
    finally:
        for peer in peers.values():
            peer.end()
        us.end()
        net.end()


def variants():
    """Everything that looks like an end of content."""
    every = [a + dot + b for a, dot, b in itertools.product(ENDS, DOTS, ENDS)]
    return random.Random(SEED).sample(every, 24) if SHORT else every


def content(number, variant, host, border):
    """The variant lies around the border, each time a little further."""
    head = b"Subject: outer %d\r\n\r\n" % number
    fill = max(0, border - len(head) - (number % (len(variant) + 2)))
    line = b"x" * 70 + b"\r\n"
    filling = (line * (fill // len(line) + 1))[:fill - 2] + b"yy" if fill else b"first"
    return head + filling + variant + INSIDE % f"{host}.example".encode() + b"last"



def by_data(wire, octets, recipient):
    wire.begin(recipient, sender="outer@far.example")
    wire.send(octets + b"\r\n.\r\n")
    return wire.reply()


def by_chunks(wire, octets, recipient, cut):
    wire.say("MAIL FROM:<outer@far.example>", "250 2.1.0")
    wire.say(f"RCPT TO:<{recipient}>", "250 2.1.5")
    octets += b"\r\n"
    wire.send(b"BDAT %d\r\n" % cut + octets[:cut])
    first = wire.reply()
    if first.code != 250:
        wire.say("RSET", "250 2.0.0")
        return first
    wire.send(b"BDAT %d LAST\r\n" % (len(octets) - cut) + octets[cut:])
    return wire.reply()


def told_once(wire):
    """Nothing else was executed: the next reply is that of the next command."""
    wire.say("NOOP", "250 2.0.0")
    assert wire.buffer == b"", wire.buffer


def one(wire, way, host, number, variant):
    """Its reply; None: the variant is an end, by DATA."""
    octets = content(number, variant, host, BORDERS[number % len(BORDERS)] if number % 3 == 0 else 0)
    head, _, rest = octets.partition(b"MAIL FROM:<evil")
    if way == "chunks":
        return by_chunks(wire, octets, f"you@{host}.example", octets.index(variant) + 1 + number % len(variant))
    if b"\r\n.\r\n" in head:
        return None
    # the end within INSIDE is stuffed, as by an honest client: what is before it is the question
    return by_data(wire, head + b"MAIL FROM:<evil" + rest.replace(b"\r\n.", b"\r\n.."), f"you@{host}.example")


@pytest.mark.parametrize("host", PEERS)
@pytest.mark.parametrize("way", ["data-refuse", "data-normalize", "chunks"])
def test_one_message_in_is_one_message_out(world, host, way, tally):
    if host not in world.peers:
        pytest.skip(PEERS[host].available())
    peer = world.peers[host]
    before = len(peer.letters())
    port = world.us.lax if way == "data-normalize" else world.us.port
    accepted = refused = 0
    numbered = list(enumerate(variants()))
    for first in range(0, len(numbered), SESSION):
        with world.inside("us"):
            session = Wire(port, seconds=60)
        with session as wire:
            for number, variant in numbered[first:first + SESSION]:
                reply = one(wire, way, host, number, variant)
                if not reply:
                    continue
                assert reply.code == 250 or reply.short == "550 5.5.2", (variant, reply)
                accepted += reply.code == 250
                refused += reply.code != 250
                told_once(wire)
    assert accepted > 0
    world.us.wait_empty(60)
    letters = peer.wait_letters(before + accepted, 30)
    assert len(letters) == before + accepted, f"{accepted} in, {len(letters) - before} out"
    assert_outer(letters)
    tally(messages_in=accepted, messages_out=len(letters) - before, refused=refused)


def assert_outer(letters):
    for letter in letters:
        head = letter.split(b"\n\n", 1)[0].replace(b"\r", b"")
        assert b"Subject: outer" in head and b"evil@" not in head, letter[:1500]


@pytest.mark.control
def test_a_smuggled_message_is_noticed(world):
    """The same, said to Postfix without us between: it takes the bare line ends for an end."""
    if "postfix" not in world.peers:
        pytest.skip("Postfix is not installed")
    peer = world.peers["postfix"]
    before = len(peer.letters())
    script = ("import socket,sys\n"
              "s=socket.create_connection((sys.argv[1],25),20);f=s.makefile('rb');f.readline()\n"
              "for line in (b'EHLO x.example',b'MAIL FROM:<outer@far.example>',b'RCPT TO:<you@postfix.example>',b'DATA'):\n"
              "    s.sendall(line+b'\\r\\n')\n"
              "    while (l:=f.readline())[3:4]==b'-': pass\n"
              "s.sendall(bytes.fromhex(sys.argv[2]))\n"
              "print(f.readline(),f.readline(),f.readline(),f.readline(),f.readline())\n")
    octets = content(1, b"\n.\n", "postfix", 0) + b"\r\n.\r\n"
    done = world.run("us", "/usr/bin/python3", "-c", script, world.ip4("postfix"), octets.hex())
    letters = peer.wait_letters(before + 2, 20)
    assert len(letters) == before + 2, done.stdout
    with pytest.raises(AssertionError):
        assert_outer(letters)
    for path in postfixes.Postfix.letters(peer):    # the others start from what is honest
        if b"smuggled" in path.read_bytes().split(b"\n\n", 1)[0]:
            path.unlink()


ENVELOPES = [b"MAIL FROM:<a@far.example\n>", b"MAIL FROM:<a@far.example>\rRCPT TO:<bob@trial.example>", b"MAIL FROM:<a@far.example>\nRCPT TO:<bob@trial.example>",
             b"MAIL FROM:<a\0b@far.example>", b"MAIL FROM:<\"a\rb\"@far.example>", b"MAIL FROM:<\"a\nb\"@far.example>", b"MAIL FROM:<a@far.example> BODY=7BIT\rX",
             b"RCPT TO:<bob@trial.example>\nDATA", b"RCPT TO:<bob\r@trial.example>", b"RCPT TO:<bob@trial.example> ORCPT=rfc822;a+0D+0Ab",
             b"EHLO a\rb", b"EHLO a\nMAIL FROM:<a@far.example>", b"NOOP \rRSET", b"RSET\nDATA"]


@pytest.mark.parametrize("line", ENVELOPES)
def test_no_line_end_hides_in_a_command(world, line, tally):
    """The whole line is one command, which is refused or taken whole; nothing behind a bare CR or LF is a command of its own."""
    with world.us.connect(seconds=20) as wire:
        if line.startswith(b"RCPT"):
            wire.say("MAIL FROM:<a@far.example>", "250 2.1.0")
        wire.send(line + b"\r\n")
        first = wire.reply()
        assert first.code in (500, 501, 550, 250) and (first.code != 250 or line[:4] in (b"NOOP", b"RCPT")), first
        told_once(wire)
        assert wire.say("DATA").code in (503, 554) or line.startswith(b"RCPT TO:<bob@trial.example> ")
    tally(commands=1)


@pytest.mark.parametrize("head", [b"X-A: a\rBcc: evil@far.example", b"X-A: a\nBcc: evil@far.example", b"X-A: a\0\r\nX-B: b", b"X-A: a\r\r\nX-B: b", b"\rX-A: a"])
@pytest.mark.parametrize("chunks", [False, True], ids=["data", "chunks"])
def test_no_line_end_hides_in_a_header(world, head, chunks, tally):
    octets = b"Subject: outer 1\r\n" + head + b"\r\n\r\ntext"
    before = len(world.us.maildir("bob"))
    with world.us.connect(seconds=20) as wire:
        send = (lambda: by_chunks(wire, octets, f"bob@{DOMAIN}", 25)) if chunks else (lambda: by_data(wire, octets, f"bob@{DOMAIN}"))
        reply = send()
        if b"\0" in head and b"\r\r" not in head:
            assert reply.code == 250, reply
        else:
            assert reply.short == "550 5.5.2", reply
        told_once(wire)
    world.us.wait_empty(20)
    wait_for(lambda: len(world.us.maildir("bob")) == before + (reply.code == 250), 20)
    tally(headers=1)
