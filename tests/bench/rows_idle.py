"""10,000 connections that say nothing: memory, and the rate of others' mail beside them."""
import resource
import time

import duel
import measure
import row
from load import Sink, Source, one_round
from row import Result, Row
from rows_curves import SPARE, Idle
from rows_relay import KEPT
from servers import IS_ROOT, Ours

CONNECTIONS = 10000
MEMORY_GOAL, RATE_GOAL = 60e6, 0.8
SESSIONS = 20


def served(idle, command, code):
    """Does each connection get that reply to the command?"""
    for s in idle.sockets:
        s.sendall(command)
    return all(s.recv(1024).startswith(code) for s in idle.sockets)


def idle_10000(context):
    if not IS_ROOT:
        return Result({}, "not measured: only root may look at memory", None)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    count = 1000 if context.quick else CONNECTIONS
    if count + SPARE > most:
        return Result({}, f"not measured: a process may have {most} open files", None)
    sink = context.start(Sink("-m", "2000"))
    servers = {}
    for name in ("without", "with"):
        with_folder = context.folder / name
        with_folder.mkdir()
        servers[name] = context.start(Ours(with_folder, sink=sink, limits=f"connections {count + 1000}"))
    full = servers["with"]
    figures = {"connections": count, "memory_before": measure.pss(full)}
    idle = context.start(Idle(full.port))
    begun = time.monotonic()
    all_served = idle.grow(count)
    figures["greeted_seconds"] = time.monotonic() - begun
    figures["memory_idle"] = measure.pss(full)
    figures["rounds"] = rounds = row.interleaved(context, {name: duel.sized(
        context, KEPT | {name: KEPT["stagepost"]}, name, lambda messages, _, server=server:
        one_round(server, sink, Source(server.port, messages, sessions=SESSIONS))) for name, server in servers.items()})
    figures["memory"] = memory = measure.pss(full)  # with what the mail has left behind
    figures["rates"] = medians = {name: row.medians(some) for name, some in rounds.items()}
    all_served = all_served and served(idle, b"MAIL FROM:<sender@source.example>\r\n", b"250") and \
        served(idle, b"RCPT TO:<you@elsewhere.example>\r\n", b"250")
    figures["memory_in_mail"] = measure.pss(full)
    all_served = all_served and served(idle, b"QUIT\r\n", b"221")
    share = medians["with"]["end_to_end"] / medians["without"]["end_to_end"]
    figures |= {"all_served": all_served, "share": share}
    shown = (f"{'all served' if all_served else 'NOT all served'}; {memory / 1e6:.1f} MB (without them "
             f"{figures['memory_before'] / 1e6:.1f}, when each has said MAIL and RCPT {figures['memory_in_mail'] / 1e6:.1f}); "
             f"{medians['with']['end_to_end']:,.0f}/s, {share:.0%} of the rate without them")
    return Result(figures, shown, all_served and memory <= MEMORY_GOAL and share >= RATE_GOAL)


ROWS = [
    Row("idle-10000", "10,000 idle connections", "all served; <= 60 MB for all processes; mail at >= 80 % of the rate without them",
        idle_10000),
]
