"""
The rules that receivers of mail get wrong, each by its number in reference/semantics.md, spoken as
octets to a real smtpd:

    test --- octets, cut anywhere ---> smtpd ---> queue ---> local ---> mail/trial.example/bob

The client (wire.py) proves for every reply that it has an enhanced code of its class, and that
greeting, HELO and EHLO have none (S17).
"""
import os
import random
import signal
import socket
import threading
import time

import pytest

from stagepost import wait_for
from wire import Wire, one_by_one, stuffed

CONTENT = b"Subject: a word\r\n\r\nfrom far away\r\n"
SLOW_WINDOW = 60  # seconds over which the server looks at a client's rate
ways = pytest.mark.parametrize("pieces", [None, one_by_one], ids=["at-once", "octet-by-octet"])


@pytest.fixture(scope="module", autouse=True)
def slow_sender(shared):
    """A client that sends content at 2 octets a second, all through this file."""
    told = {}

    def crawl():
        with shared.connect(seconds=SLOW_WINDOW * 3) as wire:
            wire.begin()
            begun = time.monotonic()
            wire.socket.settimeout(0.5)
            while time.monotonic() < begun + 2 * SLOW_WINDOW:
                try:
                    wire.send(b"x")
                    more = wire.socket.recv(1000)
                    wire.buffer += more
                    if not more:
                        break
                except TimeoutError:
                    continue
                except OSError:
                    break
            told["seconds"] = time.monotonic() - begun
            told["said"] = wire.buffer
    thread = threading.Thread(target=crawl, daemon=True)
    thread.start()
    yield thread, told


@pytest.fixture
def wire(shared):
    with shared.connect() as w:
        yield w


def arrived(shared, subject, user="bob"):
    """Content of the letters with that subject line."""
    return [letter.content for letter in shared.letters(user) if b"Subject: %s\n" % subject in letter.content]


# What is announced


def test_ehlo_lists_what_works_and_nothing_else(shared):
    with shared.connect() as wire:
        assert wire.features[0] == "mx.trial.example"
        assert sorted(wire.features[1:]) == ["8BITMIME", "CHUNKING", "DSN", "ENHANCEDSTATUSCODES", "PIPELINING",
                                              f"SIZE {50 * 1024 ** 2}", "SMTPUTF8"]


def test_helo_is_answered_without_features(shared):
    with shared.connect(hello=None) as wire:
        wire.send("HELO client.example\r\n")
        assert wire.expect("250", plain=True).texts == ["mx.trial.example"]


# S1, S2, S3: where content ends

FALSE_ENDS = [b"\n.\n", b"\n.\r\n", b"\r.\r", b"\r\n.\n", b"\r\n.\r", b"\r.\r\n", b"\n.\r", b"\r\n.\r\r\n", b"\r\n\0.\n"]


@ways
@pytest.mark.parametrize("end", FALSE_ENDS, ids=repr)
def test_S1_only_crlf_dot_crlf_ends_content(shared, pieces, end):
    with shared.connect(pieces=pieces) as wire:
        wire.begin()
        wire.send(CONTENT[:-2] + end + b"MAIL FROM:<smuggled@remote.example>\r\nRCPT TO:<bob@trial.example>\r\n"
                  b"DATA\r\nSubject: smuggled\r\n\r\n.\r\n")
        wire.expect("550 5.5.2")
        wire.say("NOOP", "250 2.0.0")  # and there was no other reply before
    assert not arrived(shared, b"smuggled")


@pytest.mark.parametrize("bare", [b"one\ntwo", b"one\rtwo", b"\n", b"\r", b"one\r\r\ntwo"], ids=repr)
def test_S2_a_bare_cr_or_lf_is_refused_and_the_connection_stays(shared, bare):
    with shared.connect() as wire:
        wire.begin()
        assert wire.content(b"Subject: bare\r\n\r\n" + bare + b"\r\n").short == "550 5.5.2"
        wire.deliver(b"Subject: after bare\r\n\r\n")
    assert not arrived(shared, b"bare")


@pytest.mark.parametrize("line", [b"NOOP\n", b"NOOP\rRSET\r\n"], ids=repr)
def test_S2_a_command_ends_with_crlf_only(wire, line):
    wire.send(line)
    wire.expect("550 5.5.2")
    wire.send(b"\r\n")
    if line == b"NOOP\rRSET\r\n":
        wire.expect("500 5.5.2")
    wire.say("NOOP", "250 2.0.0")


def test_S2_normalizing_makes_crlf_and_still_nothing_else_ends_content(stagepost):
    house = stagepost(listen="{ bare-newline normalize }")
    with house.connect() as wire:
        wire.begin()
        wire.send(b"Subject: mixed\n\none\n.\ntwo\rthree\r\n.four\r\n.\r\n")
        wire.expect("250 2.0.0")
        wire.say("NOOP", "250 2.0.0")
    assert house.wait_letters("bob")[0].content == b"Subject: mixed\n\none\n.\ntwo\nthree\nfour\n"
    house.assert_clean()


def test_S3_dots_go_at_the_start_of_a_line_wherever_octets_are_cut(shared):
    content = b"Subject: dots\r\n\r\n.\r\n..\r\n...three\r\nin.the.line.\r\n.\r\n"
    octets = stuffed(content)
    before = len(arrived(shared, b"dots"))
    with shared.connect() as wire:
        for cut in range(1, len(octets)):
            wire.begin()
            wire.send(octets[:cut])
            if cut % 4 == 0:
                time.sleep(0.001)  # lets the server see the piece by itself
            wire.send(octets[cut:])
            wire.expect("250 2.0.0")
    found = wait_for(lambda: len(a := arrived(shared, b"dots")) == before + len(octets) - 1 and a)
    assert set(found) == {content.replace(b"\r\n", b"\n")}


@ways
def test_S3_a_superfluous_dot_is_taken_off(shared, pieces):
    name = b"superfluous %d" % (pieces is None)
    with shared.connect(pieces=pieces) as wire:
        wire.begin()
        wire.send(b"Subject: " + name + b"\r\n\r\n.a\r\n..b\r\n.c\r\n.\r\n")
        wire.expect("250 2.0.0")
    assert wait_for(lambda: arrived(shared, name)) == [b"Subject: " + name + b"\n\na\n.b\nc\n"]


# S6, S7, S12, S13: the order of commands


@pytest.mark.parametrize("content, short", [(CONTENT, "250 2.0.0"), (b"a\nb\r\n", "550 5.5.2"),
                                            (b"Received: x\r\n" * 101, "554 5.4.6")], ids=["kept", "bare", "loop"])
def test_S6_after_content_sender_and_recipients_are_forgotten(wire, content, short):
    for _ in range(2):
        wire.begin()
        assert wire.content(content).short == short
        wire.say("RCPT TO:<bob@trial.example>", "503 5.5.1")
        wire.say("DATA", "503 5.5.1")


@pytest.mark.parametrize("command, code", [("RSET", "250"), ("HELO client.example", "250"),
                                           ("EHLO client.example", "250")])
def test_S7_rset_helo_and_ehlo_reset_the_transaction(wire, command, code):
    wire.say("MAIL FROM:<a@remote.example>", "250 2.1.0")
    wire.say("RCPT TO:<bob@trial.example>", "250 2.1.5")
    wire.send(command + "\r\n")
    wire.expect(code, plain=command != "RSET")
    wire.say("RCPT TO:<bob@trial.example>", "503 5.5.1")
    wire.say("MAIL FROM:<a@remote.example>", "250 2.1.0")


def test_S7_rset_takes_no_argument(wire):
    wire.say("MAIL FROM:<a@remote.example>", "250 2.1.0")
    wire.say("RSET now", "501 5.5.4")
    wire.say("RCPT TO:<bob@trial.example>", "250 2.1.5")


def test_S12_data_behind_refused_recipients_is_554(wire):
    wire.say("DATA", "503 5.5.1")
    wire.send("MAIL FROM:<a@remote.example>\r\nRCPT TO:<nobody@trial.example>\r\nRCPT TO:<x@elsewhere.example>\r\n"
              "DATA\r\n")
    wire.expect("250 2.1.0")
    wire.expect("550 5.1.1")
    wire.expect("554 5.7.1")
    wire.expect("554 5.5.1")
    wire.say("RSET", "250 2.0.0")


SEQUENCES = {
    "S13 nested MAIL": [("MAIL FROM:<a@b.example>", "250 2.1.0"), ("MAIL FROM:<c@d.example>", "503 5.5.1"),
                        ("RCPT TO:<bob@trial.example>", "250 2.1.5")],
    "S13 RCPT before MAIL": [("RCPT TO:<bob@trial.example>", "503 5.5.1")],
    "S13 unknown parameters": [("MAIL FROM:<a@b.example> FOO=BAR", "555 5.5.4"), ("MAIL FROM:<a@b.example> FOO", "555 5.5.4"),
                               ("MAIL FROM:<a@b.example>", "250 2.1.0"),
                               ("RCPT TO:<bob@trial.example> FOO=BAR", "555 5.5.4")],
    "S13 what is not offered": [("MAIL FROM:<a@b.example> AUTH=<>", "555 5.5.4"),
                                ("MAIL FROM:<a@b.example> BODY=BINARYMIME", "501 5.5.4"),
                                ("MAIL FROM:<a@b.example> NOTIFY=NEVER", "555 5.5.4"),
                                ("MAIL FROM:<a@b.example>", "250 2.1.0"),
                                ("RCPT TO:<bob@trial.example> RET=FULL", "555 5.5.4")],
    "S13 a parameter twice": [("MAIL FROM:<a@b.example> SIZE=1 SIZE=1", "501 5.5.4"),
                              ("MAIL FROM:<a@b.example> BODY=7BIT BODY=7BIT", "501 5.5.4"),
                              ("MAIL FROM:<a@b.example> RET=FULL RET=HDRS", "501 5.5.4"),
                              ("MAIL FROM:<a@b.example> ENVID=a ENVID=b", "501 5.5.4"),
                              ("MAIL FROM:<a@b.example> SMTPUTF8 SMTPUTF8", "501 5.5.4"),
                              ("MAIL FROM:<a@b.example>", "250 2.1.0"),
                              ("RCPT TO:<bob@trial.example> NOTIFY=DELAY NOTIFY=DELAY", "501 5.5.4"),
                              ("RCPT TO:<bob@trial.example> ORCPT=rfc822;a ORCPT=rfc822;a", "501 5.5.4")],
    "S21 DSN": [("MAIL FROM:<a@b.example> RET=hdrs ENVID=+00", "501 5.5.4"),
                ("MAIL FROM:<a@b.example> ENVID=" + "x" * 101, "501 5.5.4"),
                ("MAIL FROM:<a@b.example> RET=BODY", "501 5.5.4"),
                ("MAIL FROM:<a@b.example> RET=hdrs ENVID=" + "x" * 100, "250 2.1.0"),
                ("RCPT TO:<bob@trial.example> NOTIFY=NEVER,FAILURE", "501 5.5.4"),
                ("RCPT TO:<bob@trial.example> NOTIFY=OFTEN", "501 5.5.4"),
                ("RCPT TO:<bob@trial.example> ORCPT=rfc822;x+0D@y", "501 5.5.4"),
                ("RCPT TO:<bob@trial.example> ORCPT=rfc822;" + "x" * 494, "501 5.5.4"),
                ("RCPT TO:<bob@trial.example> ORCPT=rfc822;" + "x" * 493, "250 2.1.5"),
                ("RCPT TO:<bob@trial.example> NOTIFY=NEVER ORCPT=rfc822;x+2By@z", "250 2.1.5"),
                ("RCPT TO:<bob@trial.example> notify=success,failure,delay", "250 2.1.5")],
    "S13 known parameters": [("MAIL FROM:<a@b.example> body=8bitmime Size=1000", "250 2.1.0")],
    "S14 SIZE over the limit": [("MAIL FROM:<a@b.example> SIZE=99999999999999999999", "552 5.3.4"),
                                ("MAIL FROM:<a@b.example> SIZE=52428801", "552 5.3.4"),
                                ("MAIL FROM:<a@b.example> SIZE=52428800", "250 2.1.0")],
    "S17 unknown command": [("FOO", "500 5.5.2"), ("EXPN list", "500 5.5.2"), ("STARTTLS", "502 5.5.1"),
                            ("AUTH PLAIN", "502 5.5.1"), ("", "500 5.5.2")],
    "S18 VRFY tells nothing": [("VRFY bob", "252 2.5.2"), ("VRFY nobody", "252 2.5.2"), ("VRFY", "501 5.5.4"),
                               ("MAIL FROM:<a@b.example>", "250 2.1.0"), ("VRFY bob", "252 2.5.2"),
                               ("RCPT TO:<bob@trial.example>", "250 2.1.5")],
    "S19 null reverse-path": [("MAIL FROM:<>", "250 2.1.0"), ("RCPT TO:<>", "501 5.1.3"),
                              ("RCPT TO:<bob@trial.example>", "250 2.1.5")],
    "S19 postmaster without domain": [("MAIL FROM:<>", "250 2.1.0"), ("RCPT TO:<postmaster>", "250 2.1.5"),
                                      ("RCPT TO:<PostMaster>", "250 2.1.5"),
                                      ("RCPT TO:<postmaster@mx.trial.example>", "250 2.1.5"),
                                      ("RCPT TO:<bob>", "501 5.1.3")],
    "S19 source routes": [("MAIL FROM:<@x.example:a@b.example>", "250 2.1.0"),
                          ("RCPT TO:<@x.example,@y.example:bob@trial.example>", "250 2.1.5"),
                          ("RCPT TO:<@trial.example:bob@elsewhere.example>", "554 5.7.1")],
    "S33 case": [("mail from:<a@b.example>", "250 2.1.0"), ("rcpt to:<BoB@TRIAL.Example>", "250 2.1.5"),
                 ("rSeT", "250 2.0.0")],
    "relaying": [("MAIL FROM:<bob@trial.example>", "250 2.1.0"), ("RCPT TO:<x@elsewhere.example>", "554 5.7.1"),
                 ("RCPT TO:<bob%elsewhere.example@trial.example>", "550 5.1.1"),
                 ("RCPT TO:<elsewhere.example!bob@trial.example>", "550 5.1.1"),
                 ("RCPT TO:<bob@[127.0.0.1]>", "554 5.7.1"), ("RCPT TO:<bob@trial.example.>", "501 5.1.3")],
    "syntax": [("MAIL FROM: a@b.example", "501 5.5.4"), ("MAIL <a@b.example>", "501 5.5.4"), ("MAIL", "501 5.5.4"),
               ("MAIL FROM:<a@b.example", "501 5.5.4"), ("MAIL FROM:<a b@c.example>", "501 5.1.7"),
               ("MAIL FROM:<\"a b\"@c.example>", "250 2.1.0"), ("RCPT TO:bob@trial.example", "501 5.5.4"),
               ("RCPT TO:<bob@trial..example>", "501 5.1.3"),
               ("RCPT TO: <bob@trial.example>", "250 2.1.5"), ("DATA now", "501 5.5.4"), ("QUIT now", "501 5.5.4"),
               ("HELP", "214 2.0.0"), ("NOOP ignored", "250 2.0.0")],
    "S23 UTF-8 only after SMTPUTF8": [("MAIL FROM:<j\xc3\xbcrg@b.example>", "550 5.6.7"),
                                      ("MAIL FROM:<> SMTPUTF8=yes", "501 5.5.4"), ("MAIL FROM:<>", "250 2.1.0"),
                                      ("RCPT TO:<j\xc3\xbcrg@trial.example>", "553 5.6.7")],
    "S23 UTF-8 after SMTPUTF8": [("MAIL FROM:<j\xc3\xbcrg@b\xc3\xbccher.example> SMTPUTF8", "250 2.1.0"),
                                 ("RCPT TO:<j\xc3\xbcrg@trial.example>", "550 5.1.1"),
                                 ("RCPT TO:<j\xfcrg@trial.example>", "553 5.6.7"),
                                 ("RCPT TO:<bob@trial.example>", "250 2.1.5")],
    "NUL": [("NOOP\0", "500 5.5.2"), ("MAIL FROM:<a\0@b.example>", "500 5.5.2")],
    "too long": [("MAIL FROM:<" + "a" * 300 + "@b.example>", "501 5.1.7"), ("MAIL FROM:<a@b.example>", "250 2.1.0"),
                 ("RCPT TO:<b@" + "x." * 130 + "example>", "501 5.1.3")],
}


@ways
@pytest.mark.parametrize("name", SEQUENCES)
def test_commands_get_their_replies(shared, name, pieces):
    with shared.connect(pieces=pieces) as wire:
        for line, short in SEQUENCES[name]:
            wire.say(line.encode("latin-1"), short)
        wire.say("NOOP", "250 2.0.0")


def test_mail_before_hello_is_refused(shared):
    with shared.connect(hello=None) as wire:
        wire.say("MAIL FROM:<a@b.example>", "503 5.5.1")
        wire.say("NOOP", "250 2.0.0")


@pytest.mark.parametrize("line", ["HELO", "EHLO", "EHLO two words", "HELO \xe4"])
def test_a_bad_hello_is_501(shared, line):
    with shared.connect(hello=None) as wire:
        wire.send(line + "\r\n")
        wire.expect("501", plain=True)
        wire.say("MAIL FROM:<a@b.example>", "503 5.5.1")


def test_S23_mail_with_utf8_keeps_its_addresses(shared):
    with shared.connect() as wire:
        for content in ("Subject: Grüße\r\n\r\nx\r\n".encode(), b"Subject: ascii\r\n\r\nx\r\n"):
            wire.say("MAIL FROM:<jürg@bücher.example> SMTPUTF8 BODY=8BITMIME".encode(), "250 2.1.0")
            wire.say("RCPT TO:<bob@trial.example>", "250 2.1.5")
            wire.say("DATA", "354")
            assert wire.content(content).code == 250
    found = wait_for(lambda: len(l := [l for l in shared.letters("bob") if l.sender == "jürg@bücher.example"]) == 2 and l)
    assert all(" with UTF8SMTP id " in " ".join(l.received.split()) for l in found)
    assert {l.content for l in found} == {"Subject: Grüße\n\nx\n".encode(), b"Subject: ascii\n\nx\n"}


def test_S23_a_header_in_utf8_is_taken_without_the_parameter(shared):
    """As Postfix does with strict_smtputf8 = no: half of the world sends it."""
    with shared.connect() as wire:
        wire.deliver("Subject: Grüße 8\r\n\r\nx\r\n".encode(), sender="raw8@remote.example")
    found = wait_for(lambda: [l for l in shared.letters("bob") if l.sender == "raw8@remote.example"])
    assert found[0].content == "Subject: Grüße 8\n\nx\n".encode() and " with ESMTP id " in " ".join(found[0].received.split())


def test_S23_a_recipient_in_utf8_is_not_named_in_the_header(stagepost):
    """Which may still go where SMTPUTF8 is not spoken."""
    house = stagepost(start=False)
    house.write("aliases", "jürg: bob\n")
    house.start()
    with house.connect() as wire:
        wire.say("MAIL FROM:<a@remote.example> SMTPUTF8", "250 2.1.0")
        wire.say("RCPT TO:<jürg@trial.example>".encode(), "250 2.1.5")
        wire.say("DATA", "354")
        assert wire.content(CONTENT).code == 250
    letter = house.wait_letters("bob")[0]
    assert " for <" not in letter.received and letter.original == "jürg@trial.example"
    house.assert_clean()


# S11: pipelining


@ways
def test_S11_a_group_may_be_pipelined(shared, pieces):
    with shared.connect(pieces=pieces) as wire:
        wire.send("RSET\r\nMAIL FROM:<>\r\nRCPT TO:<bob@trial.example>\r\nRCPT TO:<nobody@trial.example>\r\n"
                  "RCPT TO:<alice@trial.example>\r\nDATA\r\n")
        for short in ("250 2.0.0", "250 2.1.0", "250 2.1.5", "550 5.1.1", "250 2.1.5", "354"):
            wire.expect(short)
        # the end of content, QUIT and the next transaction may come together
        wire.send(stuffed(b"Subject: piped\r\n\r\n") + b"MAIL FROM:<>\r\nRCPT TO:<bob@trial.example>\r\nDATA\r\n")
        for short in ("250 2.0.0", "250 2.1.0", "250 2.1.5", "354"):
            wire.expect(short)
        wire.send(stuffed(b"Subject: piped\r\n\r\n") + b"QUIT\r\n")
        wire.expect("250 2.0.0")
        wire.expect("221 2.0.0")
        assert wire.ended() == b""


def test_S11_the_221_is_read_whatever_follows_QUIT(shared):
    with shared.connect() as wire:
        wire.send(b"QUIT\r\n" + b"NOOP\r\n" * 1000)
        wire.expect("221 2.0.0")
        assert wire.ended() == b""


@pytest.mark.parametrize("command", ["EHLO client.example", "HELO client.example", "NOOP", "VRFY bob"])
def test_S11_nothing_may_follow_a_command_that_ends_a_group(wire, command):
    wire.send(f"{command}\r\nNOOP\r\n")
    wire.expect("554 5.5.0")
    assert wire.ended() == b""


def test_S11_content_must_wait_for_354(wire):
    wire.send("MAIL FROM:<>\r\nRCPT TO:<bob@trial.example>\r\nDATA\r\nSubject: early\r\n\r\n.\r\n")
    wire.expect("250 2.1.0")
    wire.expect("250 2.1.5")
    wire.expect("554 5.5.0")
    assert wire.ended() == b""


def test_S11_a_client_that_said_helo_may_not_pipeline(shared):
    with shared.connect(hello=None) as wire:
        wire.send("HELO client.example\r\n")
        wire.expect("250", plain=True)
        wire.send("MAIL FROM:<>\r\nRCPT TO:<bob@trial.example>\r\n")
        wire.expect("554 5.5.0")
        assert wire.ended() == b""


def test_S11_who_speaks_before_the_greeting_is_refused(shared):
    """smtpd is stopped while the kernel takes connection and octets, so that nothing is left to chance."""
    pid = shared.kill("smtpd", signal.SIGSTOP)
    try:
        early = shared.connect(greet=False)
        early.send("EHLO client.example\r\n")
        late = shared.connect(greet=False)
        time.sleep(0.05)
    finally:
        os.kill(pid, signal.SIGCONT)
    early.expect("554 5.5.0")
    assert early.ended() == b""
    late.expect("220")
    late.close()


# S14, S15, S16: limits


@pytest.fixture(scope="module")
def tight(shared):
    """A server with low limits."""
    from conftest import Maker
    maker = Maker()
    yield maker(limits="message-size 10K; recipients 3; errors 5; unknown-recipients 4; idle 1s; per-client 4; "
                "connections 7")
    maker.end()


@ways
@pytest.mark.parametrize("over", [0, 1])
def test_S14_octets_are_counted_and_all_are_read(tight, pieces, over):
    """The limit counts content with CRLF, without the dots of stuffing."""
    head, line = b"Subject: big\r\n\r\n", b"." + b"x" * 61 + b"\r\n"
    content = head + line * ((10240 - len(head)) // len(line))
    content = content[:-2] + b"x" * (10240 - len(content) + over) + b"\r\n"
    assert len(content) == 10240 + over
    with tight.connect(pieces=pieces) as wire:
        for _ in range(2):
            wire.begin()
            assert wire.content(content).short == ("552 5.3.4" if over else "250 2.0.0")
        wire.say("NOOP", "250 2.0.0")


def test_S15_too_many_recipients_is_452_and_the_others_get_their_mail(tight):
    before = len(tight.maildir("bob"))
    with tight.connect() as wire:
        wire.say("MAIL FROM:<>", "250 2.1.0")
        for name in ("bob", "alice", "postmaster"):
            wire.say(f"RCPT TO:<{name}@trial.example>", "250 2.1.5")
        for _ in range(9):  # no errors of the client
            wire.say("RCPT TO:<both@trial.example>", "452 4.5.3")
        wire.say("DATA", "354")
        assert wire.content(CONTENT).code == 250
    wait_for(lambda: len(tight.maildir("bob")) == before + 1)


def test_S15_without_room_mail_is_452(stagepost):
    house = stagepost(limits="spool-free 1000000G")
    with house.connect() as wire:
        wait_for(lambda: wire.say("MAIL FROM:<a@remote.example>").short == "452 4.3.1" or
                 wire.say("RSET").code == 0, what="452 at MAIL")
        wire.say("NOOP", "250 2.0.0")
        wire.say("RCPT TO:<bob@trial.example>", "503 5.5.1")


@ways
def test_S16_a_line_too_long_is_one_500_and_both_stay_in_step(shared, pieces):
    with shared.connect(pieces=pieces) as wire:
        wire.say("NOOP " + "x" * (2048 - 7), "250 2.0.0")
        for length in (2049, 5000, 200 if pieces else 200000):
            if length > 2048:
                wire.say("NOOP " + "x" * (length - 7), "500 5.5.2")
            wire.say("NOOP", "250 2.0.0")


@pytest.mark.parametrize("size, short", [(256 * 1024, "250 2.0.0"), (256 * 1024 + 1, "552 5.3.4"),
                                         (1024 * 1024, "552 5.3.4")])
def test_a_header_too_large_is_552(wire, size, short):
    line = b"X-Long: " + b"y" * 90 + b"\r\n"
    header = line * (size // len(line))
    header = header[:-2] + b"z" * (size - len(header)) + b"\r\n"
    assert len(header) == size
    wire.begin()
    assert wire.content(header + b"\r\nbody\r\n").short == short
    wire.deliver(CONTENT)


# S17: 421 closes


def test_S17_too_many_errors_is_421_and_the_end(tight):
    with tight.connect() as wire:
        for _ in range(5):
            wire.say("FOO", "500 5.5.2")
        wire.say("FOO", "500 5.5.2")
        wire.expect("421 4.7.0")
        assert wire.ended() == b""


def test_S17_too_many_unknown_recipients_is_421_and_the_end(tight):
    with tight.connect() as wire:
        wire.say("MAIL FROM:<>", "250 2.1.0")
        for _ in range(4):
            wire.say("RCPT TO:<nobody@trial.example>", "550 5.1.1")
        wire.say("RCPT TO:<nobody@trial.example>", "421 4.7.0")
        assert wire.ended() == b""


def test_S17_nothing_is_read_after_421(tight):
    with tight.connect() as wire:
        wire.send("FOO\r\n" * 6 + "MAIL FROM:<>\r\n")
        for _ in range(6):
            wire.expect("500 5.5.2")
        wire.expect("421 4.7.0")
        assert wire.ended() == b""


@pytest.mark.parametrize("said", ["", "MAIL FROM:<>\r\n", "MAIL FR", "Subject: half a"])
def test_S17_an_idle_client_gets_421(tight, said):
    with tight.connect() as wire:
        if said.startswith("Subject"):
            wire.begin()
        wire.send(said)
        if said.endswith("\n"):
            wire.expect("250 2.1.0")
        begun = time.monotonic()
        wire.expect("421 4.4.2")
        assert wire.ended() == b""
        assert 0.8 < time.monotonic() - begun < 3


def test_S17_who_connects_too_often_gets_421_instead_of_the_greeting(tight):
    wires = [tight.connect() for _ in range(4)]
    with tight.connect(greet=False) as fifth:
        fifth.expect("421 4.7.0")
        assert fifth.ended() == b""
    with tight.connect(source="127.0.0.2") as other:
        other.say("NOOP", "250 2.0.0")
    for wire in wires:
        wire.close()


def test_S17_above_all_connections_is_421(tight):
    wires = [tight.connect(source=f"127.0.0.{i}") for i in range(10, 17)]
    with tight.connect(greet=False) as eighth:
        eighth.expect("421 4.7.0")
        assert eighth.ended() == b""
    wires.pop().quit()
    with tight.connect() as again:
        again.quit()
    for wire in wires:
        wire.close()


def test_S18_commands_without_mail_end_the_session(wire):
    for _ in range(99):  # EHLO was the first
        wire.say("VRFY bob", "252 2.5.2")
    wire.say("VRFY bob", "421 4.7.0")
    assert wire.ended() == b""


@pytest.mark.parametrize("line", ["GET / HTTP/1.1", "POST / HTTP/1.1", "CONNECT x:25 HTTP/1.1"])
def test_a_web_client_is_sent_away(wire, line):
    wire.say(line, "554 5.5.1")
    assert wire.ended() == b""


# S20, S26, S57: content


@ways
@pytest.mark.parametrize("content, kept", [
    (b"From a@b Mon Jan  1 00:00:00 2024\r\nSubject: mbox\r\n\r\nx\r\n",
     b"X-Mailbox-Line: From a@b Mon Jan  1 00:00:00 2024\nSubject: mbox\n\nx\n"),
    (b">From a\r\n>>From b\r\nSubject: mbox\r\n\r\nx\r\n",
     b"X-Mailbox-Line: >From a\nX-Mailbox-Line: >>From b\nSubject: mbox\n\nx\n"),
    (b"Subject: mbox\r\nFrom a@b\r\nx\r\n", b"Subject: mbox\n\nFrom a@b\nx\n"),
    (b" begins with a blank\r\nSubject: mbox\r\n", b"\n begins with a blank\nSubject: mbox\n"),
    (b"\tbegins with a tab\r\nSubject: mbox\r\n", b"\n\tbegins with a tab\nSubject: mbox\n"),
    (b"no header at all\r\nSubject: mbox\r\n", b"\nno header at all\nSubject: mbox\n"),
    (b"\r\nSubject: mbox\r\n", b"\nSubject: mbox\n"),
    (b"Subject: mbox\r\n", b"Subject: mbox\n"),
    (b"Subject: mbox\r\n folded\r\n", b"Subject: mbox\n folded\n"),
    (b"Subject : mbox\r\nSubject: mbox\r\nFrom \r\n", b"Subject : mbox\nSubject: mbox\n\nFrom \n"),
], ids=range(10))
def test_S20_the_header_has_an_end(shared, content, kept, pieces):
    name = f"s20-{abs(hash(content))}-{pieces is None}@remote.example"
    with shared.connect(pieces=pieces) as wire:
        wire.deliver(content, sender=name)
    found = wait_for(lambda: [l for l in shared.letters("bob") if l.sender == name])
    assert [l.content for l in found] == [kept]


@pytest.mark.parametrize("hops, short", [(100, "250 2.0.0"), (101, "554 5.4.6")])
def test_S26_over_100_received_fields_is_a_loop(shared, hops, short):
    content = b"RECEIVED: from x by y\r\n\tid z\r\n" * hops + b"Subject: hops\r\n\r\nReceived: not counted\r\n"
    with shared.connect() as wire:
        wire.begin()
        assert wire.content(content).short == short


def test_S26_fields_of_the_body_are_no_hops(wire):
    wire.deliver(b"Subject: x\r\n\r\n" + b"Received: x\r\n" * 200)


def test_S28_mail_that_was_here_before_is_a_loop(stagepost):
    house = stagepost()
    house.deliver(b"Delivered-To: BOB@Trial.example\r\nSubject: loop\r\n\r\n", sender="alice@trial.example")
    house.deliver(b"Delivered-To: alice@trial.example\r\n\r\nDelivered-To: bob@trial.example\r\n")
    house.wait_letters("bob", 1)
    assert b"5.4.6" in house.wait_letters("alice")[0].content
    house.assert_clean()


def test_S57_trace_fields_are_ours_alone(shared):
    sender = "s57@remote.example"
    with shared.connect() as wire:
        wire.deliver(b"Return-Path: <forged@elsewhere.example>\r\nSubject: a\r\nreturn-path:\r\n <x>\r\nTo: b\r\n\r\n"
                     b"Return-Path: body\r\n", sender=sender)
    letter = wait_for(lambda: [l for l in shared.letters("bob") if l.sender == sender])[0]
    assert letter.content == b"Subject: a\nTo: b\n\nReturn-Path: body\n"  # and no Date, no Message-ID added
    assert letter.address == "bob@trial.example" and letter.original is None


def test_a_nul_in_content_passes(shared):
    sender = "nul@remote.example"
    with shared.connect() as wire:
        wire.deliver(b"Subject: a\0b\r\n\r\n\0\0\r\n\0.\r\n", sender=sender)
    assert wait_for(lambda: [l for l in shared.letters("bob") if l.sender == sender])[0].content == \
        b"Subject: a\0b\n\n\0\0\n\0.\n"


# While others are away


def test_while_the_router_is_away_recipients_are_put_off(stagepost):
    house = stagepost()
    with house.connect() as wire:
        wire.say("MAIL FROM:<>", "250 2.1.0")
        wire.say("RCPT TO:<bob@trial.example>", "250 2.1.5")
        pid = house.kill("router")
        reply = wire.say("RCPT TO:<alice@trial.example>")
        assert reply.short in ("451 4.3.0", "250 2.1.5")  # the fresh one may be there already
        wait_for(lambda: house.pid("router") != pid)
        wait_for(lambda: wire.say("RCPT TO:<alice@trial.example>").code == 250)
        wire.say("DATA", "354")
        assert wire.content(CONTENT).code == 250
    house.wait_letters("bob")
    house.assert_clean()


def test_while_the_manager_is_away_content_is_kept_or_put_off(stagepost):
    house = stagepost()
    kept = 0

    def begun():
        """Each step may meet the death of the manager."""
        wire = house.connect()
        if all(wire.say(line).short == short for line, short in (
                ("MAIL FROM:<>", "250 2.1.0"), ("RCPT TO:<bob@trial.example>", "250 2.1.5"), ("DATA", "354"))):
            return wire
        wire.close()
        return None

    for last in (False, False, False, False, True):
        with wait_for(begun) as wire:
            pid = None if last else house.kill("queue")
            kept += wire.content(CONTENT).code == 250
        wait_for(lambda: last or house.pid("queue") != pid)  # else the dead one may seem to serve still
    house.wait_letters("bob", kept) if kept else None
    house.assert_clean()


def test_min_rate_ends_a_client_that_crawls(slow_sender):
    thread, told = slow_sender
    thread.join(2 * SLOW_WINDOW + 10)
    assert not thread.is_alive()
    assert told["said"].startswith(b"421 4.4.2 ")
    assert SLOW_WINDOW - 5 < told["seconds"] < SLOW_WINDOW + 15


def test_random_octets_never_hang_the_server(shared):
    rng = random.Random(7)
    words = [b"MAIL FROM:<a@b.example>", b"RCPT TO:<bob@trial.example>", b"DATA", b"RSET", b"EHLO x", b".", b"\0", b"\xff" * 30,
             b"NOOP", b"QUIT", b"x" * 3000, b"HELO y", b"VRFY", b"\r", b"\n", b"MAIL FROM:<" + b"<" * 40, b"RCPT TO:<\"\\", b"SIZE=-1"]
    for _ in range(150):
        with shared.connect(hello=None) as wire:
            octets = b"".join(rng.choice(words) + rng.choice((b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r", b""))
                              for _ in range(rng.randrange(1, 30)))
            try:
                wire.send(octets)
                wire.socket.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            wire.ended()
    with Wire(shared.port) as wire:
        wire.quit()
    assert shared.status()["processes"] and all(p["restarts"] == 0 for p in shared.status()["processes"])
