"""The PyTorch loops in each arrangement that two cores allow: ms per run-step, s per log point, whole experiment.

Command: python -m benchmarks.opponents
"""

import argparse
import contextlib
import dataclasses
from collections.abc import Callable, Sequence

from benchmarks import machine
from benchmarks.interleave import Comparison, interleave, layout
from benchmarks.workers import Workers

# Processes and threads of each: all cores for one run, or a run on each core.
ARRANGEMENTS = {"1 process x 2 threads": (1, 2), "2 processes x 1 thread": (2, 1)}
# Steps and log points of one call, so that every call takes a second or two.
WORK = {"loader": (300, 2), "tensors": (1000, 12), "compiled": (1000, 12)}
RUNS, STEPS, LOG_POINTS = 30, 100_000, 192


@dataclasses.dataclass(frozen=True)
class Way:
    """One loop in one arrangement, running."""

    loop: str
    arrangement: str
    workers: Workers

    @property
    def name(self) -> str:
        """As tables show it."""
        return f"{self.loop}, {self.arrangement}"

    @property
    def runs(self) -> int:
        """Runs that it trains side by side."""
        return ARRANGEMENTS[self.arrangement][0]

    def call(self, order: str) -> Callable[[], float]:
        """Return a callable that does `WORK` of one kind and returns its seconds."""
        count = WORK[self.loop][order == "log"]
        return lambda: self.workers.ask(f"{order} {count}")[0]

    def work(self, order: str) -> int:
        """Run-steps or run-log-points of a call."""
        return self.runs * WORK[self.loop][order == "log"]


@contextlib.contextmanager
def running(loops: Sequence[str], module: str = "benchmarks.pytorch_loops"):
    """Start the workers of some loops of a module in every arrangement."""
    with contextlib.ExitStack() as stack:
        ways = []
        for loop in loops:
            for arrangement, (processes, threads) in ARRANGEMENTS.items():
                arguments = [loop, f"--threads={threads}"]
                workers = stack.enter_context(Workers(module, arguments, processes))
                ways.append(Way(loop, arrangement, workers))
        yield ways


def project(ways: list[Way], train: Comparison, log: Comparison) -> dict[str, float]:
    """Return the seconds of the whole experiment by way, from the medians of its parts."""
    return {way.name: RUNS * (STEPS * train[way.name].median + LOG_POINTS * log[way.name].median) for way in ways}


def best_of(loop: str, projected: dict[str, float]) -> str:
    """Return the name of the fastest arrangement of a loop."""
    return min((name for name in projected if name.startswith(loop)), key=projected.__getitem__)


def projection_table(projected: dict[str, float]) -> str:
    """Show `project` as text."""
    rows = [(name, f"{seconds / 3600:.2f}") for name, seconds in projected.items()]
    return layout((f"{RUNS} runs x {STEPS} steps, {LOG_POINTS} log points", "hours"), rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--loops", nargs="+", choices=WORK, default=list(WORK))
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    with running(arguments.loops) as ways:
        calls = {
            order: interleave(
                {way.name: way.call(order) for way in ways},
                arguments.repeats,
                {way.name: way.work(order) for way in ways},
            )
            for order in ("train", "log")
        }
        fitted = {way.name: way.workers.ask("log 1")[1][0] for way in ways}
    projected = project(ways, calls["train"], calls["log"])
    print(calls["train"].table("train step"), calls["log"].table("log point"), sep="\n\n", end="\n\n")
    print(projection_table(projected))
    content = {order: comparison.record() for order, comparison in calls.items()}
    machine.write("opponents", content | {"projected_seconds": projected, "last_log": fitted})


if __name__ == "__main__":
    main()
