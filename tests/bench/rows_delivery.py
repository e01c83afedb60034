"""Delivery to mailboxes: Maildirs of one owner, beside Postfix's virtual(8), and mail of the machine's users, beside
its local(8)."""
import shutil

import duel
from load import Maildirs, Mboxes, Source
from row import Result, Row
from servers import DOMAIN, IS_ROOT, OWNER, Ours, Postfix
from users import Users

GUESSES = {"stagepost": 2000, "postfix": 500}
MANY = 1000
SESSIONS = 20
PEOPLE = 20


# What is fastest: several at one mbox wait a second for each other's lock (410 messages a second instead of 850).
POSTFIX_LOCAL = {"mbox": "local_destination_concurrency_limit = 1",
                 "maildir": "local_destination_concurrency_limit = 100\nhome_mailbox = Maildir/"}


def compared(rounds, least):
    medians = duel.peers_of(rounds)
    shown, reached = duel.line(medians, least)
    return Result({"rounds": rounds, "medians": medians}, shown, reached)


def maildir_1(context):
    """Each round has a mailbox of its own: nothing is deleted, and no directory grows over the rounds."""
    users = [f"box{number}" for number in range(context.rounds + 1)]
    servers = [context.start(Ours(context.folder, users=users)),
               context.start_peer(lambda: Postfix(context.folder, users=users))]
    return compared(duel.deliver(
        context, filter(None, servers), GUESSES,
        lambda server, count, number: Source(server.port, count, sessions=SESSIONS, to=f"{users[number]}@{DOMAIN}"),
        lambda server, number: Maildirs.of(server, [users[number]])), 7)


def make_maildirs(server, users):
    """Empty ones, so that no round has the work of making them."""
    (server.mail / DOMAIN).mkdir(parents=True, exist_ok=True)
    for folder in [server.mail, server.mail / DOMAIN] + [
            server.mail / DOMAIN / user / part for user in users for part in ("", "tmp", "new", "cur")]:
        folder.mkdir(mode=0o700, exist_ok=True)
        shutil.chown(folder, OWNER)


def maildirs(context, folder, many, shape):
    """Rounds to so many mailboxes. A source goes to 1box, 2box, 3box ...; when a round has more messages than there are
    mailboxes, several do, side by side."""
    users = [f"{number}box" for number in range(1, many + 1)]
    servers = [context.start(Ours(folder, users=users)), context.start_peer(lambda: Postfix(folder, users=users))]
    servers = [server for server in servers if server]
    for server in servers:
        make_maildirs(server, users)

    def source(server, count, _):
        sessions = shape["sessions"]
        sources = next(n for n in range(1, sessions + 1)
                       if n == sessions or -(-sessions // n) * count <= sessions * many)  # no share is more than `many`
        return Source(server.port, min(count, sessions * many), to=[f"box@{DOMAIN}"] * sources, numbered=True, **shape)
    return duel.deliver(context, servers, GUESSES, source, lambda server, _: Maildirs.of(server, users))


def maildir_many(context):
    return compared(maildirs(context, context.folder, 100 if context.quick else MANY, {"sessions": SESSIONS}), 7)


def people(kind):
    """Both have people of their own, so that their mail can be told apart."""
    def run(context):
        if not IS_ROOT:
            return Result({}, "not measured: only root delivers to other users", None)
        theirs = {name: [f"{name[:2]}{number}" for number in range(PEOPLE)] for name in GUESSES}
        users = context.start(Users(context.folder, sum(theirs.values(), [])))
        postfix = f"mydestination = {DOMAIN}\nvirtual_mailbox_domains =\n" + POSTFIX_LOCAL[kind]
        servers = [context.start(Ours(context.folder, deliver=f"deliver system {kind} {{ users system }}")),
                   context.start_peer(lambda: Postfix(context.folder, extra=postfix))]
        boxes = {name: Maildirs(users.home(n) / "Maildir" for n in names) if kind == "maildir" else
                 Mboxes(users.spool(n) for n in names) for name, names in theirs.items()}
        return compared(duel.deliver(
            context, filter(None, servers), GUESSES,
            lambda server, count, _: Source(server.port, count, sessions=SESSIONS,
                                            to=[f"{n}@{DOMAIN}" for n in theirs[server.name]]),
            lambda server, _: boxes[server.name], PEOPLE), 4)
    return run


ROWS = [
    Row("maildir-1", "Maildir delivery, 20 sessions, to one mailbox", ">= 7x Postfix's virtual(8)", maildir_1),
    Row("maildir-1000", "Maildir delivery, 20 sessions, to 1,000 mailboxes", ">= 7x Postfix's virtual(8)", maildir_many),
    Row("system-mbox", "system users, mbox, own uid", ">= 4x Postfix's local(8)", people("mbox")),
    Row("system-maildir", "system users, Maildir, own uid", ">= 4x Postfix's local(8)", people("maildir")),
]
