"""Every speed goal of the main experiment in one command: our engine against PyTorch loops, on this machine, now.

Command: python -m benchmarks.sweep_speed
"""

import argparse
import dataclasses
import statistics
from typing import Any

from benchmarks import machine, opponents, startup, whole_sweep
from benchmarks.interleave import Comparison, interleave, layout

OURS, FLOOR = "collapse_jax", "matrix products at their peak"
STEPS_PER_CALL = 60
# Sweeps that differ in one kind of event: (log points before the last step, snapshots, checkpoints at boundaries).
EVENTS = 6
SWEEPS = {
    "bare": (0, 0, 0),
    "logs": (EVENTS, 0, 0),
    "snapshots": (EVENTS, EVENTS + 1, 0),
    "checkpoints": (EVENTS, 0, 1),
}
# A fiftieth of the main experiment: of its 193 log points, its 40 snapshots and its checkpoints.
FIFTIETH = {"runs": 30, "steps": 2000, "logs": 3, "snapshots": 1, "checkpoints": 0}
# The hardest case for memory: snapshots and checkpoints of all runs, again before the last are written.
CROWDED = {"runs": 30, "steps": 1000, "logs": 9, "snapshots": 10, "checkpoints": 1}


@dataclasses.dataclass(frozen=True)
class Parts:
    """Seconds of the parts of our main experiment, all runs together."""

    steps: float
    logs: float
    snapshots: float
    checkpoints: float
    start: float

    @property
    def total(self) -> float:
        """The whole experiment."""
        return sum(dataclasses.astuple(self))

    @property
    def event_share(self) -> float:
        """Share of log points, snapshots and checkpoints."""
        return (self.logs + self.snapshots + self.checkpoints) / self.total


def compare(loops: list[str], repeats: int) -> tuple[Comparison, Comparison, dict[str, float], dict[str, Any]]:
    """Interleave our programs, the matrix products and the PyTorch loops: train steps, then log points."""
    from collapse_jax.system import runtime

    runtime.start()
    import jax

    from benchmarks import engine

    experiment = engine.main_experiment()
    ours, peak = engine.Engine(experiment), engine.MatmulPeak(len(jax.devices()))
    flops = engine.flops_per_run_step(experiment)
    ours.train(STEPS_PER_CALL)
    with opponents.running(loops) as ways:
        train = interleave(
            {OURS: lambda: ours.train(STEPS_PER_CALL), FLOOR: peak} | {w.name: w.call("train") for w in ways},
            repeats,
            {OURS: ours.runs * STEPS_PER_CALL, FLOOR: peak.flops / flops} | {w.name: w.work("train") for w in ways},
        )
        log = interleave(
            {OURS: ours.measure} | {w.name: w.call("log") for w in ways},
            repeats,
            {OURS: ours.runs} | {w.name: w.work("log") for w in ways},
        )
        projected = opponents.project(ways, train, log)
    facts = {
        "flops_per_run_step": flops,
        "peak_gflops": flops / train[FLOOR].median / 1e9,
        "our_gflops": flops / train[OURS].median / 1e9,
        "share_of_peak": train[FLOOR].median / train[OURS].median,
        "share_of_peak_best": train[FLOOR].best / train[OURS].best,
        "opponent_steps_per_process": {loop: repeats * opponents.WORK[loop][0] for loop in loops},
        "packing": ours.layout.record(),
    }
    return train, log, projected, facts


def sweep_rounds(rounds: int, steps: int) -> tuple[dict[str, list[float]], list[float]]:
    """Train the sweeps of `SWEEPS` in turn.

    Returns:
      Seconds from the first step to the last file, and how busy the cores were elsewhere before each sweep.
    """
    seconds: dict[str, list[float]] = {name: [] for name in SWEEPS}
    busy = []
    for _ in range(rounds):
        for name, (logs, snapshots, checkpoints) in SWEEPS.items():
            busy.append(machine.busy_elsewhere())
            options = {"logs": logs, "snapshots": snapshots, "checkpoints": checkpoints}
            found = whole_sweep.measure(runs=30, steps=steps, **options)["seconds"]
            seconds[name].append(found["run"] + found["close"])
    return seconds, busy


def event_costs(seconds: dict[str, list[float]]) -> dict[str, float]:
    """Seconds that one event adds to a sweep of 30 runs, by medians."""
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    return {
        "log": (medians["logs"] - medians["bare"]) / EVENTS,
        "snapshot": (medians["snapshots"] - medians["logs"]) / (EVENTS + 1),
        "checkpoint": (medians["checkpoints"] - medians["logs"]) / EVENTS,
    }


def project(step: float, costs: dict[str, float], start: float) -> Parts:
    """Put our main experiment together from its parts."""
    from benchmarks import engine
    from collapse_jax.experiment.schedule import schedule_steps

    e = engine.main_experiment()
    logs, snapshots = (len(schedule_steps(s, e.steps)) for s in (e.log, e.snapshots.schedule))
    steps = opponents.RUNS * e.steps * step
    return Parts(
        steps,
        logs * costs["log"],
        snapshots * costs["snapshot"],
        steps / e.checkpoint_seconds * costs["checkpoint"],
        start,
    )


def goal_rows(
    train: Comparison, facts: dict[str, Any], ours: Parts, theirs: dict[str, float], peak_bytes: int, starts: dict
) -> list[tuple[str, str, float, float, bool]]:
    """Return (goal, unit, wanted, measured, met)."""
    step, share = train[OURS].median * 1e3, facts["share_of_peak"]
    rows = [
        ("train step <= .36 ms per run-step, or ...", "ms", 0.36, step, step <= 0.36),
        ("... >= 75 % of the matmul peak", "%", 75, share * 100, share >= 0.75),
    ]
    for loop, wanted in (("loader", 12), ("tensors", 2), ("compiled", 2)):
        found = [seconds for name, seconds in theirs.items() if name.startswith(loop)]
        if found:
            factor = min(found) / ours.total
            rows.append((f"experiment, times faster than {loop}'s best", "x", wanted, factor, factor >= wanted))
    share = ours.event_share * 100
    rows += [("logs, snapshots and checkpoints <= 15 % of the time", "%", 15, share, share <= 15)]
    rows += [("peak memory of the sweep <= 1.5 GB", "GB", 1.5, peak_bytes / 1e9, peak_bytes <= 1.5e9)]
    for kind, limit in (("warm", 15), ("cold", 30)):
        rows.append((f"first progress, {kind} cache <= {limit} s", "s", limit, starts[kind], starts[kind] <= limit))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--loops", nargs="+", choices=opponents.WORK, default=list(opponents.WORK))
    parser.add_argument("--repeats", type=int, default=7, help="interleaved rounds of steps and of log points")
    parser.add_argument("--rounds", type=int, default=3, help="interleaved rounds of whole sweeps and of starts")
    parser.add_argument("--sweep-steps", type=int, default=1200, help="steps of the sweeps that isolate one cost")
    options = parser.parse_args()

    starts = startup.measure(options.rounds)
    start = {kind: statistics.median(r[kind]["progress"] for r in starts) for kind in ("cold", "warm")}
    sweeps, busy = sweep_rounds(options.rounds, options.sweep_steps)
    fiftieth, crowded = whole_sweep.measure(**FIFTIETH), whole_sweep.measure(**CROWDED)
    peak_bytes = max(fiftieth["peak_bytes"], crowded["peak_bytes"])
    train, log, theirs, facts = compare(options.loops, options.repeats)
    costs = event_costs(sweeps)
    ours = project(train[OURS].median, costs, start["warm"])
    rows = goal_rows(train, facts, ours, theirs, peak_bytes, start)

    print(train.table("train step, per run-step"), log.table("log point, per run"), sep="\n\n", end="\n\n")
    print(opponents.projection_table({f"{OURS}, all costs": ours.total} | theirs), end="\n\n")
    shown = [(g, f"{w:g} {u}", f"{m:.2f} {u}", f"{m / w:.2f}", "yes" if met else "no") for g, u, w, m, met in rows]
    print(layout(("goal", "wanted", "measured", "measured/wanted", "met"), shown))
    columns = ("goal", "unit", "wanted", "measured", "met")
    content = {
        "goals": [dict(zip(columns, row, strict=True)) for row in rows],
        "facts": facts,
        "our_projection_seconds": dataclasses.asdict(ours) | {"total": ours.total},
        "their_projection_seconds": theirs,
        "train": train.record(),
        "log": log.record(),
        "sweeps_seconds": sweeps,
        "sweeps_busy_elsewhere": busy,
        "seconds_per_event": costs,
        "fiftieth": fiftieth,
        "crowded": crowded,
        "starts": starts,
    }
    print(machine.write("sweep_speed", content).relative_to(machine.ROOT))


if __name__ == "__main__":
    main()
