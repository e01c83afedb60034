"""
People who fetch their mail: a house with POP3 listeners, and POP3 as octets.
"""
import contextlib
import poplib
import socket
import ssl

from people import PASSWORDS, certificate, scram_entry, trusting
from stagepost import DOMAIN, free_port

SECONDS = 20


def with_pop3(house, *, top="", auth="", limits="", passwords=PASSWORDS, **configuration):
    """Configures a house that was not started: house.pop3 (STLS) and house.pop3s are ports."""
    house.pop3, house.pop3s = free_port(), free_port()
    certificate(house.folder)
    house.write("users", "".join(f"{user}:{scram_entry(password)}\n" for user, password in passwords.items()))
    house.configure(listen=f"; listen 127.0.0.1:{house.pop3} pop3; listen 127.0.0.1:{house.pop3s} pop3s",
                    top=f"tls {{ certificate server.pem; key server.key }}\nauth {{ passwords file:users; {auth} }}\n{top}",
                    limits=limits, **configuration)
    return house


@contextlib.contextmanager
def fetching(house, user=f"alice@{DOMAIN}", password=None, stls=False):
    """A poplib client that has logged in."""
    if stls:
        client = poplib.POP3("127.0.0.1", house.pop3, timeout=SECONDS)
        client.stls(context=context(house))
    else:
        client = poplib.POP3_SSL("127.0.0.1", house.pop3s, timeout=SECONDS, context=context(house))
    try:
        client.user(user)
        client.pass_(password or PASSWORDS[user.split("@")[0]])
        yield client
    finally:
        client.close()


def context(house):
    trust = trusting(house.folder)
    trust.check_hostname = False  # it is 127.0.0.1 here
    return trust


class Pop3:
    """POP3 as octets; under TLS when it is secured."""

    def __init__(self, house, secured=True):
        self.house = house
        self.socket = socket.create_connection(("127.0.0.1", house.pop3s if secured else house.pop3), SECONDS)
        if secured:
            self.secure()
        self.buffer = b""
        assert self.line().startswith(b"+OK ")

    def secure(self):
        self.socket = context(self.house).wrap_socket(self.socket, server_hostname=f"mx.{DOMAIN}")

    def send(self, octets):
        self.socket.sendall(octets)

    def receive(self):
        """More octets; False at the end."""
        more = self.socket.recv(65536)
        self.buffer += more
        return bool(more)

    def line(self):
        while b"\r\n" not in self.buffer:
            if not self.receive():
                raise EOFError(self.buffer)
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line

    def lines(self):
        """Up to the dot, as they come, without the line ends and the doubled dots."""
        found = []
        while (line := self.line()) != b".":
            found.append(line[1:] if line.startswith(b".") else line)
        return found

    def say(self, command, reply="+OK"):
        """One command, one line."""
        self.send(command.encode() + b"\r\n")
        line = self.line().decode()
        assert line.startswith(reply), f"{command}: {line}"
        return line

    def capabilities(self):
        self.say("CAPA")
        return [line.decode() for line in self.lines()]

    def login(self, user="alice", password=None):
        self.say(f"USER {user}@{DOMAIN}")
        return self.say(f"PASS {password or PASSWORDS[user]}")

    def is_closed(self):
        """Waits for the server's end; nothing may come before it."""
        try:
            return not self.receive()
        except (ConnectionResetError, ssl.SSLEOFError):
            return True

    def close(self):
        self.socket.close()


@contextlib.contextmanager
def pop3(house, secured=True, user=None):
    wire = Pop3(house, secured)
    try:
        if user:
            wire.login(user)
        yield wire
    finally:
        wire.close()
