"""
Our server beside its peers, in one run: see README.md. A row of the table is a function in a module
rows_NAME.py; what a row is stands in row.py.
"""
import argparse
import contextlib
import datetime
import importlib
import os
import pathlib
import signal
import sys
import time
import traceback

import enclosure
import load
import own
import report
from row import Context, Result, Unavailable
from servers import ROOT, BUILD

HERE = pathlib.Path(__file__).resolve().parent
ORDER = ["relay", "delivery", "cost", "tls", "pop3", "idle", "deferred", "list", "growth", "curves"]  # of modules; others come behind


def modules():
    names = sorted(path.stem.removeprefix("rows_") for path in HERE.glob("rows_*.py"))
    return sorted(names, key=lambda name: ORDER.index(name) if name in ORDER else len(ORDER))


def collect():
    return [row for name in modules() for row in importlib.import_module(f"rows_{name}").ROWS]


def arguments():
    parser = argparse.ArgumentParser(prog="tests/bench/run", description="Measures our server beside its peers.")
    parser.add_argument("--list", action="store_true", help="say which rows there are")
    parser.add_argument("--only", metavar="KEY[,KEY]", help="these rows alone")
    parser.add_argument("--rounds", type=int, help="of each measurement, behind one that warms up (5; quick: 1)")
    parser.add_argument("--minutes", type=float, default=14, help="after which what is not measured is given up (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="see that every row works; its figures mean nothing")
    parser.add_argument("--ours-alone", action="store_true", help="without peers")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "build/bench", metavar="FOLDER", help="of the results (%(default)s)")
    parser.add_argument("--folder", type=pathlib.Path, default="/var/tmp", help="where the servers live, on a disk (%(default)s)")
    parser.add_argument("--date", default=str(datetime.date.today()), help="written into the results")
    own.add_arguments(parser.add_argument_group("a row of one's own, instead of the table"))
    return parser.parse_args()


@contextlib.contextmanager
def ended_at(end):
    """What is within is given up at this time (of time.monotonic())."""
    def late(*_):
        raise TimeoutError("the time of the bench is over")
    signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, max(0.001, end - time.monotonic()))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def one(row, folder, options, end):
    """What came of it, whatever goes wrong."""
    folder.mkdir()
    begun, error, result = time.monotonic(), "", None
    context = Context(folder, options)
    try:
        with context, ended_at(end):
            result = row.run(context)
        if options.quick:
            result.reached = None
    except Unavailable as e:
        result = Result({}, f"not measured: {e}")
    except Exception as e:  # the other rows go on
        traceback.print_exc()
        error = f"{type(e).__name__}: {e}"
    return report.Outcome(row, result, error, time.monotonic() - begun, context.left_out)


def run(folder, rows, options):
    about = {"date": options.date, "quick": options.quick, "rounds": options.rounds,
             "machine": report.machine(folder), "versions": report.versions()}
    outcomes, told, end = [], set(), time.monotonic() + options.minutes * 60
    try:
        for number, row in enumerate(rows):
            outcome = one(row, folder / str(number), options, end)
            outcomes.append(outcome)
            for peer, why in outcome.left_out.items():
                if peer not in told:
                    print(f"{peer} is left out: {why}")
                told.add(peer)
            print(f"{row.key:14} FAILED       {outcome.error}" if outcome.error else
                  report.line(row, outcome.result, outcome.seconds), flush=True)
    finally:
        report.write(options.out, about, outcomes)
        print(report.sum_up(outcomes))
        print(f"results: {options.out}", flush=True)
    return 1 if any(outcome.error for outcome in outcomes) else 0


def main():
    options = arguments()
    rows = collect()
    if options.list:
        for row in rows:
            print(f"{row.key:14} {row.title}" + (f": {row.goal}" if row.goal else ""))
        return
    if options.rounds is None:
        options.rounds = 1 if options.quick else 5
    if own.wanted(options):
        rows = [own.row(options)]
    if options.only:
        wanted = options.only.split(",")
        unknown = set(wanted) - {row.key for row in rows}
        if unknown:
            sys.exit(f"bench: there is no row {' '.join(sorted(unknown))}; --list says which there are")
        rows = [row for row in rows if row.key in wanted]
    for program in (load.SOURCE, load.SINK):
        if not os.path.exists(program):
            sys.exit(f"bench: {program} is missing: install the package postfix")
    if not (BUILD / "bin/stagepost").exists():
        sys.exit("bench: nothing is built: run make")
    options.out = options.out.resolve()
    enclosure.run(lambda folder: run(folder, rows, options), options.folder)


if __name__ == "__main__":
    main()
