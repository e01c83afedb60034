"""
Everything at once: mail that is delivered, relayed, put off, refused and reported on, while daemons
are killed one by one, in pairs and all together, stopped for a while as if they hung, and an
administrator holds, releases, retries, deletes and returns, reloads and restarts.

STORM_SEED=N, STORM_SECONDS=N for each.
"""
import os
import random
import signal
import threading
import time

import pytest

from house import SHORT, wait_for
from reporting import FAR, Far, Reporting
from stagepost import is_there
from test_steps import keep

pytestmark = [pytest.mark.row("kill at random"), pytest.mark.long]

SEED = int(os.environ.get("STORM_SEED", "0")) or random.SystemRandom().randrange(1, 10 ** 6)
SECONDS = float(os.environ.get("STORM_SECONDS", "6" if SHORT else "25"))
CLIENTS = 4
SIZES = [700, 900, 3000, 3000, 20000, 66000, 150000]
# What falls, and whether that may lose the memory of a delivery that was made
STORMS = {
    "queue": (["queue", "unheard:queue"], False),
    "bounce": (["bounce"], False),
    "queue+bounce": (["queue+bounce", "queue", "bounce", "unheard:queue", "unheard:queue+bounce"], False),
    "smtp": (["smtp", "smtp+queue", "smtp+bounce"], True),
    "anything": (["queue", "bounce", "smtp", "smtp-1", "local", "local-1", "smtpd", "router", "log", "control", "resolver",
                  "queue+bounce", "smtp+queue", "bounce+smtp", "local+queue", "queue+bounce+smtp"], True),
    "hung": (["stop:queue", "stop:bounce", "stop:smtp", "stop:local", "stop:router", "stop:bounce+smtp", "stop:queue+local"], False),
    "house": (["master", "all", "restart", "reload"], True),
    "administrator": (["hold", "release", "retry", "reload", "queue", "bounce", "hold", "release", "stop:bounce"], False),
    "returned": (["return", "retry", "queue", "bounce", "return"], False),
    "deleted": (["delete", "retry", "queue", "bounce", "stop:bounce", "delete"], False),
    "all of it": (["hold", "release", "retry", "reload", "queue", "bounce", "smtp", "local", "queue+bounce", "smtp+queue", "all",
                   "stop:bounce", "stop:queue", "stop:smtp", "master", "restart", "return", "delete"], True),
}


class Client(threading.Thread):
    def __init__(self, house, number, stop):
        super().__init__(daemon=True)
        self.house, self.number, self.stop, self.wrong = house, number, stop, None
        self.rng = random.Random(SEED * 100 + number)

    def run(self):
        try:
            count = 0
            while not self.stop.is_set():
                name = f"c{self.number}x{count}"
                count += 1
                self.house.mail[name] = self.make(name)
                if self.house.submit(name) is not True:
                    time.sleep(0.02)
                time.sleep(0.005)
        except BaseException as e:
            self.wrong = e
            raise

    def make(self, name):
        rng = self.rng
        sender = "" if rng.random() < 0.15 else f"bob+{name}"
        kinds = rng.sample(["bad", "good", "late", "worse", "never", "box"] + ["told"] * (sender != ""), rng.randint(1, 3))
        names = {"box": f"bob+{name}@trial.example", "told": f"told+{name}@trial.example"}
        return sender, rng.choice(SIZES), tuple(names.get(k, f"{k}-{name}") for k in kinds)


@pytest.fixture
def house():
    far = Far()
    h = Reporting(far, limits="spool-free 0; errors 1000; per-client 1000")
    yield h
    h.end()
    far.end()


def signal_all(house, names, number):
    """To those that serve; their pids."""
    serving = house.serving()
    pids = {name: serving[name] for name in names if name in serving}
    for pid in pids.values():
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass
    return pids


def strike(house, what, rng):
    if what.startswith("stop:"):
        pids = signal_all(house, what[5:].split("+"), signal.SIGSTOP)
        time.sleep(rng.choice((0.1, 0.5, 1.5)))
        for pid in pids.values():
            if is_there(pid):
                os.kill(pid, signal.SIGCONT)
    elif what.startswith("unheard:"):   # what was committed meanwhile is told to nobody: it is found by a scan
        serving = house.serving()
        if {"queue", "bounce"} <= set(serving):
            os.kill(serving["queue"], signal.SIGSTOP)
            time.sleep(0.3)
            for name in what[8:].split("+"):
                os.kill(serving[name], signal.SIGKILL)
    elif what in ("hold", "release", "retry"):
        house.run("queue", what, "--all", check=False)
    elif what in ("return", "delete"):
        some = [m["queue_id"] for m in house.queue()] if house.serving().get("queue") else []
        for identity in rng.sample(some, min(len(some), 10)):
            house.run("queue", "bounce" if what == "return" else what, identity, check=False)
    elif what == "reload":
        house.run("reload", check=False)
    elif what == "restart":
        house.run("stop", check=False)
        house.start()
    elif what in ("master", "all"):
        house.see()
        if what == "all":
            house.kill_all()
        else:
            pid = house.master()
            os.kill(pid, signal.SIGKILL)
            wait_for(lambda: not is_there(pid))
        house.start()
    else:
        signal_all(house, what.split("+"), signal.SIGKILL)


@pytest.mark.parametrize("storm", STORMS)
def test_each_recipient_has_one_end(house, storm):
    try:
        storm_over(house, storm)
    except BaseException:
        keep(house, f"storm-{storm.replace(' ', '-')}-{SEED}")
        raise


def storm_over(house, storm):
    print(f"STORM_SEED={SEED}")
    rng = random.Random(f"{SEED} {storm}")
    targets, forgetful = STORMS[storm]
    house.mail, house.returned = {}, "return" in targets
    house.start()
    stop = threading.Event()
    clients = [Client(house, i, stop) for i in range(CLIENTS)]
    for c in clients:
        c.start()
    blows = []
    end = time.monotonic() + SECONDS
    try:
        while time.monotonic() < end:
            time.sleep(rng.random() * 0.8)
            blows.append(rng.choice(targets))
            strike(house, blows[-1], rng)
    finally:
        stop.set()
        for c in clients:
            c.join(30)
    assert not any(c.wrong for c in clients), [c.wrong for c in clients]
    wait_for(lambda: {"queue", "bounce", "smtp", "local"} <= set(house.serving()), 30, "all of them there")
    aside = house.queue("--state", "corrupt")
    for _ in range(3):  # an active one takes the release when it is held
        house.run("queue", "release", "--all", check=False)
        time.sleep(0.2)
    if "delete" in targets:
        house.forget_deleted()
    house.settled(copies=9 if forgetful else 1, seconds=90, forgetful=forgetful)
    house.calm()
    print(f"{storm}: {len(house.kept)} acknowledged, {len(house.unknown)} without a reply, {len(house.reports())} reported, "
          f"{len(blows)} blows, {house.deaths('.*')} deaths, {len(aside)} set aside for deaths")
    assert house.kept
