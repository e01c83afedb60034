"""Relaying: smtp-source -> server -> smtp-sink."""
import duel
from row import Result, Row

KEPT = {"stagepost": 10000, "postfix": 600, "harness": 15000, "opensmtpd": 1500}


def shape(guesses, least_ratio=None, least_share=None, least_accept=None, **source):
    def run(context):
        rounds = duel.relay(context, source, guesses, opensmtpd=least_accept is not None)
        medians = duel.peers_of(rounds)
        shown, reached = duel.line(medians, least_ratio, least_share, least_accept)
        return Result({"rounds": rounds, "medians": medians}, shown, reached)
    return run


def scaled(guesses, by):
    return {name: max(20, int(count * by)) for name, count in guesses.items()}


ROWS = [
    Row("relay-20", "relay, 20 sessions, connections kept", ">= 14x Postfix; >= 40 % of the harness alone; accepts >= 4x OpenSMTPD",
        shape(KEPT, 14, 0.4, 4, sessions=20)),
    Row("relay-100", "relay, 100 sessions", ">= 18x Postfix", shape(KEPT, 18, sessions=100)),
    Row("relay-connect", "relay, 20 sessions, one connection a message", ">= 9x Postfix",
        shape(scaled(KEPT, 0.5), 9, sessions=20, keep=False)),
    Row("relay-1", "relay, one session", ">= 3.5x Postfix", shape(scaled(KEPT, 0.2), 3.5, sessions=1)),
    Row("relay-r50", "relay, 50 recipients a message", ">= 8x Postfix",
        shape(scaled(KEPT, 0.2), 8, sessions=20, recipients=50)),
    Row("relay-1m", "relay, messages of 1 MiB", ">= 1.8x Postfix; >= 75 % of the harness alone",
        shape(scaled(KEPT, 0.03), 1.8, 0.75, sessions=20, size=1 << 20)),
]
