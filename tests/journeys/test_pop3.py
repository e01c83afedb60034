"""
Users fetch their mail.

 client -> pop3d -> accounts: does the password hold? -> maildrop: a ticket
                \\-> maildrop: that ticket -> fork server -> child, as the owner -> mail/DOMAIN/USER
                 \\-> the child: list, parts, removal at QUIT
"""
import pytest

from people import PASSWORDS
from pop3 import fetching, pop3, with_pop3
from stagepost import DOMAIN


@pytest.fixture
def house(stagepost):
    return with_pop3(stagepost(start=False)).start()


MAIL = b"Subject: a word\r\n\r\n.a dot\r\n..two\r\nfrom far away\r\n"


def test_what_was_delivered_is_fetched_octet_for_octet(house):
    house.deliver(MAIL, f"alice@{DOMAIN}")
    letter = house.wait_letters("alice")[0]
    octets = letter.path.read_bytes().replace(b"\n", b"\r\n")
    assert octets.endswith(MAIL)
    with fetching(house) as client:
        assert client.stat() == (1, len(octets))
        assert client.list()[1] == [b"1 %d" % len(octets)]
        lines = client.retr(1)[1]
        assert b"".join(line + b"\r\n" for line in lines) == octets
        assert client.uidl()[1] == [b"1 " + letter.path.name.split(",")[0].encode()]
        client.dele(1)
        client.quit()
    assert house.maildir("alice") == []
