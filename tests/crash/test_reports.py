"""
Death at every step while mail is relayed, refused and reported on: of bounce, of the queue manager,
of smtp, at its n-th disk call, for every n that a run reaches. Each second time all die with it,
else the others live on and tell the next one what they hold.

Errors of the disk at each kind of call of bounce, and of the manager while reports are made.
"""
import time

import pytest

from house import SHORT, steps_of, wait_for
from reporting import MAIL, Far, Reporting
from test_steps import keep

pytestmark = [pytest.mark.row("kill at every disk call"), pytest.mark.long]

STRIDE = 9 if SHORT else 1
ERRORS = ["EIO", "ENOSPC"]
OPS = {"bounce": ["write", "fdatasync", "writeback", "close", "open", "read", "stat"],
       "queue": ["write", "fdatasync", "fsync", "fsync-dir", "allocate", "create", "open", "read", "unlink", "close", "rename"]}


@pytest.fixture
def house():
    far = Far()
    h = Reporting(far)
    yield h
    h.end()
    far.end()


def work(house, dead=lambda: False, seconds=4):
    """All mail, until it is at its end or the role is."""
    house.submit_all(dead)
    end = time.monotonic() + seconds
    while not dead() and house.state()[0] and time.monotonic() < end:
        time.sleep(0.02)


@pytest.mark.parametrize("role", ["bounce", "queue", "smtp"])
def test_death_at_every_disk_call_of_a_report(house, role):
    who = f"{role}(?:-1)?"
    steps = steps_of(house, role, lambda: (work(house, seconds=10), time.sleep(0.3)))["*"]
    assert len(house.kept) == len(MAIL) and steps > 0
    struck = reached = 0
    for n in range(1, steps + 4, STRIDE):
        house.wipe()
        all_die = struck % 2 == 1
        fault = f"{role}:*:{n}:kill"
        house.launch(fault)
        try:
            work(house, lambda: house.deaths(who) > 0)
            struck += 1
            reached += house.deaths(who) > 0
            house.heal()
            if all_die or house.launched.poll() != 0:
                house.crash()
                house.start()
            house.settled(copies=2 if all_die else 1)
        except BaseException as e:
            keep(house, f"reports-{role}-{n}")
            raise AssertionError(f"{fault}, {'all die' if all_die else 'alone'}: {e}") from e
        house.crash()
    print(f"\n{role}: {steps} steps, {struck} cases, {reached} deaths")
    assert reached > struck / 2


@pytest.mark.parametrize("role", OPS)
def test_a_disk_that_fails_while_reports_are_made(house, role):
    cases = [(op, error, lasts) for op in OPS[role] for error in ERRORS for lasts in ("1+", "2-7", "3")]
    for op, error, lasts in cases[::STRIDE]:
        fault = f"{role}:{op}:{lasts}:{error}"
        house.wipe()
        house.launch(fault, sick=False)
        try:
            wait_for(lambda: house.launched.poll() == 0, 20, "a start")
            house.heal(False)
            work(house, seconds=2)
            house.heal()
            for name in MAIL:
                wait_for(lambda: name in house.kept or house.submit(name), 40, f"{name} taken")
            house.settled(copies=2, seconds=60)
        except BaseException as e:
            keep(house, f"reports-{fault}")
            raise AssertionError(f"{fault}: {e}") from e
        house.crash()
    print(f"\n{role}: {len(cases[::STRIDE])} cases")
