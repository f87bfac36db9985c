"""Times ways of doing the same work in turn, so that a slow minute of the machine falls on all of them."""

import dataclasses
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks import machine


@dataclasses.dataclass(frozen=True)
class Timing:
    """How long one way took.

    Attributes:
      name: of the way.
      seconds: one value per round, divided by the work of a call.
    """

    name: str
    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The typical time."""
        return statistics.median(self.seconds)

    @property
    def best(self) -> float:
        """The least disturbed time."""
        return min(self.seconds)

    def record(self) -> dict[str, Any]:
        """Describe the timing for JSON."""
        return {"median": self.median, "min": self.best, "seconds": list(self.seconds)}


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Timings of one interleaved series.

    Attributes:
      timings: by name; the first is what the others are compared with.
      busy_elsewhere: per round, the share of the cores that other processes used while this one slept.
    """

    timings: Mapping[str, Timing]
    busy_elsewhere: tuple[float, ...]

    def __getitem__(self, name: str) -> Timing:
        return self.timings[name]

    def ratio(self, name: str) -> float:
        """How many times as long as the first way this one takes, by medians."""
        return self[name].median / next(iter(self.timings.values())).median

    def record(self) -> dict[str, Any]:
        """Describe the series for JSON."""
        ways = {name: timing.record() | {"ratio": self.ratio(name)} for name, timing in self.timings.items()}
        return {"ways": ways, "busy_elsewhere": list(self.busy_elsewhere)}

    def table(self, title: str, unit: str = "ms", scale: float = 1e3) -> str:
        """Return medians, minima and ratios to the first way as text."""
        rows = [
            (name, f"{t.median * scale:.3f}", f"{t.best * scale:.3f}", f"{self.ratio(name):.2f}")
            for name, t in self.timings.items()
        ]
        busy = ", ".join(f"{share:.0%}" for share in self.busy_elsewhere)
        rounds = len(self.busy_elsewhere)
        note = f"{rounds} rounds; cores busy with other work between rounds: {busy}"
        return layout((title, f"median {unit}", f"min {unit}", "ratio"), rows) + f"\n({note})"


def interleave(
    ways: Mapping[str, Callable[[], float | None]],
    repeats: int = 5,
    work: Mapping[str, float] | None = None,
    warm_up: int = 1,
) -> Comparison:
    """Call every way once per round, each round beginning with the next of them.

    Args:
      ways: callables by name; one that returns a number has measured its seconds itself.
      repeats: rounds that count.
      work: units of work in a call of each way (1 where absent); seconds are per unit.
      warm_up: rounds before them that do not count.
    """
    names, work = list(ways), work or {}
    seconds: dict[str, list[float]] = {name: [] for name in names}
    busy = []
    for number in range(-warm_up, repeats):
        if number >= 0:
            busy.append(machine.busy_elsewhere())
        first = number % len(names)
        for name in names[first:] + names[:first]:
            began = time.perf_counter()
            own = ways[name]()
            taken = time.perf_counter() - began if own is None else own
            if number >= 0:
                seconds[name].append(taken / work.get(name, 1))
    return Comparison({name: Timing(name, tuple(seconds[name])) for name in names}, tuple(busy))


def layout(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Align a table: the first column to the left, the others to the right."""
    widths = [max(len(line[i]) for line in [header, *rows]) for i in range(len(header))]
    lines = []
    for line in [header, *rows]:
        cells = [line[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(line[1:], widths[1:], strict=True))]
        lines.append("  ".join(cells))
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])
