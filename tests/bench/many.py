"""
A message to each of many addresses, which smtp-source can't: a process with a few sessions that send MAIL, RCPT and DATA in
one write with the content before them. It takes less of a server's time than smtp-source, so that figures of the two
are not to be compared.
"""
import os
import selectors
import socket
import traceback

LINE = b"A line of a message that is here to fill it up until it is as long as it has to be\r\n"
HEADER = (b"From: sender@source.example\r\nDate: Tue, 24 Nov 2026 09:00:00 +0000\r\nMessage-ID: <many@source.example>\r\n"
          b"Subject: one of many\r\n\r\n")


class Session:
    def __init__(self, port, body, recipients):
        self.body, self.recipients, self.rest, self.open = body, recipients, b"", True
        self.socket = socket.create_connection(("127.0.0.1", port), 20)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for said in (b"EHLO client.example\r\n", None):
            reply = self.socket.recv(4096)
            if reply[:1] != b"2":
                raise RuntimeError(reply.decode(errors="replace"))
            self.socket.sendall(said or self.envelope())

    def envelope(self):
        """Of the next message; QUIT behind the last."""
        to = next(self.recipients, None)
        if to is None:
            return b"QUIT\r\n"
        return b"MAIL FROM:<sender@source.example>\r\nRCPT TO:<" + to + b">\r\nDATA\r\n"

    def ready(self):
        """False: all is said. After a reply of 354 comes the content, with the next envelope behind it."""
        self.rest += self.socket.recv(4096)
        while b"\n" in self.rest:
            line, _, self.rest = self.rest.partition(b"\n")
            if line.startswith(b"354"):
                self.socket.sendall(self.body + self.envelope())
            elif line.startswith(b"221"):
                return False
            elif line[:1] != b"2":
                raise RuntimeError(line.decode(errors="replace"))
        return True


def send(port, addresses, sessions, size):
    body = HEADER + LINE * max(1, (size - len(HEADER)) // len(LINE)) + b".\r\n"
    waiting = selectors.DefaultSelector()
    for _ in range(sessions):
        session = Session(port, body, addresses)
        waiting.register(session.socket, selectors.EVENT_READ, session)
    while waiting.get_map():
        for key, _ in waiting.select():
            if not key.data.ready():
                waiting.unregister(key.fileobj)
                key.fileobj.close()


class Many:
    """As load.Source; addresses: of octets, each gets one message."""

    def __init__(self, port, addresses, *, sessions=20, size=4096):
        self.port, self.addresses, self.sessions, self.size = port, addresses, sessions, size
        self.messages, self.pid = len(addresses), 0

    def start(self):
        self.pid = os.fork()
        if self.pid == 0:
            try:
                send(self.port, iter(self.addresses), min(self.sessions, self.messages), self.size)
                os._exit(0)
            except BaseException:
                traceback.print_exc()
            os._exit(1)

    def wait(self):
        _, status, usage = os.wait4(self.pid, 0)
        self.pid = 0
        if status != 0:
            raise RuntimeError("not all of the messages were taken")
        return usage.ru_utime + usage.ru_stime

    def stop(self):
        if self.pid:
            os.kill(self.pid, 9)
            os.waitpid(self.pid, 0)
            self.pid = 0
