"""
Bad servers: each is a Remote (journeys/remote.py) that behaves as it should but in one phase, until it is told to be well.

    bad = Hostile("RCPT", silent)      a listening port of loopback
    bad.well.set()                     from now on it is as any other

A behaviour is a function of the session. It returns a reply, or ends the session by raising Ended; what it sends
itself it sends with sendall.
"""
import random
import socket
import ssl
import struct
import threading
import time

from remote import Ended, Remote

BIG = 1024 * 1024
TRICKLE_GAP = 0.2
NEVER_ENDING = 200  # MiB, that an endless one sends if nobody stops it


class Hostile(Remote):
    def __init__(self, phase, behaviour, **keywords):
        self.phase, self.behaviour = phase, behaviour
        self.well = threading.Event()
        self.struck = 0     # how often it has misbehaved
        listener = socket.create_server(("127.0.0.1", 0))
        self.port = listener.getsockname()[1]
        self.limit = random.Random(phase)
        super().__init__(listener, **keywords)

    def has(self, phase):
        return phase == self.phase and not self.well.is_set()

    def next(self, phase):
        if phase != self.phase or self.well.is_set():
            return None
        self.struck += 1
        return self.behaviour


def reply(text):
    """Says that, instead of the usual."""
    return lambda session: text


def octets(what, stays=True):
    """Sends that, and then waits for the client to go, or goes itself."""
    def behave(session):
        session.connection.sendall(what)
        if stays:
            session.input.read()
        raise Ended
    return behave


def before(what):
    """Sends that, and then the usual."""
    def behave(session):
        session.connection.sendall(what)
        return None
    return behave


def silent(session):
    session.input.read()
    raise Ended


def closes(session):
    raise Ended


def resets(session):
    session.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    session.input.close()
    session.connection.close()
    raise Ended


def trickles(session):
    """One octet of a reply now and then."""
    for octet in b"250-" + 10000 * b"x":
        session.connection.sendall(bytes([octet]))
        time.sleep(TRICKLE_GAP)
    raise Ended


def endless(piece):
    """The same again and again, as fast as it is taken."""
    def behave(session):
        sent, many = 0, piece * (65536 // len(piece))
        while sent < NEVER_ENDING * BIG:
            session.connection.sendall(many)
            sent += len(many)
        raise AssertionError("it was listened to for ever")
    return behave


def never_reads(session):
    """A small window, and nothing is taken out of it."""
    session.connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    session.remote.well.wait(60)
    raise Ended


def context(folder):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    c.load_cert_chain(folder / "server.pem", folder / "server.key")
    return c
