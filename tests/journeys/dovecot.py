"""
Dovecot with a configuration of its own in a scratch folder, in the foreground as our child. It needs root: its
processes change their users. shipped() is a file of conf/dovecot with this test's paths, ports and domain.
"""
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from stagepost import DOMAIN, ROOT, descendants, is_there, wait_for


def available():
    """None, or why it can't be used."""
    if os.getuid() != 0:
        return "Dovecot changes its users: only as root"
    if not shutil.which("dovecot"):
        return "dovecot is not installed"
    return None


def certificate(folder, name=f"mx.{DOMAIN}"):
    """A self-signed one: folder/cert.pem, folder/key.pem."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-days", "30", "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}",
                    "-keyout", folder / "key.pem", "-out", folder / "cert.pem"], check=True, capture_output=True)


def shipped(name, changes):
    """conf/dovecot/NAME with each text of `changes` replaced; each must be there."""
    text = (ROOT / "conf" / "dovecot" / name).read_text()
    for old, new in changes.items():
        assert old in text, f"conf/dovecot/{name} has no {old!r}"
        text = text.replace(old, str(new))
    return text


class Dovecot:
    def __init__(self, configuration):
        self.folder = Path(tempfile.mkdtemp(prefix="stagepost-dovecot-"))
        self.folder.chmod(0o755)
        self.run = self.folder / "run"
        self.log = self.folder / "log"
        (self.folder / "dovecot.conf").write_text(
            f"base_dir = {self.run}\nstate_dir = {self.folder}/state\nlog_path = {self.log}\n"
            f"instance_name = {self.folder.name}\nlisten = 127.0.0.1\nauth_failure_delay = 1 s\n{configuration}")
        self.process = subprocess.Popen(["dovecot", "-F", "-c", self.folder / "dovecot.conf"],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        wait_for(self._serves, 20, "Dovecot's start")

    def _serves(self):
        if self.process.poll() is not None:
            raise AssertionError(f"Dovecot has ended: {self.process.stderr.read()}")
        return (self.run / "master.pid").exists() and self.log.exists() and "starting up" in self.log.read_text()

    def end(self):
        pids = {self.process.pid} | descendants(self.process.pid)
        self.process.terminate()
        self.process.wait(20)
        wait_for(lambda: not any(map(is_there, pids)), 20, "end of Dovecot")
        shutil.rmtree(self.folder, ignore_errors=True)
