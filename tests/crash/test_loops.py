"""
Mail that goes round, and reports that can't be delivered:

    A: loop@a.example --> loop@b.example        B: loop@b.example --> loop@a.example
    the sender, bob, is told once, when the hop limit is reached; nothing stays in a queue
"""
import re

import pytest

from house import House, wait_for
from reporting import FAR, Far, Reporting, is_report

pytestmark = pytest.mark.row("loops and reports")

HOPS_MAX = 100


def trips(*houses):
    return sum(len(re.findall(r" accepted ", h.log())) for h in houses)


def reports(*houses, to="bob"):
    return [letter for h in houses for letter in h.letters(to) if is_report(letter)]


def settled(*houses):
    wait_for(lambda: not any(h.queue() for h in houses), 60, "empty queues")
    wait_for(lambda: reports(*houses), 30, "a report")
    wait_for(lambda: not any(h.queue() for h in houses), 30, "empty queues")


@pytest.fixture
def two():
    houses = [House(), House()]
    for us, own, other, there in ((houses[0], "a", "b", houses[1]), (houses[1], "b", "a", houses[0])):
        us.write("loops", f"loop: loop@{other}.example\n")
        us.configure(top=f"trust 127.0.0.0/8\noutbound to {other}.example {{ via [127.0.0.1]:{there.port} }}",
                     domain=f'domain {own}.example {{ aliases file:loops; deliver maildir "mail/%d/%n" {{ users static:x; owner {us.owner} }} }}', limits="spool-free 0; errors 1000; per-client 1000")
        text = (us.folder / "stagepost.conf").read_text()
        us.write("stagepost.conf", text.replace("hostname mx.", f"hostname {own}."))
        us.start()
    yield houses
    for h in houses:
        h.end()


def test_two_that_alias_to_each_other_stop_and_tell_once(two, tally):
    two[0].deliver(b"Subject: round\r\n\r\nand round\r\n", "loop@a.example", sender="bob@trial.example")
    settled(*two)
    count = trips(*two)
    assert 2 < count <= HOPS_MAX + 2, count
    assert len(reports(*two)) == 1
    assert b"5.4.6" in reports(*two)[0].content
    tally(loops=1, hops=count)


def test_a_way_that_leads_to_the_server_itself_is_not_configured(tally):
    house = House()
    try:
        house.configure(top=f"outbound to self.example {{ via [127.0.0.1]:{house.port} }}")
        done = house.run("start", check=False)
        assert done.returncode == 78 and "leads to this server itself" in done.stderr
        tally(loops=1)
    finally:
        house.end()


def test_reports_that_nobody_takes_reach_the_postmaster_once_each(tally):
    far = Far()
    house = Reporting(far)
    try:
        house.start()
        count = 20
        for i in range(count):
            house.deliver(b"Subject: to nobody\r\n\r\nfrom nobody\r\n", f"bad-r{i}@{FAR}", sender=f"bad-s{i}@{FAR}")
        wait_for(lambda: len(reports(house, to="alice")) >= count, 60, "the postmaster told")
        house.wait_empty()
        told = reports(house, to="alice")
        assert len(told) == count and not reports(house), len(told)
        assert not far.received, "a report went on its way again"
        tally(reports_on_reports=count)
    finally:
        house.end()
        far.end()
