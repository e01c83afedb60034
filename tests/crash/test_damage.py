"""
Damage: while nothing runs, octets of the spool are changed, cut off, exchanged, or put into a
message by a stranger. The start works or says what is wrong; what is whole arrives; what is not is
set aside and shown; nothing that was not sent becomes mail.
"""
import os
import random
import re
import shutil
import signal

import pytest

from house import LARGE, SHORT, Client, House, as_kept, content_of, wait_for
from wire import stuffed
from test_steps import copy_with_owner, keep, own_as

pytestmark = [pytest.mark.row("spoiled spool", "forged spool"), pytest.mark.long]

SEED = int(os.environ.get("CRASH_SEED", "7"))
CASES = 6 if SHORT else 60
MESSAGES = 8
UNSEEN_LARGE = 300000


@pytest.fixture
def house():
    h = House()
    yield h
    h.end()


def filled(house, unseen=2):
    """A spool with deferred messages, two of them large, and some that the ledger does not know."""
    client = Client(house)
    house.start()
    house.block("alice")
    for i in range(MESSAGES):
        size = LARGE if i in (2, 5) else 66000 if i == 3 else 700 + 900 * i
        assert client.try_one(f"known{i}", size, ("alice",))
    wait_for(lambda: house.log().count(" deferred ") >= MESSAGES, what="all deferred")
    manager = house.pid("queue")
    large = stuffed(content_of("unseen0", UNSEEN_LARGE))
    with house.connect(seconds=5) as wire:
        wire.begin("bob@trial.example", sender="unseen0@load.example")
        wire.send(large[:-9000])
        wait_for(lambda: any(f.stat().st_size > 100000 and f.stat().st_size < UNSEEN_LARGE
                             for f in (house.folder / "spool" / "large").iterdir()), 5, "its large file")
        os.kill(manager, signal.SIGSTOP)
        wire.send(large[-9000:])
        assert wire.reply().code == 250
    client.sent["unseen0"] = (UNSEEN_LARGE, ("bob",))
    client.kept.add("unseen0")
    for i in range(1, unseen):
        assert client.try_one(f"unseen{i}", 1100, ("bob",), seconds=2)
    house.crash()
    (house.folder / "mail" / "trial.example" / "alice").unlink()
    template = house.folder / "template"
    template.mkdir()
    for part in ("spool", "mail"):
        shutil.move(house.folder / part, template / part)
    return client


def fresh_copy(house, client):
    house.wipe()
    for part in ("spool", "mail"):
        shutil.copytree(house.folder / "template" / part, house.folder / part, copy_function=copy_with_owner)
        own_as(house.folder / "template" / part, house.folder / part)
    c = Client(house)
    c.sent, c.kept, c.unknown = dict(client.sent), set(client.kept), set(client.unknown)
    return c


def used(path):
    """How far the file has content."""
    data = path.read_bytes()
    return len(data.rstrip(b"\0"))


def begin(house):
    """Starts; False when it says that it can't."""
    done = house.run("start", check=False, seconds=20)
    return done.returncode == 0 and house.opens()


def look(house, client, allowed, what):
    """After a start on a damaged spool: `allowed` messages may be missing, if something tells of
    them."""
    assert client.try_one("after", 700, ("bob",)), "new mail is refused"
    wait_for(lambda: ("after", "bob") in house.names(), 10, "the new mail")

    def settled():
        waits = [m for m in house.queue() if m["queue_name"] not in ("corrupt",)]
        return not waits
    wait_for(settled, 15, "nothing that still waits")
    corrupt = [m["queue_id"] for m in house.queue("--state", "corrupt")]
    missing = house.missing(client)
    aside = list((house.folder / "spool" / "corrupt").iterdir())
    found = house.letters_by_name()
    for (name, box), letters in found.items():
        assert name in client.sent, f"FORGED: {name!r}"
        assert len(letters) <= 2
        for letter in letters:
            size, _ = client.sent[name]
            assert letter.content == as_kept(content_of(name, size)), f"{name} is not what was sent"
    assert len(missing) <= allowed, f"{what}: more is gone than was hurt: {missing}"
    said = len(re.findall("is damaged at octet|can't be scanned", house.log()))
    assert len(missing) <= len(corrupt) + len(aside) or said, f"{what}: SILENT LOSS {missing}, corrupt {corrupt}, aside {aside}"
    if what.startswith("record of"):
        body = content_of("unseen0", UNSEEN_LARGE)[-90000:]
        # when all segments are read, which nothing above waits for
        wait_for(lambda: any(body in f.read_bytes() for f in (house.folder / "spool" / "corrupt").iterdir()), 15,
                 "the content of the large message in corrupt/")
    return len(missing), len(corrupt), len(aside)


def hurt_cases(house, client, hurt, count, allowed, may_refuse):
    rng = random.Random(SEED)
    counts = {"served": 0, "refused": 0, "lost but shown": 0}
    wrong = []
    for i in range(count):
        c = fresh_copy(house, client)
        what = hurt(rng, house.folder / "spool")
        try:
            if not begin(house):
                assert may_refuse, f"{what}: does not start"
                said = [line for line in house.log().splitlines() if re.search("spool can't be opened|fatal|ledger", line)]
                assert said, f"{what}: does not start and does not say why"
                counts["refused"] += 1
                counts.setdefault("says", set()).add(re.sub(r"^\S+ \S+ \S+ ", "", said[-1])[:140])
            else:
                missing, corrupt, aside = look(house, c, allowed, what)
                counts["served"] += 1
                counts["lost but shown"] += missing
        except BaseException as e:
            if isinstance(e, KeyboardInterrupt):
                raise
            keep(house, f"damage-{hurt.__name__}-{i}")
            wrong.append(f"{hurt.__name__} {i} {what}: {str(e)[:400]}")
        house.crash()
    print(f"\n{hurt.__name__}: {count} cases, {counts}")
    assert not wrong, "\n".join(wrong)


def pick(rng, folder, pattern="[0-9]*"):
    """A file with content, the more of it the likelier."""
    files = [f for f in sorted(folder.glob(pattern)) if used(f)]
    return rng.choice(files)


def flip_in_segment(rng, spool):
    f = pick(rng, spool / "segments")
    at = rng.randrange(used(f))
    with f.open("r+b") as o:
        o.seek(at)
        octet = o.read(1)[0]
        o.seek(at)
        o.write(bytes([octet ^ (1 << rng.randrange(8))]))
    return f"{f.name} octet {at}"


def zero_in_segment(rng, spool):
    f = pick(rng, spool / "segments")
    at = rng.randrange(used(f)) & ~4095
    with f.open("r+b") as o:
        o.seek(at)
        o.write(bytes(4096))
    return f"{f.name} zeros at {at}"


def test_a_copy_of_damage_that_was_cut_off_is_made_whole(house):
    """The scan that made it died, or the disk was full: the segment's file is not kept for ever."""
    client = filled(house, unseen=4)

    def copies(cut=None):
        c = fresh_copy(house, client)
        hurt = [f for f in sorted((house.folder / "spool" / "segments").iterdir()) if b"unseen1@" in f.read_bytes()]
        content = hurt[0].read_bytes()
        with hurt[0].open("r+b") as o:
            o.seek(content.index(b"unseen1@"))
            o.write(b"X")
        for name, octets in (cut or {}).items():
            path = house.folder / "spool" / "corrupt" / name
            path.write_bytes(octets[:100])
            owner = path.parent.stat()
            os.chown(path, owner.st_uid, owner.st_gid)
        assert begin(house)
        assert c.try_one("after", 700, ("bob",))
        house.logged("is damaged at octet")
        wait_for(lambda: ("unseen3", "bob") in house.names(), 10, "what lies behind the damage")
        found = {f.name: f.read_bytes() for f in (house.folder / "spool" / "corrupt").glob("segment-*")}
        house.crash()
        return found

    whole = copies()
    assert whole and all(len(octets) > 100 for octets in whole.values())
    assert copies(whole) == whole


def test_a_large_file_of_damage_outlives_a_start_that_could_not_move_it(house):
    client = filled(house)
    fresh_copy(house, client)
    break_record_of_large(None, house.folder / "spool")
    house.launch("queue:rename:1+:EIO")
    wait_for(house.opens, what="a server")
    house.logged(r"large/\d+: Input/output error")
    house.crash()
    house.start()
    body = content_of("unseen0", UNSEEN_LARGE)[-90000:]
    wait_for(lambda: any(body in f.read_bytes() for f in (house.folder / "spool" / "corrupt").iterdir()), 10,
             "the content in corrupt/")


def cut_segment(rng, spool):
    f = pick(rng, spool / "segments")
    at = rng.randrange(used(f))
    os.truncate(f, at)
    return f"{f.name} cut at {at}"


def remove_segment(rng, spool):
    f = pick(rng, spool / "segments")
    f.unlink()
    return f"{f.name} removed"


def exchange_segments(rng, spool):
    a, b = rng.sample(sorted((spool / "segments").iterdir()), 2)
    t = spool / "segments" / "t"
    a.rename(t), b.rename(a), t.rename(b)
    return f"{a.name} and {b.name} exchanged"


def flip_in_large(rng, spool):
    f = pick(rng, spool / "large")
    at = rng.randrange(used(f))
    with f.open("r+b") as o:
        o.seek(at)
        octet = o.read(1)[0]
        o.seek(at)
        o.write(bytes([octet ^ (1 << rng.randrange(8))]))
    return f"large {f.name} octet {at}"


def break_record_of_large(rng, spool):
    """The record that names a large file, which the ledger does not know, in front of another."""
    for f in sorted((spool / "segments").iterdir()):
        octets = f.read_bytes()
        at = octets.find(b"unseen0@load.example")
        if at > 0:
            with f.open("r+b") as o:
                o.seek(at)
                o.write(b"U")
            return f"record of unseen0, {f.name} octet {at}"
    raise AssertionError("no such record")


def cut_large(rng, spool):
    f = pick(rng, spool / "large")
    os.truncate(f, rng.randrange(used(f)))
    return f"large {f.name} cut"


def remove_large(rng, spool):
    f = pick(rng, spool / "large")
    f.unlink()
    return f"large {f.name} removed"


def flip_in_ledger(rng, spool):
    f = pick(rng, spool / "ledger")
    at = rng.randrange(used(f))
    with f.open("r+b") as o:
        o.seek(at)
        octet = o.read(1)[0]
        o.seek(at)
        o.write(bytes([octet ^ (1 << rng.randrange(8))]))
    return f"ledger {f.name} octet {at} of {used(f)}"


def flip_early_in_ledger(rng, spool):
    """In front of the line that lends the segment with the mail."""
    f = pick(rng, spool / "ledger")
    at = rng.randrange(4096, 4096 + 400)
    with f.open("r+b") as o:
        o.seek(at)
        octet = o.read(1)[0]
        o.seek(at)
        o.write(bytes([octet ^ (1 << rng.randrange(8))]))
    return f"ledger {f.name} octet {at}"


def flip_in_ledger_header(rng, spool):
    f = pick(rng, spool / "ledger")
    at = rng.randrange(0, 72)
    with f.open("r+b") as o:
        o.seek(at)
        octet = o.read(1)[0]
        o.seek(at)
        o.write(bytes([octet ^ (1 << rng.randrange(8))]))
    return f"ledger {f.name} octet {at}"


def cut_ledger(rng, spool):
    f = pick(rng, spool / "ledger")
    at = rng.randrange(used(f))
    os.truncate(f, at)
    return f"ledger {f.name} cut at {at}"


def remove_ledger_file(rng, spool):
    f = pick(rng, spool / "ledger")
    f.unlink()
    return f"ledger {f.name} removed"


def strange_things(rng, spool):
    """What does not belong there."""
    kind = rng.choice(("link", "fifo", "folder", "name", "empty"))
    where = spool / rng.choice(("segments", "ledger", "large"))
    name = where / ("%016d" % rng.randrange(1, 99) if where.name == "large" else "%08d" % rng.randrange(1, 99))
    if name.exists():
        name = where / "00000099"
    if kind == "link":
        name.symlink_to("/etc/passwd")
    elif kind == "fifo":
        os.mkfifo(name)
    elif kind == "folder":
        name.mkdir()
    elif kind == "name":
        (where / "core.dump").write_text("x")
    else:
        name.write_bytes(b"")
    return f"{kind} {name}"


# (what is done, messages that may be gone, may the start refuse)
HURTS = [(flip_in_segment, 1, False), (zero_in_segment, 8, False), (cut_segment, MESSAGES + 2, False),
         (remove_segment, MESSAGES + 2, False), (exchange_segments, MESSAGES + 2, False), (flip_in_large, 1, False),
         (break_record_of_large, 1, False), (cut_large, 1, False), (remove_large, 1, False), (flip_in_ledger, MESSAGES, True),
         (flip_early_in_ledger, MESSAGES + 2, True), (flip_in_ledger_header, 0, True), (cut_ledger, MESSAGES, True), (remove_ledger_file, MESSAGES, True), (strange_things, 0, True)]


@pytest.mark.parametrize("hurt,allowed,may_refuse", HURTS, ids=[h[0].__name__ for h in HURTS])
def test_damage(house, hurt, allowed, may_refuse):
    client = filled(house)
    hurt_cases(house, client, hurt, CASES, allowed, may_refuse)


def test_content_that_is_a_piece_of_a_segment_stays_content(house):
    """A stranger's message holds whole batches, records and ledger frames as they lie on the disk,
    at every offset to the border of 4 KiB; then the batches around it are spoiled."""
    client = filled(house)
    segment = next(f for f in sorted((house.folder / "template" / "spool" / "segments").iterdir()) if used(f))
    raw = segment.read_bytes()[:32768]
    fresh_copy(house, client)
    c = Client(house)
    c.sent, c.kept, c.unknown = dict(client.sent), set(client.kept), set(client.unknown)
    house.start()
    wait_for(lambda: not house.missing(c), 20, "what was there")
    house.run("queue", "hold", "--all", check=False)
    # octets that SMTP lets through: all but bare CR and LF
    clean = re.sub(rb"[\r\n]", b"\0", raw)
    contents = {}
    with house.connect(seconds=20) as wire:
        for shift in range(0, 4096, 1024 if SHORT else 256):
            body = b"Subject: forged\r\n\r\n" + b"x" * shift + b"\r\n"
            for at in range(0, len(clean), 900):
                body += clean[at:at + 900] + b"\r\n"
            name = f"forger{shift}"
            wire.deliver(body, "bob@trial.example", sender=f"{name}@load.example")
            contents[name] = body
            # and the record without line ends in between
            wire.deliver(b"\r\n" + b"y" * shift + clean[:60000], "bob@trial.example", sender=f"{name}b@load.example")
            contents[name + "b"] = None
    house.crash()
    house.start()
    wait_for(lambda: all((n, "bob") in house.names() for n in contents), 20, "all of them")
    house.wait_empty()
    strange = [n for n, _ in house.names() if n not in contents and n not in c.sent]
    assert not strange, f"FORGED: {strange}"
    house.verify()
