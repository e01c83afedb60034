"""
The network of other people: a namespace at the other end of a wire, with a DNS server where all domains of far.example have an MX.

    ours 10.113.0.2 ---- 10.113.0.3: nsd, and what is started there

A domain dN.sM.far.example has the MX host mxM.far-hosts.example, which is that one address: so there are as many sites as one
likes. Only root can have it.
"""
import os
import pathlib
import shutil
import socket
import subprocess
import time

from row import Unavailable
from servers import IS_ROOT

ANSWERS = 10  # seconds until nsd has to
TTL = 3600
QUESTION = b"\x12\x34\x01\0\0\1\0\0\0\0\0\0\3mx0\x09far-hosts\7example\0\0\1\0\1"


class Far:
    name = "the network of others"
    ADDRESS, OURS = "10.113.0.3", "10.113.0.2"

    def __init__(self, folder, sites):
        if not IS_ROOT:
            raise Unavailable(self.name, "it needs root")
        for program in ("nsd", "nsenter", "ip"):
            if not shutil.which(program):
                raise Unavailable(self.name, f"it needs {program}")
        self.folder, self.sites, self.holder, self.nsd = folder / "far", sites, None, None

    def start(self):
        self.holder = subprocess.Popen(["unshare", "-n", "sleep", "infinity"], stdin=subprocess.DEVNULL)
        while self._namespace(self.holder.pid) == self._namespace("self"):
            time.sleep(0.01)
        self.within = ["nsenter", "-t", str(self.holder.pid), "-n"]
        self._run("ip", "link", "add", "near", "type", "veth", "peer", "name", "far", "netns", self.holder.pid)
        for inside, name, address in ((), "near", self.OURS), (self.within, "far", self.ADDRESS):
            self._run(*inside, "ip", "addr", "add", f"{address}/24", "dev", name)
            self._run(*inside, "ip", "link", "set", name, "up")
        self._run(*self.within, "ip", "link", "set", "lo", "up")
        self._serve()

    def stop(self):
        for process in filter(None, (self.nsd, self.holder)):
            process.terminate()
            process.wait()

    @staticmethod
    def _namespace(pid):
        return os.readlink(f"/proc/{pid}/ns/net")

    @staticmethod
    def _run(*words):
        subprocess.run([*map(str, words)], check=True, stdin=subprocess.DEVNULL, capture_output=True)

    def _serve(self):
        zones = {"far.example": "".join(f"*.s{i} MX 10 mx{i}.far-hosts.example.\n" for i in range(self.sites)),
                 "far-hosts.example": f"* A {self.ADDRESS}\n"}
        self.folder.mkdir()
        conf = [f'server:\n  ip-address: {self.ADDRESS}\n  username: ""\n  chroot: ""\n  database: ""\n  rrl-ratelimit: 0\n'
                f'  zonesdir: "{self.folder}"\n  zonelistfile: "{self.folder}/list"\n  xfrdfile: "{self.folder}/xfrd"\n'
                f'  xfrdir: "{self.folder}"\n  pidfile: "{self.folder}/pid"\n  logfile: "{self.folder}/log"\n'
                'remote-control:\n  control-enable: no\n']
        for name, lines in zones.items():
            (self.folder / name).write_text(f"$ORIGIN {name}.\n$TTL {TTL}\n@ SOA ns root 1 {TTL} {TTL} {TTL} {TTL}\n"
                                            f"@ NS ns\nns A {self.ADDRESS}\n{lines}")
            conf.append(f'zone:\n  name: "{name}"\n  zonefile: "{name}"\n')
        (self.folder / "nsd.conf").write_text("".join(conf))
        self.nsd = subprocess.Popen([*self.within, "nsd", "-d", "-c", self.folder / "nsd.conf"], stdin=subprocess.DEVNULL,
                                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + ANSWERS
        while not self._answers():
            if time.monotonic() > end:
                log = self.folder / "log"
                raise RuntimeError(f"nsd does not answer: {log.read_text()[-300:] if log.exists() else ''}")

    def _answers(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(0.2)
            try:
                s.sendto(QUESTION, (self.ADDRESS, 53))
                return s.recv(512)[:2] == QUESTION[:2]
            except OSError:
                return False
