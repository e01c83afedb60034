"""
Users send their mail: passwords under TLS (RFC 4954), and what a user may do (RFC 6409).

    swaks, curl, msmtp, smtplib --- 587, 465 ---> submission -- does it hold? --> accounts
                                                     |  '------ may it go? ------> usage
                                                     '---> queue ---> local ---> bob
"""
import base64
import hashlib
import os
import re
import smtplib
import signal
import subprocess

import pytest

from people import PASSWORDS, fresh_address, plain, scram_answer, tls, trusting, with_people
from stagepost import DOMAIN, wait_for
from wire import Wire

ALICE = f"alice@{DOMAIN}"
CONTENT = b"Subject: a word\r\n\r\nfrom a user\r\n"


@pytest.fixture(scope="module")
def house():
    from conftest import Maker
    maker = Maker()
    # in trust, which must not help; enough errors and failures for all tests from one address
    yield with_people(maker(start=False), limits="errors 1000; per-client 200", top="trust 127.0.0.0/8",
                      auth="ban-after 100000; mechanisms plain login scram-sha-256 scram-sha-256-plus").start()
    maker.end()


def code(text):
    return base64.b64encode(text if isinstance(text, bytes) else text.encode()).decode()


# AUTH

SYNTAX = {
    "no mechanism": [("AUTH", "501 5.5.4")],
    "one we have not": [("AUTH CRAM-MD5", "504 5.5.4"), ("AUTH GSSAPI =", "504 5.5.4"), ("AUTH EXTERNAL", "504 5.5.4"),
                        ("AUTH ANONYMOUS", "504 5.5.4")],
    "too many words": [("AUTH PLAIN a b", "501 5.5.4")],
    "no base64": [("AUTH PLAIN !!!!", "501 5.5.2"), ("AUTH PLAIN YQ", "501 5.5.2"), ("AUTH LOGIN *", "501 5.7.0")],
    "an empty response": [("AUTH PLAIN =", "501 5.5.2")],
    "cancelled": [("AUTH PLAIN", "334"), ("*", "501 5.7.0"), ("AUTH LOGIN", "334"), (code("alice"), "334"),
                  ("*", "501 5.7.0"), ("AUTH SCRAM-SHA-256", "334"), ("*", "501 5.7.0"), ("NOOP", "250 2.0.0")],
    "S10 NUL and line ends in a name": [("AUTH PLAIN " + code(b"\0al\nice\0x"), "501 5.5.2"),
                                        ("AUTH PLAIN " + code(b"\0alice\0x\0y"), "501 5.5.2"),
                                        ("AUTH PLAIN " + code(b"alice"), "501 5.5.2"),
                                        ("AUTH PLAIN " + code(b"\0\0x"), "501 5.5.2"),
                                        ("AUTH LOGIN " + code(b"al\0ice"), "501 5.5.2"),
                                        ("AUTH LOGIN " + code(b"al\rice"), "501 5.5.2")],
    "a password of nothing": [("AUTH PLAIN " + code(b"\0alice\0"), "501 5.5.2")],
    "for another": [("AUTH PLAIN " + plain(ALICE, PASSWORDS["alice"], "bob@trial.example"), "535 5.7.8")],
    "S9 mail before a login": [("MAIL FROM:<alice@trial.example>", "530 5.7.0"), ("RCPT TO:<bob@trial.example>", "503 5.5.1"),
                               ("DATA", "503 5.5.1")],
    "without EHLO": [("HELO client.example", "250"), ("AUTH PLAIN " + plain(ALICE, PASSWORDS["alice"]), "503 5.5.1")],
    "S10 twice": [("AUTH PLAIN " + plain(ALICE, PASSWORDS["alice"]), "235 2.7.0"), ("AUTH PLAIN =", "503 5.5.1"),
                  ("RSET", "250 2.0.0"), ("AUTH LOGIN", "503 5.5.1"), ("EHLO again.example", "250"),
                  ("AUTH PLAIN =", "503 5.5.1"), ("MAIL FROM:<alice@trial.example> AUTH=<>", "250 2.1.0"),
                  ("AUTH PLAIN =", "503 5.5.1")],
    "wrong": [("AUTH PLAIN " + plain(ALICE, "wrong"), "535 5.7.8"), ("AUTH LOGIN", "334"), (code(ALICE), "334"),
              (code("wrong"), "535 5.7.8"), ("MAIL FROM:<alice@trial.example>", "530 5.7.0")],
    "nobody": [("AUTH PLAIN " + plain("nobody@trial.example", "x"), "535 5.7.8")],
    "a bare name": [("AUTH PLAIN", "334"), (plain("alice", PASSWORDS["alice"]), "235 2.7.0")],
    "LOGIN with its name at once": [("AUTH LOGIN " + code(ALICE), "334"), (code(PASSWORDS["alice"]), "235 2.7.0")],
}


@pytest.mark.parametrize("name", SYNTAX)
def test_what_auth_says(house, name):
    with tls(house) as wire:
        for line, short in SYNTAX[name]:
            wire.send(line + "\r\n")
            wire.expect(short, plain=short in ("250", "334"))


def test_auth_is_not_for_other_servers(house):
    with Wire(house.port) as wire:
        wire.say("AUTH PLAIN " + plain(ALICE, PASSWORDS["alice"]), "502 5.5.1")


@pytest.mark.parametrize("begin", [[], ["AUTH PLAIN"], ["AUTH LOGIN"], ["AUTH SCRAM-SHA-256"]])
def test_a_line_of_a_million_octets_costs_nothing_and_gets_one_500(house, begin):
    with tls(house) as wire:
        for line in begin:
            wire.send(line + "\r\n")
            wire.expect("334", plain=True)
        wire.send(("" if begin else "AUTH PLAIN ") + "A" * 1000000 + "\r\n")
        wire.expect("500 5.5.6")
        wire.say("NOOP", "250 2.0.0")
        wire.login("alice")


def test_the_longest_response_is_read(house):
    with tls(house) as wire:
        wire.send("AUTH PLAIN\r\n")
        wire.expect("334", plain=True)
        wire.say("A" * 12288, "501 5.5.2")
        wire.say("AUTH PLAIN " + "A" * 12292, "500 5.5.6")
        wire.say("MAIL FROM:<" + "A" * 3000, "500 5.5.2")  # no other line may be so long
        wire.say("NOOP", "250 2.0.0")


@pytest.mark.parametrize("octets", ["AUTH PLAIN " + plain(ALICE, PASSWORDS["alice"]) + "\r\nMAIL FROM:<alice@trial.example>\r\n",
                                    "AUTH LOGIN\r\n" + code(ALICE) + "\r\n" + code("x") + "\r\n"])
def test_S11_nothing_may_follow_auth_at_once(house, octets):
    with tls(house) as wire:
        wire.send(octets)
        wire.expect("554 5.5.0")
        assert wire.ended() == b""


def test_three_wrong_passwords_end_a_session(house):
    with tls(house) as wire:
        for _ in range(3):
            wire.say("AUTH PLAIN " + plain(ALICE, "wrong"), "535 5.7.8")
        wire.expect("421 4.7.0")
        assert wire.ended() == b""


# SCRAM, by hand (RFC 5802, 7677, 5929)

class Scram:
    def __init__(self, wire, user, password, plus=False, proof=lambda p: p):
        nonce = base64.b64encode(os.urandom(18)).decode()
        head, bound = ("n,,", b"") if not plus else ("p=tls-server-end-point,,", self.end_point(wire))
        bare = f"n={user},r={nonce}"
        wire.send(f"AUTH SCRAM-SHA-256{'-PLUS' if plus else ''} {code(head + bare)}\r\n")
        first = base64.b64decode(wire.expect("334", plain=True).text).decode()
        said = dict(part.split("=", 1) for part in first.split(","))
        assert said["r"].startswith(nonce) and len(said["r"]) > len(nonce) + 20
        final, self.signature = scram_answer(password, bare, first, head, bound, proof)
        wire.send(code(final) + "\r\n")
        self.reply = wire.reply(plain=True)

    @staticmethod
    def end_point(wire):
        return hashlib.sha256(wire.socket.getpeercert(binary_form=True)).digest()


@pytest.mark.parametrize("plus", [False, True])
def test_scram_proves_both_sides(house, plus):
    with tls(house) as wire:
        scram = Scram(wire, ALICE, PASSWORDS["alice"], plus)
        assert scram.reply.code == 334
        assert base64.b64decode(scram.reply.text) == b"v=" + base64.b64encode(scram.signature)
        wire.say("", "235 2.7.0")
        wire.say("MAIL FROM:<alice@trial.example>", "250 2.1.0")


@pytest.mark.parametrize("plus", [False, True])
def test_a_wrong_proof_is_535_for_who_is_there_and_who_is_not(house, plus):
    with tls(house) as wire:
        assert Scram(wire, ALICE, PASSWORDS["alice"], plus, proof=lambda p: p[::-1]).reply.code == 535
        wire.say("MAIL FROM:<alice@trial.example>", "530 5.7.0")
    for user, password in ((ALICE, "wrong"), ("nobody@trial.example", "x")):
        with tls(house) as wire:
            assert Scram(wire, user, password, plus).reply.code == 535


def test_another_channel_is_refused(house):
    class Elsewhere(Scram):
        end_point = staticmethod(lambda wire: b"x" * 32)
    with tls(house) as wire:
        assert Elsewhere(wire, ALICE, PASSWORDS["alice"], plus=True).reply.code == 535


# Programs not written here

def swaks(house, *arguments, port="submission", user=ALICE, password=PASSWORDS["alice"]):
    tls_way = ["--tls"] if port == "submission" else ["--tls-on-connect"]
    return subprocess.run(["swaks", "--server", f"127.0.0.1:{getattr(house, port)}", *tls_way, "--from", ALICE,
                           "--to", f"bob@{DOMAIN}", "--auth-user", user, "--auth-password", password, "--timeout", "20",
                           "--local-interface", fresh_address(),
                           *arguments], capture_output=True, text=True, timeout=40)


@pytest.mark.parametrize("port", ["submission", "submissions"])
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_swaks(house, mechanism, port):
    before = len(house.maildir("bob"))
    sent = swaks(house, "--auth", mechanism, port=port)
    assert sent.returncode == 0, sent.stdout
    wrong = swaks(house, "--auth", mechanism, port=port, password="wrong")
    assert wrong.returncode == 28 and "535 5.7.8" in wrong.stdout, wrong.stdout  # 28: AUTH failed
    wait_for(lambda: len(house.maildir("bob")) == before + 1)
    house.logged(rf"login-failed client=127\S+ listener={port} mechanism={mechanism} result=denied .*user={ALICE}")


def test_swaks_finds_no_login_without_tls(house):
    done = subprocess.run(["swaks", "--server", f"127.0.0.1:{house.submission}", "--from", ALICE, "--to", f"bob@{DOMAIN}",
                           "--auth", "PLAIN", "--auth-user", ALICE, "--auth-password", "x"],
                          capture_output=True, text=True, timeout=40)
    assert done.returncode == 28, done.stdout


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize("port", ["submission", "submissions"])
def test_curl(house, port, mechanism):
    scheme = "smtps" if port == "submissions" else "smtp"
    def send(password):
        return subprocess.run(
            ["curl", "-sS", "--ssl-reqd", "--cacert", house.folder / "server.pem", "--login-options", f"AUTH={mechanism}",
             "--url", f"{scheme}://localhost:{getattr(house, port)}", "--user", f"{ALICE}:{password}", "--mail-from", ALICE,
             "--interface", fresh_address(),
             "--mail-rcpt", f"bob@{DOMAIN}", "-T", "-"], input=CONTENT, capture_output=True, timeout=40)
    sent = send(PASSWORDS["alice"])
    assert sent.returncode == 0, sent.stderr
    assert send("wrong").returncode == 67  # login denied


@pytest.mark.parametrize("mechanism", ["plain", "login", "scram-sha-256"])
def test_msmtp(house, mechanism, tmp_path):
    def send(password, starttls):
        rc = tmp_path / "msmtprc"
        rc.write_text(f"""
account default
host localhost
port {house.submission if starttls else house.submissions}
tls on
tls_starttls {'on' if starttls else 'off'}
tls_trust_file {house.folder}/server.pem
auth {mechanism}
user {ALICE}
password {password}
from {ALICE}
source_ip {fresh_address()}
""")
        rc.chmod(0o600)
        return subprocess.run(["msmtp", "-C", rc, f"bob@{DOMAIN}"], input=CONTENT, capture_output=True, timeout=40)
    for starttls in (True, False):
        sent = send(PASSWORDS["alice"], starttls)
        assert sent.returncode == 0, sent.stderr
    assert send("wrong", True).returncode == 77  # EX_NOPERM


def test_smtplib(house):
    with smtplib.SMTP("127.0.0.1", house.submission, timeout=20, source_address=(fresh_address(), 0)) as s:
        s.starttls(context=trusting(house.folder))
        with pytest.raises(smtplib.SMTPAuthenticationError):
            s.login(ALICE, "wrong")
        s.login(ALICE, PASSWORDS["alice"])
        s.sendmail(ALICE, [f"bob@{DOMAIN}"], CONTENT)
    with smtplib.SMTP_SSL("localhost", house.submissions, timeout=20, context=trusting(house.folder)) as s:
        s.login("alice", PASSWORDS["alice"])  # at our origin


# What a user may do

def test_who_logged_in_is_told_and_the_header_is_completed(house):
    with tls(house, user="alice") as wire:
        queue_id = wire.deliver(b"From: Alice <alice@trial.example>\r\nTo: bob@trial.example\r\nBcc: <secret@trial.example>\r\n"
                                b"Subject: complete\r\n\r\nx\r\n", sender=ALICE)
    letter = wait_for(lambda: next((l for l in house.letters("bob") if b"Subject: complete" in l.content), None))
    head = letter.content.split(b"\n\n")[0]
    assert re.search(rb"(?m)^Date: ", head) and re.search(rb"(?m)^Message-ID: <[^>]+@mx\.trial\.example>$", head)
    assert b"Bcc" not in head and b"secret" not in head
    assert " with ESMTPSA id " in re.sub(r"\s+", " ", letter.received)
    house.logged(rf"{queue_id} accepted client=127\S+ listener=submissions mechanism=PLAIN user={ALICE} ")


def test_a_user_may_send_everywhere_but_only_as_himself(house):
    with tls(house, user="alice") as wire:
        wire.say("MAIL FROM:<bob@trial.example>", "553 5.7.1")
        wire.say("MAIL FROM:<somebody@remote.example>", "553 5.7.1")
        wire.say("MAIL FROM:<alice+list@trial.example>", "250 2.1.0")
        wire.say("RCPT TO:<somebody@remote.example>", "250 2.1.5")
        wire.say("RSET", "250 2.0.0")
        wire.say("MAIL FROM:<>", "250 2.1.0")  # as notifications of reading come (RFC 8098 3)
    house.logged(rf"refused step=MAIL .*user={ALICE} .*553 5\.7\.1")


def test_with_smtputf8_the_protocol_says_so(house):
    with tls(house, user="alice") as wire:
        wire.say("MAIL FROM:<alice@trial.example> SMTPUTF8", "250 2.1.0")
        wire.say("RCPT TO:<bob@trial.example>", "250 2.1.5")
        wire.say("DATA", "354")
        wire.send("Subject: Grüße\r\n\r\nx\r\n.\r\n".encode())
        wire.expect("250 2.0.0")
    letter = wait_for(lambda: next((l for l in house.letters("bob") if "Grüße".encode() in l.content), None))
    assert " with UTF8SMTPSA id " in re.sub(r"\s+", " ", letter.received)


def test_no_password_is_ever_logged(house):
    log = house.log()
    for password in PASSWORDS.values():
        assert password not in log and code(password) not in log
    assert plain(ALICE, PASSWORDS["alice"]) not in log


def test_the_client_can_be_hidden(stagepost):
    house = with_people(stagepost(start=False), submission="hide-client yes").start()
    with tls(house, user="alice", hello="secret.client.example") as wire:
        wire.deliver(CONTENT, sender=ALICE)
    received = house.wait_letters("bob")[0].received
    assert "127.0.0.1" not in received and "client" not in received and " from " not in received
    assert re.sub(r"\s+", " ", received).startswith("Received: (using TLSv1.3 ")


@pytest.mark.parametrize("mechanisms, offered", [("scram-sha-256", "AUTH SCRAM-SHA-256"),
                                                 ("scram-sha-256 scram-sha-256-plus", "AUTH SCRAM-SHA-256-PLUS SCRAM-SHA-256")])
def test_mechanisms_can_be_chosen(stagepost, mechanisms, offered):
    house = with_people(stagepost(start=False), auth=f"mechanisms {mechanisms}").start()
    with tls(house) as wire:
        assert offered in wire.features
        wire.say("AUTH PLAIN " + plain(ALICE, PASSWORDS["alice"]), "504 5.5.4")
        assert Scram(wire, ALICE, PASSWORDS["alice"]).reply.code == 334


def test_over_a_limit_mail_is_taken_and_held(stagepost):
    house = with_people(stagepost(start=False), submission="messages 2/h").start()
    with tls(house, user="alice") as wire:
        ids = [wire.deliver(CONTENT, sender=ALICE) for _ in range(3)]
    house.wait_letters("bob", 2)
    held = wait_for(lambda: house.queue("--state", "hold"))
    assert [m["queue_id"] for m in held] == ids[2:] and held[0]["user"] == ALICE
    house.logged(rf"{ids[2]} accepted .*held=")
    told = house.wait_letters("alice")[0].content.decode()  # who is the postmaster too
    assert "Subject: A user is over a limit\n" in told and ALICE in told


# Others that die, or lie still

def test_without_accounts_logins_wait_for_better_times(stagepost):
    house = with_people(stagepost(start=False)).start()
    with tls(house) as wire:
        accounts = house.kill("accounts", signal.SIGSTOP)
        wire.send("AUTH PLAIN " + plain(ALICE, PASSWORDS["alice"]) + "\r\n")
        with tls(house) as other:
            other.say("NOOP", "250 2.0.0")
        os.kill(accounts, signal.SIGKILL)
        wire.expect("454 4.7.0")
        house.pid("accounts")
        wait_for(lambda: try_login(wire), what="a login")
        wire.deliver(CONTENT, sender=ALICE)


def try_login(wire):
    return wire.say("AUTH PLAIN " + plain(ALICE, PASSWORDS["alice"])).code == 235


def test_without_usage_mail_is_451(stagepost):
    house = with_people(stagepost(start=False)).start()
    with tls(house, user="alice") as wire:
        usage = house.kill("usage", signal.SIGSTOP)
        wire.begin(sender=ALICE)
        wire.send(CONTENT + b".\r\n")
        os.kill(usage, signal.SIGKILL)
        wire.expect("451 4.3.0")
        house.pid("usage")

        def again():
            wire.begin(sender=ALICE)
            return wire.content(CONTENT).code == 250
        wait_for(again, what="mail that is counted")
    house.wait_letters("bob")


def test_a_new_password_ends_the_sessions_of_the_old(stagepost):
    house = with_people(stagepost(start=False)).start()
    with tls(house, user="alice") as alice, tls(house, user="bob") as bob, tls(house) as proven:
        assert Scram(proven, ALICE, PASSWORDS["alice"]).reply.code == 334  # all but the last word is said
        users = (house.folder / "users").read_text().splitlines()
        house.write("users", f"alice:{{PLAIN}}another\n{users[1]}\n")
        alice.expect("421 4.7.0")
        assert alice.ended() == b""
        proven.expect("421 4.7.0")
        assert proven.ended() == b""
        bob.say("NOOP", "250 2.0.0")
    house.logged("disconnected .*how=revoked", count=2)


def test_in_postfix_words_fail2ban_finds_the_address(stagepost):
    house = with_people(stagepost(start=False), log="postfix").start()
    with tls(house) as wire:
        wire.say("AUTH PLAIN " + plain(ALICE, "wrong"), "535 5.7.8")
    house.logged(rf"smtps/smtpd\[\d+\]: warning: unknown\[127\.[\d.]+\]: SASL PLAIN authentication failed: .*sasl_username={ALICE}")
