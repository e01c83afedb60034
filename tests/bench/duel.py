"""
What most rows share: the same load on ours, on Postfix, and on the harness alone, in interleaved rounds, and a
line that says how they compare.
"""
import row
from load import ELSEWHERE, Sink, Source, one_round
from names import Names
from servers import Ours, OpenSmtpd, Postfix
GROUP = 4  # sessions of a source for OpenSMTPD


def sized(context, guesses, name, measure, least=1):
    """measure(messages, number), with as many messages as take about context.round_seconds: the round before says how
    many, since a server that has just started is slower. The warm-up is of a guess. A multiple of least."""
    messages = guesses[name] * (0.05 if context.quick else 1)

    def one(number):
        nonlocal messages
        figures = measure(max(1, int(messages) // least) * least, number)
        messages = figures["end_to_end"] * context.round_seconds
        return figures
    return one


def peers_of(rounds):
    """Medians of every participant."""
    return {name: row.medians(figures) for name, figures in rounds.items()}


def ratio(medians, ours="stagepost", peer="postfix", key="end_to_end"):
    if peer not in medians or ours not in medians:
        return None
    return medians[ours][key] / medians[peer][key]


def cpu_of(medians, name):
    """Microseconds a message of the server alone, without the harness."""
    return {p: us for p, us in medians[name]["cpu_us"].items() if not p.startswith("smtp-s")}


def cpu_words(medians, name, whole=None):
    """All of it, unless it is told, and the processes, the dearest first."""
    parts = sorted(cpu_of(medians, name).items(), key=lambda part: -part[1])
    whole = sum(us for _, us in parts) if whole is None else whole
    return f"{whole:,.0f} us (" + ", ".join(f"{p} {us:,.0f}" for p, us in parts if us >= 1) + ")"


def line(medians, least_ratio=None, least_share=None, least_accept=None):
    """(shown, reached) of usual rows: rates, ratios, and whether these are at least so high."""
    ours = medians["stagepost"]
    words, judged = [f"{ours['end_to_end']:,.0f}/s"], []
    for peer, key, least, text in (("postfix", "end_to_end", least_ratio, "{1:.1f}x Postfix ({0:,.0f}/s)"),
                                   ("opensmtpd", "accepted", least_accept, "accepts {1:.1f}x OpenSMTPD ({0:,.0f}/s)")):
        if peer in medians:
            times = ratio(medians, peer=peer, key=key)
            words.append(text.format(medians[peer][key], times))
            judged.append(None if least is None else times >= least)
        elif least is not None:
            judged.append(None)
    if "harness" in medians:
        share = ratio(medians, peer="harness")
        words.append(f"{share:.0%} of the harness alone ({medians['harness']['end_to_end']:,.0f}/s)")
        if least_share is not None:
            judged.append(share >= least_share)
    wanted = [j for j in judged if j is not None]
    reached = None if not wanted else all(wanted) if len(wanted) == len(judged) else (False if not all(wanted) else None)
    return "; ".join(words), reached


def tried(server):
    """It, if it comes up."""
    try:
        server.start()
    finally:
        server.stop()
    return server


def accepting(server, source):
    """A round of a server that takes mail far faster than it delivers: it begins with an empty queue, and ends with
    the last 250."""
    try:
        server.start()
        return one_round(server, None, source)
    finally:
        server.stop()


def groups(shape):
    """Its listening socket holds but five connections: of more at once, some would be heard again after a second. So
    they come from several sources, a few each."""
    return [ELSEWHERE] * -(-shape["sessions"] // GROUP)


def relay(context, shape, guesses, *, folder=None, opensmtpd=False, harness=True):
    """Rounds of a shape (arguments of Source) through each server to a sink. guesses: messages of the warm-up by
    server. {name: [figures]}."""
    folder = folder or context.folder
    sink = context.start(Sink("-m", "2000"))
    servers = [context.start(Ours(folder, sink=sink)), context.start_peer(lambda: Postfix(folder, sink=sink))]
    rounds = {}
    for server in filter(None, servers):
        rounds[server.name] = sized(context, guesses, server.name, lambda count, _, server=server:
                                    one_round(server, sink, Source(server.port, count, **shape)))
    # A sink of its own: what it has under way at the end of its round would be counted in the next one's.
    if opensmtpd and (peer := context.peer(lambda: OpenSmtpd(folder, sink=context.start(Sink())))):
        context.start(Names())
        peer = context.peer(lambda: tried(peer))
    if opensmtpd and peer:
        rounds[peer.name] = sized(context, guesses, peer.name, lambda count, _:
                                  accepting(peer, Source(peer.port, count, **shape, to=groups(shape))))
    if harness:
        rounds["harness"] = sized(context, guesses, "harness", lambda count, _:
                                  one_round(None, sink, Source(sink.port, count, **shape)))
    return row.interleaved(context, rounds)


def deliver(context, servers, guesses, sources, boxes, least=1):
    """Rounds to mailboxes. sources(server, count, number) makes a round's source; boxes(server, number) its
    mailboxes."""
    return row.interleaved(context, {
        server.name: sized(context, guesses, server.name, lambda count, number, server=server:
                           one_round(server, boxes(server, number), sources(server, count, number)), least)
        for server in servers})
