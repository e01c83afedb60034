"""
A million messages that wait: what each costs in memory, how soon the server is back, how fast new mail goes beside
them, and what a retry run reads.

Their thousand destinations are ports where nothing listens, so each is dead after three attempts, and what comes
later is deferred at once. One of them returns later: what waits for it is due then, and nothing else.
"""
import json
import pathlib
import subprocess
import time

import duel
import measure
import row
from load import SOURCE, Sink, Source, one_round, wait_taken
from row import Result, Row
from servers import IS_ROOT, Ours

MESSAGES, QUICK, DOMAINS, SIZE = 1_000_000, 20_000, 1000, 512
FIRST_PORT = 9000  # of the destinations, below those of free_port()
AT_ONCE, SESSIONS = 4, 5  # sources, and sessions of each
PATIENCE = 60  # seconds for what should take less than one
GUESS = 10000
START_GOAL, MEMORY_GOAL, RATE_GOAL, COST_GOAL = 10, 300, 0.8, 1.2
READS_GOAL = 4  # a message: its state and its record, and as many again for what else there is to read


def server_of(context, name, sink):
    folder = context.folder / name
    folder.mkdir()
    routes, nobody = folder / "routes", folder / "nobody"
    nobody.write_text("nobody\n")  # a user of the domains would go before a route
    routes.write_text("".join(f"@d{i}.example smtp:[127.0.0.1]:{FIRST_PORT + i}\n" for i in range(DOMAINS)))
    names = " ".join(f"d{i}.example" for i in range(DOMAINS))
    return Ours(folder, sink=sink, retry="first 6h; longest 6h",
                extra=f"domain {names} {{\n    routes file:{routes}\n"
                      f"    relay [127.0.0.1]:{FIRST_PORT + DOMAINS} {{ users file:{nobody} }}\n}}")


def status(server):
    return json.loads(server.run("status", "--json"))["queue"]


def wait_deferred(server, count):
    end = time.monotonic() + PATIENCE
    while (deferred := status(server)["deferred"]) != count:
        if time.monotonic() > end:
            raise RuntimeError(f"{deferred} messages are deferred, not {count}")
        time.sleep(0.2)


def fill(server, count):
    """As many senders as domains, one after the other; seconds."""
    begun, running = time.monotonic(), []
    for i in range(DOMAINS):
        running.append(subprocess.Popen(
            [SOURCE, "-s", str(SESSIONS), "-m", str(count // DOMAINS), "-l", str(SIZE), "-d",
             "-f", f"s{i}@from{i}.example", "-t", f"you@d{i}.example", f"127.0.0.1:{server.port}"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        while len(running) >= AT_ONCE or (running and i + 1 == DOMAINS):
            if running.pop(0).wait() != 0:
                raise RuntimeError("smtp-source failed while the queue was filled")
    seconds = time.monotonic() - begun
    wait_deferred(server, count)
    return seconds


def queue_reads(server):
    """Reads and octets that the queue manager has asked of files so far."""
    [pid] = server.pids()["queue"]
    said = dict(line.split(": ") for line in pathlib.Path(f"/proc/{pid}/io").read_text().splitlines())
    return int(said["syscr"]), int(said["rchar"])


def retry_run(context, server, count):
    """The first destination works again; an attempt with one message finds that out."""
    sink = Sink("-m", "2000")
    sink.port = FIRST_PORT
    context.start(sink)
    due = count // DOMAINS
    one = json.loads(server.run("queue", "list", "--to", "you@d0.example", "--limit", "1", "--json"))
    reads, octets = queue_reads(server)
    begun = time.time()
    server.run("queue", "retry", one["queue_id"])
    # The three that found it dead do not wait for its return.
    took = wait_taken(sink, 0, due - 3, begun, PATIENCE)
    time.sleep(0.5)
    taken, _ = sink.taken()
    after = queue_reads(server)
    return {"messages": taken, "seconds": took, "reads_a_message": (after[0] - reads) / taken,
            "octets_a_message": (after[1] - octets) / taken}


def start_to_accept(server, sink):
    """Seconds to the first 250, and until that message is relayed; of a stop before."""
    before, _ = sink.taken()
    begun = time.monotonic()
    server.stop()
    stopped = time.monotonic()
    server.start()
    first = Source(server.port, 1, sessions=1)
    first.start()
    first.wait()
    accepted = time.monotonic()
    wait_taken(sink, before, 1, time.time(), PATIENCE)
    return {"stop": stopped - begun, "start_to_accept": accepted - stopped, "start_to_relayed": time.monotonic() - stopped}


def beside(context, servers, sink):
    """Relaying by each, in interleaved rounds."""
    rounds = row.interleaved(context, {name: duel.sized(
        context, {name: GUESS}, name, lambda messages, _, server=server:
        one_round(server, sink, Source(server.port, messages, sessions=20))) for name, server in servers.items()})
    medians = duel.peers_of(rounds)
    for name in medians:
        medians[name]["cpu_us_all"] = sum(duel.cpu_of(medians, name).values())
    return rounds, medians


def deferred(context):
    if not IS_ROOT:
        return Result({}, "not measured: only root may look at memory and at what is read", None)
    count = QUICK if context.quick else MESSAGES
    sink = context.start(Sink("-m", "2000"))
    full, empty = (context.start(server_of(context, name, sink)) for name in ("full", "empty"))
    fresh = measure.pss(full)
    f = {"messages": count, "octets": SIZE, "domains": DOMAINS, "fill_seconds": fill(full, count)}
    f["memory"] = (measure.pss(full) - fresh) / count
    f["retry_run"] = retry_run(context, full, count)
    left = status(full)["deferred"]
    f |= start_to_accept(full, sink)
    wait_deferred(full, left)
    f["memory_after_start"] = (measure.pss(full) - fresh) / left
    f["rounds"], f["medians"] = beside(context, {"full": full, "empty": empty}, sink)
    wait_deferred(full, left)
    rate, cost = (f["medians"]["full"][key] / f["medians"]["empty"][key] for key in ("end_to_end", "cpu_us_all"))
    f |= {"rate": rate, "cost": cost, "spool_octets": status(full)["spool_bytes"]}
    memory, reads = max(f["memory"], f["memory_after_start"]), f["retry_run"]["reads_a_message"]
    shown = (f"{count:,} messages: first accept {f['start_to_accept']:.1f} s after the start; {memory:.0f} octets of memory each; "
             f"new mail at {rate:.0%} of the rate ({f['medians']['full']['end_to_end']:,.0f}/s) and {cost:.0%} of the CPU "
             f"({f['medians']['full']['cpu_us_all']:.0f} us) with an empty queue; "
             f"a retry run of {f['retry_run']['messages']:,} reads {reads:.1f} times for each")
    reached = (f["start_to_accept"] <= START_GOAL and memory <= MEMORY_GOAL and rate >= RATE_GOAL
               and cost <= COST_GOAL and reads <= READS_GOAL)
    return Result(f, shown, reached, f"filled by SMTP in {f['fill_seconds']:.0f} s; stopped in {f['stop']:.1f} s; its files were in the "
                  "page cache at the start; none of the messages is due while new mail is measured")


ROWS = [
    Row("deferred", "1,000,000 deferred messages",
        f"first accept <= {START_GOAL} s after the start; <= {MEMORY_GOAL} octets of memory each; new mail at >= {RATE_GOAL:.0%} "
        "of the rate, and within 20 % of the cost, of an empty queue; a retry run touches only what is due", deferred),
]
