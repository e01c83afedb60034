"""
Death at every disk call of those whom test_steps does not step: who counts what users send, who removes
what POP3 has deleted, who writes the log, who reads tables and keys, the master itself, and the commands that
change users and tables. Nothing acknowledged is lost, what is gone by POP3 stays gone, a table is the old one or
the new one.

    everyone --all ways--> Stagepost, one process X of it; stagepost user add X; stagepost table build X
"""
import os
import re
import signal
import subprocess
import time

import pytest

from house import SHORT, chosen, wait_for
from stagepost import is_there
from test_memory import one_case
from whole import Everyone, house_with_all

pytestmark = pytest.mark.row("kill at every disk call")

ROLES = ("usage", "log", "keys", "accounts", "router", "resolver", "control", "maildrop", "pickup", "bounce", "smtp", "pop3d")
LAST = 40       # no run of theirs makes so many calls


@pytest.fixture
def house():
    h = house_with_all()
    yield h
    h.end()


def quiet_end(deaths):
    """Have the last numbers met nothing any more?"""
    return len(deaths) > 6 and not any(deaths[-6:])


@pytest.mark.parametrize("born", [False, True], ids=["works", "starts"])
@pytest.mark.parametrize("role", chosen("roles", ROLES, 2))
def test_a_daemon_dies_at_each_disk_call(house, role, born, tally):
    everyone = Everyone(house)
    house.launch(f"{role}:*:@:kill", sick=False)
    everyone.all_well(20)
    deaths = []
    for n in chosen(f"calls of {role} {born}", range(1, LAST), 2):
        try:
            deaths.append(one_case(house, everyone, role, n, born))
        except AssertionError as e:
            raise AssertionError(f"call {n} of {role}: {e}") from e
        if not SHORT and quiet_end(deaths):
            break
    everyone.settled()
    tally(cases=len(deaths), deaths=sum(deaths), kept=len(everyone.kept))


def test_a_session_dies_at_each_disk_call_and_no_letter_comes_back(house, tally):
    """The child that removes letters at QUIT: what +OK was said to is gone for ever."""
    everyone = Everyone(house)
    house.launch("maildrop-child:*:@:kill", sick=False)
    everyone.all_well(20)
    cases = chosen("calls of a session", range(1, LAST), 6)
    died = 0
    for n in cases:
        everyone.submitted(f"letter{n}")
        wait_for(lambda: house.maildir("pop"), 20, "a letter to fetch")
        house.heal(False, n)
        died += everyone.fetch("") is not True
        house.heal()
        wait_for(lambda: everyone.fetch(""), 20, "a session")
    everyone.all_well(20)
    everyone.settled()
    assert died >= len(cases) / 3, f"{died} deaths of {len(cases)}"
    tally(cases=len(cases), deaths=died, kept=len(everyone.kept))


def test_the_master_dies_at_each_disk_call(house, tally):
    """While it reads its settings again; who ended it starts it again."""
    everyone = Everyone(house)
    cases = chosen("calls of the master", range(1, LAST), 3)
    died = 0
    for n in cases:
        house.launch("master:*:@:kill", sick=False)
        everyone.all_well(30)
        master = house.master()
        house.see()
        house.heal(False, n)
        house.run("reload", check=False)
        everyone.round()
        if not is_there(master):
            died += 1
            wait_for(lambda: not any(is_there(pid) for pid in house.pids), 20, "the end of all")
        house.crash()
        house.pids.clear()
    house.start()
    everyone.all_well(20)
    everyone.settled(copies=3)
    assert died or SHORT
    tally(cases=len(cases), deaths=died, kept=len(everyone.kept))


def command(house, *arguments, faults=None, text=None):
    env = {**os.environ, "STAGEPOST_FAULTS": faults} if faults else None
    return subprocess.run([house.programs / "bin" / "stagepost", "-c", house.folder / "stagepost.conf", *arguments], cwd=house.folder,
                          input=text, env=env, capture_output=True, text=True, timeout=60).returncode


def users(house):
    return dict(line.split(":", 1) for line in (house.folder / "users").read_text().splitlines())


@pytest.mark.parametrize("action", ["kill", "EIO", "ENOSPC"] if not SHORT else chosen("commands", ("kill", "EIO", "ENOSPC"), 1))
def test_a_command_that_adds_a_user_dies_or_fails_at_each_call(house, action, tally):
    """Everybody who was there is there as he was, the new one whole or not at all; what was said to be done is."""
    house.start()
    before = users(house)
    cases, ended = 0, False
    for n in range(1, 60):
        cases += 1
        code = command(house, "user", "add", "--stdin", "carol@trial.example", faults=f"*:*:{n}:{action}", text="a long pass phrase\n")
        now = users(house)
        fresh = now.pop("carol@trial.example", None)
        assert now == before, f"call {n}: others changed"
        assert fresh is not None or code != 0, f"call {n}: said to be done"
        assert fresh is None or re.fullmatch(r"\{[A-Z0-9-]+\}[^:]+(:.*)?|\$.*", fresh), f"call {n}: {fresh!r}"
        if fresh is not None:
            assert command(house, "user", "delete", "carol@trial.example") == 0
        if code == 0 and action == "kill":
            ended = True
            break
    assert ended or action != "kill"
    assert command(house, "user", "add", "--stdin", "dora@trial.example", text="a long pass phrase\n") == 0
    left = [f.name for f in house.folder.iterdir() if f.name.startswith(".users")]
    assert not left, f"everybody's hashes are left in {left}"
    tally(cases=cases)


@pytest.mark.parametrize("action", ["kill", "EIO", "ENOSPC"] if not SHORT else chosen("tables", ("kill", "EIO", "ENOSPC"), 1))
def test_a_table_is_the_old_one_or_the_new_one(house, action, tally):
    cases = 0
    house.write("list", "old: alice\n")
    assert command(house, "table", "build", "aliases", house.folder / "list") == 0
    for n in range(1, 60):
        cases += 1
        house.write("list", f"new{n}: bob\n")
        code = command(house, "table", "build", "aliases", house.folder / "list", faults=f"*:*:{n}:{action}")
        old, new = (command(house, "table", "get", "aliases", f"db:{house.folder}/list", key) == 0 for key in ("old", f"new{n}"))
        assert old != new, f"call {n}: neither the one nor the other, or both"
        assert new or code != 0, f"call {n}: said to be done"
        if new:
            house.write("list", "old: alice\n")
            assert command(house, "table", "build", "aliases", house.folder / "list") == 0
        if code == 0 and action == "kill":
            break
    tally(cases=cases)
