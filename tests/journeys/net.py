"""
Hosts of our own: network namespaces on one bridge, with nsd for their DNS. Nothing of it touches
the machine's own network.

    net = Network({"us": 2, "mx1": 11})     name -> last number of its addresses
    net.ip4("us") 10.113.0.2   net.ip6("us") fd00:113::2   10.113.0.53 the DNS server

All hosts are this machine's files and processes; only their networks are apart. `net.inside(host)`
puts this thread's new sockets there; `net.command(host)` is what to put before a program.
"""
import contextlib
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import uuid
from pathlib import Path

from stagepost import wait_for

PREFIX4, PREFIX6 = "10.113.0.", "fd00:113::"
DNS = 53  # last number of the DNS server's addresses
_libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000


def available():
    """Why there can be no such hosts here; empty: there can."""
    if os.getuid() != 0:
        return "network namespaces need root"
    if not shutil.which("ip"):
        return "iproute2 is not installed"
    name = f"sp-{uuid.uuid4().hex[:8]}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True)
    if made.returncode != 0:
        return f"no network namespace can be made here: {made.stderr.strip()}"
    ready = subprocess.run(["ip", "-n", name, "link", "set", "lo", "up"], capture_output=True, text=True)
    subprocess.run(["ip", "netns", "del", name], check=True)
    if ready.returncode != 0:  # in a chroot whose root is no mount, or without /sys
        return f"no network namespace can be entered here: {ready.stderr.strip()}"
    return ""


def _ip(*words):
    subprocess.run(["ip", *map(str, words)], check=True, capture_output=True, text=True)


class Network:
    def __init__(self, hosts, ip6_only=(), zones=()):
        """zones: {"example.org": "lines of a zone file"}; every name in hosts gets an address in
        `hosts.test` anyway. ip6_only: hosts without an IPv4 address."""
        self.tag = f"sp{uuid.uuid4().hex[:6]}"
        self.hosts = dict(hosts)
        self.ip6_only = set(ip6_only)
        self.folder = Path(tempfile.mkdtemp(prefix="stagepost-net-"))
        self.folder.chmod(0o755)
        self.processes = []
        try:
            self._make()
            self.serve(dict(zones))
        except BaseException:
            self.end()
            raise

    def ip4(self, host):
        return PREFIX4 + str(self.hosts[host])

    def ip6(self, host):
        return PREFIX6 + format(self.hosts[host], "x")

    def namespace(self, host):
        return f"{self.tag}-{host}"

    def command(self, host):
        return ["ip", "netns", "exec", self.namespace(host)]

    def _make(self):
        self.hosts["dns"] = DNS
        hub = self.namespace("hub")
        _ip("netns", "add", hub)
        _ip("-n", hub, "link", "add", "bridge", "type", "bridge")
        _ip("-n", hub, "link", "set", "bridge", "up")
        for host, number in self.hosts.items():
            there = self.namespace(host)
            _ip("netns", "add", there)
            subprocess.run([*self.command(host), "sysctl", "-qw", "net.ipv6.conf.all.accept_dad=0",
                            "net.ipv6.conf.default.accept_dad=0"], capture_output=True)
            _ip("-n", there, "link", "set", "lo", "up")
            _ip("link", "add", "eth0", "netns", there, "type", "veth", "peer", "name", f"to{number}", "netns", hub)
            _ip("-n", hub, "link", "set", f"to{number}", "master", "bridge", "up")
            if host not in self.ip6_only:
                _ip("-n", there, "addr", "add", self.ip4(host) + "/24", "dev", "eth0")
            _ip("-n", there, "addr", "add", self.ip6(host) + "/64", "dev", "eth0", "nodad")
            _ip("-n", there, "link", "set", "eth0", "up")

    @contextlib.contextmanager
    def inside(self, host):
        """New sockets of this thread are the host's; it comes back at the end."""
        here = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        there = os.open(f"/run/netns/{self.namespace(host)}", os.O_RDONLY)
        try:
            self._enter(there)
            try:
                yield
            finally:
                self._enter(here)
        finally:
            os.close(here)
            os.close(there)

    @staticmethod
    def _enter(fd):
        if _libc.setns(fd, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")

    def listen(self, host, port=25, backlog=128):
        """A listening socket of that host, both families."""
        with self.inside(host):
            return socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=backlog)

    def run(self, host, *words, **keywords):
        return subprocess.run([*self.command(host), *map(str, words)], capture_output=True, text=True,
                              stdin=keywords.pop("stdin", subprocess.DEVNULL), timeout=60, **keywords)

    def spawn(self, host, *words, **keywords):
        """A process that lives until the network ends."""
        process = subprocess.Popen([*self.command(host), *map(str, words)], **keywords)
        self.processes.append(process)
        return process

    # DNS

    def zone_text(self, name, lines):
        return (f"$ORIGIN {name.rstrip('.')}.\n$TTL 60\n@ SOA ns.hosts.test. root.hosts.test. 1 60 60 60 1\n"
                f"@ NS ns.hosts.test.\n{lines}\n")

    def _host_lines(self):
        lines = []
        for host, number in self.hosts.items():
            name = "ns" if host == "dns" else host
            if host not in self.ip6_only:
                lines.append(f"{name} A {PREFIX4}{number}")
            lines.append(f"{name} AAAA {PREFIX6}{number:x}")
        return "\n".join(lines)

    def _reverse_lines(self):
        return "\n".join(f"{number} PTR {'ns' if host == 'dns' else host}.hosts.test."
                         for host, number in self.hosts.items())

    def serve(self, zones):
        """nsd with these zones, hosts.test and the reverse zone of IPv4."""
        zones = dict(zones)
        zones["hosts.test"] = self._host_lines()
        zones["0.113.10.in-addr.arpa"] = self._reverse_lines()
        folder = self.folder / "nsd"
        folder.mkdir()
        conf = [f'server:\n  ip-address: {self.ip4("dns")}\n  ip-address: {self.ip6("dns")}\n  port: 53\n'
                f'  username: ""\n  chroot: ""\n  server-count: 1\n  database: ""\n  zonesdir: "{folder}"\n'
                f'  zonelistfile: "{folder}/list"\n  xfrdfile: "{folder}/xfrd"\n  xfrdir: "{folder}"\n'
                f'  pidfile: "{folder}/pid"\n  logfile: "{folder}/log"\n  hide-version: yes\n  rrl-ratelimit: 0\n'
                'remote-control:\n  control-enable: no\n']
        for name, lines in zones.items():
            (folder / f"{name}.zone").write_text(self.zone_text(name, lines))
            conf.append(f'zone:\n  name: "{name}"\n  zonefile: "{name}.zone"\n')
        (folder / "nsd.conf").write_text("".join(conf))
        self.dns = self.spawn("dns", "nsd", "-d", "-c", folder / "nsd.conf", stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(self._answers, 20, f"an answer of nsd ({folder}/log)")

    def _answers(self):
        query = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x02ns\x05hosts\x04test\x00\x00\x01\x00\x01"
        with self.inside("dns"):
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with s:
            s.settimeout(0.2)
            try:
                s.sendto(query, (self.ip4("dns"), 53))
                return s.recv(512)[:2] == b"\x12\x34"
            except OSError:
                return False

    def zone(self, name, lines):
        """Changes a zone's lines while nsd runs; it must have been there from the start."""
        (self.folder / "nsd" / f"{name}.zone").write_text(self.zone_text(name, lines))
        self.dns.send_signal(signal.SIGHUP)

    def end(self):
        for process in self.processes:
            if process.poll() is None:
                process.terminate()
        for process in self.processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for host in [*self.hosts, "hub"]:
            subprocess.run(["ip", "netns", "del", self.namespace(host)], capture_output=True)
        shutil.rmtree(self.folder, ignore_errors=True)
