"""
Keys are in one process, handshakes in others:

    client ---- TLS ---- smtpd, submission, pop3d ---- the text of the handshake ----> keys
                          certificates             <---------- its signature --------- private keys
"""
import contextlib
import os
import signal
import socket
import ssl
import subprocess
import threading
import time

import pytest

from papers import Paper, known
from stagepost import DOMAIN, IS_ROOT, free_port, wait_for
from wire import Wire

HOST = f"mx.{DOMAIN}"
KILLS, CLIENTS = 3, 4
OPENSSL_SECONDS = 20


def context(version=None):
    """Of a client that believes everybody: the tests compare certificates themselves."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    if version:
        made.minimum_version = made.maximum_version = version
    return made


class Client:
    """One connection: plain SMTP, then TLS (RFC 3207), or TLS from the first octet."""

    def __init__(self, port, made=None, host=HOST, starttls=True, session=None, seconds=20):
        if starttls:
            self.wire = Wire(port, seconds=seconds)
            self.wire.say("STARTTLS", "220 2.0.0")
            self.tls = (made or context()).wrap_socket(self.wire.socket, server_hostname=host, session=session)
            self.wire.socket = self.tls
        else:
            raw = socket.create_connection(("127.0.0.1", port), seconds)
            self.tls = (made or context()).wrap_socket(raw, server_hostname=host, session=session)
            self.wire = Wire.__new__(Wire)
            self.wire.socket, self.wire.buffer, self.wire.pieces = self.tls, b"", None
            self.wire.expect("220")
        self.wire.ehlo("client.example")  # session tickets of TLS 1.3 have come then too
        self.shown = self.tls.getpeercert(binary_form=True)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.tls.close()


def shown(house, **keywords):
    """The certificate that a client gets."""
    with Client(house.port, **keywords) as client:
        return client.shown


def pop3s(house, made=None, host=HOST, session=None):
    """The same of the third service: certificate, was the session resumed, the version."""
    with socket.create_connection(("127.0.0.1", house.pop3s), 20) as raw:
        with (made or context()).wrap_socket(raw, server_hostname=host, session=session) as client:
            assert client.recv(200).startswith(b"+OK")
            return client.getpeercert(binary_form=True), client.session_reused, client.version()


def set_up(house, *papers, top="", **configuration):
    """Configured with these certificates, STARTTLS on house.port, TLS at once on house.submissions and house.pop3s."""
    house.submissions, house.pop3s = free_port(), free_port()
    house.configure(top=f"tls {{ {'; '.join(p.statement() for p in papers)} }}\nauth {{ passwords file:users }}\n{top}",
                    listen=f"; listen 127.0.0.1:{house.submissions} submissions; listen 127.0.0.1:{house.pop3s} pop3s",
                    **configuration)
    return house.start()


@pytest.fixture
def house(stagepost):
    return stagepost(start=False)


@pytest.fixture(scope="module")
def three():
    """One with a key of each kind, for the tests that change nothing."""
    from conftest import Maker
    maker = Maker()
    made = maker(start=False)
    made.papers = {"rsa": Paper(made, "rsa", "rsa", HOST, "*.wild.example"), "ec": Paper(made, "ec", "ec", "ec.example"),
                   "ed25519": Paper(made, "ed", "ed25519", "ed.example")}
    set_up(made, *made.papers.values())
    yield made
    maker.end()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("kind", ["rsa", "ec", "ed25519"])
def test_each_kind_of_key_signs_in_each_version(three, kind, version):
    paper = three.papers[kind]
    for starttls in True, False:
        port = three.port if starttls else three.submissions
        with Client(port, context(version), paper.hosts[0], starttls) as client:
            assert client.shown == paper.der
            assert client.tls.version() == version.name.replace("_", ".")
    assert pop3s(three, context(version), paper.hosts[0]) == (paper.der, False, version.name.replace("_", "."))


@pytest.mark.parametrize("kind", ["rsa", "ec", "ed25519"])
def test_openssl_verifies_what_was_signed(three, kind):
    paper = three.papers[kind]
    done = subprocess.run(["openssl", "s_client", "-starttls", "smtp", "-connect", f"127.0.0.1:{three.port}", "-servername",
                           paper.hosts[0], "-CAfile", three.folder / f"{paper.name}.pem", "-verify_return_error",
                           "-verify_hostname", paper.hosts[0]],
                          input=b"QUIT\n", capture_output=True, timeout=OPENSSL_SECONDS)
    assert b"Verify return code: 0 (ok)" in done.stdout, done.stdout + done.stderr


def test_the_host_that_is_asked_for_chooses_the_certificate(three):
    papers = three.papers
    for host, kind in (("ec.example", "ec"), ("ED.example", "ed25519"), (HOST, "rsa"), ("a.wild.example", "rsa"),
                       ("nobody.example", "rsa"), (None, "rsa")):
        assert shown(three, host=host) == papers[kind].der, host


@pytest.mark.skipif(not IS_ROOT, reason="the memory of sandboxed processes is root's to read")
def test_no_other_process_has_a_key(three):
    for kind, paper in three.papers.items():
        for version in ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3:
            for _ in range(3):
                shown(three, made=context(version), host=paper.hosts[0])
                pop3s(three, context(version), paper.hosts[0])
    three.run("check")
    pids = {"master": three.master(), **three.serving()}
    assert {"master", "keys", "smtpd", "submission", "pop3d", "maildrop", "accounts", "control", "log",
            "queue"} <= set(pids)
    for kind, paper in three.papers.items():
        secrets = paper.secrets()
        assert len(secrets) >= 3
        holds = known(pids["keys"], secrets)
        assert any("priv" in what for what in holds), "the search does not find what is there"
        assert "PEM" not in holds, "the file was not wiped from memory"
        for name, pid in pids.items():
            if name != "keys":
                assert not known(pid, secrets), f"{name} has of the {kind} key"


def test_no_process_but_the_master_has_a_keys_file_open(three):
    holders = set()
    for name, pid in {"master": three.master(), **three.serving()}.items():
        for fd in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(FileNotFoundError):
                if os.readlink(f"/proc/{pid}/fd/{fd}").endswith(".key"):
                    holders.add(name)
    assert holders <= {"master"}


def test_a_changed_pair_is_taken_over_without_a_restart(house):
    first = Paper(house, "a", "rsa", HOST)
    set_up(house, first)
    pids = house.serving()
    assert shown(house) == first.der
    with Client(house.port) as long:
        for kind, key_first in ("ec", True), ("ed25519", False), ("rsa", True):
            fresh = Paper(house, "a", kind, HOST, write=False)
            began = time.monotonic()
            steps = [fresh.write_key, fresh.write_certificate]
            for step in steps if key_first else reversed(steps):
                step()
            wait_for(lambda: shown(house) == fresh.der, 10, "the new certificate")
            print(f"{kind}: taken over after {time.monotonic() - began:.1f} s")
        long.wire.say("NOOP", "250 2.0.0")
    assert house.serving() == pids
    certificate, = house.status()["certificates"]
    assert certificate["kind"] == "RSA 2048" and certificate["trouble"] is None


def test_a_bad_new_file_keeps_the_old_pair(house):
    paper = Paper(house, "a", "ec", HOST)
    other = Paper(house, "b", "ec", HOST)
    set_up(house, paper)
    assert house.run("check").returncode == 0

    def trouble(words):
        wait_for(lambda: words in (house.status()["certificates"][0]["trouble"] or ""), what=words)
        assert shown(house) == paper.der
        assert house.run("check", check=False).returncode == 65
        assert house.run("reload", check=False).returncode == 65

    house.write("a.pem", "nonsense\n")
    trouble("the certificate: ")
    house.logged("certificate .*a.pem: .*the old pair stays in use")
    paper.write_certificate()
    wait_for(lambda: house.status()["certificates"][0]["trouble"] is None)

    house.write("a.key", other.key)
    trouble("the key is not the certificate's")
    house.logged("the key is not the certificate's; the old pair stays in use")

    house.write("a.key", openssl_encrypted(paper.key))
    trouble("encrypted")
    house.write("a.pem", paper.certificate + paper.key)
    house.logged("the file holds a private key too")
    assert shown(house) == paper.der
    paper.write_certificate()
    paper.write_key()
    wait_for(lambda: house.status()["certificates"][0]["trouble"] is None)
    assert shown(house) == paper.der
    house.run("reload")


def test_tls_comes_and_goes_with_a_reload(house):
    house.start()
    first, second = Paper(house, "a", "ec", HOST), Paper(house, "b", "ed25519", "b.example")

    def offered():
        with house.connect() as wire:
            return "STARTTLS" in wire.features

    assert not offered()
    house.configure(top=f"tls {{ {first.statement()} }}")
    house.run("reload")
    wait_for(offered, what="STARTTLS")
    assert shown(house) == first.der
    house.configure(top=f"tls {{ {second.statement()}; {first.statement()}; minimum 1.3 }}")
    house.run("reload")
    wait_for(lambda: shown(house, host="nobody.example") == second.der, what="the new first certificate")
    assert shown(house) == first.der
    with pytest.raises((ssl.SSLError, ConnectionError)):
        shown(house, made=context(ssl.TLSVersion.TLSv1_2))
    house.configure()
    house.run("reload")
    wait_for(lambda: not offered(), what="no STARTTLS")
    assert not house.status()["certificates"]


def openssl_encrypted(key):
    return subprocess.run(["openssl", "pkey", "-aes128", "-passout", "pass:secret"], input=key, text=True, check=True,
                          capture_output=True, timeout=OPENSSL_SECONDS).stdout


def test_the_end_of_a_certificate_is_told(house):
    set_up(house, Paper(house, "a", "ec", HOST, days=10))
    house.logged(rf"certificate .*a.pem \({HOST}\) ends within 10 days")
    assert "renew it SOON" in house.run("status").stdout
    assert house.status()["certificates"][0]["state"] == "ending"
    assert "ends within 10 days" in house.run("check").stdout


def resumed(port, starttls, made, session):
    """Was the session resumed; the one to resume next."""
    with Client(port, made, starttls=starttls, session=session) as client:
        return client.tls.session_reused, client.tls.session


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_sessions_are_resumed_in_every_process_of_their_service_alone(house, version):
    set_up(house, Paper(house, "a", "ec", HOST), top="processes { smtpd 2 }")
    workers = [house.pid("smtpd"), house.pid("smtpd-1")]
    made = context(version)

    def all_have_answered(since):
        log = house.log()[since:]
        return all(f"smtpd[{pid}]" in log for pid in workers)

    _, session = resumed(house.port, True, made, None)
    since = len(house.log())
    for _ in range(200):
        again, session = resumed(house.port, True, made, session)
        assert again
        if all_have_answered(since):
            break
    assert all_have_answered(since), "one process has answered all connections"
    assert not resumed(house.submissions, False, made, session)[0]
    assert not pop3s(house, made, session=session)[1]
    assert resumed(house.port, True, made, session)[0] or version == ssl.TLSVersion.TLSv1_3


def test_a_death_of_keys_ends_no_session_and_new_ones_come(house):
    paper = Paper(house, "a", "rsa", HOST)
    set_up(house, paper)
    end, counts, failures = threading.Event(), [0] * CLIENTS, []

    def handshakes(number):
        while not end.is_set():
            try:
                assert shown(house) == paper.der
                counts[number] += 1
            except Exception as e:  # whatever: it is shown
                failures.append(e)

    with Client(house.port) as long:
        threads = [threading.Thread(target=handshakes, args=(i,)) for i in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for _ in range(KILLS):
            before = sum(counts)
            wait_for(lambda: sum(counts) > before + 2 * CLIENTS, 30, "handshakes")
            dead = house.kill("keys")
            wait_for(lambda: house.serving().get("keys", dead) != dead, 30, "another keys")
        before = sum(counts)
        wait_for(lambda: sum(counts) > before + 2 * CLIENTS, 30, "handshakes")
        end.set()
        for thread in threads:
            thread.join()
        long.wire.say("NOOP", "250 2.0.0")
    assert not failures, failures[:3]
    assert house.serving()["smtpd"] in house.pids


def test_a_keys_that_hangs_stalls_no_plain_session(house):
    paper = Paper(house, "a", "ec", HOST)
    set_up(house, paper)
    shown(house)
    stopped = house.kill("keys", signal.SIGSTOP)
    got = []
    waiting = threading.Thread(target=lambda: got.append(shown(house)))
    try:
        waiting.start()
        for _ in range(5):
            house.deliver(b"Subject: plain\r\n\r\nx\r\n", f"alice@{DOMAIN}")
        assert not got
    finally:
        os.kill(stopped, signal.SIGCONT)
    waiting.join(30)
    assert got == [paper.der]
