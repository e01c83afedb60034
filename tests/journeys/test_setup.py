"""
./setup in a copy of the checkout, in a folder that only its owner can enter, whose path is longer than
the address of a unix socket may be:

    ./setup run --> build (nothing to do), trial/, start, one mail --> bob's Maildir
            ^
            '---- the caller, who must get its pipes back
"""
import poplib
import re
import shutil
import smtplib
import socket
import ssl
import subprocess
import tempfile
from pathlib import Path

import pytest

from stagepost import BUILD, ROOT, free_port, wait_for

PORTS = "2525 2587 2465 2110 2995"
LONG = "a-folder-with-a-rather-long-name"
pytestmark = pytest.mark.skipif(BUILD != ROOT / "build", reason="./setup has one way to build")


class Checkout:
    def __init__(self, base):
        self.folder = base.joinpath(*[f"{LONG}-{n}" for n in range(4)])
        self.port = free_port()
        for name in ("Makefile", "setup", "common", "queue", "master", "daemons", "commands", "conf", "tests/unit",
                     "tests/fuzz", "build/bin", "build/lib", "build/libexec", "build/obj"):
            source = ROOT / name
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, self.folder / name, symlinks=True)
            else:
                shutil.copy2(source, self.folder / name)
        self.ports = {"smtp": self.port, **{kind: free_port() for kind in ("submission", "submissions", "pop3", "pop3s")}}
        text = (ROOT / "setup").read_text()
        assert PORTS in text
        for kind, trial in zip(self.ports, PORTS.split()):
            text = re.sub(rf"127\.0\.0\.1:{trial} {kind}\b", f"127.0.0.1:{self.ports[kind]} {kind}", text)
        (self.folder / "setup").write_text(text.replace(PORTS, " ".join(map(str, self.ports.values()))))

    def setup(self, *words):
        """Returns at the end of the output, not of the program: what keeps the pipe keeps us."""
        done = subprocess.run([self.folder / "setup", *words], cwd="/", stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120)
        return done.returncode, done.stdout

    def mails(self):
        return list((self.folder / "trial/mail/trial.example/bob/new").glob("*"))


@pytest.fixture(scope="module")
def checkout():
    base = Path(tempfile.mkdtemp(prefix="stagepost-setup-"))
    base.chmod(0o700)
    copy = Checkout(base)
    yield copy
    copy.setup("stop")
    shutil.rmtree(base)


def test_run_sends_a_mail_and_leaves_the_trial_running(checkout):
    code, said = checkout.setup("run")
    assert code == 0, said
    assert "Subject: The first mail" in said and "./setup stop" in said
    assert len(checkout.mails()) == 1
    for name in ("stagepost.conf", "users", "aliases", "mail", "spool", "run", "log", "tls.pem", "passwords"):
        assert (checkout.folder / "trial" / name).exists()


def test_the_users_of_the_trial_send_and_fetch(checkout):
    secrets = checkout.folder / "trial" / "passwords"
    assert secrets.stat().st_mode & 0o777 == 0o600
    assert (checkout.folder / "trial" / "tls.key").stat().st_mode & 0o777 == 0o600
    passwords = dict(line.split(" ") for line in secrets.read_text().splitlines())
    assert list(passwords) == ["alice@trial.example", "bob@trial.example"]
    context = ssl.create_default_context(cafile=checkout.folder / "trial" / "tls.pem")
    for user, password in passwords.items():
        with smtplib.SMTP("localhost", checkout.ports["submission"], timeout=20) as s:
            s.starttls(context=context)
            s.login(user, password)
            s.sendmail(user, "alice@trial.example", "Subject: to alice\r\n\r\nx\r\n")
        with smtplib.SMTP_SSL("localhost", checkout.ports["submissions"], timeout=20, context=context) as s:
            s.login(user, password)
    new = checkout.folder / "trial/mail/trial.example/alice/new"
    wait_for(lambda: new.is_dir() and len(list(new.iterdir())) == 2)
    for name in ("pop3", "pop3s"):
        for user, subject in (("bob", b"Subject: The first mail"), ("alice", b"Subject: to alice")):
            if name == "pop3s":
                p = poplib.POP3_SSL("localhost", checkout.ports[name], timeout=20, context=context)
            else:
                p = poplib.POP3("localhost", checkout.ports[name], timeout=20)
                p.stls(context)
            p.user(f"{user}@trial.example")
            p.pass_(passwords[f"{user}@trial.example"])
            assert p.stat()[0] == (1 if user == "bob" else 2)
            assert subject in p.retr(1)[1]
            p.quit()


def test_run_again_says_that_it_runs(checkout):
    code, said = checkout.setup("run")
    assert code == 0 and "already running" in said
    assert len(checkout.mails()) == 1


def test_stop_stops_and_once_more_is_no_error(checkout):
    assert checkout.setup("stop") == (0, "setup: stopped\n")
    assert checkout.setup("stop") == (0, "setup: not running\n")


def test_a_taken_port_is_named(checkout):
    with socket.create_server(("127.0.0.1", checkout.port)):
        code, said = checkout.setup("run")
    assert code == 1 and f"port {checkout.port} on 127.0.0.1 is taken" in said


def test_run_after_stop_sends_another_mail(checkout):
    code, said = checkout.setup("run")
    assert code == 0, said
    assert len(checkout.mails()) == 2
    assert checkout.setup("stop")[0] == 0


def test_what_it_does_not_know_is_refused(checkout):
    code, said = checkout.setup("fly")
    assert code == 64 and "usage" in said


@pytest.mark.skipif(not Path("/usr/sbin/sendmail").exists(), reason="there is no sendmail that could be anybody's")
@pytest.mark.parametrize("owner, code", [("true", 1), ("false", 0)])
def test_a_sendmail_of_no_package_is_another_mail_server(tmp_path, owner, code):
    """Else the tests' Postfix would take the place of a Stagepost that is in use here."""
    (tmp_path / "dpkg-query").write_text(f'#!/bin/sh\n[ "$1" != -S ] || exec {owner}\n')
    (tmp_path / "dpkg-query").chmod(0o755)
    text = (ROOT / "setup").read_text()
    function = text[text.index("other_mail_server() {"):].split("\n}\n")[0] + "\n}\n"
    done = subprocess.run(["sh", "-c", f"PATH={tmp_path}:$PATH\n{function}other_mail_server"])
    assert done.returncode == code
