"""
The load: smtp-source sends, smtp-sink or mailboxes take. A round sends a number of messages and ends when
the last of them has been taken.

Nothing here is woken for each message: smtp-sink writes its counter to a file in memory, and when the last
message came is the time of that file's, or mailbox's, last change. They are looked at a few times a round.
"""
import os
import pathlib
import subprocess
import tempfile
import threading
import time

import measure
from servers import DOMAIN, free_port, wait_greeting

SOURCE, SINK = "/usr/sbin/smtp-source", "/usr/sbin/smtp-sink"
ELSEWHERE = "you@elsewhere.example"
DEADLINE = 120  # seconds that a round may take
SETTLE = 0.15  # seconds: what a server does behind the last message is its cost too
TAIL = 128  # octets at the end of smtp-sink's counters, more than one of its lines


class Sink:
    """smtp-sink. name, pids(): as a server has them. far: of a Far, on the port of SMTP; else here."""
    name = "smtp-sink"

    def __init__(self, *options, far=None):
        self.options, self.far = options, far
        self.host, self.port = (far.ADDRESS, 25) if far else ("127.0.0.1", free_port())
        self.process = None

    def start(self):
        memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.counters = tempfile.TemporaryFile(dir=memory)  # without a name: it goes with us
        user = ["-u", "nobody"] if os.geteuid() == 0 else []
        command = [SINK, "-c", *user, *self.options, f"{self.host}:{self.port}", "4096"]
        self.process = subprocess.Popen([*self.far.within, *command] if self.far else command,
                                        stdin=subprocess.DEVNULL, stdout=self.counters, stderr=subprocess.DEVNULL)
        wait_greeting(self.port, host=self.host)

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.counters.close()

    def pids(self):
        return {self.name: [self.process.pid]}

    def taken(self):
        """Messages since its start; and when the counters were last written, as time.time() has it."""
        stat = os.fstat(self.counters.fileno())
        end = os.pread(self.counters.fileno(), TAIL, max(0, stat.st_size - TAIL))  # moves nobody's offset
        last = end.rpartition(b"mesg=")[2].split()
        return (int(last[0]) if last else 0), stat.st_mtime


class Maildirs:
    """Mailboxes of a server: new/ of Maildirs that lie in these folders."""

    def __init__(self, folders):
        self.folders = [pathlib.Path(folder) / "new" for folder in folders]

    @classmethod
    def of(cls, server, users):
        return cls(server.mail / DOMAIN / user for user in users)

    def taken(self):
        count, last = 0, 0.0
        for folder in self.folders:
            try:
                last = max(last, os.stat(folder).st_mtime)
                count += len(os.listdir(folder))
            except FileNotFoundError:
                continue
        return count, last


class Mboxes:
    """Mailboxes that are one file each. Only what is new since the last look is read."""
    BEGINS = b"\nFrom "  # each message but the first of a file

    def __init__(self, paths):
        self.seen = {pathlib.Path(path): (0, 0) for path in paths}  # octets, messages

    def _look(self, path):
        """Messages of a file that is there."""
        octets, messages = self.seen[path]
        with open(path, "rb") as f:
            f.seek(max(0, octets - len(self.BEGINS) + 1))
            fresh = f.read()
            end = f.tell()
        messages += fresh.count(self.BEGINS) + (octets == 0 and end > 0)
        self.seen[path] = end, messages
        return messages

    def taken(self):
        count, last = 0, 0.0
        for path in self.seen:
            try:
                last = max(last, os.stat(path).st_mtime)
                count += self._look(path)
            except FileNotFoundError:
                continue
        return count, last


class Source:
    """smtp-source, of so many messages in all. to: an address, or a list of them, each with a source of its own
    and, as evenly as it goes, a share of the sessions and so of the messages. numbered: the n-th message of a source,
    from 1, goes to n + address."""

    def __init__(self, port, messages, *, sessions=20, size=4096, recipients=1, keep=True, to=ELSEWHERE,
                 numbered=False):
        to = [to] if isinstance(to, str) else list(to)
        words = ["-l", size, "-f", "sender@source.example"]
        words += ["-d"] * keep + ["-N"] * numbered + (["-r", recipients] if recipients > 1 else [])
        shares = [max(1, sessions // len(to) + (number < sessions % len(to))) for number in range(len(to))]
        counts = [max(1, messages * share // sum(shares)) for share in shares]
        self.commands = [[SOURCE, *map(str, [*words, "-s", share, "-m", count]), "-t", address, f"127.0.0.1:{port}"]
                         for address, share, count in zip(to, shares, counts)]
        self.messages = sum(counts)
        self.processes = []

    def start(self):
        self.processes = [subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                           stderr=subprocess.PIPE) for command in self.commands]

    def wait(self):
        """Until the last 250; CPU seconds."""
        late = threading.Timer(DEADLINE, lambda: [process.kill() for process in self.processes])
        late.start()
        try:
            return sum(self._end_of(process) for process in self.processes)
        finally:
            late.cancel()

    @staticmethod
    def _end_of(process):
        errors = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        process.stderr.close()
        if process.returncode != 0:
            raise RuntimeError(f"smtp-source failed ({process.returncode}): {errors.decode(errors='replace')[-300:]}")
        return usage.ru_utime + usage.ru_stime

    def stop(self):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
                process.wait()


def wait_taken(target, before, count, begun, deadline=DEADLINE):
    """Until the target has taken count more than before; seconds from begun (of time.time()) to the last of them.
    Looks less often the more is missing."""
    want = before + count
    while True:
        have, last = target.taken()
        if have >= want:
            return last - begun
        passed = time.time() - begun
        if passed > deadline:
            raise RuntimeError(f"{want - have} messages did not arrive in {deadline} s")
        time.sleep(min(0.5, max(0.02, 0.5 * passed * (want - have) / max(1, have - before))))


def one_round(server, target, source):
    """Sends all of the source and waits until the target has them. Figures: end_to_end and accepted, in messages
    a second; CPU microseconds a message by process of the server, of smtp-source, and of smtp-sink where that is
    the target; the share of the machine's time that was idle, stolen, or used by others.
    server None: the source sends to the target itself. target None: what is accepted counts, wherever it goes."""
    sides = [measure.Cpu(side) for side in (server, target) if hasattr(side, "pids")]
    machine = measure.Machine()
    before = target.taken()[0] if target else 0
    begun = time.time()
    source.start()
    try:
        used = source.wait()
        took = accepted = time.time() - begun
        if target:
            took = wait_taken(target, before, source.messages, begun)
    finally:
        source.stop()
    if target:
        time.sleep(SETTLE)
        if (surplus := target.taken()[0] - before - source.messages) > 0:  # then the round ended too early
            raise RuntimeError(f"{surplus} messages more were taken than the {source.messages} that were sent")
    cpu = {name: seconds for side in sides for name, seconds in side.by_process().items()}
    cpu["smtp-source"] = used
    return {"messages": source.messages, "end_to_end": source.messages / took, "accepted": source.messages / accepted,
            "cpu_us": {name: seconds / source.messages * 1e6 for name, seconds in cpu.items()},
            "machine": machine.shares(sum(cpu.values()))}
