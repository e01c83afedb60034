"""What the bench says: a table in the terminal, results.json, results.md and plots."""
import json
import os
import pathlib
import platform
import re
import subprocess

from servers import OpenSmtpd, Postfix

SAYS = {True: "reached", False: "not reached", None: "-"}


def machine(folder):
    """What the figures depend on; folder: where the servers lay."""
    cpu = re.search(r"(?m)^model name\s*:\s*(.*)$", pathlib.Path("/proc/cpuinfo").read_text())
    mount = subprocess.run(["findmnt", "-n", "-o", "FSTYPE,OPTIONS", "-T", folder], capture_output=True, text=True)
    memory = re.search(r"(?m)^MemTotal:\s*(\d+) kB", pathlib.Path("/proc/meminfo").read_text())
    return {"cpu": cpu[1] if cpu else platform.machine(), "cores": os.cpu_count(),
            "memory_mib": int(memory[1]) // 1024, "kernel": platform.release(),
            "file_system": mount.stdout.strip(), "system": system()}


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
    text = f"{row.key:14} {SAYS[result.reached]:12} {row.title}"
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


def write(where, about, outcomes):
    where.mkdir(parents=True, exist_ok=True)
    everything = about | {"rows": {o.row.key: o.as_dict() for o in outcomes}}
    (where / "results.json").write_text(json.dumps(everything, indent=1) + "\n")
