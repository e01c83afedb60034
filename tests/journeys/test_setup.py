"""
./setup in a copy of the checkout, in a folder that only its owner can enter, whose path is longer than
the address of a unix socket may be:

    ./setup run --> build (nothing to do), trial/, start, one mail --> bob's Maildir
            ^
            '---- the caller, who must get its pipes back
"""
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

import pytest

from stagepost import BUILD, ROOT, free_port

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
        text = (ROOT / "setup").read_text().replace("127.0.0.1:2525 smtp", f"127.0.0.1:{self.port} smtp")
        (self.folder / "setup").write_text(text.replace(":-2525}", f":-{self.port}}}"))

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
    for name in ("stagepost.conf", "users", "aliases", "mail", "spool", "run", "log"):
        assert (checkout.folder / "trial" / name).exists()


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
