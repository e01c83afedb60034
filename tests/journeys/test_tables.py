"""
    stagepost table build users FILE --> FILE.db, synced and renamed
                                            |  a fresh descriptor within 2 s of the change
                               master ------+--> router (aliases, routes, lists), accounts (users)

Databases: built by the command, looked up by daemons that can open nothing, replaced while they are
read.
"""
import os
import pwd
import shutil
import smtplib
import stat
import threading

import pytest

from stagepost import IS_ROOT, wait_for

DELIVER = 'deliver maildir "mail/%d/%n" {{ users db:people; owner {owner} }}'


@pytest.fixture
def house(stagepost):
    """A server that reads its users and a list of aliases from databases."""
    h = stagepost()
    h.write("people", "alice\nbob\n")
    h.write("lists", "crew: alice, bob\nmaster-of-the-post: alice\n")
    h.run("table", "build", "users", "people")
    h.run("table", "build", "aliases", "lists")
    h.configure(deliver=DELIVER.format(owner=h.owner) + "\n    aliases db:lists")
    h.run("reload")
    return h


def answer(house, recipient):
    """The code of RCPT."""
    with smtplib.SMTP("127.0.0.1", house.port, timeout=20) as client:
        client.helo("client.example")
        client.mail("a@remote.example")
        return client.rcpt(recipient)[0]


def test_mail_goes_by_databases(house):
    house.deliver(b"Subject: crew\r\n\r\n", "crew@trial.example")
    house.wait_letters("alice")
    house.wait_letters("bob")
    assert answer(house, "nobody@trial.example") == 550
    house.assert_clean()


def test_a_new_database_is_used_within_seconds_and_without_a_reload(house):
    assert answer(house, "carol@trial.example") == 550
    house.write("people", "alice\nbob\ncarol\n")
    house.run("table", "build", "users", "people")
    wait_for(lambda: answer(house, "carol@trial.example") == 250, 10, "carol's entry")
    house.write("lists", "crew: alice\n")
    house.run("table", "build", "aliases", "lists")
    wait_for(lambda: answer(house, "master-of-the-post@trial.example") == 550, 10, "the end of an alias")
    house.assert_clean()


def test_databases_are_replaced_while_they_are_read(house):
    """Nobody who is in the old and in the new one is ever refused."""
    end, codes = threading.Event(), []

    def ask():
        while not end.is_set():
            for name in ("alice", "bob", "crew"):
                codes.append(answer(house, f"{name}@trial.example"))

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        for n in range(20):
            house.write("people", "alice\nbob\n" + "".join(f"user{n}x{i}\n" for i in range(5000)))
            house.run("table", "build", "users", "people")
        wait_for(lambda: answer(house, "user19x4999@trial.example") == 250, 10, "the last database")
    finally:
        end.set()
        asking.join()
    assert len(codes) > 100 and set(codes) == {250}
    house.assert_clean()


def test_a_spoiled_database_keeps_the_old_one_in_use(house):
    house.write("people.db", b"no database at all\n" * 1000)
    house.logged("people.db: it is no database")
    assert answer(house, "alice@trial.example") == 250
    assert house.run("check", check=False).returncode == 65


def test_the_check_says_when_a_text_is_newer_than_its_database(house):
    stamp = os.stat(house.folder / "people.db").st_mtime + 10
    os.utime(house.folder / "people", (stamp, stamp))
    said = house.run("check").stdout
    assert f"people.db is older than its text: run stagepost table build users {house.folder}/people" in said


def test_get_answers_with_value_and_exit_code(house):
    assert house.run("table", "get", "db:lists", "Crew@trial.example").stdout == "alice\nbob\n"
    assert house.run("table", "get", "aliases", "file:lists", "crew").stdout == "alice\nbob\n"
    assert house.run("table", "get", f"db:{house.folder}/people", "alice").stdout == "\n"
    assert house.run("table", "get", "static:a=b", "a", check=False).returncode == 64
    assert house.run("table", "get", "routes", "static:a=smtp:b.example", "a").stdout == "smtp:b.example\n"
    for arguments, code in (
            (("db:lists", "nobody"), 1),
            (("users", "db:lists", "crew"), 65),
            (("db:none", "x"), 65),
            (("users", "file:stagepost.conf", "x"), 65),
            (("db:lists", "a b"), 64),
            (("letters", "db:lists", "a"), 64),
            (("db:lists",), 64),
    ):
        assert house.run("table", "get", *arguments, check=False).returncode == code, arguments


def test_a_bad_text_changes_nothing(house):
    before = (house.folder / "people.db").read_bytes()
    house.write("people", "alice\nno body\n")
    done = house.run("table", "build", "users", "people", check=False)
    assert done.returncode == 65
    assert "people:2:" in done.stderr
    assert (house.folder / "people.db").read_bytes() == before
    assert [name for name in os.listdir(house.folder) if name.startswith(".")] == []


def test_a_database_is_its_text_owners_and_has_its_mode(house):
    text = house.folder / "lists"
    text.chmod(0o640)
    (house.folder / "lists.db").unlink()
    house.run("table", "build", "aliases", "lists")
    made = os.stat(house.folder / "lists.db")
    assert stat.S_IMODE(made.st_mode) == 0o640
    (house.folder / "lists.db").chmod(0o600)
    house.run("table", "build", "aliases", "lists")
    assert stat.S_IMODE(os.stat(house.folder / "lists.db").st_mode) == 0o600


@pytest.mark.skipif(not IS_ROOT, reason="only root can be tricked")
def test_root_follows_no_link_that_a_user_made(house):
    """The directory is a user's: links in it lead nowhere, and what is made there is the user's."""
    nobody = pwd.getpwnam("nobody")
    place, secret = house.folder / "theirs", house.folder / "secret"
    place.mkdir()
    secret.write_text("do not touch\n")
    (place / "text").write_text("crew: alice\n")
    (place / "link").symlink_to(secret)
    (place / "text.db").symlink_to(secret)
    (place / "out").symlink_to(house.folder)
    for path in (place, place / "text"):
        shutil.chown(path, nobody.pw_uid, nobody.pw_gid)
    assert house.run("table", "build", "aliases", "theirs/text").returncode == 0
    made = os.lstat(place / "text.db")
    assert stat.S_ISREG(made.st_mode) and made.st_uid == nobody.pw_uid
    for path in ("theirs/link", "theirs/out/lists"):
        done = house.run("table", "build", "aliases", path, check=False)
        assert done.returncode == 77 and "symbolic link" in done.stderr
    (place / "hidden").write_text("alice:{SSHA}secret\n")
    (place / "hidden").chmod(0o600)
    (place / "hidden.db").write_text("")
    shutil.chown(place / "hidden.db", nobody.pw_uid, nobody.pw_gid)
    assert house.run("table", "build", "users", "theirs/hidden").returncode == 0
    made = os.lstat(place / "hidden.db")
    assert made.st_uid == 0 and stat.S_IMODE(made.st_mode) == 0o600
    assert secret.read_text() == "do not touch\n"
    assert not os.path.exists(str(secret) + ".db")
