"""
    /etc/resolv.conf of the host --> master --> resolver -- MX? --> the server that it names now

A machine that changes its name servers changes ours, without a reload.
"""
import shutil
from pathlib import Path

import pytest

from remote import Remote
from stagepost import DOMAIN

ZONES = {"here.example": "@ MX 10 mx.hosts.test."}


@pytest.fixture
def hosts(network):
    """`us` reads a resolv.conf of its own: what lies in /etc/netns/NAME stands in for /etc."""
    net = network({"us": 2, "mx": 11}, zones=ZONES)
    folder = Path("/etc/netns") / net.namespace("us")
    folder.mkdir(parents=True)
    net.resolv_conf = folder / "resolv.conf"
    yield net
    shutil.rmtree(folder)
    try:
        folder.parent.rmdir()
    except OSError:
        pass  # somebody else's are there


def test_a_changed_resolv_conf_is_used_without_reload(hosts, stagepost):
    hosts.resolv_conf.write_text("nameserver 127.0.0.1\n")  # nobody listens there
    us = stagepost(net=hosts, resolver=None, top="trust 127.0.0.0/8")
    remote = Remote(hosts.listen("mx"))
    try:
        us.deliver(b"Subject: x\r\n\r\nx\r\n", "you@here.example", sender=f"alice@{DOMAIN}")
        us.logged("deferred .*you@here.example", 90)
        hosts.resolv_conf.write_text(f"search elsewhere.example\nnameserver {hosts.ip4('dns')}\n")
        us.wait_empty(90)
        assert len(remote.received) == 1
    finally:
        remote.end()
