"""
    cron, PHP, s-nail, mutt -- sendmail -- RUN/submit, who calls is known --> smtpd --> queue --> Maildir

Programs of this machine send mail as they have for forty years.
"""
import email
import shutil
import subprocess

import pytest

from stagepost import DOMAIN, IS_ROOT, wait_for


@pytest.fixture(scope="module")
def us(shared):
    shared.configure(top="trust 127.0.0.0/8\n")
    shared.run("reload")
    return shared


def sendmail(us, *words, content="", name="sendmail", as_nobody=False, check=0):
    """The command; its whole outcome. as_nobody: called by another user than the server's."""
    front = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--"] if as_nobody else []
    if name != "sendmail" and not (us.folder / name).exists():
        (us.folder / name).symlink_to(us.programs / "bin/sendmail")
    program = us.programs / "bin/sendmail" if name == "sendmail" else us.folder / name
    done = subprocess.run([*front, program, "-C", us.folder / "stagepost.conf", *words],
                          input=content, capture_output=True, text=True, timeout=60)
    if check is not None:
        assert done.returncode == check, f"{words}: exit {done.returncode}: {done.stdout}{done.stderr}"
    return done


def fresh(us, user="bob"):
    """A function that waits for the next letters of the user since now, and returns the last, parsed."""
    before = len(us.maildir(user))

    def wait(count=1):
        wait_for(lambda: len(us.maildir(user)) >= before + count, 15, f"a letter of {user}")
        return email.message_from_bytes(us.maildir(user)[-1].read_bytes())
    return wait


def test_cron_sends_what_a_job_printed(us):
    """cron: sendmail -FCronDaemon -i -odi -oem -oi -t -f root."""
    wait = fresh(us)
    sendmail(us, "-FCronDaemon", "-i", "-odi", "-oem", "-oi", "-t", "-f", "root",
             content=f"From: root (Cron Daemon)\nTo: bob@{DOMAIN}\nSubject: Cron <root@host> date\n"
                     "Content-Type: text/plain; charset=UTF-8\nAuto-Submitted: auto-generated\n\nwhat it said\n.\nmore\n")
    letter = wait()
    assert letter["Return-Path"] == f"<root@{DOMAIN}>"
    assert letter["From"] == "root (Cron Daemon)"
    assert letter.get_payload() == "what it said\n.\nmore\n"
    assert letter["Date"] and letter["Message-ID"]


def test_php_sends_with_t_and_i(us):
    wait = fresh(us)
    sendmail(us, "-t", "-i", content=f"To: Bob <bob@{DOMAIN}>\nSubject: form\nX-PHP-Originating-Script: 33:form.php\n"
                                     "Bcc: alice\n\nhello\n")
    letter = wait()
    assert letter["Subject"] == "form"
    assert letter["Bcc"] is None
    wait_for(lambda: us.maildir("alice"), what="the copy that Bcc asked for")


def test_the_server_knows_who_calls(us):
    if not IS_ROOT:
        pytest.skip("calling as another user needs root")
    wait = fresh(us)
    sendmail(us, f"bob@{DOMAIN}", content="Subject: x\n\nx\n", as_nobody=True)
    assert wait()["Return-Path"] == f"<nobody@{DOMAIN}>"
    us.logged("accepted client=local uid=65534")


def test_names_without_a_domain_are_completed(us):
    wait = fresh(us)
    sendmail(us, "-f", "alice", "bob", content="Subject: short names\n\nx\n")
    letter = wait()
    assert letter["Return-Path"] == f"<alice@{DOMAIN}>"
    assert letter["Delivered-To"] == f"bob@{DOMAIN}"


def test_a_program_that_speaks_SMTP_itself(us):
    wait = fresh(us)
    done = sendmail(us, "-bs", content="EHLO me\r\nMAIL FROM:<alice>\r\nRCPT TO:<bob>\r\nDATA\r\n"
                                       "Subject: spoken\r\n\r\nx\r\n.\r\nQUIT\r\n")
    assert done.stdout.startswith("220 ")
    assert "250 2.0.0" in done.stdout and "221 2.0.0" in done.stdout
    assert wait()["Subject"] == "spoken"


@pytest.mark.parametrize("words, content, code", [
    (["nobody-here"], "x\n\nx\n", 67),
    ([], "To: x\n\n", 64),
    (["-t"], "Subject: nobody\n\n", 65),
    (["-Z", "bob"], "", 64),
    (["a b c@@"], "", 65),
])
def test_exit_codes_are_those_of_sysexits(us, words, content, code):
    sendmail(us, *words, content=content, check=code)


def test_without_a_server_it_says_try_later(stagepost):
    away = stagepost(start=False)
    assert "is it running" in sendmail(away, "bob", content="x\n\nx\n", check=75).stderr


def test_mailq_shows_the_queue_as_its_readers_know_it(us):
    assert "Mail queue is empty" in sendmail(us, name="mailq").stdout
    assert "Mail queue is empty" in sendmail(us, "-bp").stdout


def test_newaliases_has_nothing_to_do_for_text(us):
    sendmail(us, name="newaliases")
    sendmail(us, "-bi")


def test_newaliases_builds_each_database_from_its_text(us):
    us.write("crews", "crew: alice\n")
    us.run("table", "build", "aliases", "crews")
    us.configure(top="trust 127.0.0.0/8\naliases db:crews\n")
    us.run("reload")
    us.write("crews", "crew: alice\nteam: bob\n")
    assert "crews.db: 2 entries" in sendmail(us, name="newaliases").stdout
    wait_for(lambda: us.run("route", "team@mx." + DOMAIN, check=False).returncode == 0, 10, "the new database")
    us.write("crews", "no colon\n")
    refused = sendmail(us, name="newaliases", check=65)
    assert "crews:1: " in refused.stderr and "crews.db:" not in refused.stderr
    us.configure(top="trust 127.0.0.0/8\n")
    us.run("reload")


def test_bv_says_where_mail_would_go(us):
    assert "bob" in sendmail(us, "-bv", f"bob@{DOMAIN}").stdout


def test_q_makes_deferred_mail_due(us):
    sendmail(us, "-q")
    sendmail(us, "-qRexample.org", check=None)


def test_notices_can_be_asked_for(us):
    wait = fresh(us, "alice")
    sendmail(us, "-N", "success", "-R", "hdrs", "-V", "id-7", "-f", f"alice@{DOMAIN}", f"bob@{DOMAIN}",
             content="Subject: tell me\n\nsecret\n")
    wait_for(lambda: b"Original-Envelope-Id: id-7" in us.maildir("alice")[-1].read_bytes(), what="the notice")
    report = wait()
    assert report.get_content_type() == "multipart/report"
    assert "secret" not in report.as_string()
    assert "Action: delivered" in report.as_string()


def test_utf8_addresses_and_headers_pass(us):
    wait = fresh(us)
    sendmail(us, "-t", "-i", content=f"To: bob@{DOMAIN}\nSubject: gr\u00fc\u00dfe\n\nx\n")
    wait()


def test_s_nail_sends(us):
    if not shutil.which("s-nail"):
        pytest.skip("s-nail is not installed")
    wait = fresh(us)
    subprocess.run(["s-nail", "-n", "-S", f"mta={us.programs}/bin/sendmail", "-S",
                    f"mta-arguments=-C {us.folder}/stagepost.conf", "-S", "v15-compat", "-s", "by s-nail",
                    "-r", f"alice@{DOMAIN}", f"bob@{DOMAIN}"], input="a word\n", text=True, check=True, timeout=60,
                   capture_output=True, env={"HOME": str(us.folder), "PATH": "/usr/bin:/bin"})
    assert wait()["Subject"] == "by s-nail"


def test_mutt_sends(us):
    if not shutil.which("mutt"):
        pytest.skip("mutt is not installed")
    wait = fresh(us)
    subprocess.run(["mutt", "-n", "-F", "/dev/null", "-e",
                    f'set sendmail="{us.programs}/bin/sendmail -C {us.folder}/stagepost.conf -oem -oi"',
                    "-e", f"set from=alice@{DOMAIN}", "-e", "set copy=no", "-s", "by mutt", f"bob@{DOMAIN}"],
                   input="a word\n", text=True, check=True, timeout=60, capture_output=True,
                   env={"HOME": str(us.folder), "PATH": "/usr/bin:/bin"})
    assert wait()["Subject"] == "by mutt"
