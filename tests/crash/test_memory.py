"""
No memory: the n-th allocation of one process fails, its own or a library's, while it starts and while it
works. That process may end, and nothing else; who is served hears 4xx or a closed connection, what was
acknowledged arrives, and all is well again by itself.

    everyone --all ways--> Stagepost, one process X of it      X: malloc, calloc, realloc -> NULL
"""
import os
import re
import signal
import time

import pytest

from house import SHORT, chosen, wait_for
from stagepost import is_there
from whole import Everyone, house_with_all

pytestmark = pytest.mark.row("no memory")

ROLES = ("log", "keys", "usage", "accounts", "router", "resolver", "queue", "bounce", "local", "smtp", "control",
         "smtpd", "submission", "maildrop", "pop3d", "pickup")
# All of the first ones, then fewer and fewer.
ALL, MOST = 100, 2000
NUMBERS = sorted({*range(1, ALL), *(int(ALL * 1.06 ** i) for i in range(52) if ALL * 1.06 ** i < MOST)})


@pytest.fixture
def house():
    h = house_with_all()
    yield h
    h.end()


def ends(house, since=0):
    """The role of each process that has ended, by the log from there on, which becomes long. What ended is tried in the
    second instance, where the same call fails."""
    with open(house.folder / "log" / "mail.log", errors="replace") as f:
        f.seek(since)
        return re.findall(r"daemon-ended role=(\S+?)(?:-1)? pid=", f.read())


def waits(house):
    """Milliseconds that the master waited before the last start."""
    return int(re.findall(r"daemon-ended role=\S+ .*next=(\d+)", house.log())[-1])


def one_case(house, everyone, role, n, born):
    """born: the process is one that starts, else one that works. True: it has ended of it."""
    pid = house.pid(role)
    since = (house.folder / "log" / "mail.log").stat().st_size
    house.heal(False, n)
    if born:
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: ends(house, since) or not is_there(pid), 10, "its end")
        end = time.monotonic() + 0.4
        while len(ends(house, since)) < 2 and time.monotonic() < end:
            time.sleep(0.01)
    else:
        everyone.round()
    house.heal()
    struck = ends(house, since)
    assert set(struck) <= {role}, f"others end too: {struck}"
    everyone.all_well(40)
    return len(struck) > born


@pytest.mark.parametrize("born", [False, True], ids=["works", "starts"])
@pytest.mark.parametrize("role", chosen("memory", ROLES, 3))
def test_an_allocation_fails(house, role, born, tally):
    everyone = Everyone(house)
    house.launch(f"{role}:memory:@:ENOMEM", sick=False)
    everyone.all_well(20)
    numbers = chosen(f"memory of {role} {born}", NUMBERS, 3) if SHORT else NUMBERS
    ended = 0
    for n in numbers:
        try:
            died = one_case(house, everyone, role, n, born)
        except AssertionError as e:
            raise AssertionError(f"allocation {n} of {role}: {e}") from e
        ended += died
        if died and waits(house) > 1000:    # the master would let it wait for seconds
            house.crash()
            house.launch(f"{role}:memory:@:ENOMEM", sick=False)
            everyone.all_well(40)
    everyone.settled()
    assert not list((house.folder / "spool" / "corrupt").iterdir()), "something was set aside"
    print(f"{role}, {'starts' if born else 'works'}: {len(numbers)} cases, {ended} ends")
    tally(allocations=len(numbers), ends=ended, kept=len(everyone.kept))


@pytest.mark.control
def test_others_that_end_are_noticed(house):
    """Two processes without memory in one case."""
    everyone = Everyone(house)
    house.launch("router:memory:@:ENOMEM,accounts:memory:@:ENOMEM", sick=False)
    everyone.all_well(20)
    with pytest.raises(AssertionError, match="others end too"):
        for n in range(1, 9):
            one_case(house, everyone, "router", n, False)
