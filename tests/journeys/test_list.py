"""
One message to many:

    client -- 20,000 RCPT --> smtpd ---> queue ---> smtp ---> the relay of everybody
    client -- list@trial.example --> smtpd ---> queue = 5,000 members ---> the same
                                        X                X
                                                 nobody there: reports ---> mail/trial.example/bob

Each recipient is reached once, whoever of ours dies: an agent keeps what the queue has not written yet.
"""
import collections
import re
import socket

import pytest

from remote import Remote
from stagepost import DOMAIN, wait_for

RECIPIENTS, DOMAINS = 20_000, 200
MEMBERS = 5_000
TOLD = 5_000      # recipients that one report tells of
AHEAD = 500       # commands that are sent before their replies are read
LIMITS = "recipients 100000; errors 1000"


def addresses(count=RECIPIENTS):
    return [f"user{i}@d{i % DOMAINS}.list.example" for i in range(count)]


def send_list(house, recipients, sender="bob@" + DOMAIN):
    with house.connect(seconds=60) as wire:
        wire.say(f"MAIL FROM:<{sender}>", "250 2.1.0")
        for at in range(0, len(recipients), AHEAD):
            some = recipients[at:at + AHEAD]
            wire.send("".join(f"RCPT TO:<{r}>\r\n" for r in some).encode())
            for _ in some:
                wire.expect("250 2.1.5")
        wire.say("DATA", "354")
        assert wire.content(b"Subject: to all of you\r\n\r\nhello\r\n").code == 250


@pytest.fixture
def relay():
    remote = Remote(socket.create_server(("127.0.0.1", 0), backlog=100))
    yield remote
    remote.end()


def port_of(remote):
    return remote.listener.getsockname()[1]


def house_of(stagepost, port, **more):
    return stagepost(top=f"trust 127.0.0.0/8\noutbound {{ via [127.0.0.1]:{port} }}", limits=LIMITS, **more)


def reached(remote):
    """How often each was, and in how many transactions."""
    messages = list(remote.received)
    return collections.Counter(re.search("<(.*?)>", r)[1] for m in messages for r in m.recipients), len(messages)


def killed(house, who):
    house.kill(who)
    wait_for(lambda: house.run("queue", "list", check=False).returncode == 0, 30, "the queue to be back")


def assert_each_once(remote, wanted):
    counts, _ = reached(remote)
    assert set(counts) == set(wanted)
    assert [r for r, n in counts.items() if n > 1] == []


@pytest.mark.parametrize("who", ["", "queue", "router"])
def test_each_of_twenty_thousand_is_reached_once(stagepost, relay, who):
    house = house_of(stagepost, port_of(relay))
    recipients = addresses()
    send_list(house, recipients)
    if who:
        wait_for(lambda: len(relay.received) > 20, 30, "some of it to be delivered")
        killed(house, who)
    house.wait_empty(90)
    assert_each_once(relay, recipients)
    house.assert_clean()
    if not who:
        _, transactions = reached(relay)
        assert transactions == RECIPIENTS // 100  # however the domains were mixed


@pytest.mark.parametrize("who", ["", "queue"])
def test_each_member_of_a_list_is_reached_once(stagepost, relay, who):
    house = house_of(stagepost, port_of(relay))
    members = addresses(MEMBERS)
    house.write("aliases", "list: " + ",\n  ".join(members) + "\n")
    house.run("reload")
    send_list(house, [f"list@{DOMAIN}"])
    if who:
        wait_for(lambda: len(relay.received) > 5, 30, "some of it to be delivered")
        killed(house, who)
    house.wait_empty(60)
    assert_each_once(relay, members)
    house.assert_clean()


def test_a_dead_relay_puts_all_off_and_the_administrator_sees_and_deletes_them(stagepost):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        house = house_of(stagepost, nobody.getsockname()[1], retry="first 1h; longest 1h")
        send_list(house, addresses())
        item, = wait_for(lambda: (q := house.queue()) and q[0]["queue_name"] == "deferred" and q, 60, "all to be put off")
        for _ in range(2):
            assert [r["address"] for r in item["recipients"]] == addresses()
            assert all("delay_reason" in r for r in item["recipients"])
            house.kill_all()
            house.start()
            item, = house.queue()
        assert house.run("queue", "show", item["queue_id"]).stdout.count(".list.example") >= RECIPIENTS
        assert house.run("queue", "delete", item["queue_id"]).stdout.startswith("1 message")
        house.assert_clean()


def test_the_sender_is_told_of_each_that_could_not_be_reached(stagepost):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        house = house_of(stagepost, nobody.getsockname()[1], retry="first 1s; longest 1s; give-up 1s")
        send_list(house, addresses())
        house.wait_empty(120)
    letters = house.wait_letters("bob", RECIPIENTS // TOLD, seconds=30)
    told = collections.Counter(a.decode() for letter in letters
                               for a in re.findall(rb"(?m)^Final-Recipient: rfc822; *(\S+)", letter.content))
    assert set(told) == set(addresses()) and set(told.values()) == {1}
    assert len(letters) == RECIPIENTS // TOLD
    house.assert_clean()
