"""
    client --> us --+-- relay, relay mx: a domain of others behind us --> branch, primary
                    +-- routes: a single address ----------------------> routed
                    +-- outbound from, outbound to: a smarthost --------> fromhost, tohost
                    +-- everything else, by MX -------------------------> anywhere

Each way that the configuration knows out of here, walked by a real mail.
"""
import pytest

import net as networks
from remote import Remote
from stagepost import DOMAIN, Stagepost, wait_for
from wire import Wire

HOSTS = {"us": 2, "branch": 11, "primary": 12, "routed": 13, "fromhost": 14, "tohost": 15, "anywhere": 16}
ZONES = {
    "backup.example": "@ MX 10 primary.hosts.test.\n@ MX 20 us.hosts.test.",
    "world.example": "@ MX 10 anywhere.hosts.test.",
    "special.example": "@ MX 10 anywhere.hosts.test.\nsub MX 10 anywhere.hosts.test.",
}
CONTENT = b"Subject: on its way\r\n\r\nx\r\n"


@pytest.fixture(scope="module")
def world():
    why = networks.available()
    if why:
        pytest.skip(why)
    net = networks.Network(HOSTS, zones=ZONES)
    us = Stagepost(net=net)
    us.write("branch-users", "carol@branch.example\n")
    us.write("ways", f"dave@{DOMAIN} smtp:[routed.hosts.test]:25\n")
    us.configure(
        top="trust 127.0.0.0/8\n"
            f"outbound from alice@{DOMAIN} {{ via [fromhost.hosts.test]:25 }}\n"
            "outbound to .special.example { via [tohost.hosts.test]:25 }\n",
        deliver=f'routes file:ways\n    deliver maildir "mail/%d/%n" {{ users file:users; owner {us.owner} }}',
        domain="domain branch.example { users file:branch-users; relay [branch.hosts.test]:25 }\n"
               "domain backup.example { users any; relay mx }\n")
    remotes = {}
    try:
        us.start()
        remotes = {name: Remote(net.listen(name), name=name) for name in HOSTS if name != "us"}
        yield us, remotes
    finally:
        us.end()
        for remote in remotes.values():
            remote.end()
        net.end()


WAYS = [
    ("bob@world.example", f"carol@{DOMAIN}", "anywhere"),
    ("carol@branch.example", "sender@source.example", "branch"),
    ("anybody@backup.example", "sender@source.example", "primary"),
    (f"dave@{DOMAIN}", "sender@source.example", "routed"),
    ("bob@world.example", f"alice@{DOMAIN}", "fromhost"),
    ("x@sub.special.example", f"carol@{DOMAIN}", "tohost"),
    ("x@special.example", f"carol@{DOMAIN}", "anywhere"),
]


@pytest.mark.parametrize("recipient, sender, where", WAYS)
def test_mail_leaves_by_the_way_that_is_written(world, recipient, sender, where):
    us, remotes = world
    before = {name: len(remote.received) for name, remote in remotes.items()}
    us.deliver(CONTENT, recipient, sender=sender)
    wait_for(lambda: len(remotes[where].received) > before[where], 30, f"a mail at {where}")
    us.wait_empty()
    gained = {name for name, remote in remotes.items() if len(remote.received) > before[name]}
    assert gained == {where}
    assert remotes[where].received[-1].recipients[0].startswith(f"TO:<{recipient}>")


def test_a_relay_domain_refuses_whom_it_does_not_know(world):
    us, _ = world
    with us.connect() as wire:
        wire.say("MAIL FROM:<sender@source.example>", "250 2.1.0")
        wire.say("RCPT TO:<nobody@branch.example>", "550 5.1.1")


def test_a_stranger_may_not_relay(world):
    us, _ = world
    with us.net.inside("anywhere"):
        stranger = Wire(25, host="10.113.0.2")
    with stranger as wire:
        wire.say("MAIL FROM:<sender@source.example>", "250 2.1.0")
        wire.say("RCPT TO:<bob@world.example>", "554 5.7.1")
        wire.say("RCPT TO:<carol@branch.example>", "250 2.1.5")
