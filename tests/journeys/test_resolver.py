"""
    client 10.113.0.x -- SMTP --> smtpd -- whose address is it? --> resolver --> nsd 10.113.0.53

The DNS as the daemons see it: names of clients, for which nobody waits; a server that has gone; a
resolver that has gone; another server after a reload. Mail by MX is test_mx.py.
"""
import smtplib
import socket
import time

import pytest

import net as networks
from stagepost import DOMAIN, Stagepost, wait_for

HOSTS = {"us": 2, "client": 100, "other": 101, "third": 102}
GREETING_SECONDS = 3  # far below the time that a silent server takes


@pytest.fixture(scope="module")
def world():
    why = networks.available()
    if why:
        pytest.skip(why)
    net = networks.Network(HOSTS)
    instance = Stagepost(net=net, resolver="peer-names yes")
    try:
        net.us = instance.start()
        yield net
    finally:
        instance.end()
        net.end()


def received(net, host, subject):
    """The trace field of a mail that this host sent."""
    with net.inside(host):
        client = smtplib.SMTP(net.ip4("us"), 25, local_hostname="greeting.example", timeout=30)
    with client:
        client.sendmail("a@remote.example", [f"bob@{DOMAIN}"], f"Subject: {subject}\r\n\r\nx\r\n")
    (letter,) = wait_for(lambda: [l for l in net.us.letters("bob") if f"Subject: {subject}\n".encode() in l.content])
    return letter.received


def wait_named(net, host, subject):
    """Nobody waits for a name, so the first mail may come before it; a later one finds it known."""
    number = iter(range(1000))
    return wait_for(lambda: f"({host}.hosts.test [{net.ip4(host)}])" in received(net, host, f"{subject} {next(number)}"))


def test_a_client_is_named_in_the_trace_field(world):
    wait_named(world, "client", "named")


def test_names_come_again_after_the_death_of_the_resolver(world):
    world.us.kill("resolver")
    wait_named(world, "client", "named again")


def test_nobody_waits_for_a_name_while_the_dns_is_silent(world):
    world.dns.kill()
    world.dns.wait()
    with world.inside("dns"):
        silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def bound():
        """Its children have the port for a moment longer."""
        try:
            silent.bind((world.ip4("dns"), 53))
        except OSError:
            return False
        return True
    wait_for(bound, what="the port of the DNS server that was killed")
    with silent:
        begun = time.monotonic()
        assert f"(unknown [{world.ip4('other')}])" in received(world, "other", "silent")
        assert time.monotonic() - begun < GREETING_SECONDS


def test_a_reload_changes_the_server(stagepost):
    house = stagepost()
    house.logged(r"resolver\[\d+\]: - notice text=\"the DNS is asked by way of \d+ servers?, not validated\"")
    house.configure(top="resolver { server 127.0.0.1:5399 127.0.0.1:5398; }")
    house.run("reload")
    house.logged(r"resolver\[\d+\]: - notice text=\"the DNS is asked by way of 2 servers, not validated\"")


def test_an_anchor_that_changes_is_taken_and_a_bad_one_is_not(stagepost):
    house = stagepost()
    house.write("anchor", ". IN DS 20326 8 2 e06d44b80b8f1d39a95c0b0d7c65d08458e880409bbc683457104237c7f8ec8d\n")
    house.configure(top="resolver { server 127.0.0.1:5399; anchor anchor; }")
    house.run("reload")
    house.logged("the DNS is asked by way of 1 server, and validated")
    house.write("anchor", "nonsense\n")
    house.logged("the DNS is asked as before")
    house.write("anchor", ". IN DS 38696 8 2 683d2d0acb8c9b712a1948b27f741219298d0a450d612c483af444a4c0fb2b16\n")
    house.logged("the DNS is asked by way of 1 server, and validated", count=2)
