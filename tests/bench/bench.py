"""Side by side with Debian's Postfix, at full durability: SMTP in, and out to Maildirs or by SMTP to
smtp-sink (relay).

A round sends a number of messages by smtp-source and ends when the last of them lies in its
Maildir's new/, or has reached the sink. Rounds are interleaved (ours, peer, ours, ...), medians and
ratios come from one run. Everything is on loopback and in one temporary folder, which is removed.

What each does for durability: ours answers 250 after fdatasync of its batch, and syncs each file
and its directory in the Maildir; Postfix fsyncs its queue file before 250 and the Maildir file
before it removes the message, and syncs no directory.
"""
import argparse
import json
import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEADLINE = 120  # seconds that a round may take


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_port(port, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"nothing answers on port {port}")


def count_new(mail, domain, users):
    total = 0
    for user in users:
        try:
            total += len(os.listdir(mail / domain / user / "new"))
        except FileNotFoundError:
            pass
    return total


class Sink:
    """smtp-sink, and how many messages it has taken."""

    def __init__(self):
        self.port, self.taken = free_port(), 0
        self.process = subprocess.Popen(["/usr/sbin/smtp-sink", "-u", "nobody", "-c", f"127.0.0.1:{self.port}", "1024"],
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        threading.Thread(target=self.read, daemon=True).start()
        wait_port(self.port)

    def read(self):
        rest = b""
        while octets := os.read(self.process.stdout.fileno(), 65536):
            found = re.findall(rb"mesg=(\d+)\r", rest + octets)
            rest = (rest + octets)[-40:]
            if found:
                self.taken = int(found[-1])

    def stop(self):
        self.process.terminate()
        self.process.wait()


def ticks(pids):
    """CPU seconds that these processes have used, with their threads."""
    used = 0
    for pid in pids:
        try:
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
        except OSError:
            continue
        used += int(fields[11]) + int(fields[12])
    return used / os.sysconf("SC_CLK_TCK")


class Ours:
    name = "stagepost"

    def __init__(self, base, users, sink):
        self.base = base / "stagepost"
        self.mail = self.base / "mail"
        self.port = free_port()
        self.base.mkdir()
        owner = "vmail" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        (self.base / "users").write_text("".join(f"{u}@bench.example\n" for u in users))
        self.conf = self.base / "stagepost.conf"
        self.conf.write_text(f"""hostname bench.example
spool {self.base}/spool
run {self.base}/run
log file {self.base}/log text
listen 127.0.0.1:{self.port} smtp
domain bench.example {{
    deliver maildir "{self.mail}/%d/%n" {{ users file:{self.base}/users; owner {owner} }}
}}
limits {{ per-client 2000 }}
""" + (f"trust 127.0.0.0/8\noutbound {{ via [127.0.0.1]:{sink.port} }}\n" if sink else ""))

    def command(self, *args):
        return subprocess.run([ROOT / "build/bin/stagepost", "-c", self.conf, *args],
                              check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout

    def start(self):
        self.command("start")
        wait_port(self.port)

    def stop(self):
        self.command("stop")

    def processes(self):
        return {p["name"]: p["pid"] for p in json.loads(self.command("status", "--json"))["processes"]}


class Postfix:
    name = "postfix"

    def __init__(self, base, users, sink):
        self.base = base / "postfix"
        self.mail = self.base / "mail"
        self.port = free_port()
        for folder in ("etc", "spool", "data", "mail/bench.example"):
            (self.base / folder).mkdir(parents=True)
        shutil.chown(self.base / "data", "postfix")
        uid, gid = pwd.getpwnam("vmail")[2:4]
        os.chown(self.mail, uid, gid)
        os.chown(self.mail / "bench.example", uid, gid)
        (self.base / "boxes").write_text("".join(f"{u}@bench.example bench.example/{u}/\n" for u in users))
        shutil.copy("/usr/share/postfix/master.cf.dist", self.base / "etc/master.cf")
        master = (self.base / "etc/master.cf").read_text().splitlines()
        master = [f"127.0.0.1:{self.port} inet n - n - 100 smtpd" if line.startswith("smtp      inet") else line
                  for line in master]
        (self.base / "etc/master.cf").write_text("\n".join(master) + "\n")
        (self.base / "etc/main.cf").write_text(f"""compatibility_level = 3.6
queue_directory = {self.base}/spool
data_directory = {self.base}/data
myhostname = bench.example
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = loopback-only
inet_protocols = ipv4
in_flow_delay = 0
default_process_limit = 100
default_destination_concurrency_limit = 100
virtual_destination_concurrency_limit = 100
smtpd_client_connection_count_limit = 2000
smtpd_peername_lookup = no
maillog_file = {self.base}/log
maillog_file_prefixes = {self.base}
virtual_mailbox_domains = bench.example
virtual_mailbox_base = {self.mail}
virtual_mailbox_maps = texthash:{self.base}/boxes
virtual_minimum_uid = 1
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
""" + (f"relayhost = [127.0.0.1]:{sink.port}\nsmtp_dns_support_level = disabled\n" if sink else ""))

    def command(self, *args):
        subprocess.run(["/usr/sbin/postfix", "-c", self.base / "etc", *args], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def start(self):
        self.command("start")
        wait_port(self.port)

    def stop(self):
        self.command("stop")

    def processes(self):
        return {}


def send(port, recipients, messages, sessions, size):
    """One smtp-source for each recipient: the sessions and messages are shared out evenly."""
    share = len(recipients)
    return [subprocess.Popen(["/usr/sbin/smtp-source", "-s", str(max(1, sessions // share)), "-m",
                              str(messages // share), "-l", str(size), "-d", "-f", "sender@source.example",
                              "-t", recipient, f"127.0.0.1:{port}"],
                             stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for recipient in recipients]


def round_of(server, users, messages, sessions, size, sink):
    """With a sink the mail is for another domain, and goes there."""
    if sink:
        recipients, before_round = ["you@elsewhere.example"], sink.taken
        arrived = lambda: sink.taken - before_round
    else:
        recipients = [f"{user}@bench.example" for user in users]
        arrived = lambda: count_new(server.mail, "bench.example", users)
    pids = server.processes()
    before = {name: ticks([pid]) for name, pid in pids.items()}
    begun = time.monotonic()
    for source in send(server.port, recipients, messages, sessions, size):
        _, errors = source.communicate(timeout=DEADLINE)
        if source.returncode != 0:
            raise RuntimeError(f"{server.name}: smtp-source failed: {errors.decode()[-300:]}")
    accepted = time.monotonic() - begun
    while arrived() < messages:
        if time.monotonic() - begun > DEADLINE:
            raise RuntimeError(f"{server.name}: {messages - arrived()} messages did not arrive in time")
        time.sleep(0.005)
    took = time.monotonic() - begun
    cpu = {name: (ticks([pid]) - before[name]) / messages * 1e6 for name, pid in pids.items()}
    return {"end_to_end": messages / took, "accepted": messages / accepted, "cpu_us": cpu}


def mount_journaled(base):
    image = pathlib.Path(f"{base}.img")
    with image.open("wb") as f:
        f.truncate(4 << 30)
    subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True)
    subprocess.run(["mount", "-o", "loop", image, base], check=True)
    base.chmod(0o755)


def unmount(base):
    """A peer's last process may live a moment longer than its stop command."""
    for _ in range(50):
        if subprocess.run(["umount", base], stderr=subprocess.DEVNULL).returncode == 0:
            return
        time.sleep(0.2)
    subprocess.run(["umount", base], check=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--messages", type=int, default=5000)
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--boxes", type=int, default=1, help="mailboxes; a divisor of sessions and messages")
    parser.add_argument("--relay", action="store_true", help="out by SMTP to smtp-sink, not to mailboxes")
    parser.add_argument("--here", action="store_true",
                        help="on the machine's own file system, not on a journaled ext4 on a loop device")
    parser.add_argument("--json", type=pathlib.Path, help="write the figures there")
    parser.add_argument("--ours-alone", action="store_true")
    options = parser.parse_args()
    # As an ordinary user nothing can be mounted.
    options.journaled = os.geteuid() == 0 and not options.here
    # Each round has mailboxes of its own: nothing is deleted, since a file system without journal
    # is slowed down by inodes that were freed a moment ago.
    users = [[f"box{n}-{i}" for i in range(options.boxes)] for n in range(options.rounds + 1)]
    everyone = [user for some in users for user in some]
    if not os.path.exists("/usr/sbin/smtp-source"):
        sys.exit("bench: smtp-source is missing: install the package postfix")
    base = pathlib.Path(tempfile.mkdtemp(prefix="stagepost-bench-"))
    base.chmod(0o755)
    if options.journaled:
        mount_journaled(base)
    sink = Sink() if options.relay else None
    servers = [Ours(base, everyone, sink)]
    if os.geteuid() == 0 and not options.ours_alone:
        servers.append(Postfix(base, everyone, sink))
    elif not options.ours_alone:
        print("bench: Postfix is left out (needs root)")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    started, results = [], {s.name: [] for s in servers}
    try:
        for server in servers:
            server.start()
            started.append(server)
        for number in range(options.rounds + 1):  # the first round warms up
            for server in servers:
                result = round_of(server, users[number], options.messages, options.sessions, options.size,
                                  sink)
                if number > 0:
                    results[server.name].append(result)
    finally:
        for server in started:
            server.stop()
        if sink:
            sink.stop()
        if options.journaled:
            unmount(base)
            pathlib.Path(f"{base}.img").unlink()
        shutil.rmtree(base, ignore_errors=True)
    report(options, results)


def report(options, results):
    medians = {name: {key: statistics.median(r[key] for r in rounds) for key in ("end_to_end", "accepted")}
               for name, rounds in results.items()}
    print(f"{options.messages} messages of {options.size} octets, {options.sessions} sessions, "
          f"{'relayed' if options.relay else f'to {options.boxes} mailboxes'}, {options.rounds} rounds, medians")
    for name, m in medians.items():
        spread = [r["end_to_end"] for r in results[name]]
        print(f"{name:10} {m['end_to_end']:8.0f}/s end to end ({min(spread):.0f}-{max(spread):.0f})"
              f" {m['accepted']:8.0f}/s accepted")
    if "postfix" in medians:
        print(f"ratio      {medians['stagepost']['end_to_end'] / medians['postfix']['end_to_end']:8.2f}")
    cpu = {name: statistics.median(r["cpu_us"].get(name, 0) for r in results["stagepost"])
           for name in results["stagepost"][0]["cpu_us"]}
    print("CPU us a message:", ", ".join(f"{n} {u:.0f}" for n, u in sorted(cpu.items()) if u > 0.5),
          f"- all {sum(cpu.values()):.0f}")
    if options.json:
        options.json.write_text(json.dumps({"options": vars(options) | {"json": None}, "medians": medians,
                                            "rounds": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
