"""
Deaths in a row, while fourteen clients send: the manager each 100 ms, smtpd, local, all of them in
turn, the master with a start behind it. The journey test_kill strikes with pauses in between; here
recovery itself is struck, again and again. CRASH_ROUNDS=200 for long.
"""
import os
import random
import time

import pytest

from house import SHORT, House, wait_for

import test_kill
from stagepost import descendants, is_there
from test_kill import Load

pytestmark = [pytest.mark.row("kill at random"), pytest.mark.long]

ROUNDS = int(os.environ.get("CRASH_ROUNDS", "8" if SHORT else "60"))
SEED = int(os.environ.get("CRASH_SEED", "0")) or random.SystemRandom().randrange(1, 10 ** 6)


@pytest.fixture
def house():
    h = House(top="processes { smtpd 2 }")
    yield h
    h.end()


def kill_now(house, names):
    """Whoever of them is there."""
    struck = 0
    for pid in descendants(house.master() or 0) if house.master() else ():
        try:
            title = open(f"/proc/{pid}/cmdline").read().replace("\0", " ").strip()
            if any(title.startswith(f"stagepost: {n}") for n in names):
                os.kill(pid, 9)
                struck += 1
        except OSError:
            pass
    return struck


@pytest.mark.parametrize("names,pause", [(("queue",), 0.1), (("smtpd",), 0.1), (("local",), 0.1), (("queue", "local"), 0.15),
                                         (("smtpd", "queue", "local", "router", "accounts"), 0.2), (("master",), 0.2),
                                         (("all",), 0.2)], ids=lambda v: "+".join(v) if isinstance(v, tuple) else "")
def test_one_death_after_the_other(house, names, pause):
    print(f"\nCRASH_SEED={SEED}")
    rng = random.Random(f"{SEED}{names}")
    house.start()
    load = Load(house)
    struck = 0
    try:
        load.flows()
        for _ in range(ROUNDS):
            if names[0] in ("master", "all"):
                load.kills.append(time.time())
                house.see()
                if names[0] == "all":
                    house.crash()
                else:
                    master = house.master()
                    os.kill(master, 9)
                    wait_for(lambda: not is_there(master), 10, "the master's death")
                house.start()
                struck += 1
            else:
                struck += kill_now(house, names)
                load.kills.append(time.time())
            time.sleep(pause * (0.5 + rng.random()))
        wait_for(lambda: house.opens(), 60, "an open door")
        load.flows(30)
    finally:
        load.end()
    wait_for(lambda: not house.queue(), 120, "an empty queue")
    house.verify()
    test_kill.SLACK_SECONDS = 3600  # how often something comes again is not judged here
    twice = load.audit(True)
    print(f"{'+'.join(names)}: {struck} deaths, {load.kept()} acknowledged, 0 lost, {twice} came twice")
