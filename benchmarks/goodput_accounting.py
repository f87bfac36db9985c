"""Where the time of a sweep went that was killed and started again: one life for each process.

start-up   from the start of a process until its programs are compiled: imports, data, tracing, compiler or cache
restore    from there until the newest checkpoint is on the device and the first step can be taken
lost       from the moment at which the state was reached that the next life restores, to the kill: what was trained
           then is trained again
kept       all other time: steps that count, with their measures and snapshots, and what saving them takes

Goodput = kept / total = 1 - (start-up + restore + lost) / total.
"""

import dataclasses
import statistics
from collections.abc import Iterable, Sequence
from typing import Any

PARTS = ("start-up", "restore", "kept", "lost")
Row = dict[str, float]


@dataclasses.dataclass
class Life:
    """What one process did, in seconds since it was started, on one clock.

    Attributes:
      ended: it was killed, or done.
      compiled: its programs were ready; None: killed before.
      restored: (step, time) of the state that it began with; None: killed before.
      reached: (step, time) of the states that it trained to.
    """

    ended: float
    compiled: float | None = None
    restored: tuple[int, float] | None = None
    reached: list[tuple[int, float]] = dataclasses.field(default_factory=list)


def life_of(notes: Iterable[dict[str, Any]], clock: str) -> Life:
    """Return the life of a process from what was noted of it: "name", "step", the time on each clock."""
    life = Life(0.0)
    for note in notes:
        at = note[clock]
        if note["name"] == "compiled":
            life.compiled = at
        elif note["name"] == "restored":
            life.restored = (note["step"], at)
        elif note["name"] == "reached":
            life.reached.append((note["step"], at))
        elif note["name"] == "ended":
            life.ended = at
    return life


def account(lives: Sequence[Life]) -> list[Row]:
    """Divide the seconds of each life into `PARTS`; of the last one, which was not killed, no step is lost."""
    rows: list[Row] = []
    taken_up = None  # the step that the next life begins with
    for life in reversed(lives):
        start = life.ended if life.compiled is None else life.compiled
        step, begin = life.restored or (0, life.ended)
        end = life.ended
        if taken_up is not None and life.restored:
            # Nothing is kept where the next life begins with the same state as this one.
            known = [(step, begin), *life.reached]
            end = next(at for reached, at in known if reached >= taken_up)
        elif life.restored is None:
            end = begin
        rows.append(dict(zip(PARTS, (start, begin - start, end - begin, life.ended - end), strict=True)))
        taken_up = life.restored[0] if life.restored else taken_up
    return rows[::-1]


def seconds(rows: Sequence[Row]) -> float:
    """Return the time of all lives."""
    return sum(row[part] for row in rows for part in PARTS)


def goodput(rows: Sequence[Row]) -> float:
    """Return the share of all time that was kept."""
    return sum(row["kept"] for row in rows) / seconds(rows)


def cost(rows: Sequence[Row], killed: Sequence[Row]) -> Row:
    """Return the seconds that a kill costs on average: a start, a restore, and what is lost of a killed life."""
    lost = statistics.mean(row["lost"] for row in killed)
    return {part: statistics.mean(row[part] for row in rows) for part in PARTS[:2]} | {"lost": lost}


def summary(rows: Sequence[Row], killed: Sequence[Row]) -> dict[str, Any]:
    """Say what was kept of all time, what a kill costs, and what would be kept if one came every 10 minutes."""
    seconds_of_a_kill = cost(rows, killed)
    return {
        "seconds": seconds(rows),
        "goodput": goodput(rows),
        "seconds_of_a_kill": seconds_of_a_kill,
        "goodput_at_a_kill_every_600_s": 1 - sum(seconds_of_a_kill.values()) / 600,
    }
