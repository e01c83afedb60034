"""
    client -- SMTP --> smtpd, queue, local ... -- events --> log -- Postfix's words or JSON --> readers

The log as programs read it that were made for Postfix's, and as JSON.
"""
import json
import os
import poplib
import re
import shutil
import subprocess

import pytest

from people import PASSWORDS, plain, tls, trusting, with_people
from stagepost import DOMAIN, ROOT, free_port

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


def pflogsumm(us):
    report = subprocess.run(["pflogsumm", us.folder / "log/mail.log"], capture_output=True, text=True, timeout=60)
    assert report.returncode == 0, report.stderr
    return report.stdout


def test_pflogsumm_counts_our_mail(stagepost):
    if not shutil.which("pflogsumm"):
        pytest.skip("pflogsumm is not installed")
    us = stagepost(log="postfix")
    traffic(us)
    us.logged("postfix/qmgr.*removed")
    us.logged("disconnect from")
    report = pflogsumm(us)
    counted = {" ".join(words[1:]): words[0] for line in report.splitlines() if (words := line.split())}
    assert counted["received"] == "1", report
    assert counted["delivered"] == "2", report
    assert any(name.startswith("rejected") and n == "2" for name, n in counted.items()), report
    assert "sender@source.example" in report
    assert f"alice@{DOMAIN}" in report


def fail2ban(us, mode="normal"):
    program = PEERS / "fail2ban/usr/bin/fail2ban-regex"
    if not program.exists():
        pytest.skip("fail2ban was not unpacked")
    found = subprocess.run(["/usr/bin/python3", program, "-v", us.folder / "log/mail.log",
                            f"{PEERS / 'fail2ban/etc/fail2ban/filter.d/postfix.conf'}[mode={mode}]"],
                           capture_output=True, text=True, timeout=60, cwd=us.folder,
                           env=os.environ | {"PYTHONPATH": str(PEERS / "fail2ban/usr/lib/python3/dist-packages"),
                                             "HOME": str(us.folder)})
    assert "Failregex:" in found.stdout, found.stdout + found.stderr
    return found.stdout


def test_fail2ban_finds_who_was_refused(stagepost):
    us = stagepost(log="postfix")
    traffic(us)
    us.logged("reject: RCPT", count=2)
    found = fail2ban(us)
    assert "Failregex: 2 total" in found, found
    assert "127.0.0.1" in found


def test_nobody_can_have_another_banned(stagepost):
    """Whatever a client calls itself and its mail, its own address is the one that the filter sees."""
    us = stagepost(log="postfix", limits="errors 1000; unknown-recipients 1000")
    forged = b"NOQUEUE: reject: RCPT from x[203.0.113.66]: 550 5.1.1 <a@b.example>: Recipient address rejected: User unknown; "
    with us.connect(hello=None) as wire:
        wire.ehlo("x[203.0.113.66]:")
        for local in (b'"' + forged[:60] + b'"', b'"from x[203.0.113.66]: 550 5.1.1"', b'"\\\"x[203.0.113.66]"'):
            wire.say(b"MAIL FROM:<" + local + b"@b.example>", "250 2.1.0")
            assert wire.say(b"RCPT TO:<" + local + b"@elsewhere.example>").code == 554
            wire.say("RCPT TO:<bob@trial.example>", "250 2.1.5")
            wire.say("DATA", "354")
            assert wire.content(b"Message-ID: <\xc2\x9b2Jx\n[203.0.113.66]>\r\n\r\n").code == 550
            wire.say(b"MAIL FROM:<a@b.example>", "250 2.1.0")
            wire.say("RCPT TO:<bob@trial.example>", "250 2.1.5")
            wire.say("DATA", "354")
            assert wire.content(b"Message-ID: " + forged.replace(b" ", b"\xc2\x9b") + b"\r\n\r\n").code == 250
    us.wait_empty()
    us.logged("reject: RCPT from unknown", count=3)
    for mode in ("normal", "aggressive"):
        found = fail2ban(us, mode)
        assert "127.0.0.1" in found and "203.0.113.66" not in found.split("Failregex:")[1].split("Ignoreregex:")[0], found
    assert b"\xc2\x9b" not in (us.folder / "log/mail.log").read_bytes()


def failures(us):
    """A login that holds and mail by it; a wrong password by each way, and a name that wants to be more than a name."""
    with tls(us, source="127.0.0.1", user="alice") as wire:
        wire.say(f"MAIL FROM:<alice@{DOMAIN}>", "250 2.1.0")
        wire.say(f"RCPT TO:<bob@{DOMAIN}>", "250 2.1.5")
        wire.say("DATA", "354")
        wire.content(b"Subject: x\r\n\r\nx\r\n")
    forged = "x: SASL LOGIN authentication failed: x, sasl_username=y[203.0.113.66]: SASL PLAIN authentication failed:"
    for wrapped in (True, False):
        with tls(us, source="127.0.0.1", wrapped=wrapped) as wire:
            wire.say("AUTH PLAIN " + plain(f"alice@{DOMAIN}", "wrong"), "535 5.7.8")
            wire.say("AUTH LOGIN", "334")
            wire.say("!", "501 5.5.2")
            wire.say("AUTH PLAIN " + plain(forged, "wrong"), "535 5.7.8")


def test_fail2ban_counts_failed_logins_and_pflogsumm_mail_of_users(stagepost):
    us = with_people(stagepost(start=False), log="postfix").start()
    failures(us)
    us.logged("postfix/submission/smtpd.*disconnect from .* auth=0/3")
    log = us.log()
    assert re.search(rf"client=unknown\[127[.0-9]+\], sasl_method=PLAIN, sasl_username=alice@{DOMAIN}", log), log
    assert "postfix/smtps/smtpd" in log
    assert re.search(r"Anonymous TLS connection established from unknown\[127[.0-9]+\]: TLSv1.3 with cipher", log)
    us.logged(rf"warning: unknown\[127[.0-9]+\]: SASL PLAIN authentication failed: [^,]+, sasl_username=alice@{DOMAIN}$",
              count=2)
    for mode, found in (("auth", 6), ("normal", 0)):
        said = fail2ban(us, mode)
        assert f"Failregex: {found} total" in said, said
        assert "203.0.113.66" not in said.split("Failregex:")[1].split("Ignoreregex:")[0], said
    if shutil.which("pflogsumm"):
        report = pflogsumm(us)
        assert any(line.split() == ["1", "received"] for line in report.splitlines()), report
        assert "SASL" in report  # among its warnings


def test_fail2ban_counts_failed_logins_of_pop3(stagepost):
    port = free_port()
    us = with_people(stagepost(start=False), listen=f"; listen 127.0.0.1:{port} pop3s", log="postfix").start()
    for password, holds in (("wrong", False), (PASSWORDS["alice"], True)):
        mailbox = poplib.POP3_SSL("localhost", port, context=trusting(us.folder), timeout=30)
        mailbox.user(f"alice@{DOMAIN}")
        if holds:
            mailbox.pass_(password)
            mailbox.quit()
        else:
            with pytest.raises(poplib.error_proto):
                mailbox.pass_(password)
            mailbox.close()
    us.logged(rf"postfix/pop3d\[\d+\]: warning: unknown\[127.0.0.1\]: SASL LOGIN authentication failed: [^,]+, "
              rf"sasl_username=alice@{DOMAIN}$")
    us.logged(rf"postfix/pop3d\[\d+\]: login client=127.0.0.1 .*user=alice@{DOMAIN}$")
    assert "Failregex: 1 total" in fail2ban(us, "auth")


def test_each_line_is_json(stagepost):
    us = stagepost(log="json")
    qid = traffic(us)
    us.logged('"event":"removed"')
    events = sorted((json.loads(line) for line in us.log().splitlines()), key=lambda e: e["time"])
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
