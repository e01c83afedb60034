"""One message to 100,000 recipients at 1,000 domains: what does it do to a message that is sent meanwhile?"""
import multiprocessing
import selectors
import socket
import statistics
import time

from far import Far
from load import Sink
from row import Result, Row
from servers import DOMAIN, Ours, free_port

RECIPIENTS, DOMAINS = 100_000, 1_000
SINGLES = 50  # messages of which the usual time is the median
LISTS = 5  # one after the other: while one is received, for a tenth of a second, ten messages or so are sent beside it
WINDOW = 1_000  # RCPT commands that are sent ahead of their replies
GOAL = 2.0
SECONDS = 90  # for a list, at most
BODY = b"Subject: one\r\n\r\n" + b"x" * 62 + b"\r\n"


class Lines:
    """Lines of a socket."""

    def __init__(self, sock):
        self.sock, self.rest = sock, b""

    def next(self):
        while b"\n" not in self.rest:
            got = self.sock.recv(65536)
            if not got:
                raise RuntimeError("the connection was closed")
            self.rest += got
        line, _, self.rest = self.rest.partition(b"\n")
        return line

    def reply(self, code):
        line = self.next()
        while line[3:4] == b"-":
            line = self.next()
        if not line.startswith(code):
            raise RuntimeError(line.decode(errors="replace"))


class Client:
    def __init__(self, port):
        self.sock = socket.create_connection(("127.0.0.1", port), 20)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.lines = Lines(self.sock)
        self.lines.reply(b"220")
        self.say(b"EHLO client.example\r\n", b"250")

    def say(self, octets, code):
        self.sock.sendall(octets)
        self.lines.reply(code)

    def send(self, sender, recipients):
        self.say(b"MAIL FROM:<" + sender + b">\r\n", b"250")
        for at in range(0, len(recipients), WINDOW):
            some = recipients[at:at + WINDOW]
            self.sock.sendall(b"".join(b"RCPT TO:<" + r + b">\r\n" for r in some))
            for _ in some:
                self.lines.reply(b"250")
        self.say(b"DATA\r\n", b"354")
        self.say(BODY + b".\r\n", b"250")


def addresses(recipients, domains):
    return [b"user%d@d%d.s%d.far.example" % (i, i % domains, i % domains) for i in range(recipients)]


def send_list(port, recipients, domains, said):
    """A process of its own: says when MAIL has begun and when the 250 has come."""
    client = Client(port)
    said.put(("begun", time.time()))
    client.send(b"list@source.example", addresses(recipients, domains))
    said.put(("accepted", time.time()))


def take_singles(port, said):
    """A process of its own, the next hop of single messages: says when each came."""
    selector = selectors.DefaultSelector()
    listener = socket.create_server(("127.0.0.1", port))
    selector.register(listener, selectors.EVENT_READ)
    said.put(0.0)
    state = {}
    while True:
        for key, _ in selector.select():
            if key.fileobj is listener:
                sock, _ = listener.accept()
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sock.sendall(b"220 sink.example\r\n")
                state[sock] = [b"", False]
                selector.register(sock, selectors.EVENT_READ)
                continue
            sock = key.fileobj
            try:
                got = sock.recv(65536)
            except ConnectionResetError:
                got = b""
            if not got:
                selector.unregister(sock)
                sock.close()
                del state[sock]
                continue
            state[sock][0] += got
            serve(sock, state[sock], said)


def serve(sock, state, said):
    while True:
        end = b"\r\n.\r\n" if state[1] else b"\r\n"
        command, found, rest = state[0].partition(end)
        if not found:
            return
        state[0] = rest
        if state[1]:
            said.put(time.time())
            state[1] = False
            sock.sendall(b"250 2.0.0 Ok\r\n")
            continue
        verb = command[:4].upper()
        if verb == b"EHLO":
            sock.sendall(b"250-sink.example\r\n250-PIPELINING\r\n250 8BITMIME\r\n")
        elif verb == b"DATA":
            sock.sendall(b"354 go on\r\n")
            state[1] = True
        else:
            sock.sendall(b"250 2.0.0 Ok\r\n")


class Process:
    def __init__(self, *call):
        self.process = multiprocessing.Process(target=call[0], args=call[1:], daemon=True)

    def start(self):
        self.process.start()

    def stop(self):
        self.process.terminate()
        self.process.join()


class Singles:
    """Sends a message at a time, each on a connection of its own."""

    def __init__(self, port, said):
        self.port, self.said = port, said

    def one(self, sender=b"single@source.example"):
        begun = time.time()
        client = Client(self.port)
        client.send(sender, [b"you@single.example"])
        client.sock.close()
        return self.said.get(timeout=SECONDS) - begun

    def while_true(self, condition, pause=0.02):
        times = []
        while condition():
            times.append(self.one())
            time.sleep(pause)
        return times


class Delivered:
    """Recipients of the list that were delivered, counted in the log as it grows."""

    def __init__(self, server):
        self.log, self.count, self.rest = open(server.folder / "log", "rb"), 0, b""

    def now(self):
        got = self.rest + self.log.read()
        at = got.rfind(b"\n") + 1
        self.rest = got[at:]
        self.count += got.count(b" delivered to=user", 0, at)
        return self.count


def figure(times, usual):
    return {"count": len(times), "median_ms": statistics.median(times) * 1e3 if times else 0,
            "worst_ms": max(times, default=0) * 1e3, "late": sum(time > GOAL * usual for time in times)}


def run_list(context, sites):
    recipients = 2000 if context.quick else RECIPIENTS
    far = None
    if sites:
        far = context.start(Far(context.folder, DOMAINS))
    sink = Sink("-m", "4000", far=far)
    single_port = free_port()
    arrivals, said = multiprocessing.Queue(), multiprocessing.Queue()
    context.start(Process(take_singles, single_port, arrivals))
    arrivals.get(timeout=20)
    context.start(sink)
    routes = f"outbound to single.example {{ via [127.0.0.1]:{single_port} }}\n"
    if far:
        routes += f"resolver {{ server {far.ADDRESS}:53 }}\n"
    server = context.start(Ours(context.folder, limits=f"recipients {RECIPIENTS}; errors 10000", extra=routes,
                                sink=None if sites else sink))
    singles, delivered = Singles(server.port, arrivals), Delivered(server)
    for _ in range(5):
        singles.one()
    usual = [singles.one() for _ in range(SINGLES)]
    lists = 1 if context.quick else LISTS
    while_received, while_delivered, accepted, took = [], [], [], []
    for number in range(1, lists + 1):
        begun = time.time()
        context.start(Process(send_list, server.port, recipients, DOMAINS, said))
        singles.while_true(said.empty)
        said.get()
        while_received += singles.while_true(said.empty, 0.005)
        accepted.append(said.get()[1] - begun)
        while_delivered += singles.while_true(
            lambda: delivered.now() < number * recipients and time.time() < begun + SECONDS)
        took.append(time.time() - begun)
    median = statistics.median(usual)
    figures = {"usual": figure(usual, median), "received": figure(while_received, median),
               "delivered": figure(while_delivered, median),
               "accept_seconds": statistics.median(accepted), "all_seconds": statistics.median(took),
               "recipients": delivered.count}
    worse = max(figures["received"]["median_ms"], figures["delivered"]["median_ms"])
    ratio = worse / figures["usual"]["median_ms"]
    meanwhile = figures["received"], figures["delivered"]
    figures["ratio"] = ratio
    shown = (f"{figures['usual']['median_ms']:.1f} ms usually; {figures['received']['median_ms']:.1f} (worst "
             f"{figures['received']['worst_ms']:.0f}) while a list is received, {figures['delivered']['median_ms']:.1f} "
             f"(worst {figures['delivered']['worst_ms']:.0f}) while it is delivered: {ratio:.1f}x; "
             f"a list took {figures['all_seconds']:.1f} s")
    done = figures["recipients"] >= lists * recipients
    note = (f"medians are judged, of {lists} lists; {sum(f['late'] for f in meanwhile)} of "
            f"{sum(f['count'] for f in meanwhile)} messages sent meanwhile, and {figures['usual']['late']} of {SINGLES} before, took more than {GOAL:.0f}x the usual time")
    if not done:
        note = f"only {figures['recipients']} recipients were reached; {note}"
    return Result(figures, shown, done and all(f["count"] for f in meanwhile) and ratio <= GOAL, note)


ROWS = [
    Row("list-relay", "one message to 100,000 recipients at 1,000 domains, through one relay; a message meanwhile",
        "<= 2x its usual time (medians)", lambda context: run_list(context, False)),
    Row("list-sites", "the same to 1,000 sites", "<= 2x its usual time (medians)", lambda context: run_list(context, True)),
]
