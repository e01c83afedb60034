"""
Users of the machine that only the bench sees: files of its own lie over /etc/passwd and its like, and a folder
over /var/mail, in the bench's mount namespace.
"""
import os
import pathlib
import shutil
import subprocess

FIRST_UID = 64600  # that this machine does not have
SPOOL = pathlib.Path("/var/mail")


class Users:
    def __init__(self, folder, names):
        self.folder, self.names = folder / "users", list(names)
        self.mounted = []

    def home(self, name):
        return self.folder / "homes" / name

    def spool(self, name):
        return SPOOL / name

    def start(self):
        self.folder.mkdir()
        for number, name in enumerate(self.names, FIRST_UID):
            self.home(name).mkdir(parents=True)
            os.chown(self.home(name), number, number)
        lines = {
            "/etc/passwd": lambda number, name: f"{name}:x:{number}:{number}::{self.home(name)}:/bin/sh\n",
            "/etc/group": lambda number, name: f"{name}:x:{number}:\n",
            "/etc/shadow": lambda number, name: f"{name}:!:20000:0:99999:7:::\n",
        }
        for path, line in lines.items():
            ours = self.folder / pathlib.Path(path).name
            shutil.copy2(path, ours)
            stat = os.stat(path)
            os.chown(ours, stat.st_uid, stat.st_gid)
            with ours.open("a") as f:
                f.writelines(line(number, name) for number, name in enumerate(self.names, FIRST_UID))
            self._lay(ours, path)
        spool, stat = self.folder / "spool", os.stat(SPOOL)
        spool.mkdir()
        os.chown(spool, stat.st_uid, stat.st_gid)
        spool.chmod(stat.st_mode & 0o7777)
        self._lay(spool, SPOOL)

    def _lay(self, ours, over):
        subprocess.run(["mount", "--bind", ours, over], check=True)
        self.mounted.append(over)

    def stop(self):
        while self.mounted:
            subprocess.run(["umount", "-l", self.mounted.pop()], check=True)
