"""
Daemons run under SCHED_BATCH, and leave it while others keep the processors busy:

    busy loops (nice 19)      smtp-source, 20 sessions ---> smtpd, which waits for the processor
                                                              ^
                                 master, each second ---------'
"""
import os
import subprocess
from pathlib import Path

from stagepost import wait_for

SOURCE = Path("/usr/sbin/smtp-source")


def policies(house):
    return {os.sched_getscheduler(p["pid"]) for p in house.status()["processes"] if p["name"] != "master"}


def test_daemons_run_under_batch_and_leave_it_while_others_are_busy(stagepost):
    assert SOURCE.exists(), "the package postfix is missing"
    house = stagepost()
    assert policies(house) == {os.SCHED_BATCH}
    running = [subprocess.Popen(["nice", "-n", "19", "sh", "-c", "while :; do :; done"])
               for _ in range(2 * os.cpu_count())]
    running.append(subprocess.Popen([SOURCE, "-d", "-s", "20", "-m", "100000", "-f", "a@far.example", "-t",
                                     "bob@trial.example", f"127.0.0.1:{house.port}"],
                                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
    try:
        wait_for(lambda: policies(house) == {os.SCHED_OTHER}, 30, "another policy of all daemons")
        assert "other programs keep the processors busy" in house.log()
    finally:
        for p in running:
            p.kill()
            p.wait()
