"""What the bench says: a table in the terminal, results.json, results.md and plots."""
import collections
import itertools
import json
import os
import pathlib
import platform
import re
import statistics
import subprocess

import duel
from plots import Plot
from servers import OpenSmtpd, Postfix

SAYS = {True: "reached", False: "NOT reached", None: "not judged"}
JOURNAL = {True: ", with a journal", False: ", without a journal", None: ""}
LOUD = 0.1  # share of the machine that others may use
NAMES = {"stagepost": "Stagepost", "postfix": "Postfix", "opensmtpd": "OpenSMTPD", "harness": "harness alone"}
DURABLE = """\
Each message is accepted, queued durably, delivered and removed, but for OpenSMTPD, of which only the acceptance is measured.
What "accepted" is worth: **Stagepost** answers 250 after an `fdatasync` of the batch that the message is in, and syncs each
Maildir file and its directory before it forgets the message. **Postfix** `fsync`s its queue file before 250, and the mailbox
file before it removes that; it syncs no directory. **OpenSMTPD** does not sync before 250. All write a log file. Postfix's local(8)
also looks for a `~/.forward`, which ours does not know yet.

A round sends by `smtp-source` as many messages as take ours, or the peer, about 1.2 s, and ends when the last of them is in
the mailbox or at `smtp-sink`. Rounds are interleaved (ours, Postfix, OpenSMTPD, harness, ours, ...); the first of each warms up
and is dropped. Figures are medians; ratios are of medians of one run. Syncs, deferred messages but for the rates beside them, the
list and growth by domains are measured once; to many domains, and with the list, a program of the bench sends, not `smtp-source`. "Harness alone" is `smtp-source` straight to `smtp-sink`. CPU is what
the kernel accounted to the processes, of Postfix those that ended too. All is on one loopback that nobody else uses.
"""


def says(row, result):
    return SAYS[result.reached] if row.goal or result.reached is not None else ""


def machine(folder):
    """What the figures depend on; folder: where the servers lay."""
    cpu = re.search(r"(?m)^model name\s*:\s*(.*)$", pathlib.Path("/proc/cpuinfo").read_text())
    mount = subprocess.run(["findmnt", "-n", "-o", "FSTYPE,OPTIONS", "-T", folder], capture_output=True, text=True)
    kind, _, options = mount.stdout.strip().partition(" ")
    memory = re.search(r"(?m)^MemTotal:\s*(\d+) kB", pathlib.Path("/proc/meminfo").read_text())
    return {"cpu": cpu[1] if cpu else platform.machine(), "cores": os.cpu_count(),
            "memory_mib": int(memory[1]) // 1024, "kernel": platform.release(),
            "file_system": f"{kind} ({options.strip()})", "journal": has_journal(folder), "system": system()}


def has_journal(folder):
    """Of an ext4; None when that can't be said. The journal of a device has a thread of its own in the kernel."""
    device = subprocess.run(["findmnt", "-n", "-o", "SOURCE", "-T", folder], capture_output=True, text=True).stdout.strip()
    stats = pathlib.Path("/proc/fs/jbd2")
    return any(entry.name.startswith(device.rpartition("/")[2] + "-") for entry in stats.iterdir()) if stats.is_dir() else None


def system():
    try:
        found = re.search(r'(?m)^PRETTY_NAME="?([^"\n]*)', pathlib.Path("/etc/os-release").read_text())
        return found[1] if found else ""
    except OSError:
        return ""


def versions():
    return {"postfix": Postfix.version() if os.path.exists("/usr/sbin/postconf") else "",
            "opensmtpd": OpenSmtpd.version() if (OpenSmtpd.PACKAGE / "usr/sbin/smtpd").exists() else ""}


def line(row, result, seconds):
    """A row for the terminal, as soon as it is measured."""
    text = f"{row.key:14} {says(row, result):12} {row.title}"
    if row.goal:
        text += f": {row.goal}"
    text += f"\n{'':28}{result.shown}  [{seconds:.0f} s]"
    if result.note:
        text += f"\n{'':28}{result.note}"
    return text


class Outcome:
    """A row with what came of it: result, or the error."""

    def __init__(self, row, result, error, seconds, left_out):
        self.row, self.result, self.error, self.seconds, self.left_out = row, result, error, seconds, left_out

    def as_dict(self):
        out = {"title": self.row.title, "goal": self.row.goal, "seconds": round(self.seconds, 1)}
        if self.left_out:
            out["left_out"] = self.left_out
        if self.error:
            return out | {"failed": self.error}
        return out | {"reached": self.result.reached, "shown": self.result.shown, "note": self.result.note,
                      "figures": self.result.figures}


    def medians(self):
        """Of each participant, where the row has usual rounds."""
        return self.result.figures.get("medians", {}) if self.result else {}


def quiet(outcomes):
    """What else went on in the rounds: the median shares of the machine's time that others used and that the host
    took, or None."""
    shares = [m["machine"] for o in outcomes for m in o.medians().values()
              if isinstance(m, dict) and "machine" in m]
    if not shares:
        return None
    return tuple(statistics.median(share[key] for share in shares) for key in ("others", "stolen"))


def sum_up(outcomes):
    """The last lines in the terminal."""
    counts = collections.Counter("failed" if o.error else says(o.row, o.result) for o in outcomes)
    text = ", ".join(f"{count} {what}" for what, count in counts.items() if what) or "done"
    others = quiet(outcomes)
    if others and others[0] + others[1] > LOUD:
        text += (f"\nThe machine was not quiet: others used {others[0]:.0%} of it, the host took {others[1]:.0%}. "
                 "The figures are not worth much.")
    return text


def _cell(text):
    return text.replace("|", "\\|").replace("\n", " ")


def _goals(outcomes):
    yield "| scenario | goal | measured | |\n|---|---|---|---|"
    for o in outcomes:
        if o.error:
            yield f"| {o.row.title} | {_cell(o.row.goal)} | failed: {_cell(o.error)} | failed |"
        elif o.row.goal:
            note = f"; {o.result.note}" if o.result.note else ""
            yield f"| {o.row.title} | {_cell(o.row.goal)} | {_cell(o.result.shown + note)} | {says(o.row, o.result)} |"


def _range(o, name):
    rates = [figures["end_to_end"] for figures in o.result.figures["rounds"][name]]
    return f"{o.medians()[name]['end_to_end']:,.0f} ({min(rates):,.0f}-{max(rates):,.0f})"


def _rates(outcomes):
    yield ("| scenario | Stagepost | Postfix | OpenSMTPD accepts | harness alone | of Postfix | of harness | CPU us a message | Postfix's |"
           "\n|---|---|---|---|---|---|---|---|---|")
    for o in outcomes:
        of = o.medians()
        if "stagepost" not in of or "end_to_end" not in of["stagepost"]:
            continue
        rate = of["stagepost"]["end_to_end"]
        cells = [o.row.title, *(_range(o, name) if name in of else "" for name in NAMES)]
        cells.append(f"{rate / of['postfix']['end_to_end']:.1f}x" if "postfix" in of else "")
        cells.append(f"{rate / of['harness']['end_to_end']:.0%}" if "harness" in of else "")
        for name in ("stagepost", "postfix"):
            cells.append(duel.cpu_words(of, name) if name in of else "")
        yield "| " + " | ".join(cells) + " |"


def _others(outcomes):
    """Rows without a goal, and what they found, as it was shown."""
    for o in outcomes:
        if not o.error and not o.row.goal:
            yield f"- {o.row.title}: {o.result.shown}"


def _profile(outcomes):
    """Where the relay path spends its time, three lists side by side."""
    found = [o.result.figures for o in outcomes if o.result and o.result.figures.get("calls")]
    if not found:
        return
    kinds = {"calls": "system calls, with all below them", "kernel": "functions of the kernel", "user": "functions in user space"}
    yield "| " + " | ".join(kinds.values()) + " |\n|---|---|---|"
    lists = [list(found[0][kind].items()) for kind in kinds]
    for line in itertools.zip_longest(*lists):
        yield "| " + " | ".join(f"{cell[0]} {cell[1]:.1f} %" if cell else "" for cell in line) + " |"


def markdown(about, outcomes, plots):
    machine = about["machine"]
    text = [f"# The bench of {about['date']}\n",
            f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_mib'] / 1024:.0f} GiB; {machine['system']}, Linux "
            f"{machine['kernel']}; {machine['file_system']}{JOURNAL[machine['journal']]}. Beside Postfix {about['versions']['postfix'] or '(left out)'} and "
            f"OpenSMTPD {about['versions']['opensmtpd'] or '(left out)'}. {about['rounds']} rounds. Made by `make bench`.\n"]
    if about["quick"]:
        text.append("**A smoke run: its figures mean nothing.**\n")
    others = quiet(outcomes)
    if others:
        text.append(f"Beside what was measured, others (the kernel's own threads among them) used {others[0]:.0%} of the machine, "
                    f"and its host took {others[1]:.0%}.\n")
    for title, lines in (("Goals", _goals(outcomes)), ("Rates", _rates(outcomes)), ("Further", _others(outcomes)),
                         ("Where a relayed message's time goes", _profile(outcomes))):
        lines = list(lines)
        if not lines:
            continue
        text.append(f"## {title}\n\n" + "\n".join(lines) + "\n")
    text += [f"![{plot}]({plot})\n" for plot in plots]
    left_out = {peer: why for o in outcomes for peer, why in o.left_out.items()}
    text += [f"{NAMES.get(peer, peer)} is left out: {why}.\n" for peer, why in left_out.items()]
    text.append("## What is compared\n\n" + DURABLE)
    return "\n".join(text)


def _drawn(outcomes):
    """(file name, plot) of the rows that have one."""
    figures = {o.row.key: o.result.figures for o in outcomes if o.result}
    named = lambda key: {NAMES.get(name, name): points for name, points in figures[key][key].items()}
    if figures.get("sessions"):
        yield "throughput.svg", Plot("Relayed messages of 4 KiB a second", "sessions", "messages a second", {
            name + (" accepts" if name == "OpenSMTPD" else ""): points for name, points in named("sessions").items()})
    if figures.get("memory"):
        yield "memory.svg", Plot("Memory of all processes (PSS)", "idle connections", "MB", {
            name: {x: y / 1e6 for x, y in points.items()} for name, points in named("memory").items()}, True)


def write(where, about, outcomes):
    """results.json, results.md and the plots."""
    where.mkdir(parents=True, exist_ok=True)
    everything = about | {"rows": {o.row.key: o.as_dict() for o in outcomes}}
    (where / "results.json").write_text(json.dumps(everything, indent=1) + "\n")
    plots = dict(_drawn(outcomes))
    for name, plot in plots.items():
        (where / name).write_text(plot.svg())
    (where / "results.md").write_text(markdown(about, outcomes, plots))
