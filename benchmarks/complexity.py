"""The measure `complexity` against the Bayesian optimisation of arXiv:2412.09810: bytes found, and wall time.

Command: python -m benchmarks.complexity train|sizes|times FILE [--workers=2] [--each=7] [--pairs=3]

`train` makes the decoder of the paper (one layer, 242,547 parameters) learn a + b mod 113 from 20 % of the pairs,
with weight decay 1 and weight noise 0.01, and keeps its parameters at 22 epochs. Both searches then have the same
training set, the same two-sided test, the same box and the same bytes (mode "paper").

`sizes` compares the bytes found for all checkpoints, the optimiser's from compiled evaluations: each checkpoint at
`--each` of the seven distortions, the next one at the next ones in turn. What the optimiser asks for again (its
first 12 points are the same at every distortion) is remembered.

`times` compares wall time in one process: for some pairs of a checkpoint and a distortion the optimiser evaluates
operation by operation, as its code does, and the measure follows, which takes all seven distortions at once.
"""

import argparse
import concurrent.futures
import functools
import multiprocessing
import os
import pathlib
import pickle
import time
from typing import Any

from collapse_jax.system import runtime

DISTORTIONS = (4.0, 2.0, 1.0, 0.5, 0.25, 0.125, 0.0625)
GOAL_TIME, GOAL_SIZE = 100, 1.01


def snapshot_of(file: str, epoch: int) -> Any:
    """Return the network of a checkpoint, with its training set."""
    from benchmarks.complexity_decoder import snapshot

    held = pickle.loads(pathlib.Path(file).read_bytes())
    return snapshot(held["params"][epoch], held["data"])


@functools.cache
def _compiled() -> tuple[Any, Any]:
    import jax
    import jax.numpy as jnp

    from collapse_jax.measures.estimators import coarse_graining as coarse
    from collapse_jax.measures.estimators.evaluation import evaluate
    from collapse_jax.measures.families.complexity import complexity

    def point(snapshot: Any, tensors: Any, tau: Any, width: Any) -> Any:
        kept = coarse.ranks(tensors, tau, "paper")
        params = coarse.coarse(tensors, snapshot.params, kept, width)
        return evaluate(snapshot, params, snapshot.train, "paper")[0], kept

    measure = jax.jit(functools.partial(complexity, mode="paper", distortions=DISTORTIONS))
    return measure, (jax.jit(lambda s: coarse.decompose(s.params, {})), jax.jit(point), jnp.float32)


def ours(snapshot: Any) -> tuple[dict[str, Any], float]:
    """Take the measure: its values and seconds."""
    import numpy as np

    from collapse_jax.measures.families.complexity_host import smallest

    began = time.perf_counter()
    values = {name: np.asarray(value) for name, value in _compiled()[0](snapshot).items()}
    result = smallest(values, mode="paper")
    return result, time.perf_counter() - began


def _points(snapshot: Any) -> Any:
    """Evaluate points in one compiled call each."""
    import numpy as np

    from collapse_jax.measures.estimators import messages

    decompose, point, number = _compiled()[1]
    tensors = decompose(snapshot)
    told = messages.unpacked({n: np.asarray(a) for n, a in messages.packed(tensors, snapshot.params).items()})

    @functools.cache
    def evaluated(tau: float, width: float) -> Any:
        loss, kept = point(snapshot, tensors, number(tau), number(width))
        return float(loss), functools.cache(lambda: messages.size(told, np.asarray(kept), width, "paper"))

    return evaluated


def _mean_loss(snapshot: Any, params: Any) -> Any:
    return snapshot.loss(snapshot.apply(params, snapshot.train.examples)[0], snapshot.train.labels).mean()


def sizes_by_optimiser(file: str, task: tuple[int, tuple[float, ...]]) -> list[int]:
    """One search for each distortion, with compiled evaluations."""
    from benchmarks.complexity_opponents import bayesian

    epoch, distortions = task
    snapshot = snapshot_of(file, epoch)
    points, began = _points(snapshot), float(_mean_loss(snapshot, snapshot.params))
    return [bayesian(points, began, distortion) for distortion in distortions]


def timed_pair(file: str, task: tuple[int, float]) -> dict[str, Any]:
    """One search evaluated operation by operation, and the measure right after it."""
    from benchmarks.complexity_opponents import bayesian, eager

    epoch, distortion = task
    snapshot = snapshot_of(file, epoch)
    point = eager(snapshot.params, functools.partial(_mean_loss, snapshot))
    point(0.5, 0.05)[1]()  # what is compiled at the first call of an operation does not count
    ours(snapshot)
    both = (point, _points(snapshot))
    agreement = []
    for tau, width in ((1.0, 0.05), (0.6, 0.03)):
        losses_and_sizes = [made(tau, width) for made in both]
        agreement.append([(loss, size()) for loss, size in losses_and_sizes])
    began = time.perf_counter()
    size = bayesian(point, float(_mean_loss(snapshot, snapshot.params)), distortion)
    took = time.perf_counter() - began
    seconds = [ours(snapshot)[1] for _ in range(3)]
    return {
        "epoch": epoch,
        "distortion": distortion,
        "optimiser_bytes": size,
        "optimiser_seconds": took,
        "measure_seconds": seconds,
        "ratio": len(DISTORTIONS) * took / sorted(seconds)[1],
        "same_points": agreement,
    }


def sizes(file: str, workers: int, each: int) -> dict[str, Any]:
    """Compare the bytes found, of all checkpoints at `each` of the distortions in turn."""
    epochs = _epochs(file)
    tasks = [(epoch, in_turn(i * each, each)) for i, epoch in enumerate(epochs)]
    context = multiprocessing.get_context("spawn")
    rows = []
    with concurrent.futures.ProcessPoolExecutor(workers, context, initializer=runtime.start) as pool:
        searches = [pool.submit(sizes_by_optimiser, file, task) for task in tasks]
        runtime.start()
        runtime.calm_lapack()
        for (epoch, distortions), search in zip(tasks, searches, strict=True):
            found = ours(snapshot_of(file, epoch))[0]["complexity"].tolist()
            for d, size in zip(distortions, search.result(), strict=True):
                measured = found[DISTORTIONS.index(d)]
                rows.append({"epoch": epoch, "distortion": d, "measure": measured, "optimiser": size})
                print(rows[-1], flush=True)
    return {"summary": size_ratios(rows), "bytes": rows}


def in_turn(first: int, count: int) -> tuple[float, ...]:
    """Return `count` of the distortions from number `first` on, around."""
    return tuple(DISTORTIONS[(first + i) % len(DISTORTIONS)] for i in range(count))


def times(file: str, count: int) -> dict[str, Any]:
    """Compare wall times, of `count` pairs spread over training and distortions."""
    runtime.start()
    runtime.calm_lapack()  # faster for both
    epochs = _epochs(file)
    pairs = []
    for i in range(count):
        task = epochs[(2 * i + 1) * len(epochs) // (2 * count)], DISTORTIONS[2 + 2 * i % 4]
        pairs.append(timed_pair(file, task))
        print(pairs[-1], flush=True)
    ratios = sorted(pair["ratio"] for pair in pairs)
    return {"summary": {"ratios": ratios, "goal": GOAL_TIME, "met": ratios[0] >= GOAL_TIME}, "pairs": pairs}


def _epochs(file: str) -> list[int]:
    return sorted(pickle.loads(pathlib.Path(file).read_bytes())["params"])


def size_ratios(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Distribution of bytes of the measure / bytes of the optimiser."""
    import numpy as np

    def ratio(row: dict[str, Any]) -> float:
        return row["measure"] / row["optimiser"] if row["optimiser"] > 0 else float("nan")

    ratios = np.array([ratio(row) for row in rows])
    marks = (0, 10, 25, 50, 75, 90, 100)
    means = {
        d: float(np.nanmean([ratio(row) for row in rows if row["distortion"] == d]))
        for d in sorted({row["distortion"] for row in rows})
    }
    return {
        "checkpoints": len({row["epoch"] for row in rows}),
        "mean": float(np.nanmean(ratios)),
        "percentiles": dict(zip(marks, np.nanpercentile(ratios, marks).tolist(), strict=True)),
        "mean_by_distortion": means,
        "optimiser_found_nothing": int(np.isnan(ratios).sum()),
        "goal": GOAL_SIZE,
        "met": bool(np.nanmean(ratios) <= GOAL_SIZE),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("train", "sizes", "times"))
    parser.add_argument("file")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--each", type=int, choices=range(1, len(DISTORTIONS) + 1), default=len(DISTORTIONS))
    parser.add_argument("--pairs", type=int, default=3)
    arguments = parser.parse_args()
    if arguments.what == "train":
        from benchmarks.complexity_decoder import train

        runtime.start()
        return train(pathlib.Path(arguments.file))
    from benchmarks import machine

    result = (
        sizes(arguments.file, arguments.workers, arguments.each)
        if arguments.what == "sizes"
        else times(arguments.file, arguments.pairs)
    )
    print(result["summary"])
    print(machine.write("complexity", result, f"complexity_{arguments.what}"))
    return None


if __name__ == "__main__":
    main()
