"""
Which mechanisms are offered, and the one no client at hand can do: SCRAM-SHA-256-PLUS bound to the server's certificate
(RFC 5802, RFC 5929 tls-server-end-point).
"""
import base64
import hashlib
import hmac
import os

import pytest

import people
from stagepost import DOMAIN
from wire import Reply

BOTH = "mechanisms plain scram-sha-256 scram-sha-256-plus"
PASSWORD = people.PASSWORDS["alice"]


@pytest.fixture(scope="module")
def house(request):
    from conftest import Maker
    maker = Maker()
    yield people.with_people(maker(start=False), auth=BOTH).start()
    maker.end()


def b64(octets):
    return base64.b64encode(octets).decode()


def certificate_hash(wire):
    return hashlib.sha256(wire.socket.getpeercert(binary_form=True)).digest()


def challenge(wire):
    """The next reply; a challenge (334) carries no enhanced code, all else does."""
    code, text = wire._line().decode().split(" ", 1)
    return Reply(int(code), [text.rstrip()])


def exchange(wire, gs2, binding, mechanism="SCRAM-SHA-256-PLUS"):
    """A login; the last reply, and the server's signature when it came to that."""
    nonce = b64(os.urandom(12))
    bare = f"n=alice@{DOMAIN},r={nonce}"
    wire.send(f"AUTH {mechanism} {b64(gs2 + bare.encode())}\r\n".encode())
    reply = challenge(wire)
    if reply.code != 334:
        return reply
    first = base64.b64decode(reply.texts[0]).decode()
    fields = dict(part.split("=", 1) for part in first.split(","))
    assert fields["r"].startswith(nonce)
    salted = hashlib.pbkdf2_hmac("sha256", PASSWORD.encode(), base64.b64decode(fields["s"]), int(fields["i"]))
    without = f"c={b64(gs2 + binding)},r={fields['r']}"
    message = f"{bare},{first},{without}".encode()
    key = hmac.digest(salted, b"Client Key", "sha256")
    proof = bytes(a ^ b for a, b in zip(key, hmac.digest(hashlib.sha256(key).digest(), message, "sha256")))
    wire.send(b64(f"{without},p={b64(proof)}".encode()).encode() + b"\r\n")
    last = challenge(wire)
    if last.code != 334:
        return last
    server = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), message, "sha256")
    assert base64.b64decode(last.texts[0]).decode() == f"v={b64(server)}"
    wire.send(b"\r\n")
    return wire.reply()


def test_plus_holds_when_it_is_bound_to_our_certificate(house):
    with people.tls(house) as wire:
        assert "AUTH SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN" in wire.features
        reply = exchange(wire, b"p=tls-server-end-point,,", certificate_hash(wire))
        assert reply.short == "235 2.7.0"


def test_plus_bound_to_another_certificate_is_a_man_in_the_middle(house):
    with people.tls(house) as wire:
        reply = exchange(wire, b"p=tls-server-end-point,,", hashlib.sha256(b"another").digest())
        assert reply.short == "535 5.7.8"


def test_a_client_that_was_not_shown_plus_is_told_so(house):
    """RFC 5802 6: it says y, and we had offered it: somebody took it out of our list."""
    with people.tls(house) as wire:
        assert exchange(wire, b"y,,", b"", mechanism="SCRAM-SHA-256").short == "535 5.7.8"
        assert exchange(wire, b"n,,", b"", mechanism="SCRAM-SHA-256").short == "235 2.7.0"


def test_by_itself_plus_is_not_offered_and_y_is_fine(stagepost):
    """mutt 2.2 would choose it and fail."""
    house = people.with_people(stagepost(start=False)).start()
    with people.tls(house) as wire:
        assert "AUTH SCRAM-SHA-256 PLAIN LOGIN" in wire.features
        wire.say("AUTH SCRAM-SHA-256-PLUS", "504 5.5.4")
        assert exchange(wire, b"y,,", b"", mechanism="SCRAM-SHA-256").short == "235 2.7.0"


def test_scram_is_not_offered_by_itself_where_a_password_is_kept_otherwise(stagepost):
    house = people.with_people(stagepost(start=False))
    house.write("users", (house.folder / "users").read_text() + "carol:{SHA512-CRYPT}$6$abcdefgh$"
                + "x" * 86 + "\n")
    house.start()
    with people.tls(house) as wire:
        assert "AUTH PLAIN LOGIN" in wire.features
