"""
10,000 connections at once, from several addresses, and mail that flows all the same:

    10,000 clients, idle ---.
    one more, with mail ----'---> smtpd ---> queue ---> local ---> mail/trial.example/bob
"""
import errno
import resource
import selectors
import socket
import time
from pathlib import Path

import pytest

from stagepost import BUILD, IS_ROOT, wait_for

CONNECTIONS = 10000
ADDRESSES = 10          # 127.0.0.2 and on
UNDER_WAY = 400         # connects at once; the kernel's queue of a listener is bounded
MAILS = 100
OCTETS_PER_SESSION = 2 * 1024


def connections(port, count):
    """So many sockets that were greeted."""
    selector = selectors.DefaultSelector()
    greeted, waiting, started = [], 0, 0
    end = time.monotonic() + 120
    while len(greeted) < count:
        while started < count and waiting < UNDER_WAY:
            s = socket.socket()
            s.setblocking(False)
            s.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT
            s.bind((f"127.0.0.{2 + started % ADDRESSES}", 0))
            assert s.connect_ex(("127.0.0.1", port)) in (0, errno.EINPROGRESS)
            selector.register(s, selectors.EVENT_READ)
            started += 1
            waiting += 1
        for key, _ in selector.select(1):
            said = key.fileobj.recv(200)
            assert said.startswith(b"220 "), said
            selector.unregister(key.fileobj)
            greeted.append(key.fileobj)
            waiting -= 1
        assert time.monotonic() < end, f"{len(greeted)} of {count} were greeted"
    return greeted


def pss(pid):
    """0 where only root may look."""
    if not IS_ROOT:
        return 0
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024


@pytest.mark.skipif(resource.getrlimit(resource.RLIMIT_NOFILE)[0] < CONNECTIONS + 1000, reason="too few descriptors allowed")
def test_ten_thousand_connections_and_mail_flows(stagepost):
    house = stagepost(limits="connections 12000; per-client 12000; idle 10m")
    smtpd = house.pid("smtpd")
    before = pss(smtpd)
    begun = time.monotonic()
    sockets = connections(house.port, CONNECTIONS)
    took = time.monotonic() - begun
    with house.connect() as wire:
        for _ in range(MAILS):
            begun = time.monotonic()
            wire.deliver(b"Subject: one of many\r\n\r\n")
            assert time.monotonic() - begun < 2
    house.wait_letters("bob", MAILS)
    full = pss(smtpd)
    for s in sockets:
        s.send(b"EHLO client.example\r\n")
    for s in sockets:
        s.settimeout(20)
        assert s.recv(1000).startswith(b"250-")
    said = pss(smtpd)
    for s in sockets[::2]:
        s.send(b"QUIT\r\n")
    for s in sockets:
        s.close()
    print(f"{CONNECTIONS} greeted in {took:.1f} s; PSS of smtpd {before >> 10} KiB, {full >> 10} KiB with all of them, "
          f"{said >> 10} KiB when all have said EHLO")
    if "san" not in BUILD.parts:
        assert full - before < CONNECTIONS * OCTETS_PER_SESSION
    with house.connect() as wire:
        wire.deliver(b"Subject: after all\r\n\r\n")
    house.assert_clean()
    assert house.pid("smtpd") == smtpd
    if IS_ROOT:
        wait_for(lambda: len(list(Path(f"/proc/{smtpd}/fd").iterdir())) < 100, what="end of the sessions")
