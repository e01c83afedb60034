"""
Tables that are spoiled: each page of a database (tables.c), and files that are rewritten, cut, taken
away or become something else while the server runs.
"""
import os
import re
import shutil
import stat
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import pytest

from house import SHORT, Client, House, wait_for

pytestmark = pytest.mark.row("spoiled tables")

PROGRAM = Path(os.environ["BUILD"]) / "tests" / "crash" / "tables"
SEED = int(os.environ.get("CRASH_SEED", "7"))


@pytest.fixture
def folder():
    made = Path(tempfile.mkdtemp(prefix="stagepost-tables-"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


def tables(folder, step, *more, env=None):
    done = subprocess.run([PROGRAM, *more, "-s", str(step), "-r", str(SEED), folder], capture_output=True, text=True, timeout=3000,
                          env={**os.environ, **(env or {})})
    counts = re.search(r"^cases=(\d+) wrong=(\d+)", done.stdout, re.M)
    assert counts, done.stdout + done.stderr
    return int(counts[1]), [line for line in done.stdout.splitlines() if line.startswith("WRONG")], done.stdout


def test_no_page_of_a_database_leads_to_another_answer(folder, tally):
    cases, wrong, said = tables(folder, 797 if SHORT else 13)
    print(f"\nseed {SEED}\n{said}")
    tally(pages_spoiled=cases)
    assert not wrong, "\n".join(wrong)
    assert cases > (500 if SHORT else 10000)


@pytest.mark.control
def test_a_reader_that_takes_any_page_is_noticed(folder, tally):
    cases, wrong, _ = tables(folder, 4001, "-l", "1", env={"STAGEPOST_CREDULOUS": "1"})
    tally(controls_noticed=len(wrong))
    assert any("zeros" in line or "another place" in line for line in wrong), f"{cases} cases, and every answer was right"
