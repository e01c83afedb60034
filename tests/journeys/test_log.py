"""
    client -- SMTP --> smtpd, queue, local ... -- events --> log -- Postfix's words or JSON --> readers

The log as programs read it that were made for Postfix's, and as JSON.
"""
import json
import os
import shutil
import subprocess

import pytest

from stagepost import BUILD, DOMAIN, ROOT

PEERS = ROOT / "build" / "peers"


def traffic(instance):
    """One mail to two people, a refusal, a client that leaves in the middle."""
    with instance.connect() as wire:
        qid = wire.deliver(b"Message-ID: <first@trial>\r\nSubject: x\r\n\r\nx\r\n", f"alice@{DOMAIN}",
                           f"bob@{DOMAIN}", sender="sender@source.example")
        wire.say("MAIL FROM:<sender@source.example>", "250 2.1.0")
        wire.say("RCPT TO:<you@elsewhere.example>", "554 5.7.1")
        wire.say(f"RCPT TO:<nobody@{DOMAIN}>", "550 5.1.1")
    instance.wait_letters("alice")
    instance.wait_letters("bob")
    return qid


def test_pflogsumm_counts_our_mail(stagepost):
    if not shutil.which("pflogsumm"):
        pytest.skip("pflogsumm is not installed")
    us = stagepost(log="postfix")
    traffic(us)
    us.logged("postfix/qmgr.*removed")
    us.logged("disconnect from")
    report = subprocess.run(["pflogsumm", us.folder / "log/mail.log"], capture_output=True, text=True, timeout=60)
    assert report.returncode == 0, report.stderr
    counted = {" ".join(words[1:]): words[0] for line in report.stdout.splitlines() if (words := line.split())}
    assert counted["received"] == "1", report.stdout
    assert counted["delivered"] == "2", report.stdout
    assert any(name.startswith("rejected") and n == "2" for name, n in counted.items()), report.stdout
    assert "sender@source.example" in report.stdout
    assert f"alice@{DOMAIN}" in report.stdout


def test_fail2ban_finds_who_was_refused(stagepost):
    program = PEERS / "fail2ban/usr/bin/fail2ban-regex"
    if not program.exists():
        pytest.skip("fail2ban was not unpacked")
    us = stagepost(log="postfix")
    traffic(us)
    us.logged("reject: RCPT", count=2)
    found = subprocess.run(["/usr/bin/python3", program, "-v", us.folder / "log/mail.log",
                            PEERS / "fail2ban/etc/fail2ban/filter.d/postfix.conf"], capture_output=True, text=True,
                           timeout=60, cwd=us.folder,
                           env=os.environ | {"PYTHONPATH": str(PEERS / "fail2ban/usr/lib/python3/dist-packages"),
                                             "HOME": str(us.folder)})
    assert "Failregex: 2 total" in found.stdout, found.stdout + found.stderr
    assert "127.0.0.1" in found.stdout


def test_each_line_is_json(stagepost):
    us = stagepost(log="json")
    qid = traffic(us)
    us.logged('"event":"removed"')
    events = [json.loads(line) for line in us.log().splitlines()]
    of_message = [e for e in events if e.get("id") == qid]
    assert [e["event"] for e in of_message if e["event"] != "refused"][0] == "accepted"
    assert {e["to"] for e in of_message if e["event"] == "delivered"} == {f"alice@{DOMAIN}", f"bob@{DOMAIN}"}
    assert all({"time", "role", "pid", "level"} <= e.keys() for e in events)


def test_a_reload_changes_the_format(stagepost):
    us = stagepost()
    us.configure(log="json")
    us.run("reload")
    traffic(us)
    us.logged('"event":"accepted"')
