"""
A clock that jumps, under all processes at once, while mail waits and more comes in (common/os/clock_read.h): the wall
clock, as an administrator or a time server sets it, and the clocks since the boot, as a machine finds them that has slept.

    deferred mail, held mail, clients --- jump ---> nothing given up early, no storm of attempts, new mail flows
"""
import datetime
import email.utils
import mmap
import os
import re
import struct
import time

import pytest

from house import SHORT, Client, House, wait_for
from people import PASSWORDS, plain, tls, with_people
from stagepost import DOMAIN, Letter

pytestmark = pytest.mark.row("clock")

HOUR, DAY, YEAR = 3600, 86400, 365 * 86400
RETRY = "first 40s; longest 80s; give-up 5d; give-up-bounces 2d"
WAITING = 6     # messages
LOOK = 1 if SHORT else 3     # seconds after a jump in which attempts are counted


def until(*date):
    """Seconds from now to that day."""
    return int(datetime.datetime(*date, tzinfo=datetime.timezone.utc).timestamp() - time.time())


JUMPS = {"hour-on": HOUR, "hour-back": -HOUR, "year-on": YEAR, "year-back": -YEAR, "ten-years-on": 10 * YEAR, "1970": until(1970, 1, 1),
         "2038": until(2038, 1, 19, 3, 14, 0), "2106": until(2106, 2, 7, 6, 28, 0), "second-back": -1, "change-of-summer-time": HOUR}
SLEEPS = {"an-hour": HOUR, "four-days": 4 * DAY, "a-year": YEAR}
SOME = {"year-back"}
jumps = pytest.mark.parametrize("jump", [pytest.param(n, marks=[] if n in SOME else pytest.mark.long) for n in JUMPS])


class Clock:
    """What all processes of a house take for the time."""

    def __init__(self, folder):
        self.path = folder / "clock"
        self.path.write_bytes(bytes(16))
        self.path.chmod(0o644)
        with open(self.path, "r+b") as f:
            self.map = mmap.mmap(f.fileno(), 16)
        self.wall = self.boot = 0

    def set(self, wall=0, boot=0):
        self.wall, self.boot = wall, boot
        self.map[0:16] = struct.pack("=qq", wall * 1000000, boot * 1000000)

    def now(self):
        return max(time.time() + self.wall, 1)


@pytest.fixture
def house():
    h = House(retry=RETRY)
    h.clock = Clock(h.folder)
    os.environ["STAGEPOST_CLOCK"] = str(h.clock.path)
    yield h
    del os.environ["STAGEPOST_CLOCK"]
    h.end()


def waiting(house):
    """A running house in which mail for bob waits for its next attempt, and one message is held."""
    house.start()
    box, client = house.block("bob"), Client(house)
    for i in range(WAITING):
        assert client.try_one(f"waits{i}", 900, ("bob",))
    wait_for(lambda: attempts(house) >= WAITING, what="all deferred")
    identity = house.queue()[0]["queue_id"]
    house.run("queue", "hold", identity)
    return client, box, identity


def attempts(house):
    return len(re.findall(r" deferred to=<?bob@", house.log()))


def given_up(house):
    return [line for line in house.log().splitlines() if re.search(r" (failed|expired|returned) to=", line)]


def processor_time(house):
    """Of all processes so far, in seconds."""
    house.see()
    total = 0
    for pid in house.pids:
        try:
            with open(f"/proc/{pid}/stat") as f:
                total += sum(map(int, f.read().rsplit(")", 1)[1].split()[11:13]))
        except OSError:
            pass
    return total / os.sysconf("SC_CLK_TCK")


def quiet_and_serving(house, client, name, most, tally):
    """For a moment after the jump: few attempts, nothing given up, no process ended or spinning, new mail arrives."""
    before, ends, used = attempts(house), house.ends(r"\S+"), processor_time(house)
    end, count = time.monotonic() + LOOK, 0
    while time.monotonic() < end:
        assert client.try_one(f"{name}-{count}", 900, ("alice",)), client.refused
        count += 1
        time.sleep(0.1)
    wait_for(lambda: not [m for m in house.missing(client) if m[1] == "alice"], 20, "new mail in its mailbox")
    assert attempts(house) - before <= most, f"{attempts(house) - before} attempts at once"
    assert not given_up(house), given_up(house)
    assert house.ends(r"\S+") == ends, "a process has ended"
    assert processor_time(house) - used < LOOK, "processes spin"
    tally(jumps=1, new_messages=count, attempts=attempts(house) - before)


def finish(house, client, box, identity):
    """All that waited arrives, once."""
    box.unlink()
    assert house.queue("--state", "hold")[0]["queue_id"] == identity
    house.run("queue", "release", identity)
    house.run("queue", "retry", "--all")
    house.drained(client, 60)
    house.audit(client, copies=1)


@jumps
def test_a_wall_clock_that_jumps_begins_no_attempt_and_ends_no_message(house, jump, tally):
    client, box, identity = waiting(house)
    house.clock.set(wall=JUMPS[jump])
    quiet_and_serving(house, client, "after", 0, tally)
    house.clock.set()   # and back again
    quiet_and_serving(house, client, "again", 0, tally)
    finish(house, client, box, identity)


@jumps
def test_a_wall_clock_that_jumps_while_nothing_runs_ends_no_message(house, jump, tally):
    client, box, identity = waiting(house)
    house.stop()
    house.clock.set(wall=JUMPS[jump])
    house.start()
    quiet_and_serving(house, client, "after", WAITING, tally)
    finish(house, client, box, identity)


@pytest.mark.parametrize("sleep", [pytest.param(n, marks=[] if n == "a-year" else pytest.mark.long) for n in SLEEPS])
def test_a_machine_that_has_slept_tries_everything_once_before_it_gives_up(house, sleep, tally):
    client, box, identity = waiting(house)
    before = attempts(house)
    house.clock.set(wall=SLEEPS[sleep], boot=SLEEPS[sleep])
    assert client.try_one("awake", 900, ("alice",))     # something wakes it
    house.run("reload")
    if SLEEPS[sleep] < 5 * DAY:
        quiet_and_serving(house, client, "after", WAITING, tally)
    else:   # over the time of giving up: what is due is tried, and what fails goes back to its sender
        wait_for(lambda: len(given_up(house)) + attempts(house) - before >= WAITING - 1, 60, "an attempt of each")
        tally(jumps=1, attempts=attempts(house) - before + len(given_up(house)))
        assert not [line for line in given_up(house) if "relay=none" in line and "file in the place" in line], "without an attempt"
    assert house.ends(r"\S+") == 0


@jumps
def test_dates_that_people_read_follow_the_wall_clock(house, jump):
    house.start()
    house.clock.set(wall=JUMPS[jump])
    house.deliver(b"Subject: date\r\n\r\ntext\r\n", f"alice@{DOMAIN}")
    letter = Letter(wait_for(lambda: house.maildir("alice"), what="mail")[0])
    said = email.utils.parsedate_to_datetime(letter.received.rsplit(";", 1)[1].strip())
    assert abs(said.timestamp() - house.clock.now()) < 60, letter.received


@jumps
def test_clients_are_neither_cut_off_nor_kept_for_ever(house, jump, tally):
    """An open session goes on; one that is idle ends after its time."""
    house.configure(limits="idle 3s; spool-free 0; errors 1000; per-client 1000")
    house.start()
    with house.connect(seconds=20) as wire, house.connect(seconds=20) as idle:
        wire.begin(f"alice@{DOMAIN}")
        house.clock.set(wall=JUMPS[jump])
        assert wire.content(b"Subject: over a jump\r\n\r\ntext\r\n").code == 250
        began = time.monotonic()
        idle.expect("421")
        assert 1 < time.monotonic() - began < 15
    tally(sessions=2)


@jumps
def test_logins_and_limits_outlive_a_jump(house, jump, tally):
    """Who may send is neither locked out for a year nor free of his limit at once."""
    with_people(house, auth="ban-after 3; ban 1h", submission="messages 50/h", retry=RETRY)
    house.start()

    def login(password):
        with tls(house) as wire:
            return wire.say(f"AUTH PLAIN {plain(f'alice@{DOMAIN}', password)}").code
    assert login(PASSWORDS["alice"]) == 235
    house.clock.set(wall=JUMPS[jump])
    assert login(PASSWORDS["alice"]) == 235
    with tls(house) as wire:
        wire.say(f"AUTH PLAIN {plain(f'alice@{DOMAIN}', PASSWORDS['alice'])}", "235 2.7.0")
        assert wire.deliver(b"Subject: after\r\nFrom: <alice@trial.example>\r\n\r\ntext\r\n", f"bob@{DOMAIN}", sender=f"alice@{DOMAIN}")
    wait_for(lambda: house.maildir("bob"), what="mail of a user")
    tally(logins=3)


@pytest.mark.control
def test_a_message_that_is_given_up_is_noticed(house, tally):
    """As if a jump expired: the administrator returns what waits."""
    client, box, identity = waiting(house)
    other = next(m["queue_id"] for m in house.queue() if m["queue_id"] != identity)
    house.run("queue", "bounce", other)
    wait_for(lambda: given_up(house), what="a message that is returned")
    with pytest.raises(AssertionError):
        quiet_and_serving(house, client, "after", 0, tally)
