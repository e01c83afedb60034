"""
The bench, which nobody runs every day: a quick round of one row gives a figure, and nothing is left behind.

 bench.py -> namespaces: smtp-source -> stagepost -> smtp-sink
"""
import json
import os
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest

from stagepost import BUILD, ROOT, wait_for

PROGRAM = ROOT / "tests" / "bench" / "run"
SECONDS = 120

pytestmark = pytest.mark.skipif(not Path("/usr/sbin/smtp-source").exists(), reason="smtp-source is not installed")


@pytest.fixture
def place():
    """Every daemon has to reach its files: in a folder of pytest's they can't when another pytest starts as root."""
    with tempfile.TemporaryDirectory(prefix="stagepost-bench-") as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


def start(place, *options, build=BUILD):
    """Its servers live in place/where, its results come to place/out."""
    (place / "where").mkdir()
    return subprocess.Popen([PROGRAM, "--quick", "--out", place / "out", "--folder", place / "where", *options],
                            env=os.environ | {"BUILD": str(build)}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True)


def cmdlines():
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield path.read_text(errors="replace")
        except OSError:  # it has ended
            continue


def assert_nothing_left(place):
    assert list((place / "where").iterdir()) == []
    assert str(place) not in Path("/proc/mounts").read_text()
    assert [line for line in cmdlines() if str(place / "where") in line] == []


def test_a_row_gives_a_figure_and_leaves_nothing_behind(place):
    bench = start(place, "--only", "relay-20", "--ours-alone")
    said, _ = bench.communicate(timeout=SECONDS)
    assert bench.returncode == 0, said
    row = json.loads((place / "out" / "results.json").read_text())["rows"]["relay-20"]
    assert row["figures"]["medians"]["stagepost"]["end_to_end"] > 0
    assert "relay, 20 sessions" in (place / "out" / "results.md").read_text()
    assert_nothing_left(place)


def test_a_signal_ends_all_of_it(place):
    bench = start(place, "--only", "relay-20", "--ours-alone", "--rounds", "1000")
    wait_for(lambda: list((place / "where").glob("*/0/stagepost/spool/lock")), 30, "a server")
    bench.send_signal(signal.SIGTERM)
    said, _ = bench.communicate(timeout=SECONDS)
    assert bench.returncode == 128 + signal.SIGTERM, said
    assert_nothing_left(place)


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user's bench has no namespaces")
def test_nothing_is_left_when_it_is_killed(place):
    bench = start(place, "--only", "relay-20", "--ours-alone", "--rounds", "1000")
    wait_for(lambda: list((place / "where").glob("*/0/stagepost/spool/lock")), 30, "a server")
    bench.kill()
    bench.communicate(timeout=SECONDS)
    wait_for(lambda: not list((place / "where").iterdir()), 30, "an empty folder")
    assert_nothing_left(place)


def test_what_takes_too_long_is_given_up(place):
    bench = start(place, "--only", "relay-20,relay-1", "--ours-alone", "--rounds", "100000", "--minutes", "0.05")
    said, _ = bench.communicate(timeout=SECONDS)
    assert bench.returncode == 1 and said.count("the time of the bench is over") >= 2, said
    assert (place / "out" / "results.json").exists()
    assert_nothing_left(place)


def test_a_row_that_fails_is_told(place):
    """No server comes up from an empty build."""
    (place / "bin").mkdir()
    (place / "bin" / "stagepost").touch()
    bench = start(place, "--only", "relay-20,relay-1", "--ours-alone", build=place)
    said, _ = bench.communicate(timeout=SECONDS)
    assert bench.returncode == 1 and said.count("FAILED") == 2, said
    assert_nothing_left(place)
