"""
    stagepost route ADDRESS --> control --> router --> accounts (--> accounts-system)
    client -- RCPT --> smtpd ----------------^

Where mail would go: what the running server says of each kind of address, at RCPT and to its
administrator. Nothing leaves here; what leaves is in test_mx.py.
"""
import json
import os
import signal
import threading

import pytest

from stagepost import DOMAIN, IS_ROOT, Stagepost, wait_for

TOP = """
outbound from shop.example boss@trial.example { via [smart.example]:587 [spare.example]:587 }
outbound to .partner.example file:partners { via [gate.partner.example] }
"""
DELIVER = """
    routes file:routes
    deliver maildir "mail/%d/%n" {{ users file:users; owner {owner} }}
"""
DOMAINS = """
domain branch.example { users file:branch; relay [mail.branch.example]:25 }
domain second.example { users any; relay mx }
domain müller.example { aliases static:chef=x@elsewhere.example; users static:max; relay mx }
"""
SYSTEM = """
domain host.example { aliases file:host-aliases; deliver system mbox { users system } }
"""
FILES = {
    "aliases": "both: alice, bob\naway: Far.Away@Elsewhere.Example, alice\nout: dora@branch.example\n"
               "robot: |/bin/true\nring: gnir\ngnir: ring\n@trial.example: bob\n",
    "routes": f"list@{DOMAIN} lmtp:[127.0.0.1]:8024\nnews@{DOMAIN} smtp:[news.example]:2525\n"
              f"plain@{DOMAIN} smtp:plain.example\nalice@{DOMAIN} local\n",
    "branch": "dora\n",
    "partners": "friend.example\nvip@single.example\n",
    "names": "root: alice\n",
    "host-aliases": "mailer: root\n",
}


class House:
    """Two servers that know every kind of address; for the one we are a stranger."""

    def __init__(self):
        self.instances = []

    def begin(self):
        self.strict = self.start("trust 192.0.2.0/24")
        self.open = self.start("trust 127.0.0.0/8")

    def start(self, trust):
        one = Stagepost()
        self.instances.append(one)
        for name, text in FILES.items():
            one.write(name, text)
        one.configure(top=trust + TOP, deliver=DELIVER.format(owner=one.owner),
                      domain=DOMAINS + (SYSTEM if IS_ROOT else ""))
        return one.start()


@pytest.fixture(scope="module")
def house():
    both = House()
    try:
        both.begin()
        yield both
    finally:
        for one in both.instances:
            one.end()


# address, sender, last step, the steps' words
TAKEN = [
    (f"alice@{DOMAIN}", "", "deliver", "to the mailbox"),
    (f"alice+ext@{DOMAIN}", "", "deliver", f"alice@{DOMAIN} is looked up without it"),
    (f"both@{DOMAIN}", "", "deliver", f"both@{DOMAIN} in file:"),
    (f"zoe@{DOMAIN}", "", "deliver", f"@{DOMAIN} in file:"),
    ("root", "", "deliver", "root"),
    (f"away@{DOMAIN}", "", "deliver", "to the MX hosts of elsewhere.example"),
    (f"away@{DOMAIN}", "x@shop.example", "deliver", "to [smart.example]:587 [spare.example]:587"),
    (f"out@{DOMAIN}", "", "smtp", "to [mail.branch.example]:25"),
    (f"news@{DOMAIN}", "", "smtp", "to [news.example]:2525"),
    (f"plain+x@{DOMAIN}", "", "smtp", "to the MX hosts of plain.example"),
    ("Dora+x@Branch.example", "", "smtp", "to [mail.branch.example]:25"),
    ("who.ever@second.example", "", "smtp", "to the MX hosts of second.example"),
    ("max@xn--mller-kva.example", "", "smtp", "to the MX hosts of xn--mller-kva.example"),
    ("chef@MÜLLER.example", "", "smtp", "to the MX hosts of elsewhere.example"),
]
OUTWARD = [
    ("x@elsewhere.example", "", "to the MX hosts of elsewhere.example"),
    ("x@Straße.Example", "", "to the MX hosts of xn--strae-oqa.example"),
    ("x@[192.0.2.25]", "", "to [192.0.2.25]:25"),
    ("x@[IPv6:2001:DB8::25]", "", "to [IPv6:2001:db8::25]:25"),
    ("x@elsewhere.example", "y@shop.example", "to [smart.example]:587 [spare.example]:587"),
    ("x@elsewhere.example", "Boss@Trial.example", "to [smart.example]:587 [spare.example]:587"),
    ("x@a.partner.example", "y@shop.example", "to [smart.example]:587 [spare.example]:587"),
    ("x@a.partner.example", "", "to [gate.partner.example]:25"),
    ("x@partner.example", "", "to the MX hosts of partner.example"),
    ("x@friend.example", "", "to [gate.partner.example]:25"),
    ("vip@single.example", "", "to [gate.partner.example]:25"),
    ("y@single.example", "", "to the MX hosts of single.example"),
]
REFUSED = [
    ("x@elsewhere.example", 554, "5.7.1", "Relay access denied"),
    ("x@[192.0.2.25]", 554, "5.7.1", "Relay access denied"),
    ("nobody@branch.example", 550, "5.1.1", "User unknown"),
    ("zoe@müller.example", 550, "5.1.1", "User unknown"),
    (f"list@{DOMAIN}", 451, "4.3.5", "LMTP"),
    (f"robot@{DOMAIN}", 451, "4.3.5", "not supported"),
]


def explain(house, *arguments):
    done = house.run("route", "--json", *arguments, check=False)
    return done.returncode, json.loads(done.stdout)


@pytest.mark.parametrize("address, sender, last, words", TAKEN)
def test_route_shows_where_our_own_mail_goes(house, address, sender, last, words):
    code, said = explain(house.strict, *(["--from", sender] if sender else []), address)
    assert code == 0 and said["accepted"], said
    assert said["steps"][-1]["what"] == last
    assert any(words in step["text"] for step in said["steps"]), said


@pytest.mark.parametrize("address, sender, words", OUTWARD)
def test_route_shows_where_mail_of_trusted_clients_leaves(house, address, sender, words):
    """S42, S41: literals have no MX; the address keeps its letters, the name that is looked up does not."""
    code, said = explain(house.strict, "--trusted", "--from", sender, address)
    assert code == 0 and said["accepted"], said
    assert said["steps"][-1] == {"depth": 0, "address": address, "what": "smtp", "text": words}


@pytest.mark.parametrize("address, code, enhanced, words", REFUSED)
def test_route_and_rcpt_refuse_the_same(house, address, code, enhanced, words):
    exit_code, said = explain(house.strict, address)
    assert exit_code == (1 if code >= 500 else 75)
    assert (said["code"], said["enhanced"]) == (code, enhanced) and words in said["text"]
    if address.isascii():
        with house.strict.connect() as wire:
            wire.say("MAIL FROM:<x@elsewhere.example>", "250 2.1.0")
            reply = wire.say(f"RCPT TO:<{address}>", f"{code} {enhanced}")
            assert f"<{address}>: " in reply.text


def test_trust_decides_who_may_relay_and_not_who_exists(house):
    with house.open.connect() as wire:
        wire.say("MAIL FROM:<x@elsewhere.example>", "250 2.1.0")
        wire.say("RCPT TO:<y@elsewhere.example>", "250 2.1.5")
        wire.say("RCPT TO:<y@[192.0.2.25]>", "250 2.1.5")
        wire.say("RCPT TO:<dora@branch.example>", "250 2.1.5")
        wire.say("RCPT TO:<nobody@branch.example>", "550 5.1.1")


def test_a_loop_of_aliases_is_seen(house):
    code, said = explain(house.strict, f"ring@{DOMAIN}")
    assert (code, said["code"], said["enhanced"]) == (1, 554, "5.4.6")


@pytest.mark.skipif(not IS_ROOT, reason="system users need root")
def test_users_of_the_machine(house):
    code, said = explain(house.strict, "Daemon+x@host.example")
    assert code == 0 and "mailbox of a user of this machine" in said["steps"][-1]["text"]
    code, said = explain(house.strict, "no-such-user@host.example")
    assert (code, said["code"]) == (1, 550) and "alias" not in said["text"]
    # mail for root needs an alias: strangers hear no more than of anyone
    code, said = explain(house.strict, "mailer@host.example")
    assert (code, said["code"]) == (1, 550) and "set `root: NAME`" in said["text"]
    with house.strict.connect() as wire:
        wire.say("MAIL FROM:<x@elsewhere.example>", "250 2.1.0")
        reply = wire.say("RCPT TO:<root@host.example>", "550 5.1.1")
        assert reply.text.endswith("<root@host.example>: Recipient address rejected: User unknown")
    house.strict.write("host-aliases", "mailer: root\nroot: daemon\n")
    wait_for(lambda: explain(house.strict, "root@host.example")[0] == 0, what="root's alias")


def test_changed_tables_are_in_use_and_a_bad_one_is_not(house):
    """S55: a table that can't be read is no "no"."""
    here = house.open
    here.write("routes", f"late@{DOMAIN} smtp:[late.example]\n")
    wait_for(lambda: "to [late.example]:25" in here.run("route", f"late@{DOMAIN}").stdout, what="the new route")
    here.write("routes", f"late@{DOMAIN} carrier-pigeon:\n")
    here.logged("former content stays in use")
    assert "to [late.example]:25" in here.run("route", f"late@{DOMAIN}").stdout
    here.write("partners", "other.example\n")
    wait_for(lambda: "[gate" in here.run("route", "--trusted", "x@other.example").stdout, what="the new pattern")


def test_reload_brings_new_statements(house):
    here = house.open
    here.write("routes", FILES["routes"])
    here.configure(top="trust 127.0.0.0/8\noutbound { via [new.example] }\n", deliver=DELIVER.format(owner=here.owner))
    here.run("reload")
    assert "to [new.example]:25" in here.run("route", "--trusted", "x@elsewhere.example").stdout
    # no domain of ours any more
    assert "to [new.example]:25" in here.run("route", "--trusted", "dora@branch.example").stdout
    assert here.run("route", "dora@branch.example", check=False).returncode == 1
    assert here.run("route", f"nobody+here@{DOMAIN}").returncode == 0  # its catch-all


def test_no_session_knows_less_than_the_one_who_reloaded(house):
    """A verdict that smtpd has kept for a whole domain is not given once `reload` has returned, though router was the
    last to serve with the new settings, and smtpd had no turn between its news and the client's command."""
    here = house.open
    with here.connect() as wire:
        wire.say("MAIL FROM:<x@elsewhere.example>", "250 2.1.0")
        wire.say("RCPT TO:<y@soon-ours.example>", "250 2.1.5")
        here.write("routes", FILES["routes"])
        here.configure(top="trust 127.0.0.0/8", limits="message-size 12345", deliver=DELIVER.format(owner=here.owner),
                       domain="domain soon-ours.example { users static:known; relay mx }")
        router, smtpd = here.pid("router"), here.pid("smtpd")
        os.kill(router, signal.SIGSTOP)
        try:
            reload = threading.Thread(target=here.run, args=("reload",))
            reload.start()

            def serves():
                with here.connect() as fresh:
                    return "SIZE 12345" in fresh.features
            wait_for(serves, what="new settings in smtpd")
            os.kill(smtpd, signal.SIGSTOP)
        finally:
            os.kill(router, signal.SIGCONT)
        try:
            reload.join(20)
            wire.socket.sendall(b"RCPT TO:<z@soon-ours.example>\r\n")
        finally:
            os.kill(smtpd, signal.SIGCONT)
        wire.expect("550 5.1.1")


def test_route_has_its_own_words_for_misuse(house):
    for arguments in ([], ["--json"], ["--from", "x@y.example"], ["--nothing", "a@b.example"], ["a", "b"]):
        assert house.strict.run("route", *arguments, check=False).returncode == 64
