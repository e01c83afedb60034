"""
What a user may send, and what happens when it is too much, or when his account was stolen:

    alice --TLS, AUTH--> submission ---verdict--- usage ---> state/usage/{journal,blocked}
                             |                      ^
                             v                      | stagepost user block, user list
                           queue: hold <--- stagepost queue release --user alice@trial.example

postmaster is carol here, who gets the mail about it.
"""
import os
import re
import signal
import ssl
import time

import pytest

from people import PASSWORDS, plain, tls, with_people
from stagepost import DOMAIN, wait_for
from wire import stuffed

ALICE, BOB, CAROL = (f"{name}@{DOMAIN}" for name in ("alice", "bob", "carol"))
OVER = "over the limit of 3 messages in an hour"


def limited(stagepost, submission, **keywords):
    passwords = {**PASSWORDS, "carol": "the postmaster"}
    return with_people(stagepost(start=False), submission=submission, passwords=passwords,
                       top=keywords.pop("top", ""), **keywords)


@pytest.fixture
def house(stagepost):
    house = limited(stagepost, "messages 3/h")
    house.write("aliases", "postmaster: carol\n")
    text = (house.folder / "stagepost.conf").read_text()
    house.write("stagepost.conf", text.replace(f"postmaster alice@{DOMAIN}", f"postmaster {CAROL}"))
    return house.start()


def send(wire, n, *recipients, sender=ALICE):
    recipients = recipients or (BOB,)
    return wire.deliver(f"From: <{sender}>\r\nSubject: number {n}\r\n\r\n{n}\r\n".encode(), *recipients, sender=sender)


def numbers(letters):
    return sorted(int(re.search(rb"(?m)^Subject: number (\d+)", letter.content)[1]) for letter in letters)


def held(house, count):
    return wait_for(lambda: len(q := house.queue("--state", "hold")) == count and q, what=f"{count} held messages")


def test_what_is_over_a_limit_is_held_not_lost_and_release_delivers_it(house):
    with tls(house, user="alice") as wire:
        ids = [send(wire, n) for n in range(6)]
    house.wait_letters("bob", 3)
    over = held(house, 3)
    assert sorted(m["queue_id"] for m in over) == sorted(ids[3:])
    assert all(m["remark"] == OVER and m["user"] == ALICE for m in over)
    assert OVER in house.run("queue", "list").stdout
    with tls(house, user="bob") as wire:
        send(wire, 7, ALICE, sender=BOB)  # others are not concerned
    house.wait_letters("alice")
    house.kill_all()  # held by the record, whoever dies
    house.start()
    held(house, 3)
    assert numbers(house.letters("bob")) == [0, 1, 2]
    assert house.run("queue", "release", "--user", ALICE).stdout.startswith("3 messages")
    assert numbers(house.wait_letters("bob", 6)) == [0, 1, 2, 3, 4, 5]
    house.logged("limited user=alice@trial.example", count=3)


def test_a_thief_does_not_fill_the_disk_with_what_is_held(house):
    """HELD_MAX of daemons/usage."""
    with tls(house, user="alice") as wire:
        for n in range(203):
            send(wire, n)
        wire.say(f"MAIL FROM:<{ALICE}>", "250 2.1.0")
        wire.say(f"RCPT TO:<{BOB}>", "250 2.1.5")
        wire.say("DATA", "354")
        wire.send(b"Subject: one too many\r\n\r\n.\r\n")
        wire.expect("452 4.7.1")
    held(house, 200)
    with tls(house, user="bob") as wire:
        send(wire, 7, ALICE, sender=BOB)
    house.wait_letters("alice")


def test_the_postmaster_is_told_once_and_how_to_stop_it(house):
    with tls(house, user="alice") as wire:
        for n in range(7):
            send(wire, n)
    (letter,) = house.wait_letters("carol")
    assert letter.sender == ""
    text = letter.content.decode()
    for word in ("Auto-Submitted: auto-generated", ALICE, OVER, f"stagepost user block {ALICE}",
                 f"To: {CAROL}", min(m["queue_id"] for m in held(house, 4))):
        assert word in text, text
    assert all(len(line) < 79 for line in text.splitlines())
    assert house.run("queue", "delete", "--user", ALICE).stdout.startswith("4 messages")
    house.assert_clean()
    assert len(house.letters("carol")) == 1


def test_what_was_sent_is_remembered_over_deaths(house):
    with tls(house, user="alice") as wire:
        for n in range(3):
            send(wire, n)
    time.sleep(1.5)  # what is older than a second survives
    house.kill_all()
    house.start()
    with tls(house, user="alice") as wire:
        send(wire, 3)
    held(house, 1)
    pid = house.kill("usage")
    wait_for(lambda: house.pid("usage") != pid)
    wait_for(lambda: sends(house, 4), what="a message that counts")
    held(house, 2)
    listed = house.run("user", "list").stdout
    assert re.search(r"(?m)^alice +\S+ +3 +3", listed), listed


def sends(house, n, user="alice"):
    """One message of his own session; False: he can't now."""
    try:
        with tls(house, user=user) as wire:
            send(wire, n, sender=f"{user}@{DOMAIN}")
        return True
    except (AssertionError, ConnectionError, ssl.SSLError):
        return False


@pytest.mark.parametrize("limits, over", [
    ("recipients 5/h", "over the limit of 5 recipients in an hour"),
    ("new-recipients 5/d", "over the limit of 5 recipients in a day to whom the user has never written before"),
], ids=["recipients", "new-recipients"])
def test_recipients_are_counted(stagepost, limits, over):
    house = limited(stagepost, limits).start()
    with tls(house, user="alice") as wire:
        send(wire, 0, BOB, CAROL)
        send(wire, 1, ALICE, *(f"alice+{n}@{DOMAIN}" for n in range(4)))
    assert held(house, 1)[0]["remark"] == over


def test_without_usage_a_users_message_is_put_off(stagepost):
    house = limited(stagepost, "messages 3/h").start()
    with tls(house, user="alice") as wire:
        wire.begin(BOB, sender=ALICE)
        usage = house.kill("usage", signal.SIGSTOP)
        wire.send(stuffed(b"Subject: number 1\r\n\r\n1\r\n"))
        os.kill(usage, signal.SIGKILL)
        wire.expect("451 4.3.0")
        wire.say("NOOP", "250 2.0.0")
    wait_for(lambda: sends(house, 2), what="usage again")
    assert numbers(house.wait_letters("bob")) == [2]


def test_a_stolen_account_is_stopped_at_once_and_what_it_sent_is_held(house):
    """Logins fail, sessions end, what waits is held; over a restart and deaths, until it is unblocked."""
    house.deliver(b"Subject: makes the folder\r\n\r\n", CAROL)
    house.wait_letters("carol")
    box = house.folder / "mail" / DOMAIN / "bob"
    house.write("stagepost.conf", (house.folder / "stagepost.conf").read_text().replace("first 1s; longest 2s", "first 1h"))
    house.run("reload")
    box.write_text("no mailbox: his mail is deferred")
    with tls(house, user="alice") as thief, tls(house, user="bob") as bob:
        waiting = send(thief, 0)
        wait_for(lambda: [m["queue_name"] for m in house.queue()] == ["deferred"])
        said = house.run("user", "block", "alice").stdout
        assert "blocked now" in said and "1 message held" in said, said
        (message,) = held(house, 1)
        assert message["queue_id"] == waiting
        with pytest.raises((ConnectionError, OSError, AssertionError)):
            send(thief, 1)
        bob.say("NOOP", "250 2.0.0")
    refused(house, "alice")
    house.logged("blocked user=alice@trial.example")
    for again in (house.kill_all, house.stop):
        again()
        house.start()
        refused(house, "alice")
        assert len(house.queue("--state", "hold", "--user", ALICE)) == 1
    assert house.run("user", "block", "alice", check=False).returncode == 1
    house.run("user", "unblock", "alice")
    wait_for(lambda: sends(house, 2), what="alice again")
    box.unlink()
    assert house.run("queue", "release", "--user", ALICE).stdout.startswith("1 message")
    house.run("queue", "retry", "--all")
    assert numbers(house.wait_letters("bob", 2)) == [0, 2]


def refused(house, user):
    with tls(house) as wire:
        wire.say("AUTH PLAIN " + plain(f"{user}@{DOMAIN}", PASSWORDS[user]), "535 5.7.8")
