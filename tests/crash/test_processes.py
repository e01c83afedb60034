"""
No processes: fork fails for a while (EAGAIN, as at RLIMIT_NPROC or when the machine has too many), in the
master and in each fork server. What needs no new process goes on, who needs one hears that it is for
later, and all is well again by itself.

    master X --> daemons     maildrop X --> a session's child     local-system X --> a user's child
    accounts-system X --> a child that asks NSS                            X: fork -> EAGAIN
"""
import pytest

from crowd import MACHINE, Person
from house import Client, chosen, wait_for
from stagepost import IS_ROOT
from test_descriptors import SPIN, rest
from whole import Everyone, house_with_all

pytestmark = pytest.mark.row("no processes")


@pytest.fixture
def house():
    h = house_with_all()
    yield h
    h.end()


@pytest.fixture
def machine():
    """A house that delivers to a user of this machine, and him."""
    if not IS_ROOT:
        pytest.skip("only root makes users")
    person = Person()
    h = house_with_all(more=f"\ndomain {MACHINE} {{ deliver system maildir {{ users system }} }}\n")
    yield h, person
    h.end()
    person.end()


def test_a_session_gets_no_process(house, tally):
    everyone = Everyone(house)
    house.launch("maildrop:fork:1+:EAGAIN", sick=False)
    everyone.all_well(20)
    house.heal(False)
    results = everyone.round()
    assert results.pop("fetch") is False, "a session without a process?"
    assert all(results.values()), results
    house.logged("no process for a session: Resource temporarily unavailable")
    house.heal()
    everyone.all_well(10)
    everyone.settled(copies=1)
    assert "daemon-ended" not in house.log()
    tally(forks=1, kept=len(everyone.kept))


@pytest.mark.parametrize("role", chosen("processes", ("smtpd", "queue", "router", "local", "log"), 1))
def test_the_master_can_start_nothing(house, role, tally):
    """A daemon dies meanwhile. The master tries again, in peace."""
    everyone = Everyone(house)
    everyone.seconds = 1
    house.launch("master:fork:1+:EAGAIN", sick=False)
    everyone.all_well(20)
    house.heal(False)
    pids = house.serving()
    house.kill(role)
    if role == "log":
        house.run("status")
    else:
        house.logged(f"{role} can't be started: fork: Resource temporarily unavailable", count=2)
    pids.pop(role)
    spinning = {name: share for name, share in rest(pids, 1).items() if share > SPIN}
    assert not spinning, spinning
    if role == "smtpd":
        assert everyone.submitted("others") and everyone.fetch("others"), "others do not go on"
    house.heal()
    everyone.seconds = 5
    everyone.all_well(30)
    everyone.settled()
    tally(forks=1, kept=len(everyone.kept))


@pytest.mark.parametrize("role", ["local-system", "accounts-system"])
def test_a_user_of_the_machine_gets_no_process(machine, role, tally):
    house, person = machine
    client, everyone = Client(house), Everyone(house)
    house.launch(f"{role}:fork:1+:EAGAIN", sick=False)
    everyone.all_well(20)
    house.heal(False)

    def send():
        with house.connect(seconds=20) as wire:
            wire.say("MAIL FROM:<far@remote.example>", "250 2.1.0")
            reply = wire.say(f"RCPT TO:<{person.name}@{MACHINE}>")
            if reply.code != 250:
                return reply.code
            wire.say("DATA", "354")
            return wire.content(b"Subject: x\r\n\r\nx\r\n").code
    said = send()
    assert said == 250 if role == "local-system" else said // 100 == 4, said
    if role == "local-system":
        house.logged("no process for a delivery: Resource temporarily unavailable")
        house.logged(f" deferred to={person.name}@")
        assert not person.letters()
    assert client.try_one("others", 900, ("alice",), 20), "others do not go on"
    house.heal()
    wait_for(lambda: send() == 250, 20, "mail for the user")
    house.run("queue", "retry", "--all")
    wait_for(lambda: len(person.letters()) == 1 + (said == 250), 75, "his mail")
    assert " failed to=" not in house.log() and "daemon-ended" not in house.log()
    tally(forks=1, kept=1)


@pytest.mark.control
def test_a_daemon_that_stays_away_is_noticed(house):
    everyone = Everyone(house)
    everyone.seconds = 1
    house.launch("master:fork:1+:EAGAIN", sick=False)
    everyone.all_well(20)
    house.heal(False)
    house.kill("router")
    with pytest.raises(AssertionError, match="not well again"):
        everyone.all_well(3)
