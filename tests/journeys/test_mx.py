"""
    client -- SMTP --> us 10.113.0.2 -- MX? --> nsd 10.113.0.53
                        |
                        +-- port 25 --> mx hosts of other people, each test's own

Mail to other servers by MX: real DNS, real addresses, servers that misbehave by script, and
Debian's Postfix as the one that is known to be right.
"""
import email
import email.policy

import pytest

import net as networks
import postfix as postfixes
from remote import CLOSE, Remote
from stagepost import DOMAIN, Stagepost, wait_for

SENDER = f"alice@{DOMAIN}"
CONTENT = b"From: alice\r\nDate: Tue, 24 Nov 2026 09:00:00 +0000\r\nMessage-ID: <far@away>\r\nSubject: far away\r\n\r\n.a line\r\nthe last\r\n"
HOSTS = ["us", "pref1", "pref2", "live", "live2", "soft", "hard", "busy1", "busy2", "dot", "six", "better",
         "implicit", "canonical", "part", "postfix", "greet1", "greet2", "many", "back"]
ZONES = {
    "pref.example": "@ MX 10 pref1.hosts.test.\n@ MX 20 pref2.hosts.test.",
    "dead.example": "@ MX 10 dead.hosts.test.\n@ MX 20 live.hosts.test.\n",
    "refused.example": "@ MX 10 better.hosts.test.\n@ MX 20 live2.hosts.test.\n",
    "null.example": "@ MX 0 .",
    "soft.example": "@ MX 10 soft.hosts.test.",
    "hard.example": "@ MX 10 hard.hosts.test.",
    "busy.example": "@ MX 10 busy1.hosts.test.\n@ MX 20 busy2.hosts.test.",
    "greet.example": "@ MX 10 greet1.hosts.test.\n@ MX 20 greet2.hosts.test.",
    "dot.example": "@ MX 10 dot.hosts.test.",
    "six.example": "@ MX 10 six.hosts.test.",
    "loop.example": "@ MX 10 us.hosts.test.",
    "behind.example": "@ MX 10 nothing.hosts.test.\n@ MX 20 us.hosts.test.",
    "implicit.example": "@ A 10.113.0.112",
    "alias.example": "www CNAME real.alias.example.\nreal MX 10 canonical.hosts.test.",
    "part.example": "@ MX 10 part.hosts.test.",
    "postfix.example": "@ MX 10 postfix.hosts.test.",
    "many1.example": "@ MX 10 many.hosts.test.", "many2.example": "@ MX 10 many.hosts.test.",
    "back.example": "@ MX 10 back.hosts.test.",
}


@pytest.fixture(scope="module")
def world():
    why = networks.available()
    if why:
        pytest.skip(why)
    hosts = {name: 2 if name == "us" else 100 + i for i, name in enumerate(HOSTS)}
    hosts["implicit"] = 112
    assert len(set(hosts.values())) == len(hosts)
    net = networks.Network(hosts, ip6_only=["six"], zones=ZONES)
    instance = Stagepost(net=net, top="trust 127.0.0.0/8", retry="first 1s; longest 2s; give-up 1h")
    try:
        net.us = instance.start()
        yield net
    finally:
        instance.end()
        net.end()


@pytest.fixture(autouse=True)
def log_of_failures(world):
    """What the log has gained, for a test that fails."""
    before = len(world.us.log())
    yield
    print(world.us.log()[before:][-6000:])


@pytest.fixture
def at(world):
    """at(host, ...): a scripted server on that host's port 25."""
    made = []

    def make(host, **keywords):
        made.append(Remote(world.listen(host), name=f"{host}.hosts.test", **keywords))
        return made[-1]
    yield make
    for remote in made:
        remote.end()


def bounces(us, user="alice"):
    """Reports in the sender's mailbox, parsed."""
    found = []
    for path in us.maildir(user):
        report = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
        if report.get_content_type() == "multipart/report":
            found.append(report)
    return found


def wait_bounce(us, recipient):
    """The report that names this recipient: its fields by recipient."""
    def look():
        for report in bounces(us):
            status = next(part for part in report.iter_parts()
                          if part.get_content_type() == "message/delivery-status")
            for block in status.get_payload()[1:]:
                if recipient in str(block["Final-Recipient"]):
                    return block
        return None
    return wait_for(look, 30, f"a report on {recipient}")


def received(remote, count=1, seconds=30):
    wait_for(lambda: len(remote.received) >= count, seconds, f"{count} messages at {remote.name}")
    return remote.received


def wait_gone(world, domain):
    """Nothing for that domain is in the queue any more."""
    wait_for(lambda: not world.us.queue("--to", f"@{domain}"), 30, f"the end of mail for {domain}")


def send(world, *recipients, content=CONTENT, sender=SENDER):
    return world.us.deliver(content, *recipients, sender=sender)


def test_mail_goes_to_the_mx_with_the_lowest_preference(world, at):
    first, second = at("pref1"), at("pref2")
    for _ in range(5):
        send(world, "you@pref.example")
    assert len(received(first, 5)) == 5
    assert second.sessions == []
    assert first.received[0].content.endswith(b"\r\n\r\n.a line\r\nthe last\r\n")
    assert first.received[0].sender.startswith(f"FROM:<{SENDER}>")
    wait_gone(world, "pref.example")


def test_S37_an_mx_without_address_is_passed_over(world, at):
    live = at("live")
    send(world, "you@dead.example")
    assert len(received(live)) == 1


def test_a_refused_connection_leads_to_the_next_mx(world, at):
    live = at("live2")
    send(world, "you@refused.example")
    assert len(received(live)) == 1


def test_S38_a_null_mx_bounces_at_once(world):
    send(world, "you@null.example")
    block = wait_bounce(world.us, "you@null.example")
    assert str(block["Status"]) == "5.1.10"
    assert str(block["Action"]) == "failed"


def test_4xx_is_tried_again_and_delivered_once(world, at):
    soft = at("soft", script={"RCPT": ["450 4.2.0 not now"]})
    send(world, "you@soft.example")
    assert len(received(soft)) == 1
    wait_gone(world, "soft.example")
    assert len(soft.received) == 1


def test_5xx_bounces_to_the_sender(world, at):
    at("hard", script={"RCPT": ["550 5.1.1 no such user here"]})
    send(world, "nobody@hard.example")
    block = wait_bounce(world.us, "nobody@hard.example")
    assert str(block["Status"]) == "5.1.1"
    assert "no such user here" in str(block["Diagnostic-Code"])
    assert "hard.hosts.test" in str(block["Remote-MTA"])


def test_S46_one_refused_recipient_does_not_stop_the_others(world, at):
    part = at("part", script={"RCPT": [None, "550 5.1.1 no such user", None]})
    send(world, "a@part.example", "b@part.example", "c@part.example")
    assert len(received(part)[0].recipients) == 2
    wait_bounce(world.us, "b@part.example")
    wait_gone(world, "part.example")
    assert len(part.received) == 1


def test_S45_421_leads_to_the_next_mx(world, at):
    at("busy1", script={"EHLO": ["421 4.3.2 too busy"] * 9})
    second = at("busy2")
    send(world, "you@busy.example")
    assert len(received(second)) == 1


def test_S44_a_5xx_greeting_leads_to_the_next_mx(world, at):
    at("greet1", script={"CONNECT": ["554 5.3.2 go away"] * 9})
    second = at("greet2")
    send(world, "you@greet.example")
    assert len(received(second)) == 1


def test_S45_a_connection_lost_after_the_dot_is_tried_again(world, at):
    dot = at("dot", script={"END": [CLOSE]})
    send(world, "you@dot.example")
    received(dot, 2)
    wait_gone(world, "dot.example")
    assert len(dot.received) == 2  # it had the first one, and said nothing


def test_a_host_with_IPv6_alone_is_reached(world, at):
    six = at("six")
    send(world, "you@six.example")
    assert len(received(six)) == 1


def test_S39_mail_that_would_come_back_to_us_bounces(world):
    send(world, "you@loop.example")
    assert str(wait_bounce(world.us, "you@loop.example")["Status"]) == "5.4.6"


def test_S39_behind_a_better_mx_without_address_it_waits(world):
    send(world, "you@behind.example")
    line = world.us.logged("deferred .*you@behind.example")[0]
    assert "4.4.4" in line
    world.us.run("queue", "delete", "--to", "you@behind.example")


def test_S36_without_mx_the_address_of_the_domain_is_taken(world, at):
    implicit = at("implicit")
    send(world, "you@implicit.example")
    assert len(received(implicit)) == 1


def test_S36_a_domain_that_does_not_exist_bounces(world):
    send(world, "you@missing.pref.example")
    assert str(wait_bounce(world.us, "you@missing.pref.example")["Status"]) == "5.4.4"


def test_S36_a_dns_server_that_refuses_means_later(world):
    send(world, "you@nobody-serves.this")
    line = world.us.logged("deferred .*you@nobody-serves.this", 60)[0]
    assert "4.4.3" in line
    world.us.run("queue", "delete", "--to", "you@nobody-serves.this")


def test_S41_a_domain_that_is_an_alias_is_not_rewritten(world, at):
    canonical = at("canonical")
    send(world, "you@www.alias.example")
    assert received(canonical)[0].recipients[0].startswith("TO:<you@www.alias.example>")


def test_domains_with_the_same_hosts_are_one_destination(world, at):
    many = at("many")
    send(world, "a@many1.example", "b@many2.example")
    received(many, 1)
    wait_gone(world, "many1.example")
    wait_gone(world, "many2.example")
    assert sum(len(m.recipients) for m in many.received) == 2


def test_a_destination_that_comes_back_gets_what_has_waited(world, at):
    ids = [send(world, f"you{i}@back.example") for i in range(3)]
    world.us.logged("deferred .*@back.example", count=3)
    back = at("back")
    received(back, len(ids))
    wait_gone(world, "back.example")


class TestPostfix:
    @pytest.fixture(scope="class")
    def peer(self, world):
        why = postfixes.available()
        if why:
            pytest.skip(why)
        peer = postfixes.Postfix(world, "postfix", domains=["postfix.example"],
                                 main="relayhost = [10.113.0.2]\nsmtputf8_enable = yes\n")
        yield peer
        peer.end()

    def test_mail_arrives_at_postfix_octet_for_octet(self, world, peer):
        send(world, "you@postfix.example")
        letter = peer.wait_letters(1)[0]
        assert postfixes.content_of(letter) == CONTENT

    def test_postfix_sends_to_us_with_all_it_knows(self, world, peer):
        before = len(world.us.maildir("bob"))
        peer.send(CONTENT.replace(b"\r\n", b"\n"), f"bob@{DOMAIN}", options=["-N", "success,failure", "-V", "env1"])
        peer.send("Subject: gr\u00fc\u00dfe\n\n8 bit: \u00e4\n".encode(), f"bob@{DOMAIN}")
        wait_for(lambda: len(world.us.maildir("bob")) == before + 2, 30, "two letters")
        wait_for(peer.queue_is_empty, 30, "an empty queue at Postfix")
        wait_for(lambda: len(peer.letters()) >= 1 or "status=sent" in peer.log(), 30)
