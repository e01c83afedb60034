"""
What a client said with the envelope is said again to the next server: DSN (S22), SMTPUTF8 (S23),
8BITMIME; what he did not say stays unsaid. Content comes through octet by octet by DATA and by
BDAT:

    test, in trust --- SMTP ---> smtpd ---> queue ---> smtp --- SMTP ---> a server on loopback
"""
import random
import re
import socket

import pytest

from corpus import Generator
from remote import Remote
from stagepost import wait_for
from test_bdat import cut
from wire import chopped, queue_id, stuffed

EVERYTHING = ("PIPELINING", "SIZE 52428800", "8BITMIME", "ENHANCEDSTATUSCODES", "DSN", "SMTPUTF8", "CHUNKING")


@pytest.fixture(scope="module")
def route():
    """The house, and the server that it relays to."""
    from conftest import Maker
    maker = Maker()
    remote = Remote(socket.create_server(("127.0.0.1", 0)), extensions=EVERYTHING)
    port = remote.listener.getsockname()[1]
    try:
        yield maker(top=f"trust 127.0.0.0/8\noutbound {{ via [127.0.0.1]:{port} }}"), remote
    finally:
        maker.end()
        remote.end()


def envelope(remote, sender, count=1):
    """MAIL and RCPT of the message from that sender, as the remote server got them."""
    found = wait_for(lambda: len(l := [m for m in remote.received if m.sender.startswith(f"FROM:<{sender}>")]) == count and l)
    return found[0].sender, found[0].recipients


def words(line):
    return set(line.split()[1:])


CASES = {
    "nothing": ("", ""),
    "all": (" RET=HDRS ENVID=Q+2BQ+20x", " NOTIFY=SUCCESS,DELAY ORCPT=rfc822;x+2By@z.example"),
    "full": (" RET=FULL", " NOTIFY=FAILURE"),
    "never": (" ENVID=x", " NOTIFY=NEVER"),
    "orcpt": ("", " ORCPT=utf-8;b\\x{F6}b@y.example"),
}


@pytest.mark.parametrize("name", CASES)
def test_S22_dsn_is_passed_on_as_it_was_said(route, name):
    house, remote = route
    mail, rcpt = CASES[name]
    with house.connect() as wire:
        wire.say(f"MAIL FROM:<{name}@trial.example>{mail}", "250 2.1.0")
        wire.say(f"RCPT TO:<you@far.example>{rcpt}", "250 2.1.5")
        wire.say("DATA", "354")
        queue_id(wire.content(b"Subject: x\r\nDate: x\r\nMessage-ID: <x@y>\r\n\r\nx\r\n"))
    said_mail, said_rcpt = envelope(remote, f"{name}@trial.example")
    assert {w for w in words(said_mail) if not w.startswith("SIZE=")} == set(mail.split())
    assert len(said_rcpt) == 1
    got = words(said_rcpt[0])
    for word in rcpt.split():
        key, _, value = word.partition("=")
        same = [w.partition("=")[2] for w in got if w.startswith(key + "=")]
        assert [set(v.split(",")) for v in same] == [set(value.split(","))], (got, word)
    if "NOTIFY" not in rcpt:
        assert not any(w.startswith("NOTIFY") for w in got)


def test_S35_other_dsn_parameters_are_another_recipient(route):
    house, remote = route
    with house.connect() as wire:
        wire.say("MAIL FROM:<s35@trial.example>", "250 2.1.0")
        for rcpt in ("", " NOTIFY=NEVER", "", " NOTIFY=NEVER"):
            wire.say(f"RCPT TO:<you@far.example>{rcpt}", "250 2.1.5")
        wire.say("DATA", "354")
        queue_id(wire.content(b"Subject: x\r\n\r\nx\r\n"))
    wait_for(lambda: sum(len(m.recipients) for m in remote.received if "s35@" in m.sender) == 2)


@pytest.mark.parametrize("sender, recipient", [("jürg@bücher.example", "you@far.example"),
                                               ("s23@trial.example", "ju\u0308rg@far.example")])
def test_S23_utf8_is_passed_on(route, sender, recipient):
    house, remote = route
    content = "Subject: Grüße\r\nDate: x\r\nMessage-ID: <x@y>\r\n\r\nx\r\n".encode()
    with house.connect() as wire:
        wire.say(f"MAIL FROM:<{sender}> SMTPUTF8 BODY=8BITMIME".encode(), "250 2.1.0")
        wire.say(f"RCPT TO:<{recipient}>".encode(), "250 2.1.5")
        wire.say("DATA", "354")
        queue_id(wire.content(content))
    said_mail, said_rcpt = envelope(remote, sender)
    assert {"SMTPUTF8", "BODY=8BITMIME"} <= words(said_mail)
    assert said_rcpt[0].startswith(f"TO:<{recipient}>")


@pytest.mark.parametrize("how", ["data", "bdat"])
def test_S4_varied_messages_are_relayed_octet_by_octet(route, how):
    house, remote = route
    rng = random.Random(40)
    generator = Generator(40)
    kinds = [(b"", generator.plain), (b"\r\n", generator.eight_bit), (b"", generator.every_octet), (b"\r\n", generator.dots),
             (b"", generator.one_huge_field)]  # no lines over 998 octets, which may not be sent on as they are (S25)
    sent = {}
    with house.connect(pieces=chopped(rng)) as wire:
        for n in range(60):
            end_of_header, kind = kinds[n % len(kinds)]
            content = b"Date: x\r\nMessage-ID: <x@y>\r\n" + end_of_header + kind()
            if not content.endswith(b"\r\n"):
                content += b"\r\n"
            sender = f"{how}-{n}@trial.example"
            head = f"MAIL FROM:<{sender}>\r\nRCPT TO:<you@far.example>\r\n".encode()
            sizes = [rng.randrange(1, len(content) // 4) for _ in range(3)] if how == "bdat" else []
            if how == "bdat":
                wire.send(head + b"".join(cut(content, sizes)))
            else:
                wire.send(head + b"DATA\r\n")
            wire.expect("250 2.1.0")
            wire.expect("250 2.1.5")
            for _ in sizes:
                wire.expect("250 2.0.0")
            if how == "data":
                wire.expect("354")
                wire.send(stuffed(content))
            queue_id(wire.reply())
            sent[sender] = content
    wait_for(lambda: len([m for m in remote.received if f"<{how}-" in m.sender]) == len(sent), 60)
    for message in remote.received:
        found = re.match(rf"FROM:<({how}-\d+@trial\.example)>", message.sender)
        if found:
            trace, _, rest = message.content.partition(b"Date: x\r\n")
            assert trace.startswith(b"Received: ") and (b"Date: x\r\n" + rest) == sent[found[1]], found[1]
