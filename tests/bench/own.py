"""A row that the command line describes, for a question that the table does not answer."""
import sys

import duel
import measure
from row import Result, Row
from rows_delivery import maildirs
from rows_relay import KEPT, scaled

WORDS = {"sessions": 20, "size": 4096, "recipients": 1, "boxes": 0}
RECIPIENTS = 50


def add_arguments(group):
    group.add_argument("--sessions", type=int, help="at once (20)")
    group.add_argument("--size", type=int, help="octets of a message (4096)")
    group.add_argument("--recipients", type=int, help="of a message (1)")
    group.add_argument("--reconnect", action="store_true", help="for each message")
    group.add_argument("--boxes", type=int, help="deliver to so many Maildirs instead of relaying")
    group.add_argument("--journaled", action="store_true", help="on an ext4 with a journal on a loop device")


def wanted(options):
    return options.reconnect or options.journaled or any(getattr(options, word) is not None for word in WORDS)


def row(options):
    given = {word: usual if getattr(options, word) is None else getattr(options, word) for word, usual in WORDS.items()}
    if given["recipients"] > RECIPIENTS:
        sys.exit(f"bench: at most {RECIPIENTS} recipients: of more Postfix makes several messages")
    shape = {"sessions": given["sessions"], "size": given["size"], "keep": not options.reconnect}

    def run(context):
        folder = context.folder
        if options.journaled:
            folder = context.enter(measure.journaled(folder / "journaled"))
        if given["boxes"]:
            rounds = maildirs(context, folder, given["boxes"], shape)
        else:
            guesses = scaled(KEPT, 1 / (1 + given["recipients"] / 10 + given["size"] / 30000))
            rounds = duel.relay(context, shape | {"recipients": given["recipients"]}, guesses, folder=folder,
                                opensmtpd=True)
        medians = duel.peers_of(rounds)
        shown, _ = duel.line(medians)
        return Result({"rounds": rounds, "medians": medians}, f"{shown}; CPU {duel.cpu_words(medians, 'stagepost')}")
    return Row("own", ", ".join(f"{word} {number}" for word, number in given.items() if number), "", run)
