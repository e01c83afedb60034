"""What a relayed message costs: CPU, syncs; and relaying on a file system with a journal."""
import duel
import measure
import row
from load import Sink, Source, one_round
from row import Result, Row
from rows_relay import KEPT
from servers import IS_ROOT, Ours, Postfix

SESSIONS = 20
CPU_GOAL, SYNCS_GOAL = 80, 0.25  # microseconds and syncs a message


def pair(context):
    sink = context.start(Sink("-m", "2000"))
    servers = [context.start(Ours(context.folder, sink=sink)),
               context.start_peer(lambda: Postfix(context.folder, sink=sink))]
    return sink, [server for server in servers if server]


def cpu(context):
    sink, servers = pair(context)
    rounds = row.interleaved(context, {server.name: duel.sized(
        context, KEPT, server.name, lambda count, _, server=server:
        one_round(server, sink, Source(server.port, count, sessions=SESSIONS))) for server in servers})
    medians = duel.peers_of(rounds)
    for name, figures in rounds.items():
        medians[name]["cpu_us_all"] = row.medians([{"all": sum(duel.cpu_of({name: f}, name).values())}
                                                   for f in figures])["all"]
    ours = medians["stagepost"]["cpu_us_all"]
    shown = duel.cpu_words(medians, "stagepost", ours)
    if "postfix" in medians:
        shown += f"; Postfix {medians['postfix']['cpu_us_all']:,.0f} us"
    return Result({"rounds": rounds, "medians": medians}, shown, ours <= CPU_GOAL)


def syncs(context):
    """A round of its own for each, since counting disturbs."""
    tool = measure.Syncs.available()
    if not tool or not IS_ROOT:
        return Result({}, "not measured: it needs root, and perf or strace with the right to look (package linux-perf)", None)
    sink, servers = pair(context)
    figures = {}
    for server in servers:
        count = int(KEPT[server.name] * (0.1 if context.quick else 1))
        one_round(server, sink, Source(server.port, count, sessions=SESSIONS))
        counted = context.start(measure.Syncs(server, context.folder))
        one_round(server, sink, Source(server.port, count, sessions=SESSIONS))
        calls = counted.count()
        figures[server.name] = {"messages": count, "calls": calls, "a_message": sum(calls.values()) / count}
    ours = figures["stagepost"]["a_message"]
    shown = "; Postfix ".join(f"{figures[s.name]['a_message']:.2f}" for s in servers)
    return Result(figures | {"tool": tool}, shown, ours <= SYNCS_GOAL)


def journaled(context):
    if not IS_ROOT:
        return Result({}, "not measured: only root can mount", None)
    folder = context.enter(measure.journaled(context.folder / "journaled"))
    rounds = duel.relay(context, {"sessions": SESSIONS}, KEPT, folder=folder, harness=False)
    medians = duel.peers_of(rounds)
    shown, reached = duel.line(medians, 14)
    return Result({"rounds": rounds, "medians": medians}, shown, reached)


ROWS = [
    Row("journaled", "relay, 20 sessions, on a journaled ext4 on a loop device", ">= 14x Postfix", journaled),
    Row("cpu", "CPU a relayed message, all processes, 20 sessions", f"<= {CPU_GOAL} us", cpu),
    Row("syncs", "syncs a relayed message, 20 sessions", f"<= {SYNCS_GOAL}", syncs),
]
