"""
The log can't be written: its disk is full, the log daemon hangs, or syslog does not read. Mail flows as
if it could; lines that are lost are counted, and told when there is room again.

    daemons --lines--> log X --> file | /dev/log        X: ENOSPC, SIGSTOP
"""
import os
import re
import signal
import subprocess
import time

import pytest

from house import SHORT, chosen
from stagepost import wait_for
from whole import Everyone, house_with_all

pytestmark = pytest.mark.row("log blocked")

ROUNDS = 10 if SHORT else 300


@pytest.fixture
def house():
    h = house_with_all()
    yield h
    h.end()


def rounds(everyone, most=ROUNDS, seconds=60):
    end = time.monotonic() + seconds
    for i in range(most):
        results = everyone.round()
        assert all(results.values()), f"round {i}: {results}"
        if time.monotonic() > end:
            break


def told(house):
    return sum(int(n) for n in re.findall(r" dropped lines=(\d+)", house.log()))


def accounted(house, everyone):
    """The lines of accepted messages that are there, and how many lines are told to be lost."""
    return len(re.findall(r" accepted client=", house.log())), told(house)


@pytest.mark.parametrize("error", chosen("log", ("ENOSPC", "EIO", "EDQUOT"), 1))
def test_the_disk_of_the_log_is_full(house, error, tally):
    everyone = Everyone(house)
    house.launch(f"log:write:1+:{error}", sick=False)
    everyone.all_well(20)
    house.heal(False)
    rounds(everyone)
    house.heal()
    everyone.settled(copies=1)
    wait_for(lambda: (n := accounted(house, everyone))[0] + n[1] >= len(everyone.kept), 20, "each line, or its count")
    assert "daemon-ended" not in house.log()
    tally(rounds=ROUNDS, kept=len(everyone.kept), lines_lost=told(house))


@pytest.mark.parametrize("burst", [1] if SHORT else [1, 60])
def test_the_log_daemon_hangs(house, burst, tally):
    """More lines than its channels hold: those who write them drop them and say so later."""
    everyone = Everyone(house)
    house.start()
    everyone.all_well(20)
    pid = house.pid("log")
    os.kill(pid, signal.SIGSTOP)
    try:
        for _ in range(burst):
            rounds(everyone, seconds=5)
    finally:
        os.kill(pid, signal.SIGCONT)
    everyone.settled(copies=1)
    wait_for(lambda: (n := accounted(house, everyone))[0] + n[1] >= len(everyone.kept), 20, "each line, or its count")
    tally(rounds=everyone.number, kept=len(everyone.kept), lines_lost=told(house))


@pytest.mark.long
def test_nobody_reads_what_is_said(house, tally):
    """`log stderr` into a pipe that is full."""
    everyone = Everyone(house)
    text = (house.folder / "stagepost.conf").read_text()
    house.write("stagepost.conf", re.sub(r"(?m)^log .*$", "log stderr", text))
    ours, its = os.pipe()
    master = subprocess.Popen([house.programs / "libexec" / "master", "--foreground", "-c", house.folder / "stagepost.conf"],
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=its, cwd=house.folder)
    os.close(its)
    try:
        everyone.all_well(20)
        rounds(everyone, 40)
        everyone.settled(copies=1)
    finally:
        master.terminate()
        os.close(ours)
        master.wait(40)
    tally(rounds=everyone.number, kept=len(everyone.kept))


@pytest.mark.control
def test_lines_that_are_lost_and_not_told_are_noticed(house):
    """log is told that they are written."""
    everyone = Everyone(house)
    house.launch("log:octets:1+:lie", sick=False)
    everyone.all_well(20)
    house.heal(False)
    rounds(everyone, 3)
    house.heal()
    with pytest.raises(AssertionError, match="each line"):
        wait_for(lambda: (n := accounted(house, everyone))[0] + n[1] >= len(everyone.kept), 2, "each line, or its count")
