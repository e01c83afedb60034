"""
The queue's own limits: 452 at the limit, mail again below it.
"""
import time

import pytest

from house import LARGE, Client, House, wait_for

pytestmark = [pytest.mark.row("full"), pytest.mark.long]

MIB = 1024 * 1024


@pytest.fixture
def make():
    made = []

    def one(limits):
        made.append(House(limits=f"spool-free 0; errors 1000; per-client 1000; {limits}"))
        return made[-1]
    yield one
    for h in made:
        h.end()


def fill(house, client, size, most, boxes=("bob",)):
    for i in range(most):
        client.try_one(f"m{i}", size, boxes)
        if len(client.refused) > 8:
            return i


def test_queue_messages(make):
    house = make("queue-messages 20")
    house.start()
    block = house.block("bob")
    client = Client(house)
    sent = fill(house, client, 900, 3000)
    assert sent and {"452 4.3.1"} == set(client.refused.values()), client.refused
    assert 20 <= len(client.kept)
    status = house.status()
    kept = len(client.kept)
    block.unlink()
    house.run("queue", "retry", "--all")
    assert client.until_kept("again", 900, ("alice",), 70), client.refused
    wait_for(lambda: not house.missing(client), 90, "all")
    house.drained(client)
    house.audit(client)
    print(f"\nqueue-messages 20: {kept} kept before 452")


@pytest.mark.parametrize("size,letter", [(200, 60000), (200, LARGE)])
def test_spool_size(make, size, letter):
    house = make(f"spool-size {size}M")
    house.start()
    block = house.block("bob")
    client = Client(house)
    sent = fill(house, client, letter, 4000)
    assert sent and set(client.refused.values()) <= {"452 4.3.1"}, client.refused
    kept = len(client.kept)
    used = sum(f.stat().st_blocks * 512 for f in (house.folder / "spool").rglob("*") if f.is_file())
    block.unlink()
    house.run("queue", "retry", "--all")
    assert client.until_kept("again", letter, ("alice",), 70), client.refused
    wait_for(lambda: not house.missing(client), 90, "all")
    house.drained(client)
    house.audit(client)
    print(f"\nspool-size {size}M, letters of {letter}: {kept} kept before 452, spool used {used // MIB} MiB")
    assert used <= (size + 40) * MIB
