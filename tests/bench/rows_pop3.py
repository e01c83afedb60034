"""
Fetching mail: tls_load -> pop3d beside Debian's Dovecot, TLS from the first octet, passwords in clear text in a file, so
that no password's hash is measured. In 20 sessions at once, users fetch five messages of 4 KiB and leave them; then one
with 10,000 messages opens his maildrop.
"""
import os
import pwd
import statistics
import subprocess
import time

import duel
import measure
from row import Result, Row, Unavailable, interleaved
from rows_tls import certificate, tool
from servers import DOMAIN, IS_ROOT, OWNER, Ours, family, free_port, kill_all

SESSIONS, TURNS, MESSAGES, PASSWORD = 20, 5, 5, "secret"
MANY, OPEN_GOAL = 10000, 1.0  # messages, seconds
GUESSES = {"stagepost": 500, "dovecot": 500}
LETTER = b"From: sender@source.example\nSubject: load\n\n" + b"an octet more and an octet more and an octet more\n" * 80


def fill(mail, user, count):
    """A Maildir with so many messages, as they are delivered."""
    box = mail / DOMAIN / user
    uid, gid = pwd.getpwnam(OWNER)[2:4]
    for part in ("new", "cur", "tmp"):
        (box / part).mkdir(parents=True)
    for n in range(count):
        (box / "new" / f"17000{n:05}.M{n}P1.bench").write_bytes(LETTER)
    for folder, _, files in os.walk(mail):
        os.chown(folder, uid, gid)
        for name in files:
            os.chown(os.path.join(folder, name), uid, gid)


def entries(users):
    return "".join(f"{user}@{DOMAIN}:{{PLAIN}}{PASSWORD}\n" for user in users)


class OursPop3(Ours):
    def __init__(self, folder, pair, users):
        self.pop3 = free_port()
        super().__init__(folder, users=users, extra=(
            "tls {{ certificate {}; key {} }}\n".format(*pair) +
            f"auth {{ passwords file:{folder}/stagepost/users }}\nlisten 127.0.0.1:{self.pop3} pop3s\n"))
        (self.folder / "users").write_text(entries(users))


class Dovecot:
    name = "dovecot"
    PROGRAM = "/usr/sbin/dovecot"

    def __init__(self, folder, pair, users):
        if not IS_ROOT:
            raise Unavailable(self.name, "it needs root")
        if not os.path.exists(self.PROGRAM) or not os.path.exists("/usr/lib/dovecot/pop3-login"):
            raise Unavailable(self.name, "the package dovecot-pop3d is not installed")
        self.folder, self.pop3, self.process = folder / self.name, free_port(), None
        self.folder.mkdir()
        self.mail = self.folder / "mail"
        (self.folder / "users").write_text(entries(users))
        (self.folder / "dovecot.conf").write_text(f"""\
base_dir = {self.folder}/run
state_dir = {self.folder}/state
log_path = {self.folder}/log
instance_name = {self.name}-bench
listen = 127.0.0.1
protocols = pop3
ssl = required
ssl_cert = <{pair[0]}
ssl_key = <{pair[1]}
mail_location = maildir:{self.mail}/%d/%n
first_valid_uid = 1
mail_max_userip_connections = 1000
passdb {{
  driver = passwd-file
  args = {self.folder}/users
}}
userdb {{
  driver = static
  args = uid={OWNER} gid={pwd.getpwnam(OWNER).pw_gid} home={self.mail}/%d/%n
}}
service pop3-login {{
  inet_listener pop3 {{
    port = 0
  }}
  inet_listener pop3s {{
    port = {self.pop3}
    ssl = yes
  }}
}}
""")

    def start(self):
        self.process = subprocess.Popen([self.PROGRAM, "-F", "-c", self.folder / "dovecot.conf"],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        end = time.monotonic() + 20
        while not ((self.folder / "log").exists() and "starting up" in (self.folder / "log").read_text()):
            if self.process.poll() is not None or time.monotonic() > end:
                raise Unavailable(self.name, (self.process.stderr.read() if self.process.poll() is not None else "silence")[-300:])
            time.sleep(0.05)

    def stop(self):
        if self.process and self.process.poll() is None:
            kill_all(family(self.process.pid))
            self.process.wait()

    def pids(self):
        named = {}
        for pid, name in family(self.process.pid).items():
            named.setdefault(name, []).append(pid)
        return named


def fetching(program, server, count, at_once=1, turns=1, fetch=False):
    """So many sessions, so many at once, of at_once * turns users; figures."""
    cpu, machine, begun = measure.Cpu(server), measure.Machine(), time.time()
    done = subprocess.run([program, "pop3", *map(str, (server.pop3, count, at_once, turns, int(fetch), PASSWORD))],
                          capture_output=True, text=True, timeout=120)
    took = time.time() - begun
    if done.returncode != 0:
        raise RuntimeError(f"{server.name}: {done.stderr.strip()[-300:]}")
    used = cpu.by_process()
    return {"messages": count, "end_to_end": count / took, "open_us": int(done.stdout),
            "cpu_us": {name: seconds / count * 1e6 for name, seconds in used.items()},
            "machine": machine.shares(sum(used.values()))}


def servers(context, boxes):
    """boxes: {user: messages}."""
    program, pair = tool(context.folder), certificate(context.folder)
    made = [OursPop3(context.folder, pair, boxes), context.peer(lambda: Dovecot(context.folder, pair, boxes))]
    for server in filter(None, made):
        for user, count in boxes.items():
            fill(server.mail, user, count)
    return program, [context.start(server) for server in made if server]


def sessions(context):
    program, sides = servers(context, {f"user{n}": MESSAGES for n in range(SESSIONS * TURNS)})
    rounds = interleaved(context, {server.name: duel.sized(
        context, GUESSES, server.name, lambda count, _, server=server:
        fetching(program, server, count, SESSIONS, TURNS, True)) for server in sides})
    medians = duel.peers_of(rounds)
    ours = medians["stagepost"]
    shown = f"{ours['end_to_end']:,.0f}/s"
    if "dovecot" in medians:
        shown += f"; {duel.ratio(medians, peer='dovecot'):.1f}x Dovecot ({medians['dovecot']['end_to_end']:,.0f}/s)"
    return Result({"rounds": rounds, "medians": medians}, shown, None)


def opening(context):
    program, sides = servers(context, {"user0": MANY // (10 if context.quick else 1)})
    seconds = {}
    for server in sides:
        first = fetching(program, server, 1)["open_us"] / 1e6
        again = [fetching(program, server, 1)["open_us"] / 1e6 for _ in range(context.rounds)]
        seconds[server.name] = {"first": first, "again": statistics.median(again)}
    shown = "; Dovecot ".join(f"first {s['first']:.3f} s, then {s['again']:.3f} s"
                              for s in (seconds[server.name] for server in sides))
    return Result({"seconds": seconds}, shown, max(seconds["stagepost"].values()) < OPEN_GOAL)


ROWS = [
    Row("pop3", f"POP3 over TLS, {SESSIONS} sessions at once, {MESSAGES} messages of 4 KiB in each", "", sessions),
    Row("pop3-10000", "opening a maildrop of 10,000 messages", f"< {OPEN_GOAL:.0f} s", opening),
]
