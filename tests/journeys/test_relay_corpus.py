"""
300 messages of real life go through us, octet for octet:

    corpus.py -- DATA or BDAT, cut anywhere --> us -- outbound to via.example --> smtp-sink's files
                                                 '--- MX of mx.example ---------> Postfix's Maildir

Each message goes both ways. What comes out is what came in, behind our Received: with lines over 998
octets broken (S25), From lines renamed (S20), and what our own client left out of the header. CORPUS_SEED,
CORPUS_COUNT as in test_corpus.py.
"""
import collections
import hashlib
import os
import random
import re
import threading

import pytest

import corpus
import net as networks
import postfix as postfixes
from relaying import Outgoing, Sink, behind_ours, deliver_chunks
from stagepost import Stagepost, wait_for
from wire import chopped

SEED = int(os.environ.get("CORPUS_SEED", "1"))
COUNT = int(os.environ.get("CORPUS_COUNT", "300"))
SESSIONS = 4
RECIPIENTS = ("you@via.example", "you@mx.example")
# Postfix is to keep what it gets: by default it drops fields and refuses what is large
KEEP = "message_size_limit = 60000000\nheader_size_limit = 10000000\nhopcount_limit = 200\nmessage_drop_headers =\n" \
       "mailbox_size_limit = 0\nvirtual_mailbox_limit = 0\n"


@pytest.fixture(scope="module")
def world():
    why = networks.available() or postfixes.available()
    if why:
        pytest.skip(why)
    net = networks.Network({"us": 2, "sink": 11, "postfix": 12}, zones={"mx.example": "@ MX 10 postfix.hosts.test."})
    us = Stagepost(net=net, top="trust 127.0.0.0/8\noutbound to via.example { via [sink.hosts.test]:25 }")
    peer = None
    try:
        net.sink = Sink(net, "sink")
        net.postfix = peer = postfixes.Postfix(net, "postfix", domains=["mx.example"], main=KEEP)
        net.us = us.start()
        yield net
    finally:
        us.end()
        if peer:
            peer.end()
        net.end()


def send_all(house, messages, rng, ids, failures):
    """Several sessions after each other, a few messages in each; ids by sender."""
    left = collections.deque(messages)
    m = None
    try:
        while left:
            with house.connect(pieces=rng.choice((None, chopped(rng, 9000))), seconds=60) as wire:
                for _ in range(min(len(left), rng.randint(1, 9))):
                    m = left.popleft()
                    if rng.random() < 0.5:
                        ids[m.sender] = deliver_chunks(wire, m.content, rng, *RECIPIENTS, sender=m.sender)
                    else:
                        ids[m.sender] = wire.deliver(m.content, *RECIPIENTS, sender=m.sender, pipelined=rng.random() < 0.5)
    except BaseException as e:  # told by the test, with the name of the message
        failures.append((m, e))


def digest(octets):
    return hashlib.sha256(octets).hexdigest()[:16]


def as_postfix_keeps(header, body):
    """It ends a field at a NUL, and takes blanks before the colon out."""
    return re.sub(rb"(?m)^([!-9;-~]+)[ \t]+:", rb"\1:", re.sub(rb"\0[^\n]*", b"", header)), body


def compare(messages, ids, came, *keeps):
    """came: octets with LF line ends by sender."""
    wrong = []
    for m in messages:
        content = behind_ours(came[m.sender], ids[m.sender])
        if not Outgoing(m.content).is_in(content, *keeps):
            wrong.append((m, len(m.content), digest(m.content), len(content), content[:200], content[-60:]))
    assert not wrong, wrong[:5]


def test_messages_of_real_life_are_relayed_octet_for_octet(world):
    print(f"CORPUS_SEED={SEED}")
    messages = list(corpus.messages(SEED, COUNT))
    ids, failures, threads = {}, [], []
    for i in range(SESSIONS):
        rng = random.Random(SEED * 100 + i)
        threads.append(threading.Thread(target=send_all, args=(world.us, messages[i::SESSIONS], rng, ids, failures)))
        threads[-1].start()
    for thread in threads:
        thread.join(120)
    assert not failures and not any(thread.is_alive() for thread in threads)
    world.us.wait_empty(60)
    letters = world.postfix.wait_letters(COUNT)
    dumps = world.sink.dumps()
    assert len(letters) == COUNT and len(dumps) == COUNT
    compare(messages, ids, {d.sender: d.octets for d in dumps})
    came = {}
    for path in letters:
        octets = path.read_bytes()
        came[octets[octets.index(b"<") + 1:octets.index(b">")].decode()] = octets
    compare(messages, ids, came, as_postfix_keeps)
    wait_for(lambda: re.search(r" disconnect from .*\[.* bdat=\d", world.postfix.log()), what="word that Postfix got chunks")
    world.us.assert_clean()
