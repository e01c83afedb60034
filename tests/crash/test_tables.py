"""
Tables that are spoiled: each page of a database (tables.c), and files that are rewritten, cut, taken
away or become something else while the server runs.
"""
import os
import re
import shutil
import subprocess
import tempfile
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


def replaced_by(make):
    """Something else takes the file's name at one blow."""
    def change(path):
        fresh = path.with_name("fresh")
        make(fresh)
        fresh.rename(path)
    return change


def with_text(text):
    return replaced_by(lambda fresh: (fresh.write_bytes(text), fresh.chmod(0o644)))


def huge(fresh):
    fresh.touch(0o644)
    os.truncate(fresh, 1 << 30)     # of nothing: it takes no room


CHANGES = {
    "syntax error": (with_text(b"crew: alice\n  this is no alias:::\n:::\n"), "aliases:"),
    "octets": (with_text(bytes(range(256)) * 64), "aliases:"),
    "empty name": (with_text(b": alice\n"), "aliases:"),
    "a gigabyte": (replaced_by(huge), "aliases"),
    "pipe": (replaced_by(os.mkfifo), "aliases"),
}


def answer(house, recipient):
    with house.connect(seconds=20) as wire:
        wire.say("MAIL FROM:<a@load.example>", "250 2.1.0")
        return wire.say(f"RCPT TO:<{recipient}>").code


def test_a_table_that_becomes_something_else_is_not_taken_and_mail_flows(tally):
    house = House()
    try:
        house.write("aliases", "crew: alice, bob\n")
        house.start()
        assert answer(house, "crew@trial.example") == 250
        for what in list(CHANGES)[:2] if SHORT else CHANGES:
            change, said = CHANGES[what]
            before = len(house.log())
            change(house.folder / "aliases")
            wait_for(lambda: re.search(rf"{said}.*|table .*{said}", house.log()[before:]), 20, f"{what}: a word in the log")
            assert answer(house, "crew@trial.example") == 250, what
            assert answer(house, "nobody@trial.example") == 550, what
            client = Client(house)
            assert client.try_one(f"beside-{what.replace(' ', '-')}", 900, ("alice",))
            wait_for(lambda: not house.missing(client), 20, "its mail")
            assert house.run("reload", check=False).returncode != 0, f"{what}: a reload takes it"
            assert answer(house, "crew@trial.example") == 250, what
            house.write("aliases", "crew: alice, bob\n")
            house.run("reload")
            assert answer(house, "crew@trial.example") == 250, what
            tally(changes=1)
    finally:
        house.end()
