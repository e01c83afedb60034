"""What the plots show: throughput over sessions, memory over connections; and where the relay path spends its time."""
import re
import resource
import socket
import subprocess
import time

import duel
import measure
from load import Sink, Source, one_round
from row import Result, Row
from rows_relay import KEPT
from servers import IS_ROOT, Ours, Postfix

SESSIONS = (1, 5, 20, 100, 300)
CONNECTIONS = (0, 100, 1000, 10000)
OPENSMTPD_MOST = 20  # sessions: with 100 some of its clients hang until the deadline
POSTFIX_MOST = 1000  # processes: as many connections as it may hold here
SPARE = 512  # descriptors beside the connections
GREET_SECONDS = 60
TOP = 10  # functions


def sessions(context):
    """Fewer and shorter rounds than the rows that have a goal."""
    context.rounds = min(context.rounds, 2)
    context.round_seconds *= 0.6
    points = {}
    for count in (1, 5) if context.quick else SESSIONS:
        with context.part(str(count)) as part:
            guesses = KEPT if count > 1 else {name: guess // 5 for name, guess in KEPT.items()}
            rounds = duel.relay(part, {"sessions": count}, guesses, opensmtpd=count <= OPENSMTPD_MOST)
            for name, figures in duel.peers_of(rounds).items():
                key = "accepted" if name == "opensmtpd" else "end_to_end"
                points.setdefault(name, {})[count] = figures[key]
    shown = "; ".join(f"{count} sessions {rate:,.0f}/s" for count, rate in points["stagepost"].items())
    if "postfix" in points:
        shown += ". Postfix serves 100 at once, its process limit; others wait for their greeting"
    if "opensmtpd" in points and not context.quick:
        shown += f". OpenSMTPD is not asked with more than {OPENSMTPD_MOST}: some of its clients hang"
    return Result({"sessions": points}, shown)


class Idle:
    """Connections that have said EHLO and then nothing."""

    def __init__(self, port):
        self.port, self.sockets = port, []

    def grow(self, count):
        """Until there are so many; False when the server does not greet all of them."""
        fresh = []
        while len(self.sockets) < count:
            self.sockets.append(socket.create_connection(("127.0.0.1", self.port), GREET_SECONDS))
            fresh.append(self.sockets[-1])
        for say in (b"EHLO idle.example\r\n", b""):
            for s in fresh:
                try:
                    if s.recv(1024)[:1] != b"2":
                        return False
                    if say:
                        s.sendall(say)
                except OSError:
                    return False
        return True

    def stop(self):
        for s in self.sockets:
            s.close()

    def start(self):
        """There are none at first."""


def memory(context):
    if not IS_ROOT:
        return Result({}, "not measured: only root may look at memory")
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    counts = [count for count in CONNECTIONS if count + SPARE <= most and (count <= 100 or not context.quick)]
    limit = f"default_process_limit = {POSTFIX_MOST + 10}\nsmtpd_client_connection_rate_limit = 0"
    servers = [context.start(Ours(context.folder, limits=f"connections {counts[-1] + 100}")),
               context.start_peer(lambda: Postfix(context.folder, smtpd_most=POSTFIX_MOST, extra=limit))]
    points = {}
    for server in filter(None, servers):
        idle = context.start(Idle(server.port))
        for count in counts:
            if server.name == "postfix" and count > POSTFIX_MOST or not idle.grow(count):
                break
            time.sleep(0.5)
            points.setdefault(server.name, {})[count] = measure.pss(server)
        idle.stop()
    words = ["; ".join(f"{count:,}: {octets / 1e6:.1f} MB" for count, octets in of.items()) for of in points.values()]
    return Result({"memory": points}, ". Postfix ".join(words))


def profile(context):
    """perf looks at the whole machine for a second of relaying."""
    if not IS_ROOT or measure.Syncs.available() != "perf":
        return Result({}, "not measured: it needs root, and perf with the right to look (package linux-perf)")
    sink = context.start(Sink("-m", "2000"))
    ours = context.start(Ours(context.folder, sink=sink))
    count = int(KEPT[ours.name] * (0.1 if context.quick else 1))
    one_round(ours, sink, Source(ours.port, count))
    data = context.folder / "perf.data"
    pids = ",".join(str(pid) for some in ours.pids().values() for pid in some)
    record = subprocess.Popen(["perf", "record", "-q", "-g", "-F", "3999", "-o", data, "-p", pids],
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(0.5)  # it does not say when it has begun
        one_round(ours, sink, Source(ours.port, count))
    finally:
        record.send_signal(2)
        record.wait(20)
    calls = {name.removeprefix("__x64_sys_"): share for name, _, share in
             reported(data, "overhead_children", "--children") if name.startswith("__x64_sys_")}
    alone = list(reported(data, "overhead", "--no-children"))
    user = sum(share for _, where, share in alone if where == ".")
    top = lambda pairs: dict(list(pairs)[:TOP])
    figures = {"calls": top(calls.items()), "kernel": top((n, s) for n, where, s in alone if where == "k"),
               "user": top((n, s) for n, where, s in alone if where == "."), "user_all": user}
    return Result(figures, "system calls: " + ", ".join(f"{n} {s:.0f} %" for n, s in figures["calls"].items() if s >= 1) +
                  f"; all in user space {user:.0f} %")


def reported(data, field, *options):
    """(function, "k" of the kernel or ".", per cent of all samples), the dearest first."""
    said = subprocess.run(["perf", "report", "-i", data, *options, "--stdio", "-g", "none", "-F", f"{field},sym", "-t", ";"],
                          capture_output=True, text=True, errors="replace").stdout
    for share, where, name in re.findall(r"(?m)^\s*([\d.]+)%\s*;\s*\[(.)\] (\S+)", said):
        yield name, where, float(share)


ROWS = [
    Row("sessions", "throughput over sessions, for the plot", "", sessions),
    Row("memory", "memory (PSS) over idle connections, for the plot", "", memory),
    Row("profile", "the functions of the relay path that take the most time", "", profile),
]
