"""
Reload each second, stop and start, while a crowd of all kinds sends and reads (crowd.py): whoever is told anything at all
is told 250 or 421, no session ends in the midst of a reload, and nothing is lost, nothing comes twice.
STORM_RELOADS=N, STORM_STOPS=N.
"""
import os
import time

import pytest

from crowd import Author, Crowd, Program, Reader, Smtp
from house import SHORT, wait_for
from stagepost import is_there
from test_every_kind import settle, town  # noqa: F401: a fixture
from test_steps import keep

pytestmark = pytest.mark.row("reload and stop under load")

RELOADS = int(os.environ.get("STORM_RELOADS", "2" if SHORT else "120"))
STOPS = int(os.environ.get("STORM_STOPS", "2" if SHORT else "100"))
EVERY = 0.3 if SHORT else 1.0


def sessions_of(town):
    """Refusals and unknown ends of what was sent."""
    codes = [code for _, _, code in town.booked().values()]
    return [c for c in codes if c not in (250, None)], codes.count(None)


def test_a_reload_each_second_is_seen_by_nobody(town, tally):
    town.start()
    crowd = Crowd(town, pause=0.03)
    serving = town.serving()
    try:
        for i in range(RELOADS):
            begun = time.monotonic()
            text = (town.folder / "stagepost.conf").read_text()
            town.write("stagepost.conf", text.replace("errors 10000;", "errors 9999;") if i % 2 else
                       text.replace("errors 9999;", "errors 10000;"))
            town.write("aliases", f"both: alice, bob\nother{i}: alice\n")
            town.run("reload")
            time.sleep(max(0, EVERY - (time.monotonic() - begun)))
            assert not crowd.wrong(), crowd.wrong()
    finally:
        crowd.end()
    assert town.serving() == serving, "a daemon was started anew"
    refused, unknown = sessions_of(town)
    assert not refused and not unknown, (refused, unknown)
    counts = settle(town, [])
    assert counts["copies"] == 0
    tally(reloads=RELOADS, **counts)


@pytest.mark.long
def test_stop_and_start_lose_and_repeat_nothing(town, tally):
    town.start()
    crowd = Crowd(town, pause=0.03, clients=((Smtp, 8), (Author, 3), (Program, 3), (Reader, 4)))
    try:
        for _ in range(STOPS):
            time.sleep(0.3)
            town.see()
            town.run("stop")
            wait_for(lambda: not any(map(is_there, town.pids)), 10, "the end of all")
            town.pids.clear()
            town.start()
            assert not crowd.wrong(), crowd.wrong()
    except BaseException:
        keep(town, "stop-and-start")
        raise
    finally:
        crowd.end()
    refused, unknown = sessions_of(town)
    assert not unknown, f"{unknown} sessions ended without a reply"
    assert not set(refused) - {421, 450}, refused    # 450: sendmail's 75, which keeps nothing
    counts = settle(town, [])
    assert counts["copies"] == 0
    print(f"\n{STOPS} stops: {counts}")
    tally(stops=STOPS, **counts)
