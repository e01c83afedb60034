"""
Mail of our own clients: programs of this machine by the socket that `sendmail` uses, and machines
in networks that we trust. What they leave out is completed (S57):

    test --- run/submit (who is known by SO_PEERCRED) ---.
    test --- 127.0.0.1, in trust ------------------------'---> smtpd ---> queue ---> local ---> bob
"""
import os
import re
import signal

import pytest

from stagepost import IS_ROOT, wait_for
from wire import Wire, queue_id

BARE = b"Subject: a word\r\n\r\nfrom close by\r\n"
ANOTHER_UID = 65534
DATE = rb"Date: (Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d+ \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}\n"


def local(house, uid=None, **keywords):
    """A session by the socket, as that user."""
    before = os.geteuid()
    if uid is not None:
        os.seteuid(uid)
    try:
        return Wire(0, path=house.folder / "run" / "submit", **keywords)
    finally:
        if uid is not None:
            os.seteuid(before)


def received_unfolded(letter):
    return re.sub(r"\s+", " ", letter.received)


def only(house, sender):
    return wait_for(lambda: [l for l in house.letters("bob") if l.sender == sender])[0]


# The socket


def test_a_program_of_this_machine_submits_as_its_user(shared):
    uid = ANOTHER_UID if IS_ROOT else os.getuid()
    with local(shared, ANOTHER_UID if IS_ROOT else None) as wire:
        qid = wire.deliver(BARE, "bob", sender="cron")
    letter = only(shared, "cron@trial.example")
    assert received_unfolded(letter).startswith(
        f"Received: by mx.trial.example (Stagepost, from userid {uid}) id {qid} for <bob@trial.example>; ")
    assert re.fullmatch(rb"Subject: a word\n" + DATE + rb"Message-ID: <\d{14}\.%s@mx\.trial\.example>\n"
                        rb"From: cron@trial\.example\n\nfrom close by\n" % qid.encode(), letter.content), letter.content
    line = shared.logged(f"{qid} accepted ")[0]
    assert f" client=local uid={uid} helo=client.example proto=ESMTP from=cron@trial.example recipients=1 size=" in line
    assert re.search(rf' message-id="?<\d{{14}}\.{qid}@mx\.trial\.example>', line)
    shared.logged(f"connected client=local uid={uid}$")


def test_what_is_there_is_left_as_it_is(shared):
    content = (b"date: x\r\nFROM: y (no domain), z\r\nTo: bob\r\nmessage-id:\r\n <i@j>\r\n\r\nBcc: in the body\r\n")
    with local(shared) as wire:
        qid = wire.deliver(content, sender="whole@trial.example")
    assert only(shared, "whole@trial.example").content == content.replace(b"\r\n", b"\n")
    assert shared.logged(f"{qid} accepted .* message-id=<i@j>")


def test_S57_blind_copies_are_not_shown(shared):
    content = (b"Bcc: alice,\r\n carol\r\nFrom: a@b\r\nResent-Bcc: d\r\nDate: x\r\nMessage-ID: <y@z>\r\n\r\nx\r\n")
    with local(shared) as wire:
        wire.deliver(content, sender="bcc@trial.example")
    assert only(shared, "bcc@trial.example").content == b"From: a@b\nDate: x\nMessage-ID: <y@z>\n\nx\n"


def test_a_header_without_end_is_completed_too(shared):
    with local(shared) as wire:
        wire.say("MAIL FROM:<no-end>", "250 2.1.0")
        wire.say("RCPT TO:<bob>", "250 2.1.5")
        wire.send(b"BDAT 10 LAST\r\nSubject: x")
        queue_id(wire.reply())
    assert re.fullmatch(rb"Subject: x\n" + DATE + rb"Message-ID: <.*>\nFrom: no-end@trial\.example\n",
                        only(shared, "no-end@trial.example").content)


def test_the_null_sender_names_nobody(shared):
    with local(shared) as wire:
        qid = wire.deliver(b"Subject: null\r\n\r\nx\r\n", sender="")
    letter = wait_for(lambda: [l for l in shared.letters("bob") if f"id {qid} " in received_unfolded(l)])[0]
    assert letter.sender == "" and b"\nFrom:" not in letter.content and b"\nMessage-ID:" in letter.content


def test_S19_postmaster_without_domain_stays_what_it_is(shared):
    with local(shared) as wire:
        wire.begin("postmaster", sender="postmaster")
        queue_id(wire.content(BARE))
    letter = wait_for(lambda: [l for l in shared.letters("alice") if l.sender == "postmaster@trial.example"])[0]
    assert letter.address == "alice@trial.example"


def test_a_user_is_one_client(stagepost):
    """limits { per-client } holds for a user, but not for root."""
    house = stagepost(limits="per-client 3; client-connections 1; client-messages 1; client-recipients 1")
    if IS_ROOT:
        wires = [local(house, ANOTHER_UID) for _ in range(3)]
        with local(house, ANOTHER_UID, greet=False) as fourth:
            fourth.expect("421 4.7.0")
        with local(house, ANOTHER_UID - 1) as other:
            other.deliver(BARE, "bob", "alice")
            other.deliver(BARE, "bob", "alice")  # no limits by the minute
        wires += [local(house) for _ in range(6)]
        wires[-1].deliver(BARE)
        for wire in wires:
            wire.close()
        house.wait_letters("bob", 3)
    house.assert_clean()


def test_the_queue_knows_the_user(stagepost):
    """Fairness is between its clients: a user of the machine is one."""
    house = stagepost()
    local_pid = house.kill("local", signal.SIGSTOP)
    try:
        with local(house) as wire:
            qid = wire.deliver(BARE)
        assert [m["client"] for m in house.queue() if m["queue_id"] == qid] == [f"uid={os.getuid()}"]
    finally:
        os.kill(local_pid, signal.SIGCONT)
    house.wait_letters("bob")
    house.assert_clean()


def test_a_user_alone_has_the_socket_too(stagepost):
    """Everything in one uid, started by an ordinary user."""
    house = stagepost(user="nobody" if IS_ROOT else None)
    with local(house) as wire:
        wire.deliver(BARE, "bob", sender="x")
    assert f"from userid {os.getuid()})" in received_unfolded(house.wait_letters("bob")[0])
    house.stop()
    assert not (house.folder / "run" / "submit").exists()


def test_a_script_need_not_wait_for_replies(shared):
    """As whoever writes one to `sendmail -bs`."""
    with local(shared, greet=False) as wire:
        wire.send("EHLO x\r\nMAIL FROM:<script>\r\nRCPT TO:<bob>\r\nDATA\r\nSubject: script\r\n\r\nx\r\n.\r\nNOOP\r\nQUIT\r\n")
        wire.expect("220")
        wire.expect("250", plain=True)
        for short in ("250 2.1.0", "250 2.1.5", "354", "250 2.0.0", "250 2.0.0", "221 2.0.0"):
            wire.expect(short)
        assert wire.ended() == b""
    only(shared, "script@trial.example")


# Trust


def test_whom_we_trust_is_completed_from_the_next_transaction_on(stagepost):
    """A reload reaches the sessions that are there."""
    house = stagepost()
    with house.connect() as wire:
        wire.say("MAIL FROM:<x>", "501 5.1.7")
        wire.deliver(BARE, sender="stranger@remote.example")
        wire.say("MAIL FROM:<begun@remote.example>", "250 2.1.0")
        house.configure(top="trust 127.0.0.0/8")
        house.run("reload")
        wire.say("RCPT TO:<bob>", "501 5.1.3")  # as it began
        wire.say("RCPT TO:<bob@trial.example>", "250 2.1.5")
        wire.say("DATA", "354")
        queue_id(wire.content(BARE))
        wire.deliver(BARE, "bob", sender="trusted")
        house.configure()
        house.run("reload")
        wire.say("MAIL FROM:<x>", "501 5.1.7")
    house.wait_letters("bob", 3)
    for sender in ("stranger@remote.example", "begun@remote.example"):
        assert only(house, sender).content == BARE.replace(b"\r\n", b"\n")
    trusted = only(house, "trusted@trial.example")
    assert re.fullmatch(rb"Subject: a word\n" + DATE + rb"Message-ID: <.*@mx\.trial\.example>\n\nfrom close by\n",
                        trusted.content), trusted.content  # and no From, which the client knows better
    assert "from client.example (unknown [127.0.0.1])" in received_unfolded(trusted)
    house.assert_clean()


# A client's share of a minute


@pytest.fixture(scope="module")
def counted():
    from conftest import Maker
    maker = Maker()
    yield maker(limits="client-connections 6; client-messages 4; client-recipients 5", top="trust 127.0.1.0/24")
    maker.end()


def test_too_many_connections_in_a_minute_are_421(counted):
    for _ in range(6):
        counted.connect(source="127.0.2.1").close()
    with counted.connect(source="127.0.2.1", greet=False) as wire:
        wire.expect("421 4.7.0")
        assert wire.ended() == b""
    counted.connect(source="127.0.2.2").close()
    counted.logged('refused step=connect client=127.0.2.1 reply="421 4.7.0 too many connections from your address in a minute"')


def test_too_much_mail_in_a_minute_is_450(counted):
    with counted.connect(source="127.0.3.1") as wire:
        for _ in range(4):
            wire.say("MAIL FROM:<a@remote.example>", "250 2.1.0")
            wire.say("RSET", "250 2.0.0")
        wire.say("MAIL FROM:<a@remote.example>", "450 4.7.1")
    with counted.connect(source="127.0.3.1") as wire:  # another connection is the same client
        wire.say("MAIL FROM:<a@remote.example>", "450 4.7.1")
    counted.logged("refused step=MAIL client=127.0.3.1 .*450 4.7.1 Too much mail")


def test_too_many_recipients_in_a_minute_are_450(counted):
    with counted.connect(source="127.0.4.1") as wire:
        wire.say("MAIL FROM:<a@remote.example>", "250 2.1.0")
        for _ in range(5):
            wire.say("RCPT TO:<bob@trial.example>", "250 2.1.5")
        wire.say("RCPT TO:<bob@trial.example>", "450 4.7.1")
        wire.say("DATA", "354")  # who was accepted gets it
        queue_id(wire.content(BARE))
    counted.logged("refused step=RCPT client=127.0.4.1 .*450 4.7.1 Too many recipients.*to=bob@trial.example")


def test_whom_we_trust_is_not_counted(counted):
    for _ in range(8):
        with counted.connect(source="127.0.1.1") as wire:
            wire.deliver(BARE, "bob", "alice", "both")
