"""
What a server costs: CPU by process, memory, syncs; and a journaled file system to run on.

CPU is what the kernel's scheduler accounted to each thread (/proc/PID/task/*/schedstat, nanoseconds). A
process that ended in the meantime counts as "ended": the CPU of waited-for children that its parent, the
server's master, is charged with. Without schedstat it is utime and stime, in ticks.
"""
import contextlib
import os
import pathlib
import re
import shutil
import subprocess
import time

from row import Unavailable

TICK = 1 / os.sysconf("SC_CLK_TCK")
HAS_SCHEDSTAT = pathlib.Path("/proc/self/schedstat").exists()
SYNC_CALLS = ("fsync", "fdatasync", "syncfs", "sync")


def _stat(pid):
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()


def _own_seconds(pid):
    if not HAS_SCHEDSTAT:
        stat = _stat(pid)
        return (int(stat[11]) + int(stat[12])) * TICK
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with contextlib.suppress(OSError):
            with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as f:
                total += int(f.read().split()[0])
    return total / 1e9


def _children_seconds(pid):
    stat = _stat(pid)
    return (int(stat[13]) + int(stat[14])) * TICK


class Cpu:
    """CPU of a server since it was made. pids: as pids() of a server has it."""

    def __init__(self, server):
        self.server = server
        self.before = self._look()

    def _look(self):
        seen, ended = {}, 0.0
        for name, pids in self.server.pids().items():
            for pid in pids:
                with contextlib.suppress(OSError, IndexError):
                    seen[pid] = name, _own_seconds(pid)
                    ended += _children_seconds(pid)
        return seen, ended

    def by_process(self):
        """Seconds by name."""
        (was, was_ended), (now, now_ended) = self.before, self._look()
        used = {}
        for pid, (name, seconds) in now.items():
            used[name] = used.get(name, 0.0) + seconds - (was[pid][1] if pid in was else 0.0)
        ended = now_ended - was_ended - sum(seconds for pid, (_, seconds) in was.items() if pid not in now)
        if ended > TICK:
            used["ended"] = ended
        return used


class Machine:
    """What the machine did since this was made (/proc/stat)."""

    def __init__(self):
        self.before = self._look()

    @staticmethod
    def _look():
        with open("/proc/stat", encoding="ascii") as f:
            user, nice, system, idle, iowait, irq, softirq, steal = map(int, f.readline().split()[1:9])
        return user + nice + system + irq + softirq, idle + iowait, steal

    def shares(self, measured):
        """Of all cores' time: idle, stolen by the host, and used by others than those that were measured, which
        used so many seconds. The kernel's own threads are others, too."""
        busy, idle, steal = (now - was for now, was in zip(self._look(), self.before))
        whole = max(1, busy + idle + steal)
        return {"idle": idle / whole, "stolen": steal / whole,
                "others": max(0.0, busy - measured / TICK) / whole}


def pss(server):
    """Octets of memory of all processes, what they share counted once. Only root may look."""
    total = 0
    for pids in server.pids().values():
        for pid in pids:
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended
                found = re.search(r"(?m)^Pss:\s+(\d+) kB", pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text())
                total += int(found[1]) * 1024 if found else 0
    return total


class Syncs:
    """Counts the syncing calls of a server's processes and their children between start() and count(). By
    perf's tracepoints in the kernel, which cost least; else by strace."""

    def __init__(self, server, folder):
        self.server, self.said, self.process = server, folder / f"syncs-{server.name}", None

    @staticmethod
    def available():
        """perf, strace or "": what is installed and may look, which a container may not."""
        for tool, *tried in (("perf", "stat", "-e", f"syscalls:sys_enter_{SYNC_CALLS[0]}", "true"),
                             ("strace", "-f", "-o", "/dev/null", "true")):
            if shutil.which(tool) and subprocess.run([tool, *tried], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                                     stderr=subprocess.DEVNULL).returncode == 0:
                return tool
        return ""

    def start(self):
        pids = [str(pid) for some in self.server.pids().values() for pid in some]
        if self.available() == "perf":
            events = ",".join(f"syscalls:sys_enter_{call}" for call in SYNC_CALLS)
            command = ["perf", "stat", "-x", ";", "-o", self.said, "-e", events, "-p", ",".join(pids)]
        else:
            command = ["strace", "-f", "-c", "-U", "calls,name", "-e", ",".join(SYNC_CALLS), "-o", self.said,
                       *(word for pid in pids for word in ("-p", pid))]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        time.sleep(0.5)  # neither says when it has attached to all

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(2)
            self.process.wait(20)

    def count(self):
        """{call: how often}."""
        self.stop()
        counts = {}
        for line in self.said.read_text().splitlines():
            perf = re.match(r"(\d+);[^;]*;syscalls:sys_enter_(\w+);", line)
            strace = re.match(r"\s*(\d+)\s+(\w+)$", line)
            if perf:
                counts[perf[2]] = int(perf[1])
            elif strace and strace[2] in SYNC_CALLS:
                counts[strace[2]] = int(strace[1])
        if not counts:
            raise RuntimeError(f"the syncs of {self.server.name} could not be counted: {self.said.read_text()[-300:]}")
        return {call: n for call, n in counts.items() if n}


@contextlib.contextmanager
def journaled(folder, size=4 << 30):
    """An ext4 with a journal on a loop device, mounted there. Root alone can do that, where it may."""
    image = pathlib.Path(f"{folder}.img")
    with image.open("wb") as f:
        f.truncate(size)
    folder.mkdir(exist_ok=True)
    try:
        for command in (["mkfs.ext4", "-q", "-F", image], ["mount", "-o", "loop", image, folder]):
            if not shutil.which(command[0]):
                raise Unavailable("a file system of its own", f"{command[0]} is missing")
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode != 0:
                raise Unavailable("a file system of its own", done.stderr.strip())
        folder.chmod(0o755)
        try:
            yield folder
        finally:
            _unmount(folder)
    finally:
        image.unlink()


def _unmount(folder):
    """A peer's last process may live a moment longer than its stop command."""
    for _ in range(50):
        if subprocess.run(["umount", folder], stderr=subprocess.DEVNULL).returncode == 0:
            return
        time.sleep(0.1)
    subprocess.run(["umount", "-l", folder], check=True)
