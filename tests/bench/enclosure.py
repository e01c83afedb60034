"""
As root all that the bench starts lives in namespaces of its own: processes, mounts, network. However the
bench ends, its kernel ends every process and takes back every mount; and nobody else is on its loopback.

 bench.py (waits, removes the folder) -> first process of the namespace (waits for orphans, too) -> the bench
"""
import ctypes
import fcntl
import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile

CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWNET = 0x00020000, 0x20000000, 0x40000000
PR_SET_PDEATHSIG = 1
SIOCSIFFLAGS, IFF_UP = 0x8914, 1
_libc = ctypes.CDLL(None, use_errno=True)


def run(bench, where):
    """bench(folder) -> exit status, in a fresh folder below where. Ends the process."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="stagepost-bench-", dir=where))
    folder.chmod(0o755)
    status = 1
    try:
        status = _enclosed(bench, folder) if os.geteuid() == 0 else _plain(bench, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(status)


def _plain(bench, folder):
    _end_once()
    return bench(folder)


def _end_once():
    """The first signal ends what is under way; while that is taken down no further one disturbs."""
    def end(number, _):
        for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(s, signal.SIG_IGN)
        sys.exit(128 + number)
    for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(s, end)


def _refused(what):
    sys.exit(f"bench: root may not do that here: {what}. It needs the capability SYS_ADMIN; an ordinary user needs none and "
             "measures without peers")


def _unshare(what):
    if _libc.unshare(what) != 0:
        _refused(f"unshare: {os.strerror(ctypes.get_errno())}")


def _mount(*words):
    done = subprocess.run(["mount", *words], capture_output=True, text=True)
    if done.returncode != 0:
        _refused(done.stderr.strip())


def _loopback_up():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        fcntl.ioctl(s, SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", IFF_UP))


def _forward_to(child):
    for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(s, lambda number, _: os.kill(child, number))


def _enclosed(bench, folder):
    _unshare(CLONE_NEWPID)
    sys.stdout.flush()
    first = os.fork()
    if first == 0:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        os.setsid()  # a terminal's signals come through our parent alone
        os._exit(_first_process(bench, folder))
    _forward_to(first)
    _, status = os.waitpid(first, 0)
    return os.waitstatus_to_exitcode(status) & 0xff


def _first_process(bench, folder):
    _unshare(CLONE_NEWNS | CLONE_NEWNET)
    _mount("--make-rprivate", "/")
    _mount("-t", "proc", "proc", "/proc")
    _loopback_up()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            _end_once()
            status = bench(folder)
        except SystemExit as e:
            status = e.code if isinstance(e.code, int) else 1
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    _forward_to(child)
    while True:
        pid, status = os.wait()
        if pid == child:
            shutil.rmtree(folder, ignore_errors=True)  # should our parent have been killed
            return os.waitstatus_to_exitcode(status) & 0xff
