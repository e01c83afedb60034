"""
A message that kills who delivers it. Only content in a file of its own is read by local: with
`local:read:1+:kill` a large message is poison, and small ones are not. After three deaths alone it
is set aside, and all the others arrive.
"""
import os
import time

import pytest

from house import Client, House, wait_for

pytestmark = pytest.mark.row("poison")

OTHERS = 100
POISON = "local:read:1+:kill"


@pytest.fixture
def house():
    h = House()
    yield h
    h.end()


def set_aside(house):
    return [m["queue_id"] for m in house.queue("--state", "corrupt")]


def audit(house, client, poison, deaths):
    """The others have arrived; a start without the fault delivers the poison when it is released."""
    wait_for(lambda: not house.missing(client), 60, "all the others")
    wait_for(lambda: set_aside(house) == [poison], 30, "poison set aside")
    ends = house.ends("local(?:-1)?")
    time.sleep(0.5)
    assert house.ends("local(?:-1)?") == ends <= deaths, "agents go on dying"
    house.audit(client)
    house.crash()
    house.start()
    assert set_aside(house) == [poison], "it is remembered"
    house.run("queue", "release", poison)
    name = "poison"
    client.sent[name] = (66000, ("alice",))
    client.kept.add(name)
    house.drained(client)
    house.audit(client)
    return ends


def send_poison(house, client):
    assert client.try_one("poison", 66000, ("alice",))
    client.kept.discard("poison")
    return next(m["queue_id"] for m in house.queue() if m["sender"].startswith("poison@"))


def test_one_that_comes_among_others(house):
    house.launch(POISON)
    wait_for(house.opens, 10)
    client = Client(house)
    for i in range(OTHERS):
        if i == 10:
            poison = send_poison(house, client)
        assert client.try_one(f"other{i}", 900 + i, ("bob", "alice") if i % 3 else ("alice",))
    ends = audit(house, client, poison, 5)  # in the crowd, among suspects, three times alone
    print(f"\npoison among others: {ends} deaths, {OTHERS} others arrived")


def test_one_among_many_that_are_due_at_once(house):
    """Everything that the dead agent held is suspect, and none of the innocent is set aside."""
    house.start()
    blocks = [house.block("bob"), house.block("alice")]
    client = Client(house)
    for i in range(OTHERS):
        if i == OTHERS // 2:
            poison = send_poison(house, client)
        assert client.try_one(f"other{i}", 900 + i, ("bob",) if i % 2 else ("alice",))
    house.crash()
    for block in blocks:
        block.unlink()
    house.launch(POISON)
    wait_for(house.opens, 10)
    ends = audit(house, client, poison, 8)
    print(f"\npoison in a crowd: {ends} deaths, {OTHERS} others arrived")


def test_poison_that_also_outlives_its_manager(house):
    """Deaths are counted over restarts of the manager."""
    house.launch(POISON)
    wait_for(house.opens, 10)
    client = Client(house)
    poison = send_poison(house, client)
    wait_for(lambda: house.ends("local-1") >= 1, 10, "a first death alone")
    house.kill("queue")
    for i in range(20):
        client.until_kept(f"other{i}", 900 + i, ("bob",))
    ends = audit(house, client, poison, 10)
    print(f"\npoison and a manager's death: {ends} deaths, 20 others arrived")
