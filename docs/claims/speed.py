"""What README.md and docs/performance.md say of benchmarks, from the files that `python -m benchmarks.NAME` wrote.

The files hold what was timed; timings themselves are made again by these commands alone, on a machine of one's own.
"""

import json

import numpy as np

from collapse_jax.publishing.claims import claims
from collapse_jax.publishing.wording import number

B = "benchmarks/results"
ROWS = (("collapse_jax", 3), ("tensors, 2 processes x 1 thread", 2), ("loader, 2 processes x 1 thread", 2))


def read(path):
    """A file of a benchmark."""
    return json.loads(path.read_text("utf-8"))


@claims(f"{B}/sweep_speed.json")
def sweep(path):
    """The whole main experiment against PyTorch, projected."""
    found = read(path)
    ways, theirs = found["train"]["ways"], found["their_projection_seconds"]
    two = ", 2 processes x 1 thread"
    ours_ms, tensors, loader = (number(ways[name]["median"] * 1e3, digits) for name, digits in ROWS)
    faster = number(ways["tensors" + two]["median"] / ways["collapse_jax"]["median"], 2)
    yield (
        f"| MLP of the main experiment | {ours_ms} | {tensors} ({loader} with a DataLoader, as the paper's code has it) | "
        f"{faster} |"
    )
    log = number(found["log"]["ways"]["collapse_jax"]["median"], 3)
    hours = found["our_projection_seconds"]["total"] / 3600
    yield f"| collapse_jax, one run per core, with snapshots, checkpoints and start | {ours_ms} | {log} | {number(hours, 2)} h |"
    yield f"step at 75 % of the matmul peak of the same run, or 0.36 ms | {number(100 * found['facts']['share_of_peak'], 0)} % of"
    parts = found["our_projection_seconds"]
    shares = [100 * parts[name] / parts["total"] for name in ("logs", "snapshots", "checkpoints")]
    yield (
        f"| log points, snapshots and checkpoints at most 15 % of the time | {number(sum(shares), 1)} % "
        f"({number(shares[0], 1)}, {number(shares[1], 1)} and {number(shares[2], 1)}) | met |"
    )
    yield f"| peak memory of the sweep at most 1.5 GB | {number(found['crowded']['peak_bytes'] / 1e9, 2)} GB | met |"
    best = min(theirs[name] for name in theirs if name.startswith("loader")) / parts["total"]
    yield f"| 12 x the paper's loop in its best arrangement | {number(best, 1)} x |"
    loader, log = ways["loader, 1 process x 2 threads"], found["log"]["ways"]["loader, 1 process x 2 threads"]
    yield (
        f"| PyTorch loop of the paper's code (DataLoader), 1 process | {number(loader['median'] * 1e3, 1)} | "
        f"{number(log['median'], 2)} | {number(theirs['loader, 1 process x 2 threads'] / 3600, 1)} h |"
    )


@claims(f"{B}/networks.json")
def networks(path):
    """A step of other networks against PyTorch's."""
    found = read(path)["networks"]
    faster = {name: number(one["times_faster"], 2) for name, one in found.items()}
    ours, best = (
        {name: one["ways"][way or one["best"]]["median"] * 1e3 for name, one in found.items()}
        for way in ("collapse_jax, one run per core", "")
    )
    whole = found["transformer"]["ways"]["PyTorch, 2 processes x 1 thread"]["median"] * 1e3
    yield f"| image transformer | {number(ours['transformer'], 1)} | {number(best['transformer'], 1)} ({number(whole, 1)} with"
    yield f"of the last layer) | {faster['transformer']} |"
    yield f"| CNN | {number(ours['cnn'], 1)} | {number(best['cnn'], 1)} | {faster['cnn']} |"
    wide = ("resnet18_width_8", "resnet18_width_16")
    cells = ("; ".join(number(times[name], 0) for name in wide) for times in (ours, best))
    yield f"| ResNet18 of width 8; 16 | {' | '.join(cells)} | {'; '.join(faster[name] for name in wide)} |"
    texts = {"cnn": "CNN", "resnet18_width_8": "ResNet18, width 8", "resnet18_width_16": "ResNet18, width 16"}
    texts |= {"transformer": "image transformer"}
    for name, text in texts.items():
        ours, best = (found[name]["ways"][way] for way in ("collapse_jax, one run per core", found[name]["best"]))
        digits = 1 if ours["median"] < 0.1 else 0
        cells = [
            f"{number(one['median'] * 1e3, digits)} ({number(one['min'] * 1e3, digits)})" for one in (ours, best)
        ]
        digits = 1 if best["median"] < 0.06 else 0
        cells[1] = f"{number(best['median'] * 1e3, digits)} ({number(best['min'] * 1e3, digits)})"
        yield f"| {text} | {cells[0]} | {cells[1]},"


@claims(f"{B}/regularisers.json")
def regularisers(path):
    """What noise and the spectral entropy cost."""
    ways = read(path)["ways"]
    ratio = {name: number(one["ratio"], 2) for name, one in ways.items()}
    own, plain = (number(ways[name]["median"] * 1e3, 1) for name in ("noise and spectral entropy", "plain"))
    yield (
        f"takes {ratio['noise and spectral entropy']} times as long as a plain one ({own} and {plain} ms a run-step, two "
        f"runs on 2 quiet cores; spectral entropy alone {ratio['spectral entropy']}, noise {ratio['weight noise']}, norm "
        f"cutoff {ratio['norm cutoff']})"
    )


@claims(f"{B}/tickets.json", f"{B}/layerwise.json")
def levels_and_blocks(tickets, layerwise):
    """A run-step of levels, and of layer-wise schemes, against PyTorch."""
    ways = read(tickets)["ways"]
    ours = ways["collapse_jax"]["median"]
    best = min(one["median"] for name, one in ways.items() if name.startswith("PyTorch"))
    yield (
        f"A run-step of levels takes {number(ours * 1e3, 2)} ms on 2 quiet cores, the best arrangement of PyTorch loops "
        f"(one process per run, each weight masked after the step) {number(best * 1e3, 2)} ms: {number(best / ours, 2)} x"
    )
    yield (
        f"| MLP 784-300-100-10 in levels of pruning | {number(ours * 1e3, 2)} | {number(best * 1e3, 2)} | "
        f"{number(best / ours, 2)} |"
    )
    ways = read(layerwise)["ways"]
    ours = [ways[f"collapse_jax, {scheme}"] for scheme in ("end_to_end", "layerwise")]
    theirs = [ways[f"PyTorch, {scheme}, 2 processes x 1 thread"] for scheme in ("end_to_end", "layerwise")]
    ratios = [number(b["median"] / a["median"], 1) for a, b in zip(ours, theirs, strict=True)]
    own, other = ("; ".join(number(one["median"] * 1e3, d) for one in ones) for ones, d in ((ours, 1), (theirs, 0)))
    yield f"| MLP with BatchNorm, end to end; layer by layer | {own} (busy cores) | {other} | {'; '.join(ratios)} |"
    least = [number(one["min"] * 1e3, 1) for one in (*ours, *theirs)]
    yield (
        f"end to end {number(ours[0]['median'] * 1e3, 1)} ms, layer by layer {number(ours[1]['median'] * 1e3, 1)} ms, and "
        f"{number(theirs[0]['median'] * 1e3, 0)} ms each in PyTorch in its best arrangement (2 processes of 1 thread), so "
        f"{ratios[0]} and {ratios[1]} times as long; the least disturbed rounds {least[0]}, {least[1]}, {least[2]} and "
        f"{least[3]} ms"
    )


@claims("benchmarks/results/complexity_sizes.json")
def complexity_sizes(path):
    """Bytes of the search against those of a Bayesian optimisation."""
    rows = read(path)["bytes"]
    ratios = np.array([row["measure"] / row["optimiser"] for row in rows])
    epochs = np.array([row["epoch"] for row in rows])
    highest = max(ratios[epochs == epoch].mean() for epoch in epochs)
    yield (
        f"at {len(set(epochs))} checkpoints and seven distortions: {number(ratios.mean(), 3)} in the mean (goal: at most "
        f"1.01), median {number(np.median(ratios), 3)}; of {len(ratios)} pairs {(ratios < 0.99).sum()} are smaller by more "
        f"than 1 % and {(ratios > 1.01).sum()} larger by more, at worst {number(ratios.max(), 2)}; the mean of a "
        f"checkpoint's seven is at most {number(highest, 3)}"
    )
