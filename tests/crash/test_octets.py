"""
Short reads and writes: every call for octets, of files and of TCP, carries a few at a time, and every
second one is interrupted. What is delivered is what was accepted; nothing fails of it.

    everyone --all ways, an octet at a time--> Stagepost, every read and write cut      EINTR, EINTR, ...
"""
import pytest

from corpus import Generator
from house import SHORT, chosen, wait_for
from stagepost import DOMAIN
from whole import Everyone, house_with_all
from wire import one_by_one

pytestmark = pytest.mark.row("short reads and writes")

SIZES = chosen("octets", (1, 2, 3, 7, 100, 4095), 2)
ROUNDS = 1 if SHORT else 5
QUEUE = 64  # octets at least for the queue manager, which reads whole segments of 16 MiB at a start


def faults(size):
    return f"[!q]*:octets:1+:short={size},queue:octets:1+:short={max(size, QUEUE)}"


@pytest.fixture
def house():
    h = house_with_all()
    yield h
    h.end()


@pytest.mark.parametrize("size", SIZES)
def test_calls_that_carry_little(house, size, tally):
    """Of every process, commands and recovery too; then a crash, and a start that reads as little at a time."""
    everyone = Everyone(house)
    everyone.seconds = 60
    house.launch(faults(size))
    everyone.all_well(60)
    for _ in range(ROUNDS):
        results = everyone.round()
        assert all(results.values()), results
    with house.connect(seconds=60, pieces=one_by_one) as wire:
        everyone.sent["slowly"] = (900, ("bob",))
        wire.begin(f"bob@{DOMAIN}", sender="slowly@load.example")
        assert wire.content(Generator("slowly").sized(900)).code == 250
        everyone.kept.add("slowly")
    house.crash()
    house.launch(faults(size))
    wait_for(house.opens, 60, "service")
    everyone.all_well(60)
    everyone.settled()
    assert house.run("queue", "verify", check=False).returncode == 0
    assert "daemon-ended" not in house.log(), "a process ended of it"
    tally(kept=len(everyone.kept), sizes=1)


@pytest.mark.control
def test_octets_that_are_left_out_are_noticed(house):
    """local is told that it has written, and has not."""
    everyone = Everyone(house)
    house.launch("local:octets:1+:lie", sick=False)
    everyone.all_well(20)
    everyone.settled()
    house.heal(False)
    assert everyone.plain("cut")
    wait_for(lambda: len(house.maildir("bob")) > everyone.used["plain"] + everyone.used["large"], 10, "a letter")
    with pytest.raises(AssertionError, match="has no trace fields|is not what was sent|LOST"):
        everyone.settled(5)
