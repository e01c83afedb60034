"""
    user -- SMTP, TLS, AUTH --> submission -- MAIL FROM --> router: whose is it? -- aliases, users, senders

A user sends as what is his: semantics S29, S34, and the order of look-ups in router(8).
"""
import pytest

from people import tls, with_people
from stagepost import DOMAIN, wait_for

ALIASES = f"""\
info: alice, bob
press: info
sales+north: bob
both: both, alice
loop: loop2
loop2: loop
out: alice@elsewhere.example
@{DOMAIN}: bob
"""


@pytest.fixture
def us(stagepost):
    house = stagepost(start=False)
    with_people(house, submission="senders file:senders", limits="errors 1000")
    house.write("aliases", ALIASES)
    house.write("senders", f"shared@partner.example alice@{DOMAIN}, bob\n@friends.example bob@{DOMAIN}\n")
    return house.start()


def may(wire, sender):
    """The reply to MAIL; the transaction is ended."""
    reply = wire.say(f"MAIL FROM:<{sender}>")
    if reply.code == 250:
        wire.say("RSET", "250 2.0.0")
    return reply


def test_a_user_sends_as_what_is_his(us):
    allowed = {
        "alice": ["alice", "Alice", "alice+list", "info", "press", "press+x", "both"],
        "bob": ["bob", "info", "sales+north", "whoever", "whoever+x", "sales"],
    }
    refused = {
        "alice": ["bob", "bob+alice", "sales+north", "whoever", "loop", "out", "alicex"],
        "bob": ["alice", "alice+bob", "both", "loop", "out"],
    }
    with tls(us, user="alice") as alice, tls(us, user="bob") as bob:
        for name, wire in (("alice", alice), ("bob", bob)):
            for local in allowed[name]:
                assert may(wire, f"{local}@{DOMAIN}").code == 250, f"{name} as {local}"
            for local in refused[name]:
                reply = may(wire, f"{local}@{DOMAIN}")
                assert (reply.code, reply.text) == (553, f"5.7.1 <{local}@{DOMAIN}>: Sender address rejected: "
                                                             f"not owned by user {name}@{DOMAIN}"), reply
            assert may(wire, "").code == 250, "the null sender is everybody's"
        assert may(alice, "shared@partner.example").code == 250
        assert may(alice, "shared+x@partner.example").code == 250
        assert may(alice, "someone@friends.example").code == 553
        assert may(bob, "shared@partner.example").code == 250
        assert may(bob, "someone@friends.example").code == 250
        assert may(bob, "bob@elsewhere.example").code == 553
        # what was refused leaves the session as it was
        alice.say(f"MAIL FROM:<alice@{DOMAIN}>", "250 2.1.0")
        alice.say("RCPT TO:<anybody@elsewhere.example>", "250 2.1.5")
    us.logged(f"refused step=MAIL client=127[.0-9]* .*user=bob@{DOMAIN} .*not owned by user", count=5)


def test_changed_tables_count_at_once(us):
    with tls(us, user="alice") as alice:
        assert may(alice, f"sales+north@{DOMAIN}").code == 553
        us.write("aliases", ALIASES.replace("sales+north: bob", "sales+north: alice"))
        wait_for(lambda: may(alice, f"sales+north@{DOMAIN}").code == 250, what="the changed alias")
        us.write("senders", f"@partner.example alice@{DOMAIN}\n")
        wait_for(lambda: may(alice, "anyone@partner.example").code == 250, what="the changed table of senders")
