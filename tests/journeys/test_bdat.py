"""
Content in chunks (RFC 3030, rules S4, S5, S6), spoken as octets to a real smtpd:

    test --- BDAT n, n octets, BDAT m LAST, m octets ---> smtpd ---> queue ---> local ---> bob
"""
import random
import re
from collections import Counter

import pytest

from corpus import Generator, as_kept
from stagepost import BUILD, wait_for
from wire import chopped, one_by_one, queue_id

CONTENT = b"Subject: a word\r\n\r\nfrom far away\r\n"
EVERY_CUT = b"Subject: cut\r\n\r\n.\r\n..dots\r\nMAIL FROM:<x@y.example>\r\nend\r\n"
ways = pytest.mark.parametrize("pieces", [None, one_by_one], ids=["at-once", "octet-by-octet"])


def chunk(octets, last=False):
    return b"BDAT %d%s\r\n" % (len(octets), b" LAST" * last) + octets


def cut(content, sizes):
    """The commands for content in chunks of these sizes, the last one with what is left."""
    out = []
    for size in sizes:
        out.append(chunk(content[:size]))
        content = content[size:]
    return [*out, chunk(content, last=True)]


def begin(wire, sender="sender@remote.example"):
    wire.say(f"MAIL FROM:<{sender}>", "250 2.1.0")
    wire.say("RCPT TO:<bob@trial.example>", "250 2.1.5")


def letters_of(house, sender, count=1):
    found = wait_for(lambda: len(l := [l for l in house.letters("bob") if l.sender == sender]) >= count and l)
    assert len(found) == count
    return found


def resident(pid):
    with open(f"/proc/{pid}/status") as f:
        return int(re.search(r"VmRSS:\s+(\d+) kB", f.read())[1]) * 1024


# S4: what content is


def test_S4_a_line_and_its_end_may_lie_in_two_chunks(shared):
    sender = "every-cut@remote.example"
    with shared.connect() as wire:
        for at in range(1, len(EVERY_CUT)):
            wire.send("RSET\r\nMAIL FROM:<%s>\r\nRCPT TO:<bob@trial.example>\r\n" % sender)
            wire.send(b"".join(cut(EVERY_CUT, [at])))  # all of it pipelined
            for short in ("250 2.0.0", "250 2.1.0", "250 2.1.5", "250 2.0.0"):
                wire.expect(short)
            queue_id(wire.reply())
    found = letters_of(shared, sender, len(EVERY_CUT) - 1)
    assert {l.content for l in found} == {EVERY_CUT.replace(b"\r\n", b"\n")}


@ways
@pytest.mark.parametrize("content", [b"Subject: x\r\n\r\nno end", b"Subject: x\r\n\r\n.", b"Subject: only a field", b"",
                                     b"no header", b"Subject: x\r\n\r\n\0\xff\r\n"], ids=repr)
def test_S4_the_last_line_may_lack_its_end(shared, content, pieces):
    sender = f"no-end-{abs(hash(content))}-{pieces is None}@remote.example"
    with shared.connect(pieces=pieces) as wire:
        begin(wire, sender)
        wire.send(chunk(content, last=True))
        queue_id(wire.reply())
        wire.say("NOOP", "250 2.0.0")
    kept = letters_of(shared, sender)[0].content
    want = as_kept(content + b"\r\n")
    assert kept in (want, want[:-1])  # a delivery may end the line


def test_S4_varied_messages_come_through_octet_by_octet(shared):
    """As by DATA: what stands in the Maildir is what was sent."""
    rng = random.Random(3030)
    generator = Generator(3030)
    kinds = [generator.plain, generator.eight_bit, generator.every_octet, generator.long_lines, generator.dots,
             generator.huge_header, generator.one_huge_field]
    sent = {}
    with shared.connect(pieces=chopped(rng)) as wire:
        for n in range(70):
            content = kinds[n % len(kinds)]()
            sender = f"varied-{n}@remote.example"
            sizes, left = [], len(content)
            while left > 1 and len(sizes) < 40:
                sizes.append(rng.choice((1, 2, rng.randrange(1, left), rng.randrange(1, min(left, 300) + 1))))
                left -= sizes[-1]
                if left <= 0:
                    sizes.pop()
                    break
            wire.send(f"MAIL FROM:<{sender}>\r\nRCPT TO:<bob@trial.example>\r\n".encode() + b"".join(cut(content, sizes)))
            wire.expect("250 2.1.0")
            wire.expect("250 2.1.5")
            for _ in sizes:
                wire.expect("250 2.0.0")
            queue_id(wire.reply())
            sent[sender] = content
    found = wait_for(lambda: len(l := [l for l in shared.letters("bob") if l.sender in sent]) == len(sent) and l, 30)
    for letter in found:
        want = as_kept(sent[letter.sender])  # which ends the last line, as DATA must
        assert letter.content in (want, want if sent[letter.sender].endswith(b"\r\n") else want[:-1]), letter.sender


def test_S4_a_large_message_comes_in_chunks(shared):
    content = b"Subject: large\r\n\r\n" + b"".join(b".%07d\r\n" % n for n in range(200000))
    sizes = [65536, 1, 500000, 2, 99999, 700000]
    with shared.connect() as wire:
        begin(wire, "large@remote.example")
        wire.send(b"".join(cut(content, sizes)))
        for _ in sizes:
            wire.expect("250 2.0.0")
        queue_id(wire.reply())
    assert letters_of(shared, "large@remote.example")[0].content == content.replace(b"\r\n", b"\n")


@ways
@pytest.mark.parametrize("content", [b"a\nb\r\n", b"a\rb\r\n", b"a\r\n\n", b"a\r", b"\n"], ids=repr)
def test_S2_a_bare_cr_or_lf_is_refused_after_the_last_chunk(shared, content, pieces):
    with shared.connect(pieces=pieces) as wire:
        begin(wire)
        for at in range(len(content)):
            wire.send(chunk(content[at:at + 1]))
            wire.expect("250 2.0.0")
        wire.send(chunk(b"", last=True))
        wire.expect("550 5.5.2")
        wire.say("RCPT TO:<bob@trial.example>", "503 5.5.1")  # S6


def test_S2_normalizing_makes_crlf(stagepost):
    house = stagepost(listen="{ bare-newline normalize }")
    content = b"Subject: mixed\n\rone\n.\r\ntwo\r"
    with house.connect() as wire:
        for at in range(1, len(content)):
            begin(wire)
            wire.send(b"".join(cut(content, [at])))
            wire.expect("250 2.0.0")
            queue_id(wire.reply())
    found = house.wait_letters("bob", len(content) - 1)
    assert {l.content for l in found} == {b"Subject: mixed\n\none\n.\ntwo\n"}
    house.assert_clean()


# S5: what is refused


@pytest.mark.parametrize("line", ["BDAT", "BDAT x", "BDAT -1", "BDAT 1 LAST x", "BDAT 5 FIRST", "BDAT 1x",
                                  "BDAT 99999999999999999999"])
@pytest.mark.parametrize("inside", [False, True])
def test_S5_bad_syntax_ends_the_connection(shared, line, inside):
    with shared.connect() as wire:
        if inside:
            begin(wire)
        wire.send(line + "\r\nMAIL FROM:<a@b.example>\r\n")
        wire.expect("521 5.5.4")
        assert wire.ended() == b""


@pytest.mark.parametrize("line", [b"BDAT 5\0", b"bdat 5\n", b"BDAT 5\rx", b"BDAT " + b"0" * 3000 + b"5"], ids=["NUL", "LF", "CR", "long"])
def test_S5_a_line_that_is_none_ends_the_connection_too(shared, line):
    """Whoever reads such a line as BDAT takes what follows for content: here it must not become commands."""
    with shared.connect() as wire:
        begin(wire)
        wire.send(line + b"\r\nRSET\r\nNOOP\r\n")
        wire.expect("521 5.5.4")
        assert wire.ended() == b""


def test_S5_who_was_not_offered_it_is_let_go(shared):
    for hello in ("HELO client.example\r\n", None):
        with shared.connect(hello=None) as wire:
            if hello:
                wire.send(hello)
                wire.expect("250", plain=True)
            wire.say("BDAT 10 LAST", "521 5.5.1")
            assert wire.ended() == b""


@ways
def test_S5_the_octets_of_a_refused_chunk_are_no_commands(shared, pieces):
    evil = b"RSET\r\nMAIL FROM:<a@b.example>\r\nQUIT\r\n"
    with shared.connect(pieces=pieces) as wire:
        wire.send(chunk(evil) + chunk(evil, last=True) + b"NOOP\r\n")
        for short in ("503 5.5.1", "503 5.5.1", "250 2.0.0"):
            wire.expect(short)
        wire.send(b"MAIL FROM:<a@b.example>\r\nRCPT TO:<nobody@trial.example>\r\n" + chunk(evil, last=True) + b"NOOP\r\n")
        for short in ("250 2.1.0", "550 5.1.1", "554 5.5.1", "250 2.0.0"):  # S12
            wire.expect(short)
        wire.say("RCPT TO:<bob@trial.example>", "503 5.5.1")  # S6: also now the transaction is over


def test_S5_after_a_refusal_all_is_thrown_away_until_last(shared):
    """Else the second half of a message would pass for a whole one."""
    with shared.connect() as wire:
        wire.say("MAIL FROM:<a@b.example>", "250 2.1.0")
        wire.send(chunk(b"Subject: first half\r\n"))
        wire.expect("554 5.5.1")
        wire.say("RCPT TO:<bob@trial.example>", "503 5.5.1")
        wire.send(chunk(b"Subject: second half\r\n", last=True))
        wire.expect("554 5.5.1")
        begin(wire)
        wire.say("RSET", "250 2.0.0")
        wire.send(chunk(b"before MAIL\r\n"))
        wire.expect("503 5.5.1")
        wire.say("MAIL FROM:<a@b.example>", "503 5.5.1")
        wire.say("RSET", "250 2.0.0")
        begin(wire, "after-refusal@remote.example")
        wire.send(chunk(CONTENT, last=True))
        queue_id(wire.reply())
    letters_of(shared, "after-refusal@remote.example")


def test_S5_a_chunk_without_octets_is_only_the_last_one(shared):
    sender = "null-chunk@remote.example"
    with shared.connect() as wire:
        begin(wire)
        wire.say("BDAT 0", "501 5.5.4")
        wire.say("BDAT 0", "501 5.5.4")
        wire.say("BDAT 0 LAST", "501 5.5.4")
        begin(wire, sender)
        wire.send(chunk(CONTENT))
        wire.expect("250 2.0.0")
        wire.say("BDAT 0", "501 5.5.4")
        wire.say("RSET", "250 2.0.0")
        begin(wire, sender)
        wire.send(chunk(CONTENT))
        wire.expect("250 2.0.0")
        queue_id(wire.say("BDAT 0 LAST"))
    assert letters_of(shared, sender)[0].content == CONTENT.replace(b"\r\n", b"\n")


def test_S5_nothing_of_another_kind_comes_between(shared):
    sender = "between@remote.example"
    with shared.connect() as wire:
        begin(wire, sender)
        wire.send(chunk(CONTENT[:9]))
        wire.expect("250 2.0.0")
        wire.say("MAIL FROM:<a@b.example>", "503 5.5.1")
        wire.say("RCPT TO:<alice@trial.example>", "503 5.5.1")
        wire.say("DATA", "503 5.5.1")
        wire.say("NOOP", "250 2.0.0")
        wire.say("VRFY bob", "252 2.5.2")
        wire.send(chunk(CONTENT[9:], last=True))
        queue_id(wire.reply())
        wire.deliver(CONTENT)  # and DATA is fine again
    assert letters_of(shared, sender)[0].content == CONTENT.replace(b"\r\n", b"\n")


@pytest.mark.parametrize("command", ["RSET", "EHLO client.example", "HELO client.example"])
def test_S7_a_reset_forgets_the_chunks(shared, command):
    sender = f"reset-{command[:4]}@remote.example"
    with shared.connect() as wire:
        begin(wire)
        wire.send(chunk(b"Subject: forgotten\r\n"))
        wire.expect("250 2.0.0")
        wire.send(command + "\r\n")
        wire.expect("250", plain=command != "RSET")
        wire.send("EHLO client.example\r\n")
        wire.reply(plain=True)
        begin(wire, sender)
        wire.send(chunk(CONTENT, last=True))
        queue_id(wire.reply())
    assert letters_of(shared, sender)[0].content == CONTENT.replace(b"\r\n", b"\n")


@pytest.mark.parametrize("content, short", [(CONTENT, "250 2.0.0"), (b"a\nb\r\n", "550 5.5.2"),
                                            (b"Received: x\r\n" * 101, "554 5.4.6")], ids=["kept", "bare", "loop"])
def test_S6_after_the_last_chunk_sender_and_recipients_are_forgotten(shared, content, short):
    with shared.connect() as wire:
        for _ in range(2):
            begin(wire)
            wire.send(chunk(content, last=True))
            wire.expect(short)
            wire.say("RCPT TO:<bob@trial.example>", "503 5.5.1")
            wire.send(chunk(b"x\r\n", last=True))
            wire.expect("503 5.5.1")


# S14: limits


@pytest.fixture(scope="module")
def tight(shared):
    from conftest import Maker
    maker = Maker()
    yield maker(limits="message-size 10K; errors 100")
    maker.end()


@ways
@pytest.mark.parametrize("over", [0, 1])
@pytest.mark.parametrize("sizes", [[], [100], [1, 10239], [5000, 5000]], ids=str)
def test_S14_octets_of_all_chunks_are_counted_and_all_are_read(tight, over, sizes, pieces):
    content = (CONTENT + b"x" * 10240)[:10240 + over - 2] + b"\r\n"
    with tight.connect(pieces=pieces) as wire:
        for _ in range(2):
            begin(wire)
            wire.send(b"".join(cut(content, sizes)))
            for _ in sizes:
                wire.expect("250 2.0.0")
            wire.expect("552 5.3.4" if over else "250 2.0.0")
        wire.say("NOOP", "250 2.0.0")


def test_S14_what_is_too_large_is_said_at_once_and_skipped(tight):
    with tight.connect() as wire:
        begin(wire)
        wire.send(chunk(b"x" * 10241) + chunk(b"y" * 100000) + chunk(b"QUIT\r\n", last=True) + b"NOOP\r\n")
        for short in ("552 5.3.4", "552 5.3.4", "552 5.3.4", "250 2.0.0"):
            wire.expect(short)
        begin(wire)
        wire.send(b"BDAT 18446744073709551615\r\n" + b"x" * 200000)  # nobody waits for it, and nobody keeps it
    with tight.connect() as wire:
        wire.deliver(CONTENT)


def test_thousands_of_chunks_of_one_octet_take_no_memory(stagepost):
    house = stagepost()
    smtpd = house.pid("smtpd")
    content = b"Subject: drops\r\n\r\n" + b"drop\r\n" * 12000
    with house.connect() as wire:
        begin(wire)
        replies = Counter()
        for at in range(0, len(content), 500):
            part = content[at:at + 500]
            wire.send(b"".join(chunk(part[i:i + 1]) for i in range(len(part))))
            for _ in part:
                replies[wire.reply().short] += 1
        assert replies == {"250 2.0.0": len(content)}
        sanitized = "san" in BUILD.parts
        assert resident(smtpd) < (300 if sanitized else 40) * 1024 * 1024
        queue_id(wire.say("BDAT 0 LAST"))
    assert house.wait_letters("bob")[0].content == content.replace(b"\r\n", b"\n")
    house.assert_clean()


def test_who_leaves_within_a_chunk_leaves_nothing(stagepost):
    house = stagepost()
    octets = b"".join(cut(CONTENT, [5, 9])) + b"".join(cut(b"x" * 100000 + b"\r\n", [70000]))
    for at in [*range(1, 100, 7), 200, 30000, 99000]:
        with house.connect() as wire:
            begin(wire)
            wire.send(octets[:at])
    house.wait_empty()
    assert all(p["restarts"] == 0 for p in house.status()["processes"])
    house.assert_clean()


def test_the_log_says_where_a_client_was_lost(stagepost):
    house = stagepost()
    with house.connect() as wire:
        begin(wire)
        wire.send(b"BDAT 100\r\n0123456789")
        wire.send(b"")
    house.logged("disconnected client=127.0.0.1 how=closed after=BDAT content=10 .*bdat=1 commands=4 messages=0")
