"""
Every octet of a spool: the program spoil (spoil.c) lays a sample spool down again and again, each time
with one thing wrong in it, and starts the store on it twice, in a process of its own.

    what is there afterwards is what was sent, or is set aside; what is missing was told of;
    no start crashes, hangs, takes memory without end; the second start finds what the first left
"""
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from house import ROOT, SHORT

pytestmark = pytest.mark.row("spoiled spool")

PROGRAM = Path(os.environ["BUILD"]) / "tests" / "crash" / "spoil"
SEED = int(os.environ.get("CRASH_SEED", "7"))
STEP = int(os.environ.get("CRASH_STEP", "4001" if SHORT else "3"))
# Starts mostly wait, for the helper and for timers: more of them than processors.
PARTS = 6


@pytest.fixture
def folder():
    made = Path(tempfile.mkdtemp(prefix="stagepost-spoil-"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


def spoil(folder, *arguments, env=None):
    """All parts at once: (cases, what was wrong, what was printed)."""
    parts = []
    for k in range(PARTS):
        (folder / str(k)).mkdir()
        parts.append(subprocess.Popen([PROGRAM, "-p", f"{k}/{PARTS}", "-r", str(SEED), *arguments, folder / str(k)], stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT, text=True, env={**os.environ, **(env or {})}))
    said = [p.communicate(timeout=7000)[0] for p in parts]
    counts = [re.search(r"^cases=(\d+) wrong=(\d+)", text, re.M) for text in said]
    assert all(counts), "\n".join(text for text, count in zip(said, counts) if not count)
    wrong = [line for text in said for line in text.splitlines() if line.startswith("WRONG")]
    assert (sum(p.returncode for p in parts) > 0) == bool(wrong)
    return sum(int(c[1]) for c in counts), wrong, "\n".join(said)


def test_every_octet_of_a_spool_may_be_wrong(folder, tally):
    cases, wrong, said = spoil(folder, "-s", str(STEP))
    print(f"\nseed {SEED}, each {STEP}th octet\n{said}")
    tally(cases=cases, starts=2 * cases)
    assert not wrong, "\n".join(wrong)
    assert cases > (500 if SHORT else 20000)


@pytest.mark.control
def test_a_store_that_believes_every_octet_is_noticed(folder, tally):
    cases, wrong, _ = spoil(folder, "-o", "flip", "-s", "401", env={"STAGEPOST_CREDULOUS": "1"})
    altered = [line for line in wrong if "ALTERED" in line]
    tally(controls_noticed=len(altered))
    assert altered, f"{cases} cases, and nobody saw altered mail"


FORGED = ("forged", "forged copy", "traitor's copy", "traitor")


@pytest.mark.row("forged spool")
def test_no_batch_that_no_writer_wrote_becomes_mail(folder, tally):
    """At every 4 KiB, with the lease, place, sequence, ordinals, marks and CRCs that are due there, and with the batch in front
    broken. A writer that was taken over knows the nonce too: it hurts nobody else's mail."""
    for number, kind in enumerate(FORGED[:2] if SHORT else FORGED):
        (folder / f"forged{number}").mkdir()
        cases, wrong, said = spoil(folder / f"forged{number}", "-o", kind)
        print(f"\nseed {SEED}\n{said}")
        tally(forged_batches=cases)
        assert not wrong, "\n".join(wrong)
        assert cases >= 50


@pytest.mark.control
@pytest.mark.row("forged spool")
def test_a_scan_that_looks_at_no_nonce_is_noticed(folder, tally):
    cases, wrong, _ = spoil(folder, "-o", "forged", env={"STAGEPOST_CREDULOUS": "1"})
    forged = [line for line in wrong if "FORGED" in line]
    tally(controls_noticed=len(forged))
    assert forged, f"{cases} cases, and nobody saw forged mail"
