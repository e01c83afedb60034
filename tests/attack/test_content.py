"""
Content without an end: one line of 100 MiB, 100,000 header fields, a field of a MiB, folding for ever, 100,000 parts,
parts in parts, floods of RFC 2231 parameters; by DATA and by BDAT.

    client ---> smtpd ---> queue ---> local ---> bob
                                '---> smtp ----> another server

It is refused for good at its end, or arrives at both as it was sent. Nobody here reads MIME, so it costs nobody more
time than as much of anything else.
"""
import hashlib
import os
import re
import socket
import time
from pathlib import Path

import pytest

from house import SHORT
from relaying import LINE_MAX
from remote import Remote
from stagepost import wait_for

pytestmark = pytest.mark.row("huge content")
MIB = 1024 * 1024
MEMORY_MAX = 100    # MiB more of any process
CPU_MAX = 20        # seconds of all processes for one of these; told, and judged as generously
ROLES = ("smtpd", "queue", "local", "local-1", "smtp", "smtp-1", "bounce", "router")
FROM = b"From: a@b.example\r\nDate: Tue, 24 Nov 2026 09:00:00 +0000\r\nMessage-ID: <%s@b.example>\r\n"
TAKEN, TOO_LARGE = "250 2.0.0", "552 5.3.4"


def parts(count):
    return b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" + count * b"--b\r\nContent-Type: text/plain\r\n\r\nx\r\n" + b"--b--\r\n"


def nested(depth):
    return (b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b0\r\n\r\n" +
            b"".join(b"--b%d\r\nContent-Type: multipart/mixed; boundary=b%d\r\n\r\n" % (i, i + 1) for i in range(depth)) + b"--b%d--\r\n" % depth)


def parameters(count):
    return b"Content-Type: text/plain;\r\n" + b"".join(b" name*%d*=us-ascii'en'%%41%%42;\r\n" % i for i in range(count)) + b" x=y\r\n\r\nx\r\n"


SCALE = 50 if SHORT else 1
CASES = {
    "line-100-MiB": (lambda: b"Subject: x\r\n\r\n" + (100 * MIB // SCALE) * b"x" + b"\r\n", TAKEN),
    "line-too-large": (lambda: b"Subject: x\r\n\r\n" + (250 * MIB // SCALE) * b"x" + b"\r\n", TOO_LARGE),
    "header-line-10-MiB": (lambda: b"Subject: " + 10 * MIB * b"x" + b"\r\n\r\nx\r\n", TOO_LARGE),
    "fields-100000": (lambda: b"".join(b"X-%d: y\r\n" % i for i in range(100000)) + b"\r\nx\r\n", TOO_LARGE),
    "fields-20000": (lambda: 20000 * b"X: y\r\n" + b"\r\nx\r\n", TAKEN),
    "field-1-MiB": (lambda: b"X: " + 1024 * (1020 * b"x" + b"\r\n ") + b"\r\n\r\nx\r\n", TOO_LARGE),
    "folded-for-ever": (lambda: b"Subject: x\r\n" + 400000 * b" y\r\n" + b"\r\nx\r\n", TOO_LARGE),
    "folded-empty": (lambda: b"Subject: x\r\n" + 60000 * b" \r\n" + b"\r\nx\r\n", TAKEN),
    "no-end-of-header": (lambda: 3 * MIB // 6 * b"X: y\r\n", TOO_LARGE),
    "parts-100000": (lambda: parts(100000), TAKEN),
    "parts-in-parts": (lambda: nested(20000), TAKEN),
    "parameters": (lambda: parameters(6000), TAKEN),
    "empty-lines": (lambda: b"Subject: x\r\n\r\n" + (20 * MIB // SCALE) // 2 * b"\r\n", TAKEN),
    "dots": (lambda: b"Subject: x\r\n\r\n" + (20 * MIB // SCALE) // 3 * b".\r\n", TAKEN),
}


def broken(content):
    """As relaying.broken(), for lines of any length."""
    lines = []
    for line in content.split(b"\r\n"):
        lines.append(line[:LINE_MAX])
        lines += [b" " + line[at:at + LINE_MAX - 1] for at in range(LINE_MAX, len(line), LINE_MAX - 1)]
    return b"\n".join(lines)


def rss(pid):
    return int(re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1]) // 1024


def cpu(pids):
    total = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


def send(wire, content, chunks, recipients):
    """Without looking at the size that EHLO names, as who means harm."""
    wire.say("MAIL FROM:<alice@trial.example>", "250 2.1.0")
    for r in recipients:
        wire.say(f"RCPT TO:<{r}>", "250 2.1.5")
    if chunks:
        for at in range(0, len(content), MIB):
            piece = content[at:at + MIB]
            wire.send(b"BDAT %d%s\r\n" % (len(piece), b" LAST" if at + MIB >= len(content) else b"") + piece)
        replies = [wire.reply() for _ in range(0, len(content), MIB)]
        return replies[-1]
    wire.say("DATA", "354")
    return wire.content(content)


@pytest.fixture
def world(houses):
    house = houses()
    other = Remote(socket.create_server(("127.0.0.1", 0)), extensions=("PIPELINING", "SIZE 524288000", "8BITMIME", "ENHANCEDSTATUSCODES"))
    port = other.listener.getsockname()[1]
    house.configure(top=f"trust 127.0.0.0/8\noutbound to far.example {{ via [127.0.0.1]:{port} }}\n",
                    limits=f"message-size {200 // SCALE}M; spool-free 0; errors 1000; idle 2m")
    house.start()
    yield house, other
    other.end()


def outcome(house, other, name, content, chunks):
    house.pids.clear()
    pids = [p["pid"] for p in house.status()["processes"] if p["name"] in ROLES]
    before, boxes, there = cpu(pids), len(house.maildir("bob")), len(other.received)
    with house.connect(seconds=240) as wire:
        reply = send(wire, content, chunks, ("bob@trial.example", "x@far.example"))
        wire.say("NOOP", "250 2.0.0")       # still in step
    if reply.code == 250:
        wait_for(lambda: len(house.maildir("bob")) > boxes and len(other.received) > there, 120, f"{name} at both ends")
        letter = house.letters("bob")[-1].content
        assert hashlib.sha256(letter).digest() == hashlib.sha256(content.replace(b"\r\n", b"\n")).digest(), f"{name} is not what was sent"
        got = other.received[-1].content.replace(b"\r\n", b"\n")
        assert got.endswith(broken(content)), f"{name} is not what was sent, relayed"
        house.maildir("bob")[-1].unlink()
        other.received[-1].content = b""
    return reply, cpu(pids) - before


@pytest.mark.parametrize("chunks", [False] if SHORT else [False, True], ids=["DATA", "BDAT"][:1 if SHORT else 2])
def test_what_has_no_end_is_refused_or_arrives_as_it_was(world, tally, chunks):
    house, other = world
    house.deliver(b"Subject: warm\r\n\r\n")
    house.wait_letters("bob")
    (house.maildir("bob")[0]).unlink()
    pids = {p["name"]: p["pid"] for p in house.status()["processes"] if p["name"] in ROLES}
    before = {name: rss(pid) for name, pid in pids.items()}
    faults, octets = [], 0
    for name, (make, short) in list(CASES.items())[::2 if SHORT else 1]:
        content = FROM % name.encode() + make()
        octets += len(content)
        begun = time.monotonic()
        reply, used = outcome(house, other, name, content, chunks)
        if reply.short != short:
            faults.append((name, reply))
        if used > CPU_MAX:
            faults.append((name, f"{used:.1f} s of CPU"))
        print(f"{name}: {len(content) / MIB:.1f} MiB, {reply.short}, {used:.2f} s of CPU, {time.monotonic() - begun:.1f} s")
    more = {name: rss(pid) - before[name] for name, pid in pids.items()}
    print("MiB more at most:", more)
    tally(messages=len(CASES), mebibytes=octets // MIB)
    assert not faults, faults
    assert all(m < MEMORY_MAX for m in more.values()), more
    assert all(p["restarts"] == 0 for p in house.status()["processes"])


@pytest.mark.control
def test_control_an_octet_that_is_changed_on_the_way_is_noticed(world, monkeypatch):
    house, other = world
    content = FROM % b"changed" + CASES["parts-100000"][0]()
    real = house.letters

    def changed(user):
        letters = real(user)
        letters[-1].content = letters[-1].content[:-3] + b"y--"
        return letters
    monkeypatch.setattr(house, "letters", changed)
    with pytest.raises(AssertionError, match="is not what was sent"):
        outcome(house, other, "changed", content, False)
