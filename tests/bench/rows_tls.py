"""
STARTTLS on both sides, opportunistic: tls_load (compiled here from tls_load.c, for smtp-source and smtp-sink speak no
TLS) -> server -> tls_load. All have one certificate, ECDSA P-256, and each has its TLS as it comes: version,
ciphers, resumption of sessions.
"""
import os
import pathlib
import shutil
import subprocess
import tempfile

import duel
from load import ELSEWHERE, Sink, Source, one_round
from row import Result, Row, Unavailable, interleaved
from servers import DOMAIN, Ours, Postfix, free_port, wait_greeting

TOOL = pathlib.Path(__file__).resolve().parent / "tls_load.c"
SESSIONS = 20
KEPT = {"stagepost": 6000, "postfix": 500, "harness": 8000}
CONNECT = {"stagepost": 800, "postfix": 150, "harness": 1200}


def tool(folder):
    """The program, compiled."""
    compiler = shutil.which("cc")
    if not compiler:
        raise Unavailable("tls_load", "no compiler is installed")
    program = folder / "tls_load"
    done = subprocess.run([compiler, "-O2", "-D_GNU_SOURCE", "-o", program, TOOL, "-lssl", "-lcrypto", "-lpthread"],
                          capture_output=True, text=True)
    if done.returncode != 0:
        raise Unavailable("tls_load", f"it can't be compiled: {done.stderr[-300:]}")
    return program


def certificate(folder):
    """(certificate, key), files that root reads."""
    pem, key = folder / "bench.pem", folder / "bench.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-days", "30", "-subj", f"/CN=us.{DOMAIN}", "-addext", f"subjectAltName=DNS:us.{DOMAIN},DNS:localhost",
                    "-keyout", key, "-out", pem], check=True, capture_output=True, timeout=30)
    key.chmod(0o600)
    return pem, key


class TlsSink(Sink):
    """Takes no mail but under TLS."""

    def __init__(self, program, pair):
        self.program, self.pair, self.process = program, pair, None
        self.host, self.port = "127.0.0.1", free_port()

    def start(self):
        memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.counters = tempfile.TemporaryFile(dir=memory)
        self.process = subprocess.Popen([self.program, "sink", str(self.port), *self.pair], stdin=subprocess.DEVNULL,
                                        stdout=self.counters, stderr=subprocess.DEVNULL)
        wait_greeting(self.port)


class TlsSource(Source):
    def __init__(self, program, port, messages, keep):
        super().__init__(port, messages, sessions=SESSIONS, keep=keep)
        self.commands = [[str(program), "source", *map(str, (port, messages, SESSIONS, 4096, int(keep), ELSEWHERE))]]


def starttls(keep, guesses):
    def run(context):
        program, pair = tool(context.folder), certificate(context.folder)
        sink = context.start(TlsSink(program, pair))
        servers = [
            context.start(Ours(context.folder, sink=sink, extra="tls {{ certificate {}; key {} }}\n".format(*pair))),
            context.start_peer(lambda: Postfix(context.folder, sink=sink, extra=(
                "smtpd_tls_cert_file = {}\nsmtpd_tls_key_file = {}\n"
                "smtpd_tls_security_level = may\nsmtp_tls_security_level = may").format(*pair)))]
        sides = {server.name: (server, server.port) for server in filter(None, servers)} | {"harness": (None, sink.port)}
        rounds = interleaved(context, {name: duel.sized(
            context, guesses, name, lambda count, _, server=server, port=port:
            one_round(server, sink, TlsSource(program, port, count, keep))) for name, (server, port) in sides.items()})
        medians = duel.peers_of(rounds)
        shown, reached = duel.line(medians, 3)
        return Result({"rounds": rounds, "medians": medians}, shown, reached)
    return run


ROWS = [
    Row("tls-connect", "STARTTLS on both sides, a connection a message", ">= 3x Postfix", starttls(False, CONNECT)),
    Row("tls-kept", "STARTTLS on both sides, connections kept", ">= 3x Postfix", starttls(True, KEPT)),
]
