"""
What a row of the bench is. A module rows_NAME.py has ROWS, a list of Row in the order of the table.

A row's run(context) starts what it needs through the context, measures, and returns a Result. Whatever
the context has started ends when the row does, also when it raises.
"""
import contextlib
import dataclasses
import statistics
import typing


@dataclasses.dataclass(frozen=True)
class Row:
    key: str  # a word for --only, and in results.json
    title: str
    goal: str  # of the issue, as text; "" for what only informs
    run: typing.Callable


@dataclasses.dataclass
class Result:
    figures: dict  # all that was measured, for results.json
    shown: str  # one line
    reached: bool | None = None  # None: there is no goal, or it was not measured
    note: str = ""


class Context:
    """folder: empty, on a disk, open to every user. rounds: how many count; a warm-up comes before them.
    quick: a smoke run, whose figures mean nothing. ours_alone: no peers. options: all of the command line."""

    def __init__(self, folder, options):
        self.folder, self.options = folder, options
        self.rounds, self.quick, self.ours_alone = options.rounds, options.quick, options.ours_alone
        self.round_seconds = 0.1 if self.quick else 1.2
        self.left_out = {}  # peer: why
        self._stack = contextlib.ExitStack()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return self._stack.__exit__(*error)

    @contextlib.contextmanager
    def part(self, name):
        """A context for a part of the row, whatever it starts ends with it."""
        folder = self.folder / name
        folder.mkdir()
        with Context(folder, self.options) as part:
            part.rounds, part.round_seconds, part.left_out = self.rounds, self.round_seconds, self.left_out
            yield part

    def enter(self, manager):
        """Enters it until the row ends."""
        return self._stack.enter_context(manager)

    def start(self, server):
        """Starts anything with start() and stop(); it stops when the row ends."""
        self._stack.callback(server.stop)
        server.start()
        return server

    def peer(self, make):
        """What make() makes; None when it can't be had, which is then said in left_out."""
        if self.ours_alone:
            return None
        try:
            return make()
        except Unavailable as e:
            self.left_out[e.name] = e.why
            return None

    def start_peer(self, make):
        """The same, and starts it."""
        return self.peer(lambda: self.start(make()))


class Unavailable(Exception):
    """A peer that is not there; or what a row needs, which is not measured then."""

    def __init__(self, name, why):
        super().__init__(f"{name}: {why}")
        self.name, self.why = name, why


def interleaved(context, participants):
    """participants: {name: round}, where round(number) measures once and returns a dict of figures. One
    after the other, ours, peer, ours, ...; round 0 warms up and is dropped. {name: [figures, ...]}."""
    rounds = {name: [] for name in participants}
    for number in range(context.rounds + 1):
        for name, measure in participants.items():
            figures = measure(number)
            if number > 0:
                rounds[name].append(figures)
    return rounds


def medians(rounds):
    """Of each figure over the rounds; of a dict of numbers in them too."""
    if not rounds:
        return {}
    out = {}
    for key, first in rounds[0].items():
        if isinstance(first, dict):
            out[key] = medians([{k: r[key].get(k, 0) for k in set().union(*(r[key] for r in rounds))} for r in rounds])
        elif isinstance(first, (int, float)):
            out[key] = statistics.median(r[key] for r in rounds)
    return out
