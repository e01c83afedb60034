"""
A house whose every disk call is written down (STAGEPOST_DISK_RECORD), with what the world has seen
noted in the same record, and the people around it: a client, a server far away.
"""
import os
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from disk_model import Disk, mark
from house import Client, House, content_of
from reporting import FAR, Far
from stagepost import DOMAIN, IS_ROOT, has_users

SIZES = "262144:131072"     # of segments and ledger files


class Recorded(House):
    """Each disk call of all its processes is written down; mark() adds what the world has seen."""

    mounted = False

    def __init__(self, sizes=SIZES, **configuration):
        self.far = Witness()
        self.far.house = self
        super().__init__(top=f"trust 127.0.0.0/8\noutbound to {FAR} {{ via [127.0.0.1]:{self.far.port} }}", **configuration)
        self.record = Path(tempfile.mkdtemp(prefix="stagepost-record-")) / "record"
        self.record.parent.chmod(0o755)
        self.begin(sizes)

    def begin(self, sizes=SIZES):
        """From here on; what lies there now counts as durable."""
        self.disk = Disk(self.folder, ("spool", "mail", "box"))
        self.record.write_bytes(b"")
        self.record.chmod(0o666)
        self.environment = {"STAGEPOST_DISK_RECORD": str(self.record), "STAGEPOST_SPOOL_SIZES": sizes}

    def start(self, faults=None):
        os.environ.update(self.environment)
        if faults:
            os.environ["STAGEPOST_FAULTS"] = faults
        try:
            return super().start()
        finally:
            for name in [*self.environment, "STAGEPOST_FAULTS"]:
                os.environ.pop(name, None)

    def start_sick(self, faults):
        """With faults until heal()."""
        condition = self.folder / "sick"
        condition.write_text("1")
        condition.chmod(0o644)
        try:
            return self.start(f"while={condition},{faults}")
        except AssertionError:      # it can't begin on such a disk, and says so
            self.heal()
            return self.start()

    def start_plainly(self):
        """Without a record; files are as small as ever."""
        os.environ["STAGEPOST_SPOOL_SIZES"] = self.environment["STAGEPOST_SPOOL_SIZES"]
        try:
            return super().start()
        finally:
            del os.environ["STAGEPOST_SPOOL_SIZES"]

    def install(self, path):
        """That disk in the place of ours, and owned as ours was."""
        self.wipe()
        self.far.taken.clear()
        owners = {"spool": "stagepost-queue" if has_users() and IS_ROOT else None, "mail": self.owner}
        for part, owner in owners.items():
            if (path / part).is_dir():
                shutil.move(path / part, self.folder / part)
            for where, folders, files in os.walk(self.folder / part):
                for name in [".", *files]:
                    shutil.chown(os.path.join(where, name), owner or self.owner)

    def mount_mail(self):
        """Mailboxes on a file system of their own."""
        self.write("users", "".join(f"{u}\n" for u in ("alice", "bob", *(f"u{i}" for i in range(6)))))
        box, image = self.folder / "mail", self.folder / "image"
        box.mkdir()
        with open(image, "wb") as f:
            f.truncate(64 * 1024 * 1024)
        subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True)
        subprocess.run(["mount", "-o", "loop", image, box], check=True)
        self.mounted = True
        shutil.chown(box, self.owner)

    def sendmail(self, name, size):
        subprocess.run([self.programs / "bin" / "sendmail", "-C", self.folder / "stagepost.conf", "-f", f"bob+{name}@{DOMAIN}",
                        f"bob@{DOMAIN}"],
                       input=content_of(name, size).replace(b"\r\n", b"\n"), env={**os.environ, **self.environment}, check=True,
                       capture_output=True, timeout=60)

    def mark(self, *words):
        mark(self.record, " ".join(words))

    def end(self):
        self.crash()
        if self.mounted:
            subprocess.run(["umount", "-l", self.folder / "mail"], check=True)
        super().end()
        self.far.end()
        shutil.rmtree(self.record.parent, ignore_errors=True)


def used_house(sizes=SIZES, ext4=False):
    """One whose spool has had mail before, and is recorded from now on. ext4: its mailboxes lie there."""
    house = Recorded(sizes)
    try:
        if ext4:
            house.mount_mail()
        house.start()
        assert Teller(house).try_one("before", 900, ("bob",))
        house.wait_empty()
        time.sleep(0.3)     # the ledger's 100 ms are over
        house.stop()
        for letter in house.maildir("bob"):
            letter.unlink()
        house.begin(sizes)
    except BaseException:
        house.end()
        raise
    return house


class Teller(Client):
    """A client that notes in the record what it hears, as soon as it has heard it. A recipient named
    good-*, late-* or bad-* is one at Far."""

    early = False   # a control: notes the 250 before it was given

    def __init__(self, house):
        super().__init__(house)
        self.ids, self.tries = {}, 0

    def try_one(self, name, size, boxes, seconds=5):
        self.house.mark("sent", name, str(size), *boxes)
        if self.early:
            self.house.mark("kept", name)
        self.sent[name] = (size, boxes)
        with self.house.connect(seconds=seconds) as wire:
            words = [f"MAIL FROM:<bob+{name}@{DOMAIN}>"]
            words += [f"RCPT TO:<{b}@{FAR if '-' in b else DOMAIN}>" for b in boxes]
            for line in [*words, "DATA"]:
                reply = wire.say(line)
                if reply.code >= 400:
                    return self.refuse(name, reply)
            reply = wire.content(content_of(name, size))
        if reply.code != 250:
            return self.refuse(name, reply)
        self.kept.add(name)
        self.ids[name] = reply.text.split()[-1]
        self.house.mark("kept", name, self.ids[name])
        return True

    def try_again(self, name, size, boxes):
        """Until it is kept: a name of its own each time."""
        self.tries += 1
        try:
            return self.try_one(f"{name}.{self.tries}", size, boxes)
        except (OSError, AssertionError):
            return False


class Witness(Far):
    """Says what it took before its client hears that."""

    def __init__(self):
        self.house, self.taken = None, []
        super().__init__()

    def next(self, phase):
        return super().next(phase) or (self.take if phase == "END" else None)

    def take(self, session):
        message = next(m for m in reversed(self.received) if m.session == session.number)
        name = re.search(r"<bob\+([^@>]+)@", message.sender)[1]
        for r in message.recipients:
            self.taken.append((name, re.search(r"<([^@>]+)@", r)[1]))
            self.house.mark("reached", name, re.search(r"<([^@>]+)@", r)[1])
        return None
