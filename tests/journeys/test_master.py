"""
The master alone, with stand-ins for all daemons but log:

    master --- starts, wires, gives ---> log, accounts, router, resolver, queue, local x2, smtp x2, control, smtpd x2,
                                                        submission, pickup
       ^                                   |
       '------ sees it end, starts it again'

Every test runs twice where it can: as root with a user for each daemon, and as an ordinary user.
"""
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("BUILD", ROOT / "build"))
ROLES = ["accounts", "router", "resolver", "queue", "bounce", "local", "smtp", "control", "smtpd", "submission", "pickup"]
STATUS, STOP, RELOAD = b"1", b"2", b"3"
NOBODY = 65534


def has_users():
    try:
        for role in ROLES + ["log"]:
            pwd.getpwnam(f"stagepost-{role}")
        pwd.getpwnam("vmail")
    except KeyError:
        return False
    return True


MODES = ["user"] + (["root"] if os.getuid() == 0 else [])


def wait_for(what, seconds=15):
    """Asks until the answer is true, and returns it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        answer = what()
        if answer:
            return answer
        time.sleep(0.01)
    raise AssertionError("it did not come true in time")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@pytest.fixture(scope="session")
def programs():
    """A folder with master, log and the stand-ins, compiled from idle.c."""
    folder = Path(tempfile.mkdtemp(prefix="stagepost-"))
    folder.chmod(0o755)
    idle = folder / "idle"
    libraries = sorted(str(p) for p in (BUILD / "lib").glob("*.a"))
    flags = ["-fsanitize=address,undefined"] if "san" in BUILD.parts else []
    subprocess.run(
        ["cc", "-std=c17", "-D_GNU_SOURCE", f"-I{ROOT}", *flags, "-o", idle, ROOT / "tests/journeys/idle.c",
         "-Wl,--start-group", *libraries, "-Wl,--end-group", "-lev", "-lseccomp", "-lcrypto", "-lbsd", "-lpthread"],
        check=True, timeout=60)
    for role in ROLES:
        if role != "submission":  # which is the program smtpd
            shutil.copy(idle, folder / role)
    for program in ("master", "log"):
        shutil.copy(BUILD / "libexec" / program, folder / program)
    yield folder
    shutil.rmtree(folder)


class House:
    """One configuration, and the masters that are started on it."""

    def __init__(self, programs, folder, mode):
        self.programs, self.folder, self.mode = programs, folder, mode
        self.port = free_port()
        self.masters = []
        (folder / "log").mkdir()
        (folder / "users").write_text("bob\n")
        (folder / "aliases").write_text("root: bob\n")
        self.configure()
        if mode == "user" and os.getuid() == 0:
            for path in [folder, *folder.iterdir()]:
                os.chown(path, NOBODY, NOBODY)

    def configure(self, more="", listen=None, domain="trial.example"):
        (self.folder / "stagepost.conf").write_text(
            f"hostname mx.trial.example\nspool spool\nrun run\nlog file log/mail.log\n"
            f"postmaster bob@trial.example\nlisten 127.0.0.1:{listen or self.port} smtp\n"
            f"aliases file:aliases\nprocesses {{ smtpd 2 }}\n"
            f"domain {domain} {{ deliver maildir \"mail/%d/%n\" {{ users file:users; owner vmail }} }}\n{more}\n")

    def start(self, *arguments, programs=None, **keywords):
        if self.mode == "user" and os.getuid() == 0:
            keywords.update(user=NOBODY, group=NOBODY, extra_groups=[])
        keywords.setdefault("stderr", subprocess.PIPE)
        master = subprocess.Popen(
            [(programs or self.programs) / "master", "-c", self.folder / "stagepost.conf", *arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, **keywords)
        self.masters.append(master)
        return master

    def serve(self, **keywords):
        """Starts a master and returns when every daemon serves."""
        ready, told = os.pipe()
        master = self.start("--foreground", "--ready-fd", str(told), pass_fds=[told], **keywords)
        os.close(told)
        with os.fdopen(ready, "rb") as f:
            word = f.read()
        assert word == b"\n", word
        return master

    def refused(self, **keywords):
        """Starts a master that must not start: its exit code and what it says."""
        master = self.start("--foreground", **keywords)
        _, said = master.communicate(timeout=30)
        return master.returncode, said

    def log(self, name="mail.log"):
        path = self.folder / "log" / name
        return path.read_text() if path.exists() else ""

    def logged(self, pattern, count=1):
        """Waits until the log has that many lines like this."""
        return wait_for(lambda: len(m := re.findall(pattern, self.log())) >= count and m)

    def ask(self, verb):
        """What the master answers to a verb, by the stand-in for control."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
            s.settimeout(30)
            with in_folder(self.folder / "run"):
                s.connect("control")
            s.send(verb)
            answer = ""
            while part := s.recv(8192):
                answer += part.decode()
            return answer


    def background(self):
        """pid of a master that went to the background."""
        return int((self.folder / "spool" / "lock").read_text())

    def end_background(self):
        if not (self.folder / "run" / "control").exists():
            return
        pid = self.background()
        if Path(f"/proc/{pid}/exe").exists() and os.readlink(f"/proc/{pid}/exe").endswith("/master"):
            os.kill(pid, signal.SIGTERM)
            wait_for(lambda: not is_there(pid))


class in_folder:
    def __init__(self, folder):
        self.folder = folder

    def __enter__(self):
        self.before = os.getcwd()
        os.chdir(self.folder)

    def __exit__(self, *unused):
        os.chdir(self.before)


def children(master):
    """pid of each daemon by its name in the table of processes: {"smtpd-1": 123}."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rsplit(")", 1)[1].split()[1])
            if parent != master.pid:
                continue
            title = (stat.parent / "cmdline").read_bytes().rstrip(b"\0 ").decode()
        except (OSError, IndexError, ValueError):
            continue
        if title.startswith("stagepost: "):
            found[title[len("stagepost: "):].replace(" ", "-")] = int(stat.parent.name)
    return found


def is_there(pid):
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False


EVERYONE = {"log", "accounts", "router", "resolver", "queue", "bounce", "local", "local-1", "smtp", "smtp-1", "control",
            "smtpd", "smtpd-1", "submission", "pickup"}


@pytest.fixture(params=MODES)
def house(request, programs):
    if request.param == "root" and not has_users():
        pytest.skip("the system users of conf/sysusers.conf are not there")
    folder = Path(tempfile.mkdtemp(prefix="stagepost-"))
    folder.chmod(0o755)
    h = House(programs, folder, request.param)
    yield h
    for master in h.masters:
        if master.poll() is None:
            master.terminate()
            try:
                master.wait(40)
            except subprocess.TimeoutExpired:
                master.kill()
    h.end_background()
    shutil.rmtree(folder)


def test_starts_every_daemon(house):
    master = house.serve()
    assert set(children(master)) == EVERYONE
    house.logged(r"master\[%d\]: - notice text=\"every daemon serves\"" % master.pid)


def test_a_killed_daemon_is_started_again(house):
    master = house.serve()
    for name, pid in sorted(children(master).items()):
        os.kill(pid, signal.SIGKILL)
        fresh = wait_for(lambda: (p := children(master).get(name)) and p != pid and p)
        assert fresh
        house.logged(rf"- daemon-ended role={name} pid={pid} signal=9 next=100\n")
        house.logged(rf"- daemon-started role={name} pid={fresh}\n")
    assert set(children(master)) == EVERYONE


def test_all_daemons_killed_at_once_come_back(house):
    master = house.serve()
    before = children(master)
    for pid in before.values():
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: (now := children(master)).keys() == EVERYONE and not set(now.values()) & set(before.values()))


def test_waits_longer_for_a_daemon_that_dies_again_and_again(house):
    master = house.serve()
    for wait in (100, 200, 400):
        pid = wait_for(lambda: children(master).get("router"))
        os.kill(pid, signal.SIGKILL)
        house.logged(rf"daemon-ended role=router pid={pid} signal=9 next={wait}\n")


def test_no_line_is_lost_when_log_is_restarted(house):
    master = house.serve()
    pid = children(master)["log"]
    os.kill(pid, signal.SIGKILL)
    house.logged(rf"daemon-ended role=log pid={pid} signal=9")
    house.logged(r"daemon-started role=log pid=\d+", 2)


def test_a_second_master_exits_75_and_names_the_first(house):
    first = house.serve()
    code, said = house.refused()
    assert code == 75
    assert f"process {first.pid}," in said
    assert set(children(first)) == EVERYONE


def test_stop_leaves_no_process_and_no_lock(house):
    for _ in range(2):
        master = house.serve()
        pids = children(master).values()
        master.terminate()
        assert master.wait(30) == 0
        assert not any(is_there(pid) for pid in pids)
        assert not (house.folder / "run" / "control").exists()
    order = re.findall(r"daemon-ended role=(\S+) pid=\d+ code=0", house.log())
    assert order.index("smtpd-1") < order.index("queue") < order.index("local")


def test_daemons_end_when_the_master_is_killed(house):
    master = house.serve()
    pids = children(master).values()
    master.kill()
    master.wait(5)
    wait_for(lambda: not any(is_there(pid) for pid in pids))
    house.serve()


def test_a_taken_port_is_named(house):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        house.configure(listen=taken.getsockname()[1])
        code, said = house.refused()
        assert code == 1
        assert f"127.0.0.1:{taken.getsockname()[1]}" in said


def test_a_wrong_configuration_is_explained(house):
    house.configure(more="lisen x")
    code, said = house.refused()
    assert code == 78
    assert "stagepost.conf:10:1" in said


def test_a_missing_configuration_is_explained(house):
    (house.folder / "stagepost.conf").unlink()
    code, said = house.refused()
    assert code == 66
    assert "stagepost.conf" in said


def test_a_daemon_that_never_serves_ends_the_start(house, programs):
    lame = house.folder / "programs"
    shutil.copytree(programs, lame)
    (lame / "router").unlink()
    (lame / "router").symlink_to("/bin/false")
    code, said = house.refused(programs=lame)
    assert code == 70
    assert "router has ended 5 times" in said


def test_garbage_ends_a_daemon_and_not_the_master(house, programs):
    lame = house.folder / "programs"
    shutil.copytree(programs, lame)
    (lame / "router").write_text("#!/bin/sh\nprintf garbage >&3; exec sleep 60 3>&3\n")
    code, said = house.refused(programs=lame)
    assert code == 70
    assert "router has ended 5 times" in said
    assert len(re.findall(r"daemon-ended role=router pid=\d+ signal=9", house.log())) == 5


def test_a_daemon_that_breaks_the_rules_of_a_peer_is_ended_and_wired_again(house):
    master = house.serve()
    before = children(master)
    (house.folder / "mad").write_text("root: bob\n")
    house.configure(more="aliases file:mad")
    if house.mode == "user" and os.getuid() == 0:
        os.chown(house.folder / "mad", NOBODY, NOBODY)
    assert house.ask(RELOAD) == "done 0 \n"
    house.logged(r"router broke the rules of its channel to accounts, and is ended")
    house.logged(r"daemon-ended role=router pid=\d+ signal=9 next=100\n")
    house.logged(r"accounts\[\d+\]: - notice text=\"linked to process 0\"", 2)
    wait_for(lambda: house.ask(STATUS).count(" serving\n") == len(EVERYONE) + 1)
    assert {n for n, pid in children(master).items() if before[n] != pid} == {"router"}


def test_a_daemon_that_is_ready_with_settings_it_never_got_is_ended(house):
    house.serve()
    (house.folder / "proud").write_text("root: bob\n")
    house.configure(more="aliases file:proud")
    if house.mode == "user" and os.getuid() == 0:
        os.chown(house.folder / "proud", NOBODY, NOBODY)
    assert house.ask(RELOAD) == "done 0 \n"
    house.logged(r"ready with settings that it was not given")
    # its channel is closed first, at which it ends by itself if it is quick
    house.logged(r"daemon-ended role=router pid=\d+ (signal=9|code=0) next=100\n")
    wait_for(lambda: house.ask(STATUS).count(" serving\n") == len(EVERYONE) + 1)


def test_a_daemon_that_does_not_stop_is_killed(house):
    if house.mode != "user":
        pytest.skip("it takes the limit of a stage, and once is enough")
    master = house.serve()
    pids = children(master)
    os.kill(pids["smtpd"], signal.SIGSTOP)
    master.terminate()
    assert master.wait(40) == 0
    assert not any(is_there(pid) for pid in pids.values())
    assert re.search(rf"role=smtpd pid={pids['smtpd']} signal=9", house.log())
    assert re.search(rf"role=queue pid={pids['queue']} code=0", house.log())


def test_the_background_keeps_nothing_of_the_caller(house):
    master = house.start()
    out, said = master.communicate(timeout=30)  # returns only when nobody holds the pipes
    assert (master.returncode, out, said) == (0, "", "")
    pid = house.background()
    assert is_there(pid)
    os.kill(pid, signal.SIGTERM)
    wait_for(lambda: not is_there(pid))


def test_the_background_says_what_is_wrong(house):
    house.configure(more="lisen x")
    master = house.start()
    _, said = master.communicate(timeout=30)
    assert master.returncode == 78
    assert "stagepost.conf:10:1" in said


def test_the_listeners_stay_open_while_smtpd_is_away(house):
    master = house.serve()
    for name in ("smtpd", "smtpd-1"):
        os.kill(children(master)[name], signal.SIGKILL)
    with socket.create_connection(("127.0.0.1", house.port), 5):
        pass


def test_a_changed_table_is_given_again(house):
    house.serve()
    house.logged(r"accounts\[\d+\]: - notice text=\"given file file:\S*users\"")
    house.logged(r"router\[\d+\]: - notice text=\"given file file:\S*aliases\"")
    users = house.folder / "users"
    users.write_text("bob\nalice\n")
    house.logged(r"accounts\[\d+\]: - notice text=\"given file file:\S*users\"", 2)
    fresh = house.folder / "users.new"
    fresh.write_text("bob\ncarol\n")
    fresh.rename(users)
    house.logged(r"accounts\[\d+\]: - notice text=\"given file file:\S*users\"", 3)
    users.unlink()
    house.logged(r"users: No such file or directory; its last content stays in use")
    users.symlink_to("aliases")
    house.logged(r"accounts\[\d+\]: - notice text=\"given file file:\S*users\"", 4)


def test_status_lists_every_process(house):
    master = house.serve()
    os.kill(children(master)["router"], signal.SIGKILL)
    house.logged("daemon-started role=router", 2)
    wait_for(lambda: house.ask(STATUS).count(" serving\n") == len(EVERYONE) + 1)
    answer = house.ask(STATUS)
    names = {line.split()[0]: line.split() for line in answer.splitlines()}
    assert set(names) == EVERYONE | {"master", "done"}
    assert int(names["master"][1]) == master.pid
    assert names["router"][3] == "1" and names["queue"][3] == "0"
    assert all(line[4] == "serving" for name, line in names.items() if name != "done")


def test_stop_by_control(house):
    master = house.serve()
    assert house.ask(STOP) == "done 0 \n"
    assert master.wait(30) == 0


def test_reload_gives_new_settings_to_living_daemons(house):
    master = house.serve()
    before = children(master)
    (house.folder / "more").write_text("root: bob\n")
    if house.mode == "user" and os.getuid() == 0:
        os.chown(house.folder / "more", NOBODY, NOBODY)
    house.configure(more="aliases file:more")
    assert house.ask(RELOAD) == "done 0 \n"
    house.logged(r"router\[\d+\]: - notice text=\"given file file:\S*more\"")
    house.logged("every daemon serves with the new settings")
    assert children(master) == before


def test_a_wrong_configuration_is_refused_whole_at_reload(house):
    master = house.serve()
    before = children(master)
    house.configure(more="aliases file:more\nlisen x")
    answer = house.ask(RELOAD)
    assert answer.startswith("done 78 ") and "stagepost.conf:11:1" in answer
    house.configure()
    assert house.ask(RELOAD) == "done 0 \n"
    assert children(master) == before


def test_what_a_reload_can_not_change_is_named(house):
    house.serve()
    house.configure(listen=free_port())
    text = (house.folder / "stagepost.conf").read_text()
    (house.folder / "stagepost.conf").write_text(text.replace("smtpd 2", "smtpd 3").replace("spool spool", "spool new"))
    for _ in range(2):
        answer = house.ask(RELOAD)
        assert answer.startswith("done 0 ")
        for word in ("spool:", "processes.smtpd:", "listen:"):
            assert word in answer
        assert "run:" not in answer


def test_new_mailboxes_reach_a_fresh_local(house):
    master = house.serve()
    before = children(master)
    house.configure(more='domain new.example { deliver maildir "newmail/%n" { users any; owner vmail } }')
    assert house.ask(RELOAD).startswith("done 0 ")
    after = children(master)
    assert {n for n in EVERYONE if before[n] != after[n]} == {"local", "local-1"}
    house.logged(r"local\[%d\]: - notice text=\"given directory \S*newmail\"" % after["local"])


def test_a_signal_reloads_and_a_signal_reopens_the_log(house):
    master = house.serve()
    master.send_signal(signal.SIGHUP)
    house.logged("every daemon serves with the new settings")
    log = house.folder / "log"
    (log / "mail.log").rename(log / "old.log")
    master.send_signal(signal.SIGUSR1)
    wait_for((log / "mail.log").exists)
    os.kill(children(master)["router"], signal.SIGKILL)
    house.logged("daemon-ended role=router")


def test_the_service_manager_is_told(house):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        name = f"stagepost-test-{os.getpid()}-{house.mode}"
        s.bind("\0" + name)
        s.settimeout(10)
        master = house.serve(env={**os.environ, "NOTIFY_SOCKET": "@" + name})
        assert s.recv(100) == b"READY=1"
        master.send_signal(signal.SIGHUP)
        assert re.fullmatch(rb"RELOADING=1\nMONOTONIC_USEC=\d+", s.recv(100))
        assert s.recv(100) == b"READY=1"
        master.terminate()
        assert s.recv(100) == b"STOPPING=1"


def test_a_long_path_that_only_the_starter_can_enter(house):
    deep = house.folder
    for _ in range(3):
        deep = deep / ("d" * 60)
        deep.mkdir()
        if house.mode == "user" and os.getuid() == 0:
            os.chown(deep, NOBODY, NOBODY)
    house.folder.chmod(0o700)
    moved = House(house.programs, deep / "house" if (deep / "house").mkdir() else deep / "house", house.mode)
    house.masters = moved.masters
    programs = deep / "programs"
    shutil.copytree(house.programs, programs)
    master = moved.serve(programs=programs)
    assert len(str(moved.folder)) > 108
    assert moved.ask(STATUS).count(" serving\n") == len(EVERYONE) + 1
    master.terminate()
    assert master.wait(30) == 0


def test_each_daemon_is_confined(house):
    master = house.serve()
    for name, pid in children(master).items():
        status = Path(f"/proc/{pid}/status").read_text()
        assert re.search(r"^Seccomp:\s*2$", status, re.M), name
        assert re.search(r"^NoNewPrivs:\s*1$", status, re.M), name
        uid = int(re.search(r"^Uid:\s*(\d+)", status, re.M)[1])
        if house.mode == "root":
            user = "vmail" if name.startswith("local") else "stagepost-" + name.split("-")[0]
            assert uid == pwd.getpwnam(user).pw_uid
            root = {"queue": "/spool", "local": "/mail", "pickup": "/spool/drop"}.get(name.split("-")[0], "/run/empty")
            assert os.readlink(f"/proc/{pid}/root").endswith(root), name
        else:
            assert uid == (NOBODY if os.getuid() == 0 else os.getuid())


def test_no_daemon_holds_a_file_that_is_not_its_own(house):
    if os.getuid() != 0:
        pytest.skip("only root may look")
    master = house.serve()
    for name, pid in children(master).items():
        held = [os.readlink(fd) for fd in Path(f"/proc/{pid}/fd").iterdir()]
        files = [f for f in held if f.startswith("/") and f != "/dev/null"]
        assert files == ([str(house.folder / "log/mail.log")] if name == "log" else []), name
