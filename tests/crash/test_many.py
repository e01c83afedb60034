"""
A start with many deferred messages: how long until mail is taken, and what each costs the manager.
"""
import os
import threading
import time
from pathlib import Path

import pytest

from house import SHORT, Client, House, wait_for

pytestmark = [pytest.mark.row("long queue"), pytest.mark.long]

COUNT = int(os.environ.get("CRASH_MANY", "3000" if SHORT else "100000"))
CLIENTS = 8


@pytest.fixture
def house():
    h = House(limits="spool-free 0; errors 1000; per-client 1000; queue-messages 10000000",
              retry="first 2h; longest 2h")
    yield h
    h.end()


def memory(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024


def test_start_with_many_deferred(house):
    house.start()
    before = memory(house.pid("queue"))
    house.block("bob")
    each = COUNT // CLIENTS

    def send(k):
        with house.connect(seconds=60) as wire:
            for i in range(each):
                wire.deliver(b"Subject: one of many\r\n\r\ntext\r\n", "bob@trial.example",
                             sender=f"many{k}-{i}@load.example", pipelined=True)
    begun = time.monotonic()
    threads = [threading.Thread(target=send, args=(k,)) for k in range(CLIENTS)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    filled = time.monotonic() - begun
    total = each * CLIENTS
    counts = lambda: house.status()["queue"]
    print("\n", counts())
    time.sleep(1)
    wait_for(lambda: house.log().count(" deferred ") >= total, 120, "all deferred")
    time.sleep(6)
    running = memory(house.pid("queue"))
    house.crash()
    begun = time.monotonic()
    house.launch("")
    wait_for(house.opens, 120, "an open door")
    opened = time.monotonic() - begun
    client = Client(house)
    assert client.until_kept("first", 900, ("alice",), 60)
    first = time.monotonic() - begun
    wait_for(lambda: house.letters_by_name(), 60, "the first letter")
    arrived = time.monotonic() - begun
    time.sleep(3)
    after = memory(house.pid("queue"))
    said = house.run("queue", "verify", seconds=600).stdout
    print(f"{total} deferred: filled in {filled:.1f} s; start: open {opened:.2f} s, first 250 {first:.2f} s, first letter "
          f"{arrived:.2f} s; manager {(running - before) / total:.0f} octets a message while running, "
          f"{(after - before) / total:.0f} after a start")
    print(said)
    assert (after - before) / total <= 300
