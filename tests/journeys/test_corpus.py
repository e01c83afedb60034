"""
300 messages of real life arrive octet for octet:

    corpus.py --- SMTP, pipelined or not, cut anywhere ---> smtpd ---> segment or large/ ---> local ---> Maildir

What a Maildir holds is content with LF line ends, behind Return-Path, Delivered-To and Received.
"""
import collections
import os
import random
import threading

import corpus
from stagepost import Letter, wait_for
from wire import chopped, stuffed

SEED = int(os.environ.get("CORPUS_SEED", "1"))
COUNT = int(os.environ.get("CORPUS_COUNT", "300"))
SESSIONS = 4
CROWD = 1000


def send_all(house, messages, rng, failures):
    """Several sessions after each other, a few messages in each."""
    left = collections.deque(messages)
    try:
        while left:
            with house.connect(pieces=rng.choice((None, chopped(rng), chopped(rng, 9000))), seconds=60) as wire:
                for _ in range(min(len(left), rng.randint(1, 9))):
                    m = left.popleft()
                    wire.deliver(m.content, *m.recipients, sender=m.sender, pipelined=rng.random() < 0.5)
                if rng.random() < 0.5:
                    wire.quit()
    except Exception as e:  # told by the test, with the name of the message
        failures.append((m, e))


def test_messages_of_real_life_arrive_octet_for_octet(shared):
    print(f"CORPUS_SEED={SEED}")
    messages = list(corpus.messages(SEED, COUNT))
    failures, threads = [], []
    for i in range(SESSIONS):
        rng = random.Random(SEED * 100 + i)
        threads.append(threading.Thread(target=send_all, args=(shared, messages[i::SESSIONS], rng, failures)))
        threads[-1].start()
    for thread in threads:
        thread.join(120)
    assert not failures and not any(thread.is_alive() for thread in threads)
    wait_for(lambda: len(shared.maildir("bob")) >= COUNT, 60)
    shared.assert_clean()
    files = shared.maildir("bob")
    assert len(files) == COUNT
    letters = {letter.sender: letter for letter in map(Letter, files)}
    wrong = [m for m in messages if letters[m.sender].content != corpus.as_kept(m.content)]
    assert not wrong


def test_one_message_reaches_a_thousand_mailboxes(stagepost):
    house = stagepost()
    names = [f"u{i}" for i in range(CROWD)]
    house.write("users", "".join(n + "\n" for n in names))
    house.logged("users", count=0)
    content = corpus.Generator(SEED).plain()

    def known():
        with house.connect() as wire:
            wire.say("MAIL FROM:<>", "250 2.1.0")
            return wire.say(f"RCPT TO:<u{CROWD - 1}@trial.example>").code == 250
    wait_for(known)
    house.deliver(content, *[f"{n}@trial.example" for n in names], pipelined=True)
    house.wait_empty(60)
    for name in names:
        (letter,) = house.letters(name)
        assert letter.content == corpus.as_kept(content)
        assert letter.address == f"{name}@trial.example"
        assert "for <" not in letter.received  # RFC 5321 7.2: the others are nobody's business
    house.assert_clean()


def test_what_may_not_be_kept_is_refused_in_the_midst_of_good_mail(shared):
    rng = random.Random(SEED)
    g = corpus.Generator(SEED)
    kept = []
    with shared.connect(pieces=chopped(rng)) as wire:
        for i in range(40):
            content = g.plain()
            wire.begin("alice@trial.example")
            if i % 2:
                at = rng.randrange(len(content))
                wire.send(stuffed(content[:at] + rng.choice((b"\n", b"\r", b"\rx")) + content[at:]))
                wire.expect("550 5.5.2")
            else:
                wire.send(stuffed(content))
                wire.expect("250 2.0.0")
                kept.append(corpus.as_kept(content))
    shared.assert_clean()
    assert sorted(letter.content for letter in shared.letters("alice")) == sorted(kept)
