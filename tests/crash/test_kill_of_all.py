"""
Every process at one blow, then a start, again and again, while clients of all kinds send and read
(crowd.py); at the end the same with 100,000 messages that wait. STORM_CYCLES=N, STORM_SEED=N.
"""
import os
import random
import threading
import time

import pytest

from crowd import Author, Crowd, Far, Program, Reader, Smtp, Town
from house import SHORT, wait_for
from test_every_kind import SEED, settle, town  # noqa: F401: a fixture
from test_steps import keep

CYCLES = int(os.environ.get("STORM_CYCLES", "2" if SHORT else "1000"))
MANY = int(os.environ.get("CRASH_MANY", "100000"))
MANY_CYCLES = 20
LIVES = 0.4     # seconds of service before a blow, at most
START_LIMIT = 60    # seconds: a hang, not a measurement

row = pytest.mark.row("kill of all")


def cycles(town, count, rng, crowd):
    """The blows, as deaths of an audit, and how long each start took."""
    deaths, took = [], []
    for _ in range(count):
        time.sleep(rng.random() * LIVES)
        deaths.append((time.time(), "all"))
        town.crash()
        begun = time.monotonic()
        town.start()
        town.pids.clear()
        took.append(time.monotonic() - begun)
        assert not crowd.wrong(), crowd.wrong()
    return deaths, sorted(took)


@row
def test_all_die_and_start_again(town, tally):
    print(f"\nSTORM_SEED={SEED}")
    town.start()
    crowd = Crowd(town, pause=0.05, clients=((Smtp, 8), (Author, 3), (Program, 2), (Reader, 4)))
    try:
        try:
            deaths, took = cycles(town, CYCLES, random.Random(SEED), crowd)
        finally:
            crowd.end()
        counts = settle(town, deaths)
    except BaseException:
        keep(town, f"kill-of-all-{SEED}")
        raise
    print(f"{CYCLES} cycles: {counts}; a start took {took[len(took) // 2]:.2f} s in the median, {took[-1]:.2f} s at most")
    tally(cycles=CYCLES, **counts)
    assert took[-1] < START_LIMIT


@row
@pytest.mark.long
def test_all_die_with_a_long_queue(tally):
    far = Far()
    town = Town(far, None, retry="first 2h; longest 2h", limits="queue-messages 10000000")
    try:
        town.start()
        block = town.block("bob")
        each = MANY // 8

        def fill(k):
            with town.connect(seconds=60) as wire:
                for i in range(each):
                    wire.deliver(f"X-Case: many-{k}-{i}\r\n\r\ntext\r\n".encode(), sender="many@load.example", pipelined=True)
        threads = [threading.Thread(target=fill, args=(k,)) for k in range(8)]
        [t.start() for t in threads]
        [t.join() for t in threads]
        wait_for(lambda: town.log().count(" deferred ") >= each * 8, 240, "all deferred")
        crowd = Crowd(town, pause=0.05, clients=((Smtp, 4), (Reader, 4)))
        try:
            deaths, took = cycles(town, MANY_CYCLES, random.Random(SEED), crowd)
        finally:
            crowd.end()
        block.unlink()
        town.run("queue", "retry", "--all")
        wait_for(lambda: len(town.maildir("bob")) >= each * 8, 400, "all that waited")
        town.wait_empty(60)
        found = town.arrived()[0]
        lost = [f"{k}-{i}" for k in range(8) for i in range(each) if (f"many-{k}-{i}", "bob") not in found]
        assert not lost, f"LOST {len(lost)}: {lost[:9]}"
        for path in town.maildir("bob"):
            if b"\nX-Case: many-" in path.read_bytes()[:2000]:
                path.unlink()
        counts = settle(town, deaths)
        print(f"\n{each * 8} waited, {MANY_CYCLES} cycles: {counts}; a start took {took[len(took) // 2]:.2f} s in the median, "
              f"{took[-1]:.2f} s at most")
        tally(cycles_with_a_long_queue=MANY_CYCLES, **counts)
        assert took[-1] < START_LIMIT
    finally:
        town.end()
        far.end()

