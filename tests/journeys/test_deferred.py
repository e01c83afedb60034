"""
20,000 messages that wait, and what the others notice of it:

    smtp-source ---> smtpd ---> queue ---> smtp --x  100 servers that are down
                                   |         '-----> one of them that is back
                                   '-----> local --> mail/trial.example/bob
"""
import socket
import subprocess
from pathlib import Path

import pytest

from remote import Remote
from stagepost import BUILD, IS_ROOT, wait_for

SOURCE = Path("/usr/sbin/smtp-source")
MESSAGES, SERVERS, SIZE = 20000, 100, 512
EACH = MESSAGES // SERVERS
FAILURES = 3  # of a server until it is left alone; these messages do not wait for its return
OCTETS_PER_MESSAGE = 300
READS_PER_MESSAGE = 4


@pytest.fixture
def house(stagepost):
    """servers: sockets that have a port and do not listen, one for each domain."""
    assert SOURCE.exists(), "the package postfix is missing"
    servers = [socket.socket() for _ in range(SERVERS)]
    for server in servers:
        server.bind(("127.0.0.1", 0))
    ports = [server.getsockname()[1] for server in servers]
    names = " ".join(f"d{i}.example" for i in range(SERVERS))
    house = stagepost(start=False, top="trust 127.0.0.0/8", retry="first 1h; longest 1h",
                      domain=f"domain {names} {{\n    routes file:routes\n"
                             f"    relay [127.0.0.1]:{ports[0]} {{ users file:users }}\n}}")
    house.write("routes", "".join(f"@d{i}.example smtp:[127.0.0.1]:{port}\n" for i, port in enumerate(ports)))
    house.servers = servers
    yield house.start()
    for server in servers:
        server.close()


def fill(house):
    running = [subprocess.Popen([SOURCE, "-d", "-s", "2", "-m", str(EACH), "-l", str(SIZE), "-f", f"s{i}@far.example",
                                 "-t", f"you@d{i}.example", f"127.0.0.1:{house.port}"], stdout=subprocess.DEVNULL)
               for i in range(SERVERS)]
    assert [p.wait(240) for p in running] == [0] * SERVERS
    wait_deferred(house, MESSAGES)


def wait_deferred(house, count, seconds=120):
    wait_for(lambda: house.status()["queue"]["deferred"] == count, seconds, f"{count} deferred messages")


def pss(pid):
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024


def reads(pid):
    """Calls that read from files, so far."""
    return int(dict(line.split(": ") for line in Path(f"/proc/{pid}/io").read_text().splitlines())["syscr"])


def test_twenty_thousand_wait_and_nobody_else_does(house):
    before = pss(house.pid("queue")) if IS_ROOT else 0
    fill(house)
    house.deliver()
    house.wait_letters("bob", 1)
    if IS_ROOT and "san" not in BUILD.parts:
        # What was needed to give them to smtp goes back within 15 s.
        wait_for(lambda: pss(house.pid("queue")) - before < MESSAGES * OCTETS_PER_MESSAGE, 40, "little memory")

    house.stop()
    house.start()
    house.deliver()
    house.wait_letters("bob", 2)
    assert house.status()["queue"]["deferred"] == MESSAGES
    assert house.status()["queue"]["active"] == 0, "a start makes nothing due"

    # All are due at once, and new mail goes between them.
    house.run("queue", "retry", "--all")
    house.deliver()
    house.wait_letters("bob", 3)
    wait_deferred(house, MESSAGES)

    house.kill_all()
    house.start()
    wait_deferred(house, MESSAGES)
    house.deliver()
    house.wait_letters("bob", 4)
    house.verify()
    house.run("queue", "delete", "--all")
    house.assert_clean()


@pytest.mark.skipif(not IS_ROOT, reason="only root may count the calls of another user's process")
def test_a_server_that_is_back_costs_reads_for_its_own_mail_alone(house):
    fill(house)
    one = house.queue("--to", "you@d0.example", "--limit", "1")[0]["queue_id"]
    pid = house.pid("queue")
    before = reads(pid)
    house.servers[0].listen(128)
    server = Remote(house.servers[0])
    try:
        house.run("queue", "retry", one)
        wait_for(lambda: len(server.received) >= EACH - FAILURES, 60, "all that waited for the server")
        wait_deferred(house, MESSAGES - len(server.received))
        assert reads(pid) - before <= EACH * READS_PER_MESSAGE + 100
    finally:
        server.end()
    house.run("queue", "delete", "--all")
    house.assert_clean()
