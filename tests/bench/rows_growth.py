"""Does a message cost more when there are more sessions, or more domains? CPU of all our processes, without the harness."""
import re

import duel
import row
from far import Far
from load import Sink, Source, one_round
from many import Many
from row import Result, Row
from rows_relay import KEPT
from servers import Ours

GOAL = 1.2  # of the cost at the first point that counts
SESSIONS = (1, 20, 100, 300, 1000)
SESSION_MESSAGES = 20  # at least: a connection's own cost is another row's
DOMAINS = (10, 1000, 100000)
MESSAGES = 20000  # to few domains
FEW_SITES, SITES = 10, 1000
KNOWN = "judged by domains that had mail before"


def cost(figures, name="stagepost"):
    """Microseconds a message."""
    return sum(duel.cpu_of({name: figures}, name).values())


def sessions(context):
    """With one session a message has the wake-ups and the sync of a turn for itself; what counts is from 20 on."""
    context.rounds = min(context.rounds, 3)
    sink = context.start(Sink("-m", "2000"))
    ours = context.start(Ours(context.folder, sink=sink))

    def one(count):
        messages = int(KEPT[ours.name] * context.round_seconds)
        messages = messages // 5 if count == 1 else max(messages, 2 if context.quick else SESSION_MESSAGES * count)
        return lambda _: one_round(ours, sink, Source(ours.port, messages, sessions=count))
    counts = SESSIONS[:2] if context.quick else SESSIONS
    rounds = row.interleaved(context, {str(count): one(count) for count in counts})
    points = {name: row.medians(figures) for name, figures in rounds.items()}
    costs = {name: cost(figures) for name, figures in points.items()}
    worst = max(us for name, us in costs.items() if name != "1") / costs["20"]
    shown = "; ".join(f"{name}: {us:,.0f} us, {points[name]['end_to_end']:,.0f}/s" for name, us in costs.items())
    return Result({"rounds": rounds, "costs": costs, "worst": worst}, shown, worst <= GOAL,
                  f"from 20 on the dearest costs {worst:.2f} times what 20 do; a message of one session alone, which has the "
                  f"wake-ups and the sync of a turn for itself, {costs['1'] / costs['20']:.2f} times: that is not judged")


def domains(context, ours, sink, name_of, steps):
    """A message to each domain of each step, in turn, at least MESSAGES; steps: {text: number of domains}. name_of(step, i): an
    address. The first time around the domains are new to the server, the second time it knows them. (rounds, costs)."""
    few = 100 if context.quick else MESSAGES
    one_round(ours, sink, Many(ours.port, [name_of("warm", 0)] * (few // 2)))
    rounds, costs = {}, {}
    for step, count in steps.items():
        names = [name_of(step, i) for i in range(count)]
        for part in ("new", "known"):
            key = f"{step} {part}"
            rounds[key] = one_round(ours, sink, Many(ours.port, [names[i % count] for i in range(max(count, few))]))
            costs[key] = cost(rounds[key])
    return rounds, costs


def judged(rounds, costs, top, note=""):
    least = costs["10 known"]
    grown, first = costs[f"{top} known"] / least, costs[f"{top} new"] / least
    shown = "; ".join(f"{step}: {us:,.0f} us" for step, us in costs.items() if step != "10 new")
    return Result({"rounds": rounds, "costs": costs, "grown": grown, "first": first}, shown, grown <= GOAL,
                  f"{top} domains that had mail before cost {grown:.2f} times what 10 do, a first message to each "
                  f"{first:.2f} times{note}")


def steps_of(context):
    return {f"{count:,}": count for count in DOMAINS if count <= 1000 or not context.quick}


def via(context):
    sink = context.start(Sink("-m", "2000"))
    ours = context.start(Ours(context.folder, sink=sink))
    steps = steps_of(context)
    rounds, costs = domains(context, ours, sink, lambda step, i: f"you@d{i}-{step.replace(',', '')}.far.example".encode(), steps)
    return judged(rounds, costs, list(steps)[-1])


def mx(context):
    """Ten sites, whatever the number of domains; and many, which is something else: a message has a session of its own then,
    and waits twice for the other side, while one that another waits behind shares its packets with that."""
    far = context.start(Far(context.folder, SITES))
    sink = context.start(Sink("-m", "12000", far=far))
    ours = context.start(Ours(context.folder, extra=f"resolver {{ server {far.ADDRESS}:53 }}"))
    steps = steps_of(context)
    many = f"at {SITES:,} sites"

    def address(step, i):
        sites = SITES if step == many else FEW_SITES
        return f"you@d{i}-{re.sub('[^0-9a-z]', '', step)}.s{i % sites}.far.example".encode()
    rounds, costs = domains(context, ours, sink, address, steps | {many: SITES})
    return judged(rounds, costs, list(steps)[-1],
                  f" (a DNS question); at {SITES:,} sites, where a message has a session for itself, with two round trips instead "
                  f"of one that it shares, it costs {costs[many + ' known'] / costs['10 known']:.2f} times as much, the first one to "
                  f"each {costs[many + ' new'] / costs['10 known']:.2f} times: that is not judged")


ROWS = [
    Row("growth-sessions", "growth: 1 to 1,000 sessions", "CPU a message flat within 20 %, judged from 20 sessions on", sessions),
    Row("growth-domains", "growth: 10 to 100,000 domains, by one next hop", f"CPU a message flat within 20 %, {KNOWN}", via),
    Row("growth-mx", f"growth: 10 to 100,000 domains, by MX at {FEW_SITES} sites", f"CPU a message flat within 20 %, {KNOWN}", mx),
]
