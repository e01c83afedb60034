"""
The clients' names, which nothing waits for:

    client 10.113.0.3 -- SMTP --> us 10.113.0.2 -- PTR? --> nsd 10.113.0.53
"""
import os
import re
import signal
import time

from stagepost import descendants, wait_for
from wire import Wire

CONTENT = b"Subject: a word\r\n\r\nfrom far away\r\n"


def connect(net, host, **keywords):
    with net.inside(host):
        return Wire(25, host=net.ip4("us"), **keywords)


def who(letter):
    """`NAME [ADDRESS]` of the trace field."""
    return re.search(r"from client\.example \((.*?)\)", " ".join(letter.received.split()))[1]


def test_a_client_has_its_name_when_it_has_come(network, stagepost):
    net = network({"us": 2, "client": 3})
    house = stagepost(net=net, resolver="peer-names yes")
    with connect(net, "client") as wire:
        def named():
            qid = wire.deliver(CONTENT)
            letter = wait_for(lambda: [l for l in house.letters("bob") if f" id {qid}" in " ".join(l.received.split())])[0]
            return who(letter) == "client.hosts.test [10.113.0.3]"
        wait_for(named)
        wire.say("RCPT TO:<x@elsewhere.example>", "503 5.5.1")
        wire.say("MAIL FROM:<a@remote.example>", "250 2.1.0")
        wire.say("RCPT TO:<x@elsewhere.example>", "554 5.7.1")
        wire.quit()
    house.logged("accepted client=10.113.0.3 name=client.hosts.test helo=client.example ")
    house.logged("refused step=RCPT client=10.113.0.3 name=client.hosts.test helo=client.example ")
    house.logged("disconnected client=10.113.0.3 name=client.hosts.test how=quit ")
    house.assert_clean()


def test_the_greeting_and_the_mail_never_wait_for_a_name(network, stagepost):
    net = network({"us": 2, "client": 3})
    house = stagepost(net=net, resolver="peer-names yes")
    dns = {net.dns.pid} | descendants(net.dns.pid)
    for pid in dns:
        os.kill(pid, signal.SIGSTOP)
    try:
        begun = time.monotonic()
        with connect(net, "client") as wire:
            wire.deliver(CONTENT)
        assert time.monotonic() - begun < 3
    finally:
        for pid in dns:
            os.kill(pid, signal.SIGCONT)
    assert who(house.wait_letters("bob")[0]) == "unknown [10.113.0.3]"
    house.kill("resolver")
    with connect(net, "client") as wire:
        wire.deliver(CONTENT)
    house.wait_letters("bob", 2)
    house.assert_clean()


def test_without_peer_names_nobody_is_asked(network, stagepost):
    net = network({"us": 2, "client": 3})
    house = stagepost(net=net)
    with connect(net, "client") as wire:
        for n in range(3):
            wire.deliver(CONTENT)
            assert who(house.wait_letters("bob", n + 1)[-1]) == "unknown [10.113.0.3]"
    assert "name=client" not in house.log()
    house.assert_clean()
