"""
The first mail, sent by the programs that people use:

    swaks, smtplib, curl --- SMTP ---> smtpd -- is bob ours? --> router ---> accounts
                                         |
                     250 once it is durable: spool/segments
                                         v
    mail/trial.example/bob/new <--- local <--- queue -- where does it go? --> router

As root each daemon has a user of its own; the first tests also run with one user for all.
"""
import re
import smtplib
import subprocess
import time
from email.message import EmailMessage
from email.utils import parsedate_to_datetime

import pytest

from stagepost import IS_ROOT, wait_for

MODES = [None] + (["nobody"] if IS_ROOT else [])
TABLE_SECONDS = 2  # in which a changed table is used


@pytest.fixture(scope="module", params=MODES, ids=lambda user: user or "own-users" if IS_ROOT else "one-user")
def house(request):
    from conftest import Maker
    maker = Maker()
    yield maker(user=request.param)
    maker.end()


def replies(house, *recipients):
    """What RCPT says to each."""
    with house.connect() as wire:
        wire.say("MAIL FROM:<sender@remote.example>", "250 2.1.0")
        return [wire.say(f"RCPT TO:<{r}>") for r in recipients]


def by_subject(house, user, subject):
    return wait_for(lambda: [l for l in house.letters(user) if f"Subject: {subject}\n".encode() in l.content])


def test_swaks_sends_a_mail_to_bob(house):
    done = subprocess.run(["swaks", "--server", f"127.0.0.1:{house.port}", "--from", "alice@remote.example", "--to",
                           "bob@trial.example", "--header", "Subject: by swaks", "--body", "Guten Tag"],
                          capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stdout
    queue_id = re.search(r"<-  250 2\.0\.0 Ok: queued as ([0-9A-Z]{12})\n", done.stdout)[1]
    (letter,) = by_subject(house, "bob", "by swaks")
    assert letter.sender == "alice@remote.example"
    assert letter.address == "bob@trial.example"
    assert b"\n\nGuten Tag\n" in letter.content
    assert f"id {queue_id}" in letter.received
    house.logged(f"{queue_id} .*to=bob@trial.example")


def test_the_trace_field_says_who_where_how_and_when(house):
    """RFC 5321 4.4."""
    with house.connect(hello="[192.0.2.1]") as wire:
        wire.begin()
        queue_id = wire.content(b"Subject: trace\r\n\r\n").text.split()[-1]
    (letter,) = by_subject(house, "bob", "trace")
    unfolded = re.sub(r"\n[ \t]+", " ", letter.received)
    found = re.fullmatch(r"Received: from \[192\.0\.2\.1\] \(unknown \[127\.0\.0\.1\]\) by mx\.trial\.example with ESMTP "
                         rf"id {queue_id} for <bob@trial\.example>; (.*)\n", unfolded)
    assert found, unfolded
    assert all(len(line) <= 78 for line in letter.received.splitlines())
    assert abs(parsedate_to_datetime(found[1]).timestamp() - time.time()) < 60


def test_a_client_that_says_helo_is_written_as_smtp(house):
    with smtplib.SMTP("127.0.0.1", house.port, "old.example") as client:
        client.helo()
        client.sendmail("a@remote.example", "bob@trial.example", "Subject: helo\n\nx")
    (letter,) = by_subject(house, "bob", "helo")
    assert re.search(r"from old\.example .*with SMTP ", letter.received.replace("\n", " "))


def test_smtplib_sends_mail_with_an_attachment(house):
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = "by smtplib", "Jörg <j@remote.example>", "bob@trial.example"
    message.set_content("Grüße aus der Ferne\n" * 10)
    message.add_attachment(bytes(range(256)) * 400, maintype="application", subtype="octet-stream", filename="a.bin")
    message.set_boundary("=_0123456789")
    with smtplib.SMTP("127.0.0.1", house.port) as client:
        client.send_message(message)
        client.send_message(message)
    letters = by_subject(house, "bob", "by smtplib")
    wait_for(lambda: len(by_subject(house, "bob", "by smtplib")) == 2)
    assert letters[0].content == message.as_bytes()


def test_curl_sends_a_mail(house):
    content = "Subject: by curl\r\nTo: bob@trial.example\r\n\r\n.dot\r\n"
    subprocess.run(["curl", "-sS", "--max-time", "20", f"smtp://127.0.0.1:{house.port}/curl.example", "--mail-from",
                    "a@remote.example", "--mail-rcpt", "bob@trial.example", "--upload-file", "-"],
                   input=content, text=True, check=True, timeout=30)
    (letter,) = by_subject(house, "bob", "by curl")
    assert letter.content == content.replace("\r\n", "\n").encode()
    assert letter.received.startswith("Received: from curl.example ")


def test_an_alias_reaches_two_users(house):
    house.deliver(b"Subject: both\r\n\r\n", "both@trial.example")
    for user in ("alice", "bob"):
        (letter,) = by_subject(house, user, "both")
        assert letter.address == f"{user}@trial.example"
        assert letter.original == "both@trial.example"


def test_an_extension_is_the_same_user(house):
    house.deliver(b"Subject: extension\r\n\r\n", "Bob+lists.linux@Trial.Example")
    (letter,) = by_subject(house, "bob", "extension")
    assert letter.address.lower() == "bob+lists.linux@trial.example"


@pytest.mark.parametrize("address", ["postmaster", "Postmaster@trial.example", "postmaster@mx.trial.example"])
def test_postmaster_is_always_there(house, address):
    subject = "to " + address
    house.deliver(f"Subject: {subject}\r\n\r\n".encode(), address)
    (letter,) = by_subject(house, "alice", subject)
    assert letter.address == "alice@trial.example"


def test_the_null_sender_is_kept(house):
    house.deliver(b"Subject: bounce\r\n\r\n", sender="")
    (letter,) = by_subject(house, "bob", "bounce")
    assert letter.sender == ""


def test_who_is_not_there_is_550_and_others_mail_is_not_relayed(house):
    unknown, relay = replies(house, "nobody@trial.example", "bob@elsewhere.example")
    assert repr(unknown) == "<550 5.1.1 <nobody@trial.example>: Recipient address rejected: User unknown>"
    assert repr(relay) == "<554 5.7.1 <bob@elsewhere.example>: Relay access denied>"


def test_a_mailbox_is_private(house):
    by_subject(house, "bob", "by swaks")
    box = house.folder / "mail" / "trial.example" / "bob"
    for folder in (box, box / "new", box / "cur", box / "tmp"):
        assert folder.stat().st_mode & 0o777 == 0o700
    assert all(f.stat().st_mode & 0o777 == 0o600 for f in house.maildir("bob"))


def test_afterwards_all_is_clean(house):
    house.assert_clean()
    house.stop()
    house.start()
    house.assert_clean()


# Tables


def test_S29_S33_aliases_end_at_users_and_at_themselves(stagepost):
    house = stagepost(start=False)
    house.write("aliases", "bob: bob, alice\nLIST: Bob, alice@TRIAL.example\nloop: pool\npool: loop\n")
    house.start()
    house.deliver(b"Subject: self\r\n\r\n", "bob@trial.example")
    by_subject(house, "bob", "self")
    by_subject(house, "alice", "self")
    house.deliver(b"Subject: fold\r\n\r\n", "list@trial.example")
    by_subject(house, "alice", "fold")
    by_subject(house, "bob", "fold")
    house.assert_clean()
    assert len(house.maildir("bob")) == 2
    house.deliver(b"Subject: loop\r\n\r\n", "loop@trial.example", sender="bob@trial.example")
    assert wait_for(lambda: [l for l in house.letters("bob") if l.sender == "" and b"5.4.6" in l.content])
    house.assert_clean()


def test_S35_a_mailbox_has_one_copy_for_each_way_that_the_sender_chose(stagepost):
    """Twice by one list is once; by two addresses it is two letters, told apart by X-Original-To."""
    house = stagepost(start=False)
    house.write("aliases", "one: bob, Bob@trial.example\ntwo: bob\n")
    house.start()
    house.deliver(b"Subject: a\r\n\r\n", "one@trial.example", "two@trial.example", "bob@trial.example")
    house.wait_letters("bob", 3)
    house.assert_clean()
    assert sorted(str(letter.original) for letter in house.letters("bob")) == ["None", "one@trial.example", "two@trial.example"]


def test_S29_who_is_named_beside_a_loop_has_the_mail_once(stagepost):
    house = stagepost(start=False)
    house.write("aliases", "ring: gnir\ngnir: ring, bob\n")
    house.start()
    house.deliver(b"Subject: ring\r\n\r\n", "ring@trial.example", sender="alice@trial.example")
    report = house.wait_letters("alice")[0].content
    assert b"ring@trial.example" in report and b"5.4.6" in report
    house.assert_clean()
    assert len(house.maildir("bob")) == 1


def test_S32_the_exact_name_goes_before_the_extension_and_the_catch_all(stagepost):
    house = stagepost(start=False)
    house.write("aliases", "bob+spam: alice\n@trial.example: alice\nlist: bob\n")
    house.start()
    for address, user in (("bob@trial.example", "bob"), ("bob+spam@trial.example", "alice"), ("bob+x@trial.example", "bob"),
                          ("list+x@trial.example", "bob"), ("anyone@trial.example", "alice"), ("any+x@trial.example", "alice")):
        house.deliver(f"Subject: {address}\r\n\r\n".encode(), address)
        by_subject(house, user, address)
    house.assert_clean()
    assert len(house.maildir("alice")) == 3 and len(house.maildir("bob")) == 3


def test_names_without_a_domain_have_a_table_of_their_own(stagepost):
    house = stagepost(start=False)
    house.write("names", "root: bob\npostmaster: bob\n")
    house.start()
    house.deliver(b"Subject: bare\r\n\r\n", "postmaster")
    by_subject(house, "bob", "bare")
    house.assert_clean()


@pytest.mark.parametrize("user", MODES)
def test_a_changed_table_is_used_without_reload(stagepost, user):
    house = stagepost(user=user)

    def used(recipient, code):
        begun = time.monotonic()
        wait_for(lambda: replies(house, recipient)[0].code == code, TABLE_SECONDS + 3)
        assert time.monotonic() - begun < TABLE_SECONDS + 0.5
    assert replies(house, "carol@trial.example", "news@trial.example")[0].code == 550
    house.write("users", "alice\nbob\ncarol\n")
    used("carol@trial.example", 250)
    house.write("aliases", "news: carol\n")
    used("news@trial.example", 250)
    used("both@trial.example", 550)
    with (house.folder / "users").open("a") as users:  # in place, too
        users.write("dave\n")
    used("dave@trial.example", 250)
    house.deliver(b"Subject: news\r\n\r\n", "news@trial.example")
    by_subject(house, "carol", "news")


@pytest.mark.parametrize("table, wrong", [("users", b":no name\n" * 3 + b"\0\n"), ("aliases", b"both alice\n" * 200)],
                         ids=["users", "aliases"])
def test_a_bad_table_keeps_the_old_one_and_says_so(stagepost, table, wrong):
    house = stagepost()
    house.write(table, wrong)
    house.logged(rf"/{table}:\d+: ")
    assert [r.code for r in replies(house, "bob@trial.example", "both@trial.example")] == [250, 250]
    (house.folder / table).unlink()
    house.logged(f"{table}: No such file")
    assert [r.code for r in replies(house, "bob@trial.example", "both@trial.example")] == [250, 250]


def test_several_domains_may_have_the_same_users_apart(stagepost):
    house = stagepost(start=False)
    house.configure(domain=f'domain other.example third.example {{ deliver maildir "mail/%d/%n" '
                           f'{{ users static:bob,eve; owner {house.owner} }} }}')
    house.start()
    for domain in ("trial.example", "other.example", "third.example"):
        house.deliver(f"Subject: {domain}\r\n\r\n".encode(), f"bob@{domain}")
        (letter,) = house.wait_letters("bob", 1, domain)
        assert letter.address == f"bob@{domain}"
    unknown, known = replies(house, "eve@trial.example", "eve@third.example")
    assert (unknown.code, known.code) == (550, 250)
    house.assert_clean()


@pytest.mark.parametrize("local", ["..", ".", "../../etc/x", "a/b", "a\\b", "", " ", "%n"])
def test_no_local_part_leaves_its_mailbox(stagepost, local):
    """users any: every name is a user, but none becomes a path above its folder."""
    house = stagepost(start=False)
    house.configure(deliver=f'deliver maildir "mail/%d/%n" {{ users any; owner {house.owner} }}')
    house.start()
    with house.connect() as wire:
        wire.say("MAIL FROM:<>", "250 2.1.0")
        quoted = local.replace("\\", "\\\\")
        reply = wire.say(f'RCPT TO:<"{quoted}"@trial.example>')
        if reply.code == 250:
            wire.say("DATA", "354")
            wire.content(b"Subject: x\r\n\r\n")
    wait_for(lambda: not [m for m in house.queue() if m["queue_name"] in ("active", "incoming")])
    known = {"stagepost.conf", "users", "aliases", "names", "mail", "spool", "run", "log"}
    assert {f.name for f in house.folder.iterdir()} == known
    assert all(f.name == "trial.example" for f in (house.folder / "mail").iterdir())
