"""
A server of somebody else, as a script: it speaks SMTP on a host of net.py (or on loopback) and
misbehaves where the test says so.

    remote = Remote(listening_socket, script={"RCPT": ["450 4.2.1 later", None]})

script: what is answered instead of the usual, by phase, one item for each time the phase is reached
in the server's life; None or nothing left: the usual. Phases: CONNECT EHLO HELO MAIL RCPT DATA END
(behind the final dot or the last chunk) RSET BDAT STARTTLS QUIT, BODY (as content begins to come).
An item is a reply, CLOSE (the connection ends at once), HANG (it stays and says nothing), or a
function of the session that returns one of these.
"""
import socket
import threading

CLOSE, HANG = object(), object()
SECONDS = 30
USUAL = {"CONNECT": "220 {name} ESMTP", "HELO": "250 {name}", "MAIL": "250 2.1.0 Ok", "RCPT": "250 2.1.5 Ok",
         "DATA": "354 go on", "END": "250 2.0.0 Ok: queued", "RSET": "250 2.0.0 Ok", "QUIT": "221 2.0.0 Bye",
         "NOOP": "250 2.0.0 Ok", "BDAT": "250 2.0.0 Ok", "STARTTLS": "454 4.7.0 not now"}


class Ended(Exception):
    pass


class Message:
    def __init__(self, sender):
        self.sender, self.recipients, self.content, self.session = sender, [], b"", None


class Session(threading.Thread):
    def __init__(self, remote, connection, number):
        super().__init__(daemon=True)
        self.remote, self.connection, self.number = remote, connection, number
        self.lines, self.message = [], None
        self.input = connection.makefile("rb")

    def say(self, phase, usual=None):
        item = self.remote.next(phase)
        if callable(item):
            item = item(self)
        if item is CLOSE:
            raise Ended
        if item is HANG:
            self.input.read()  # until the peer has had enough
            raise Ended
        reply = item or usual or USUAL[phase].format(name=self.remote.name)
        self.connection.sendall(reply.encode() + b"\r\n")
        if reply.startswith("421"):
            raise Ended
        return reply[:1] in "23"

    def run(self):
        try:
            self.connection.settimeout(SECONDS)
            self.say("CONNECT")
            for line in iter(self.input.readline, b""):
                self.lines.append(line)
                self.command(line.strip().decode("utf-8", "replace"))
        except (Ended, OSError):
            pass
        finally:
            self.remote.ended(self)
            try:
                self.connection.shutdown(socket.SHUT_RDWR)  # the file made of it keeps it open
            except OSError:
                pass
            self.connection.close()

    def command(self, line):
        verb, _, rest = line.partition(" ")
        verb = verb.upper()
        if verb == "EHLO":
            lines = [self.remote.name, *self.remote.extensions]
            self.say("EHLO", "\r\n".join(f"250{'-' if i + 1 < len(lines) else ' '}{text}"
                                         for i, text in enumerate(lines)))
        elif verb == "MAIL":
            self.message = Message(rest) if self.say("MAIL") else None
        elif verb == "RCPT":
            if self.say("RCPT") and self.message:
                self.message.recipients.append(rest)
        elif verb == "DATA":
            if not self.message or not self.message.recipients:
                self.say("DATA", "554 5.5.1 no valid recipients")
            elif self.say("DATA"):
                self.content()
        elif verb == "BDAT":
            self.chunk(rest)
        elif verb == "RSET":
            self.message = None
            self.say("RSET")
        elif verb == "QUIT":
            self.say("QUIT")
            raise Ended
        elif verb in USUAL:
            self.say(verb)
        else:
            self.connection.sendall(b"500 5.5.2 what?\r\n")

    def content(self):
        if self.remote.has("BODY"):
            self.say("BODY")
        lines = []
        for line in iter(self.input.readline, b""):
            if line == b".\r\n":
                break
            lines.append(line[1:] if line.startswith(b".") else line)
        else:
            raise Ended
        self.message.content = b"".join(lines)
        self.complete()

    def chunk(self, rest):
        size, *last = rest.split()
        octets = self.input.read(int(size))
        if len(octets) < int(size):
            raise Ended
        if not self.message or not self.message.recipients:
            self.say("BDAT", "503 5.5.1 no valid recipients")
            return
        self.message.content += octets
        if last:
            self.complete()
        else:
            self.say("BDAT")

    def complete(self):
        message, self.message = self.message, None
        message.session = self.number
        self.remote.received.append(message)  # before the reply: it has the mail, whatever it says
        if not self.say("END"):
            self.remote.received.remove(message)


class Remote:
    def __init__(self, listener, name="mx.remote.test", extensions=("PIPELINING", "SIZE 52428800", "8BITMIME",
                                                                   "ENHANCEDSTATUSCODES"), script=()):
        self.listener, self.name, self.extensions = listener, name, list(extensions)
        self.script = {phase: list(items) for phase, items in dict(script).items()}
        self.received, self.sessions, self.alive = [], [], set()
        self.lock = threading.Lock()
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.thread.start()

    def has(self, phase):
        with self.lock:
            return bool(self.script.get(phase))

    def next(self, phase):
        with self.lock:
            items = self.script.get(phase)
            return items.pop(0) if items else None

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            session = Session(self, connection, len(self.sessions))
            self.sessions.append(session)
            with self.lock:
                self.alive.add(session)
            session.start()

    def ended(self, session):
        with self.lock:
            self.alive.discard(session)

    def commands(self, verb):
        """Lines of all sessions that begin so."""
        return [line.decode("utf-8", "replace").strip() for s in self.sessions for line in s.lines
                if line.upper().startswith(verb.upper().encode())]

    def end(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        with self.lock:
            alive = list(self.alive)
        for session in alive:
            try:
                session.connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.thread.join(5)
