"""
Servers of other people that are known to be right:

    corpus.py --> us -- MX --> Exim: CHUNKING, STARTTLS, PIPELINING          every message arrives as it was sent
                           --> OpenSMTPD: one command after the other, DSN
    Postfix -- its sendmail, SMTPUTF8, DSN, 8BITMIME, SIZE, PIPELINING --> us --> bob
                                                                            '--> reports, back to Postfix

Exim and OpenSMTPD are unpacked below build/peers by ./setup, not installed.
"""
import email
import email.policy
import random
import re

import pytest

import corpus
import net as networks
import postfix as postfixes
from peers import Exim, OpenSMTPD
from relaying import Outgoing, behind_ours, deliver_chunks
from stagepost import DOMAIN, Letter, Stagepost, wait_for

SEED, COUNT = 3, 120
ZONES = {f"{host}.example": f"@ MX 10 {host}.hosts.test." for host in ("exim", "open", "postfix")}


@pytest.fixture(scope="module")
def world():
    why = networks.available()
    if why:
        pytest.skip(why)
    net = networks.Network({"us": 2, "exim": 11, "open": 12, "postfix": 13}, zones=ZONES)
    us = Stagepost(net=net, top="trust 127.0.0.0/8", retry="first 1s; longest 2s")
    try:
        us.write("aliases", "both: alice, bob\njürgen: bob\n")
        net.us = us.start()
        yield net
    finally:
        us.end()
        net.end()


def send_all(us, messages, recipient):
    """Some by BDAT; ids by sender."""
    ids, rng = {}, random.Random(SEED)
    with us.connect(seconds=60) as wire:
        for m in messages:
            if rng.random() < 0.5:
                ids[m.sender] = deliver_chunks(wire, m.content, rng, recipient, sender=m.sender)
            else:
                ids[m.sender] = wire.deliver(m.content, recipient, sender=m.sender)
    return ids


def as_exim_keeps(header, body):
    """A header has no NUL, and an end."""
    return header.replace(b"\0", b"?"), body or b"\n"


def as_opensmtpd_keeps(header, body):
    """A line ends at a NUL."""
    return re.sub(rb"\0[^\n]*", b"", header), re.sub(rb"\0[^\n]*", b"", body)


@pytest.mark.parametrize("kind, host, keeps", [(Exim, "exim", as_exim_keeps), (OpenSMTPD, "open", as_opensmtpd_keeps)],
                         ids=["Exim", "OpenSMTPD"])
def test_mail_arrives_octet_for_octet(world, kind, host, keeps):
    why = kind.available()
    if why:
        pytest.skip(why)
    peer = kind(world, host)
    try:
        messages = list(corpus.messages(SEED, COUNT))[1:]  # but for the one of 20 MB
        messages.append(corpus.Message("5 MB", corpus.Generator(SEED).sized(5000000), sender="m0@remote.example"))
        ids = send_all(world.us, messages, f"you@{host}.example")
        came = {re.match(rb"Return-[Pp]ath: <([^>]*)>", octets)[1].decode(): octets for octets in peer.wait_letters(COUNT)}
        world.us.wait_empty()
        assert len(peer.letters()) == COUNT
        wrong = []
        for m in messages:
            content = behind_ours(came[m.sender], ids[m.sender])
            if not Outgoing(m.content).is_in(content, keeps):
                wrong.append((m, len(m.content), len(content), content[:300], content[-80:]))
        assert not wrong, wrong[:5]
        world.us.assert_clean()
    finally:
        peer.end()


@pytest.fixture(scope="module")
def sender(world):
    """Postfix with all that its client knows; what comes back to it goes into its box."""
    why = postfixes.available()
    if why:
        pytest.skip(why)
    peer = postfixes.Postfix(world, "postfix", domains=["postfix.example", "grün.example"], main="relayhost = [10.113.0.2]\n"
                             "smtputf8_enable = yes\nmessage_size_limit = 60000000\nvirtual_mailbox_limit = 0\nsmtp_tls_security_level = may\n")
    yield peer
    peer.end()


def send_by_postfix(world, sender, content, recipient, options=(), source="sender@postfix.example"):
    """The letter that bob got of it."""
    before = set(world.us.maildir("bob"))
    sender.send(content, recipient, sender=source, options=options)
    path = wait_for(lambda: set(world.us.maildir("bob")) - before, 30, f"a letter; {sender.log()[-2000:]}").pop()
    return Letter(path)


def test_postfix_sends_8_bit_and_a_large_message(world, sender):
    head = "From: sender@postfix.example\nDate: Mon, 1 Jan 2024 00:00:00 +0000\nMessage-ID: <x@postfix.example>\n"
    for content in (f"{head}Subject: 8bit\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n"
                    "Content-Transfer-Encoding: 8bit\n\nGrüße, почта\n.\n..dots\nFrom here\n".encode(),
                    f"{head}Subject: large\n\n".encode() + b"".join(b"%07d .line\n" % n for n in range(700000))):
        letter = send_by_postfix(world, sender, content, f"both@{DOMAIN}")
        assert re.sub(rb"\A(?:Received: [^\n]*\n(?:[ \t][^\n]*\n)*)*", b"", letter.content) == content
        assert letter.sender == "sender@postfix.example"
    assert "status=bounced" not in sender.log()


def test_postfix_sends_with_smtputf8(world, sender):
    content = "Subject: Grüße\nFrom: Jürgen <jürgen@postfix.example>\n\nx\n".encode()
    letter = send_by_postfix(world, sender, content, f"jürgen@{DOMAIN}", source="jürgen@postfix.example")
    assert letter.sender == "jürgen@postfix.example"
    assert "with UTF8SMTP " in letter.received
    assert "Subject: Grüße\n".encode() in letter.content


def reports(sender):
    found = [email.message_from_bytes(p.read_bytes(), policy=email.policy.default) for p in sender.letters()]
    return [m for m in found if m.get_content_type() == "multipart/report"]


def test_S22_postfix_asks_for_success_and_is_told_what_it_said(world, sender):
    before = len(reports(sender))
    send_by_postfix(world, sender, b"Subject: asked\n\nx\n", f"bob@{DOMAIN}",
                    options=["-N", "success,failure", "-V", "envelope+1", "-R", "hdrs"])
    report = wait_for(lambda: len(reports(sender)) > before and reports(sender)[-1], 30, "a report at Postfix")
    status = next(part for part in report.iter_parts() if part.get_content_type() == "message/delivery-status")
    message, recipient = status.get_payload()
    assert message["Original-Envelope-Id"] == "envelope+1"
    assert recipient["Original-Recipient"].replace(" ", "") == f"rfc822;bob@{DOMAIN}"
    assert (recipient["Action"], str(recipient["Status"])[0]) == ("delivered", "2")
    assert any(part.get_content_type() in ("text/rfc822-headers", "message/rfc822-headers") for part in report.iter_parts())


def test_who_asks_postfix_for_silence_is_told_nothing(world, sender):
    before = len(reports(sender))
    send_by_postfix(world, sender, b"Subject: never\n\nx\n", f"bob@{DOMAIN}", options=["-N", "never"])
    world.us.wait_empty()
    wait_for(sender.queue_is_empty, 20, "an empty queue at Postfix")
    assert len(reports(sender)) == before


def test_afterwards_all_is_clean(world):
    world.us.assert_clean()
