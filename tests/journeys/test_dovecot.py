"""
IMAP is Dovecot's: with the configuration that is shipped it serves the Maildirs that we deliver into, to the users
of our users file.
"""
import imaplib
import smtplib
import ssl
import subprocess

import pytest

import dovecot
from stagepost import DOMAIN, free_port

PASSWORDS = {"alice": "the first horse", "bob": "Wechselstation 7", "carol": "a third one"}


def crypted(password):
    return subprocess.run(["openssl", "passwd", "-6", "-stdin"], input=password, text=True, check=True,
                          capture_output=True).stdout.strip()


@pytest.fixture
def imap(stagepost):
    """Our server, and a function that logs in by IMAP beside it."""
    why = dovecot.available()
    if why:
        pytest.skip(why)
    server, port = stagepost(start=False), free_port()
    server.write("users", f"alice\nbob:{{SHA512-CRYPT}}{crypted(PASSWORDS['bob'])}\n")
    server.configure(top="auth { passwords file:users }")
    server.start()
    for verb, name in ("passwd", "alice"), ("add", "carol"):
        subprocess.run([server.programs / "bin" / "stagepost", "-c", server.folder / "stagepost.conf", "user", verb,
                        "--stdin", name], input=PASSWORDS[name] + "\n", text=True, check=True, capture_output=True)
    dovecot.certificate(server.folder)
    peer = dovecot.Dovecot(dovecot.shipped("imap.conf", {
        "/etc/stagepost/tls/fullchain.pem": server.folder / "cert.pem",
        "/etc/stagepost/tls/privkey.pem": server.folder / "key.pem",
        "/etc/stagepost/users": server.folder / "users",
        "/var/mail": server.folder / "mail",
        "example.org": DOMAIN,
        "port = 993": f"port = {port}"}))

    def login(user, password):
        trust = ssl.create_default_context(cafile=server.folder / "cert.pem")
        trust.check_hostname = False  # it is 127.0.0.1 here
        client = imaplib.IMAP4_SSL("127.0.0.1", port, ssl_context=trust, timeout=20)
        client.login(user, password)
        return client
    yield server, login
    peer.end()


def test_dovecot_shows_our_users_the_mail_that_we_deliver(imap):
    server, login = imap
    with smtplib.SMTP("127.0.0.1", server.port, timeout=20) as client:
        client.sendmail("carol@elsewhere.example", [f"alice@{DOMAIN}"], b"Subject: by IMAP\r\n\r\nHello.\r\n")
    server.wait_letters("alice", 1)
    client = login(f"alice@{DOMAIN}", PASSWORDS["alice"])
    assert client.select("INBOX") == ("OK", [b"1"])
    _, parts = client.fetch("1", "(RFC822)")
    assert b"Subject: by IMAP\r\n\r\nHello.\r\n" in parts[0][1]
    assert client.append("Sent", "", None, b"Subject: sent\r\n\r\nHi.\r\n")[0] == "OK"
    client.logout()
    by_user_add = login("carol", PASSWORDS["carol"])  # the whole address in the file
    assert by_user_add.select("INBOX") == ("OK", [b"0"])
    by_user_add.logout()
    bare = login("bob", PASSWORDS["bob"])
    assert bare.select("INBOX") == ("OK", [b"0"])
    bare.logout()


@pytest.mark.parametrize("user, password", [(f"alice@{DOMAIN}", "wrong"), (f"alice@{DOMAIN}", PASSWORDS["bob"]),
                                            ("alice@elsewhere.example", PASSWORDS["alice"]),
                                            (f"nobody@{DOMAIN}", PASSWORDS["alice"])])
def test_dovecot_refuses_who_is_not_our_user(imap, user, password):
    _, login = imap
    with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
        login(user, password)
