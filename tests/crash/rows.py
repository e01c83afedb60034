"""
The table of faults and the count of what was done, as a plugin of pytest (`-p rows`), for tests/crash
and tests/attack.

    @pytest.mark.row("kill at every disk call")     this test belongs to that row of ROWS; several are allowed
    @pytest.mark.long                               not in the short form (CRASH=short)
    @pytest.mark.control                            breaks a promise on purpose: passes when the harness notices

`tally(kills=3, lost=0)` adds to the counts of the rows of the test that asks for it. At the end there is
one line for each row: how many tests, what they counted, passed or not; and one for each row that no
test of this run belongs to. CRASH_RESULTS=FILE gets the same as JSON. A row that is not in the table is an
error of the test; a test without a row as well.
"""
import collections
import json
import os
import time

import pytest

SHORT = os.environ.get("CRASH", "full") == "short"
# Which cases the short form takes (house.chosen); one number for all workers, which inherit it.
CASES = os.environ.setdefault("CRASH_CASES", os.environ.get("CRASH_SEED") or str(int(time.time()) % 1000000))

Row = collections.namedtuple("Row", "suite fault holds")

# What must hold, wherever it is said below:
HOLDS = {
    "I1": "no acknowledged mail is lost",
    "I2": "copies only inside the window of the ledger, at most one for each death and recipient",
    "I3": "memory, descriptors and files stay bounded and come back to the start value",
    "I4": "other mail keeps flowing",
    "I5": "what is delivered is what was accepted",
    "I6": "after the fault all is well again by itself",
    "I7": "replies are honest: trouble of our own is 4xx, never 250, never 5xx",
    "I8": "nothing half written is seen in a mailbox or sent on",
}

ROWS = {name: Row(suite, fault, holds) for suite, name, fault, holds in [
    ("crash", "kill at random", "SIGKILL of a random process, master and manager too, under load", "I1 I2 I3 I5 I6 I8"),
    ("crash", "kill at every disk call", "the process dies at its n-th call, for every n", "I1 I2 I8"),
    ("crash", "power loss", "the disk as any prefix of the writes leaves it, unsynced ones dropped, kept, torn", "I1 I5 I8"),
    ("crash", "kill of all", "every process at one blow, then a start", "I1 I2"),
    ("crash", "full", "ENOSPC, EDQUOT, no inodes: at the n-th call, and file systems that are full", "I1 I6 I7"),
    ("crash", "failing disk", "EIO and EROFS of reads and writes at the n-th call", "I1 I4 I7"),
    ("crash", "failing sync", "fsync and fdatasync that fail at the n-th call", "I1 I7"),
    ("crash", "failing names", "close, rename, link, unlink, chmod that fail", "I1 I8"),
    ("crash", "no descriptors", "EMFILE and ENFILE", "I4 I6"),
    ("crash", "no memory", "malloc and mmap that fail at the n-th call", "I1 I7"),
    ("crash", "no processes", "fork that fails: RLIMIT_NPROC, EAGAIN", "I4 I6"),
    ("crash", "slow disk", "each sync takes 2 and 5 seconds", "I3 I4"),
    ("crash", "short reads and writes", "one octet at a time, EINTR", "I5"),
    ("crash", "log blocked", "the log's disk full, its pipe and its socket not read", "I1 I4"),
    ("crash", "reload and stop under load", "reload each second, stop and start", "I1"),
    ("crash", "spoiled spool", "octets flipped, cut, swapped, doubled; foreign files, in segments, large files, ledger", "I4 I5"),
    ("crash", "forged spool", "content that looks like records and batches; old octets in recycled segments", "I5"),
    ("crash", "spoiled tables", "syntax errors, tables missing or rewritten meanwhile, at a reload", "I4 I7"),
    ("crash", "poison", "content that crashes an agent, router, bounce, the recovery scan", "I1 I4 I6"),
    ("crash", "loops and reports", "servers that alias to each other, reports about reports", "I6"),
    ("crash", "mailbox trouble", "full, not permitted, missing home, locked for long, deleted meanwhile", "I1 I6"),
    ("crash", "long queue", "a start with very many waiting messages", "I3 I6"),
    ("crash", "soak", "a mixed load with faults of all kinds at random", "I1 I2 I3 I4 I5 I6 I7 I8"),
    ("attack", "silent client", "clients that stall, trickle, cut off or talk garbage in each phase", "I3 I4"),
    ("attack", "many connections", "10,000 connections, slow ones, churn, of one network and of many", "I3 I4"),
    ("attack", "silent server", "servers that hang in each phase, trickle, close", "I1 I2 I4"),
    ("attack", "strange server", "421, 4xx, 5xx, endless lines, replies out of step, huge EHLO", "I1 I4 I5"),
    ("attack", "broken network", "packets dropped, delayed, reordered; black holes, resets", "I1 I2 I4 I5"),
    ("attack", "TLS failures", "certificates, ciphers, alerts, truncation, bytes one by one, from both sides", "I4"),
    ("attack", "huge content", "lines, headers, parts without an end", "I3 I5"),
    ("attack", "many recipients", "lists up to a million, one transaction up to the limit", "I3 I4"),
    ("attack", "smuggling", "every other end of data, BDAT, bare CR and LF, injection before TLS, through us to other servers", "I5"),
    ("attack", "DNS", "time-outs, SERVFAIL, lame, loops, 4,000 MX, truncated and forged answers", "I4 I6"),
    ("attack", "clock", "jumps of an hour, a year, to 1970, 2038, both ways", "I1 I6"),
    ("attack", "login services", "what decides logins refuses, hangs, lies, ends", "I4"),
    ("attack", "sandbox", "each daemon tries what it has no right to", "no right but its own"),
    ("attack", "load", "more mail than can be delivered, large mail of many clients", "I3 I7"),
]}


def rows_of(item):
    return [name for mark in item.iter_markers("row") for name in mark.args]


def pytest_configure(config):
    for line in ("row(name, ...): the row of the table of faults", "long: not in the short form",
                 "control: a promise broken on purpose, which the harness must notice"):
        config.addinivalue_line("markers", line)


def pytest_collection_modifyitems(config, items):
    for item in items:
        unknown = [name for name in rows_of(item) if name not in ROWS]
        if unknown or not rows_of(item):
            item.add_marker(pytest.mark.usefixtures("no_row"))
    if SHORT:
        dropped = [item for item in items if item.get_closest_marker("long")]
        items[:] = [item for item in items if item not in dropped]
        config.hook.pytest_deselected(items=dropped)


@pytest.fixture
def no_row(request):
    pytest.fail(f"rows of this test: {rows_of(request.node) or 'none'}; each must be in the table of rows.py, and one is needed")


@pytest.fixture
def tally(request):
    """tally(name=number, ...): adds to the counts of this test's rows."""
    def add(**counts):
        for name, number in counts.items():
            request.node.user_properties.append(("count", [name.replace("_", " "), int(number)]))
    return add


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if call.when == "setup":
        item.user_properties.append(("rows", rows_of(item)))
        item.user_properties.append(("control", item.get_closest_marker("control") is not None))
        report.user_properties = list(item.user_properties)


def result_of(reports):
    """{row: {tests, controls, failed, skipped, counts}} of all reports of a run."""
    result = {}
    for report in reports:
        if report.when != "call" and report.outcome == "passed":
            continue    # each test counts once, by its call, or by the set-up or end that failed
        properties = getattr(report, "user_properties", [])     # what could not be collected has none
        rows = next((value for key, value in properties if key == "rows"), [])
        for name in rows:
            row = result.setdefault(name, {"tests": 0, "controls": 0, "failed": 0, "skipped": 0, "counts": {}})
            row["tests"] += 1
            row["controls"] += ("control", True) in properties
            row["failed"] += report.outcome == "failed"
            row["skipped"] += report.outcome == "skipped"
            for key, value in properties:
                if key == "count":
                    row["counts"][value[0]] = row["counts"].get(value[0], 0) + value[1]
    return result


def pytest_terminal_summary(terminalreporter, config):
    reports = [r for kind in ("passed", "failed", "error", "skipped") for r in terminalreporter.stats.get(kind, [])]
    result = result_of(reports)
    if not result:
        return
    terminalreporter.section("rows")
    if SHORT:
        terminalreporter.line(f"CRASH_CASES={CASES}")
    suites = {ROWS[name].suite for name in result}
    for name, row in ROWS.items():
        if row.suite not in suites:
            continue
        if name not in result:
            terminalreporter.line(f"{name:28} no test in this run")
            continue
        got = result[name]
        counts = ", ".join(f"{number:,} {what}" for what, number in got["counts"].items())
        controls = f" ({got['controls']} of them controls)" if got["controls"] else ""
        state = f"{got['failed']} FAILED" if got["failed"] else "held"
        skipped = f", {got['skipped']} skipped" if got["skipped"] else ""
        terminalreporter.line(f"{name:28} {state}{skipped}: {got['tests']} tests{controls}{'; ' + counts if counts else ''}")
    where = os.environ.get("CRASH_RESULTS")
    if where:
        with open(where, "w") as f:
            json.dump({"short": SHORT, "rows": result}, f, indent=1)
