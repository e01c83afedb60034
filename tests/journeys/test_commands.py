"""
The command, as an administrator uses it on mail that can't be delivered:

    smtpd ---> queue ---> local ---X---> mail/trial.example/bob, which is a file
                 ^
    stagepost queue list, show, hold, release, retry, delete, verify ---> control
"""
import os
import re
import shutil
import subprocess

import pytest

from stagepost import IS_ROOT, is_there, wait_for

LATER = "first 1h; longest 2h"  # nothing is tried again by itself


@pytest.fixture
def stuck(stagepost):
    """A server whose bob has a file where his mailbox should be."""
    house = stagepost(retry=LATER)
    house.deliver(b"Subject: first\r\n\r\n", "alice@trial.example")
    house.wait_letters("alice")
    box = house.folder / "mail" / "trial.example" / "bob"
    box.write_text("not a mailbox")
    if IS_ROOT:
        shutil.chown(box, house.owner)
    house.mend = box.unlink
    return house


def deferred(house, count=1):
    """Waits until so many messages are deferred; all of the queue."""
    return wait_for(lambda: len(q := house.queue()) == count and all(m["queue_name"] == "deferred" for m in q) and q)


def test_what_can_not_be_delivered_is_deferred_and_delivered_after_repair(stuck):
    queue_id = stuck.deliver(b"Subject: stuck\r\n\r\nx\r\n", sender="a@remote.example")
    (message,) = deferred(stuck)
    assert message["queue_id"] == queue_id
    assert message["sender"] == "a@remote.example"
    assert message["attempts"] == 1
    assert message["message_size"] > 0
    assert message["next_attempt"] - message["arrival_time"] >= 3600
    (recipient,) = message["recipients"]
    assert recipient["address"] == "bob@trial.example"
    assert re.match(r"4[0-9][0-9] 4\.[0-9]\.[0-9] ", recipient["delay_reason"]), recipient
    shown = stuck.run("queue", "show", queue_id).stdout
    for word in (queue_id, "a@remote.example", "bob@trial.example", "Subject: stuck", "127.0.0.1"):
        assert word in shown
    stuck.mend()
    assert stuck.run("queue", "retry", queue_id).stdout.startswith("1 message")
    assert stuck.wait_letters("bob")[0].content == b"Subject: stuck\n\nx\n"
    stuck.assert_clean()


def test_retry_does_not_wait_for_a_mailbox_that_is_left_alone(stuck):
    for n in range(4):  # three failures in a row, and one that is not tried any more
        stuck.deliver(b"Subject: stuck\r\n\r\n%d\r\n" % n)
        queue = deferred(stuck, n + 1)
    assert any("left alone" in m["recipients"][0]["delay_reason"] for m in queue), queue
    stuck.mend()
    assert stuck.run("queue", "retry", "--all").stdout.startswith("4 messages")
    stuck.wait_letters("bob", 4)
    stuck.assert_clean()


@pytest.mark.skipif(not IS_ROOT, reason="only root can give a mailbox to another")
def test_a_mailbox_of_another_is_deferred(stagepost):
    house = stagepost(retry=LATER)
    house.deliver()
    house.wait_letters("bob")
    new = house.folder / "mail" / "trial.example" / "bob" / "new"
    os.chown(new, 0, 0)
    house.deliver()
    (message,) = deferred(house)
    assert "4." in message["recipients"][0]["delay_reason"]
    shutil.chown(new, house.owner, house.owner)
    house.run("queue", "retry", "--all")
    house.wait_letters("bob", 2)
    house.assert_clean()


def test_one_mailbox_in_trouble_does_not_stop_the_other(stuck):
    stuck.deliver(b"Subject: both\r\n\r\n", "bob@trial.example", "alice@trial.example")
    stuck.wait_letters("alice", 2)
    (message,) = deferred(stuck)
    assert [r["address"] for r in message["recipients"]] == ["bob@trial.example"]
    stuck.mend()
    stuck.run("queue", "retry", "--all")
    stuck.wait_letters("bob")
    stuck.assert_clean()
    assert len(stuck.maildir("alice")) == 2


def test_held_mail_waits_for_its_release(stuck):
    queue_id = stuck.deliver()
    deferred(stuck)
    assert stuck.run("queue", "hold", queue_id).stdout.startswith("1 message")
    stuck.mend()
    stuck.run("queue", "retry", "--all")
    assert [m["queue_name"] for m in stuck.queue()] == ["hold"]
    assert stuck.status()["queue"]["hold"] == 1
    stuck.stop()
    stuck.start()
    assert [m["queue_name"] for m in stuck.queue()] == ["hold"]
    assert not stuck.maildir("bob")
    stuck.run("queue", "release", queue_id)
    stuck.wait_letters("bob")
    stuck.assert_clean()


def test_deleted_mail_is_gone(stuck):
    ids = [stuck.deliver() for _ in range(3)]
    deferred(stuck, 3)
    assert stuck.run("queue", "delete", ids[1]).stdout.startswith("1 message")
    assert sorted(m["queue_id"] for m in stuck.queue()) == sorted([ids[0], ids[2]])
    assert stuck.run("queue", "delete", ids[1], check=False).returncode == 1
    assert stuck.run("queue", "delete", check=False).returncode == 64
    stuck.stop()
    stuck.start()
    assert len(stuck.queue()) == 2
    assert stuck.run("queue", "delete", "--all").stdout.startswith("2 messages")
    stuck.mend()
    stuck.assert_clean()
    assert not stuck.maildir("bob")


def test_selectors_choose(stuck):
    stuck.write("users", "alice\nbob\ncarol\n")
    carol = stuck.folder / "mail" / "trial.example" / "carol"
    carol.write_text("no mailbox either")
    wait_for(lambda: stuck.run("route", "carol@trial.example", check=False).returncode == 0)
    for sender, recipient in (("a@one.example", "bob"), ("b@one.example", "carol"), ("", "bob")):
        stuck.deliver(b"Subject: x\r\n\r\n", f"{recipient}@trial.example", sender=sender)
    deferred(stuck, 3)
    count = lambda *selectors: len(stuck.queue(*selectors))
    assert count("--from", "a@one.example") == 1
    assert count("--from", "@one.example") == 2
    assert count("--from", "<>") == 1
    assert count("--to", "bob@trial.example") == 2
    assert count("--from", "@one.example", "--to", "carol@trial.example") == 1
    assert count("--state", "hold") == 0
    assert count("--state", "deferred", "--limit", "2") == 2
    assert count("--older", "1h") == 0
    stuck.run("queue", "delete", "--all")
    stuck.assert_clean()


def test_the_queue_survives_a_restart(stuck):
    small = [stuck.deliver(b"Subject: small %d\r\n\r\n" % i) for i in range(20)]
    large = stuck.deliver(b"Subject: large\r\n\r\n" + b"0123456789abcde\r\n" * 20000)
    before = {m["queue_id"]: m for m in deferred(stuck, 21)}
    assert set(before) == {*small, large}
    for stop in (stuck.stop, stuck.kill_all):
        stop()
        stuck.start()
        wait_for(lambda: len(stuck.queue()) == 21)
        after = {m["queue_id"]: m for m in stuck.queue()}
        assert after.keys() == before.keys()
        assert all(after[i]["sender"] == before[i]["sender"] and after[i]["recipients"] == before[i]["recipients"]
                   for i in before)
        stuck.verify()
    stuck.mend()
    stuck.run("queue", "retry", "--all")
    stuck.wait_letters("bob", 21)
    stuck.assert_clean()


def test_status_tells_of_queue_and_processes(stuck):
    stuck.deliver()
    deferred(stuck)
    status = stuck.status()
    assert status["state"] == "running"
    assert status["queue"]["deferred"] == 1
    assert {"incoming", "active", "deferred", "hold", "corrupt"} <= set(status["queue"])
    names = {p["name"] for p in status["processes"]}
    assert {"smtpd", "queue", "router", "accounts", "local", "control", "log"} <= names
    for p in status["processes"]:
        assert is_there(p["pid"]) and p["restarts"] == 0
        assert os.stat(f"/proc/{p['pid']}").st_uid in (p["uid"], 0)
    assert "deferred" in stuck.run("status").stdout


def test_a_second_master_exits_75_and_names_the_first(stagepost):
    house = stagepost()
    again = house.run("start", check=False)
    assert again.returncode == 75
    assert str(house.master()) in again.stderr
    house.deliver()
    house.wait_letters("bob")


def test_a_wrong_configuration_is_refused_whole_and_the_old_one_serves_on(stagepost):
    house = stagepost()
    good = (house.folder / "stagepost.conf").read_text()
    house.write("stagepost.conf", good.replace("users file:users", "users file:other") + "lisen *:26 smtp\n")
    house.write("other", "carol\n")
    refused = house.run("reload", check=False)
    assert refused.returncode == 78
    assert re.search(r"stagepost\.conf:\d+:1.*lisen", refused.stderr)
    assert house.run("check", check=False).returncode == 78
    for command in (("status",), ("queue", "list"), ("route", "bob@trial.example")):  # it runs all the same
        assert "lisen" in house.run(*command).stderr
    house.deliver()
    house.wait_letters("bob")
    house.write("stagepost.conf", good.replace("users file:users", "users file:other"))
    house.run("reload")
    with house.connect() as wire:
        wire.say("MAIL FROM:<>", "250 2.1.0")
        wire.say("RCPT TO:<bob@trial.example>", "550 5.1.1")
        wire.say("RCPT TO:<carol@trial.example>", "250 2.1.5")
    house.assert_clean()
    house.write("stagepost.conf", good + "lisen *:26 smtp\n")
    assert "stopped" in house.run("stop").stdout
    house.write("stagepost.conf", good)


def test_commands_need_a_running_server(stagepost):
    house = stagepost(start=False)
    for command in (("status",), ("reload",), ("queue", "list"), ("route", "bob@trial.example")):
        assert house.run(*command, check=False).returncode == 69, command
    assert "already" in house.run("stop").stdout
    house.run("check")
    assert house.run("config", "hostname").stdout.strip().endswith("mx.trial.example")
    assert house.run("nonsense", check=False).returncode == 64


@pytest.mark.skipif(not IS_ROOT, reason="only root can hide /proc")
def test_without_proc_that_is_said(stagepost):
    house = stagepost(start=False)
    said = subprocess.run(["unshare", "--mount", "--", "sh", "-c", 'mount -t tmpfs none /proc && exec "$@"', "sh",
                           house.programs / "bin/stagepost", "-c", house.folder / "stagepost.conf", "start"],
                          capture_output=True, text=True)
    assert said.returncode != 0
    if "stagepost:" not in said.stderr:
        pytest.skip(f"no mount namespace can be made here: {said.stderr.strip()}")
    assert "/proc must be mounted" in said.stderr


def test_a_taken_port_is_named(stagepost):
    first = stagepost()
    second = stagepost(start=False)
    second.port = first.port
    second.configure()
    refused = second.run("start", check=False)
    assert refused.returncode == 1
    assert f"127.0.0.1:{first.port}" in refused.stderr


@pytest.mark.skipif(not IS_ROOT, reason="needs another user to be")
def test_only_root_and_the_own_user_may_ask(stagepost):
    house = stagepost(user="nobody")
    house.run("status")
    asked = subprocess.run(["setpriv", "--reuid=games", "--regid=60", "--clear-groups", "--",
                            house.programs / "bin" / "stagepost", "-c", house.folder / "stagepost.conf", "queue", "list"],
                           capture_output=True, text=True, timeout=20)
    assert asked.returncode == 77


def test_route_explains_each_step(stagepost):
    house = stagepost()
    said = house.run("route", "both+x@trial.example").stdout
    for word in ("both@trial.example", "alice@trial.example", "bob@trial.example", "alias"):
        assert word in said
    assert house.run("route", "nobody@trial.example", check=False).returncode == 1
