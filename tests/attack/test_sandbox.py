"""
Each daemon is taken over: the build with FAULTS=1 lets it try, from inside and in its usual place, what a
stranger in it would try (common/os/taken_over_faults.h), and every attempt is compared with the table of
SECURITY.md, daemon by daemon and right by right.

    test --- the plan, mapped ---> every daemon and every child --- a line for each attempt ---> test
"""
import mmap
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from house import Client, House, wait_for
from people import PASSWORDS, certificate, scram_entry
from pop3 import fetching
from stagepost import DOMAIN, IS_ROOT, free_port
from test_system_users import people as system_users  # noqa: F401

pytestmark = pytest.mark.row("sandbox")

ROOT = Path(__file__).resolve().parents[2]
SIZE = 16384    # TAKEN_OVER_PLAN
NUMBERS = 64    # of messages: more than any conversation has
ROLES = ["smtpd", "submission", "pop3d", "keys", "usage", "maildrop", "maildrop-child", "pickup", "queue", "router", "accounts", "local",
         "local-system", "local-child", "accounts-system", "control", "resolver", "smtp", "bounce", "log"]
SYSTEM = {"local-system", "local-child", "accounts-system"}
DENIED = {"EPERM", "EACCES", "ENOENT", "EBADF", "EXDEV", "ENOTDIR", "EINVAL", "ENOSYS", "ESRCH", "EAFNOSUPPORT", "EPROTONOSUPPORT"}


class Plan:
    """What all shall try; written while they run."""

    def __init__(self, folder):
        self.folder = folder / "taken"
        self.folder.mkdir()
        self.folder.chmod(0o777)
        self.path = self.folder / "plan"
        self.path.write_bytes(b"0" * SIZE)
        self.path.chmod(0o644)

    def now(self, attempts):
        text = b"1\n" + "".join(" ".join(map(str, a)) + "\n" for a in attempts).encode() + b"end\n"
        with open(self.path, "r+b") as f, mmap.mmap(f.fileno(), SIZE) as at:
            at[1:SIZE] = text[1:].ljust(SIZE - 1, b"\n")
            at[0:1] = b"1"

    def over(self):
        """Who starts now tries nothing."""
        with open(self.path, "r+b") as f:
            f.write(b"0")

    def results(self):
        """{role: {attempt: result}} of all whose report is whole."""
        found = {}
        for path in self.folder.glob("plan.*.*"):
            lines = [line.split() for line in path.read_text().splitlines()]
            if lines and lines[-1][1] == "end":
                for role, name, result in lines[:-1]:
                    # of several processes of a role, one that succeeds is enough
                    if found.setdefault(role, {}).get(name) != "0":
                        found[role][name] = result
        return found


def documented():
    """{attempt: set of roles that may}, as SECURITY.md has it."""
    rows = re.findall(r"^\| `([a-z_-]+)` \|[^|]*\|([^|]*)\|$", (ROOT / "SECURITY.md").read_text(), re.M)
    return {name: set(re.findall(r"`([a-z-]+)`", roles)) for name, roles in rows}


@pytest.fixture(scope="module")
def taken(request):
    """Everything was taken over once: {role: {attempt: result}}."""
    person, service = None, None
    if IS_ROOT:
        person = request.getfixturevalue("system_users")[0]
        service = Path("/etc/pam.d") / f"stagepost-{os.getpid()}"
        shutil.copy(ROOT / "conf" / "pam", service)
    house = everything(service)
    listener = socket.create_server(("127.0.0.1", 0))
    local = socket.socket(socket.AF_UNIX)
    local.bind(str(house.folder / "socket"))
    local.listen()
    (house.folder / "socket").chmod(0o777)
    try:
        plan = Plan(house.folder)
        os.environ["STAGEPOST_TAKEN_OVER"] = str(plan.path)
        try:
            house.start()
        finally:
            del os.environ["STAGEPOST_TAKEN_OVER"]
        work(house, person, "before")
        (house.folder / "users").chmod(0o600)
        plan.now(attempts(house, listener.getsockname()[1]))
        house.run("reload")
        work(house, person, "after")
        wanted = set(ROLES) - (set() if person else SYSTEM)
        wait_for(lambda: set(plan.results()) >= wanted, 20, f"a report of all; missing: {wanted - set(plan.results())}")
        yield plan.results()
    finally:
        listener.close()
        local.close()
        if service:
            service.unlink()
        house.end()


def everything(service):
    """A house with every daemon there is."""
    house = House()
    house.pop3, house.pop3s, house.submission = free_port(), free_port(), free_port()
    certificate(house.folder)
    house.write("users", "".join(f"{user}:{scram_entry(password)}\n" for user, password in PASSWORDS.items()))
    house.configure(
        domain=f"domain far.example {{ users any; relay [127.0.0.1]:{free_port()} }}",
        listen=f"; listen 127.0.0.1:{house.pop3} pop3; listen 127.0.0.1:{house.pop3s} pop3s; "
               f"listen 127.0.0.1:{house.submission} submission",
        top="resolver { server 127.0.0.1:9 }\ntls { certificate server.pem; key server.key }\nauth { passwords file:users" +
            (f"; passwords pam {service.name}" if service else "") + " }\n",
        deliver=f'deliver maildir "mail/%d/%n" {{ users file:users; owner {house.owner} }}' +
                ('\ndeliver system maildir "~/Maildir" { users system }' if service else ""))
    return house


def work(house, person, name):
    """Something for everybody: a mailbox, a user of the machine, another server, a report, a login, POP3."""
    house.deliver(f"Subject: {name}\r\n\r\ntext\r\n".encode(), f"alice@{DOMAIN}", f"bob@{DOMAIN}")
    if person:
        house.deliver(f"Subject: {name}\r\n\r\ntext\r\n".encode(), f"{person.name}@{DOMAIN}")
        subprocess.run([house.programs / "bin" / "stagepost", "-c", house.folder / "stagepost.conf", "user", "test", "--stdin",
                        person.name], input="wrong\n", text=True, capture_output=True, timeout=60)
    house.deliver(b"Subject: no way\r\n\r\ntext\r\n", "nobody@far.example")
    with fetching(house) as client:
        client.stat()


def attempts(house, port):
    """(kind, name, argument)"""
    segment = next((house.folder / "spool").glob("segments/*"))
    ledger = next((house.folder / "spool").glob("ledger/*"))
    mail = wait_for(lambda: house.maildir("bob"), what="mail of somebody whose mailbox nobody opens")[0]
    other = house.master()
    return [
        ("read", "read-passwd", "/etc/passwd"), ("escape", "escape", "/etc/passwd"),
        ("read", "read-spool", ledger), ("write", "write-segment", segment), ("create", "create", house.folder / "taken" / "made"),
        ("read", "read-key", house.folder / "server.key"), ("read", "read-passwords", house.folder / "users"),
        ("read", "read-mailbox", mail),
        ("exec", "exec", "/bin/true"), ("fork", "fork"), ("connect", "connect", port), ("datagram", "datagram", port),
        ("listen", "listen"), ("local-socket", "local-socket", house.folder / "socket"), ("raw", "raw-socket"), ("netlink", "netlink"),
        ("ptrace", "ptrace", other), ("signal", "signal", other), ("memory", "read-memory", other), ("steal", "steal-descriptor", other),
        ("truncate", "truncate"), ("read-back", "read-back"), ("executable-memory", "executable-memory"),
        ("make-executable", "make-executable"), ("memory-file", "memory-file"), ("root", "root"), ("chroot", "chroot"),
        ("mount", "mount"), ("namespace", "namespace"), ("dumpable", "dumpable"), ("clock", "clock"),
        *(("kernel", name, name) for name in ("bpf", "io_uring", "perf", "keys", "userfaultfd", "module", "handle"))]


def differences(taken, may):
    """Where the results are not as the table has them."""
    wrong = []
    for role, results in sorted(taken.items()):
        for name, result in results.items():
            allowed = role in may[name]
            nothing_to_try = name in ("truncate", "read-back") and result == "ENOENT"
            if allowed and result != "0" and not nothing_to_try or not allowed and result not in DENIED:
                wrong.append(f"{role} {name}: {result}, the table says {'yes' if allowed else 'no'}")
    return wrong


def test_each_daemon_has_the_rights_of_the_table_and_no_other(taken, tally):
    may = documented()
    tried = {name for results in taken.values() for name in results}
    assert tried and tried == set(may), f"tried and documented differ: {tried ^ set(may)}"
    wrong = differences(taken, may)
    assert not wrong, "\n".join(wrong)
    for role in ("smtpd", "submission"):
        assert taken[role]["truncate"] == taken[role]["read-back"] == "EPERM", "its own segment was open, and is not to be cut or read"
    results = [result for role in taken.values() for result in role.values()]
    tally(daemons=len(taken), attempts=len(results), refused=len(results) - results.count("0"))


@pytest.mark.control
def test_a_right_too_many_and_one_too_few_are_noticed(taken):
    may = documented()
    assert differences(taken, {**may, "connect": may["connect"] - {"smtp"}}) == ["smtp connect: 0, the table says no"]
    assert differences(taken, {**may, "exec": {"smtpd"}}) == ["smtpd exec: EPERM, the table says yes"]


@pytest.mark.control
def test_the_attempts_succeed_where_there_is_no_sandbox(tmp_path, tally):
    """But for those that do harm, or that no kernel of today gives."""
    library = tmp_path / "tries.so"
    subprocess.run(["cc", "-std=c17", "-D_GNU_SOURCE", "-shared", "-fPIC", f"-I{ROOT}", "-o", library,
                    ROOT / "common/os/taken_over_tries_faults.c"], check=True, timeout=60)
    segment = tmp_path / "segment"
    segment.write_bytes(b"content")
    with socket.create_server(("127.0.0.1", 0)) as listener, subprocess.Popen(["sleep", "60"]) as other:
        attempts = {"read": "/etc/passwd", "escape": "/etc/passwd", "write": segment, "create": tmp_path / "made", "fork": "", "listen": "",
                    "connect": listener.getsockname()[1], "datagram": 9, "netlink": "", "ptrace": other.pid, "signal": other.pid,
                    "truncate": "", "read-back": "", "executable-memory": "", "make-executable": "", "memory-file": "",
                    "dumpable": "", "kernel": "keys", "exec": "/bin/true"}
        attempts |= {"root": "", "chroot": "", "raw": "", "steal": other.pid, "memory": other.pid} if IS_ROOT else {}
        code = """if True:
            import ctypes, os, sys
            tries = ctypes.CDLL(sys.argv[1])
            directory = os.open(".", os.O_RDONLY)
            segment = os.open(sys.argv[2], os.O_WRONLY)
            sys.exit(tries.taken_over_try(sys.argv[3].encode(), sys.argv[4].encode()))"""
        try:
            for kind, argument in attempts.items():
                done = subprocess.run([sys.executable, "-c", code, library, segment, kind, str(argument)], cwd="/", timeout=30)
                assert done.returncode == 0, f"{kind}: {os.strerror(done.returncode)}"
                tally(attempts_that_can_succeed=1)
        finally:
            other.kill()


@pytest.mark.long
@pytest.mark.parametrize("numbers", [range(first, NUMBERS, 8) for first in range(1, 9)])
def test_a_message_that_is_not_in_the_routes_does_nothing(numbers, tally):
    """Every daemon says it to everybody it is connected with: who hears it ends the conversation, the master starts
    the liar again, and no mail has changed."""
    print(f"numbers {list(numbers)}")
    for number in numbers:
        house = everything(None)
        try:
            plan = Plan(house.folder)
            os.environ["STAGEPOST_TAKEN_OVER"] = str(plan.path)
            try:
                house.start()
            finally:
                del os.environ["STAGEPOST_TAKEN_OVER"]
            box = house.block("bob")
            client = Client(house)
            assert client.try_one("waits", 900, ("bob",))
            wait_for(lambda: house.log().count(" deferred ") >= 1, what="a deferred message")
            before = [m["queue_id"] for m in house.queue()]
            plan.now([("speak", "speak", number)])
            house.run("reload", check=False)
            wait_for(lambda: len(plan.results()) > 10, 20, "that most have spoken")
            plan.over()
            ended = wait_for(lambda: re.findall(r"daemon-ended role=(\S+) pid=\d+ (\S+)", house.log()), 20, "an end")
            wait_for(lambda: client.try_one(f"after-{time.monotonic_ns()}", 900, ("alice",), seconds=2), 60, "service again")
            assert [m["queue_id"] for m in house.queue() if m["queue_id"] in before] == before
            crashed = [line for line in house.log().splitlines() if re.search(r"daemon-ended .*signal=(11|6|7|4|8)\b", line)]
            assert not crashed, f"number {number}: {crashed}"
            box.unlink()
            house.drained(client, 60)
            house.audit(client)
            tally(messages_that_nobody_takes=len(plan.results()), ends=len(ended))
        finally:
            house.end()
