"""docs/performance.md, "On a GPU", and README.md's sentence of it.

The files are those of `python -m benchmarks.accelerator` and `python -m benchmarks.tickets --device=gpu`.
"""

import json

from collapse_jax.publishing.claims import claims
from collapse_jax.publishing.wording import number

B = "benchmarks/results"
H100, H200 = f"{B}/accelerator_h100.json", f"{B}/accelerator.json"


def read(path):
    """A file of a benchmark."""
    return json.loads(path.read_text("utf-8"))


def memory(row):
    """Bytes of a row, in MB below 100 of them."""
    size = row["memory_bytes"] / 1e6
    return f"{number(size, 0)} MB" if size < 100 else f"{number(size / 1e3, 2 if size < 1000 else 1)} GB"


def by_runs(rows):
    """Run-steps/s of each grid, by its number of runs."""
    return {row["runs"]: row["run_steps_per_second"] for row in rows}


def torch_of(found):
    """Run-steps/s of PyTorch, by way and number of runs."""
    return {(row["way"], row["runs"]): row["run_steps_per_second"] for row in found["pytorch"]}


@claims(H100, H200)
def grids(*paths):
    """Speed of each grid and its share of the memory floor; what the floor is; how long all took."""
    found = [read(path) for path in paths]
    floors = [one["ceilings"]["copy_bytes_per_second"] / one["floor_bytes"] for one in found]
    for rows in zip(*(one["runs"] for one in found), strict=True):
        cells = []
        for row, floor in zip(rows, floors, strict=True):
            speed = row["run_steps_per_second"]
            cells += [number(speed, 0), number(row["us_per_step"], 0), f"{number(100 * speed / floor, 0)} %"]
        runs = "1 run" if rows[0]["runs"] == 1 else rows[0]["runs"]
        yield f"| {runs} | {' | '.join(cells)} | {memory(rows[1])} |"
    copies = [number(one["ceilings"]["copy_bytes_per_second"] / 1e12, 2) for one in found]
    yield (
        f"The floor is {number(found[0]['floor_bytes'] / 1e6, 2)} MB a run-step (parameters and two moments read and written, the batch "
        f"read) at the {copies[0]} TB/s of a copy on the H100 and {copies[1]} on the H200."
    )
    compiling = sum(row["compile_seconds"] for row in found[1]["runs"])
    yield f"in one piece in {number(found[1]['seconds'], 0)} s (goal: 9 minutes), of which our six grids compile for {number(compiling, -1)}"
    yield "in two parts of {} and {} s".format(*(number(seconds, 0) for seconds in found[0]["seconds"]))


@claims(H100)
def tiles(path):
    """Narrower tiles beside one wide one."""
    found = read(path)
    wide = next(row["us_per_step"] for row in found["runs"] if row["runs"] == 1024)
    tile, times = zip(*((row["tile"], number(row["us_per_step"] / wide, 1)) for row in found["tiles"]), strict=True)
    yield (
        f"runs in tiles of {tile[0]}, {tile[1]} and {tile[2]} take {times[0]}, {times[1]} and {times[2]} times as long on the H100"
    )


@claims(H100, H200)
def other_models(*paths):
    """Transformer and CNN, measures, and what a batch of them gains."""
    before, own = map(read, paths)
    old, new = ({name: by_runs(one[name]) for name in ("cnn", "transformer")} for one in (before, own))
    cells = [number(one["cnn"][runs], 0) for one in (old, new) for runs in (1, 32)]
    yield f"| CNN | {' | '.join(cells)} |"
    yield f"| image transformer | - | - | {number(new['transformer'][1], 0)} | {number(new['transformer'][32], 0)} |"
    gains = {name: number(rates[32] / rates[1], 1) for name, rates in new.items()}
    yield f"A batch of transformers gains {gains['transformer']} times, one of CNNs {gains['cnn']} times only"
    yield (
        f"it went at {number(old['transformer'][1], 0)} and {number(old['transformer'][32], 0)} run-steps/s on the H100"
    )
    cells = [
        ", ".join(number(one["measures_seconds_per_run_snapshot"][name], 3) for one in (before, own))
        for name in ("collapse", "nhsic", "mutual_information")
    ]
    yield f"collapse {cells[0]}, nHSIC (reference) {cells[1]}, mutual information of 2000 examples {cells[2]};"


@claims(H100, H200)
def precisions(*paths):
    """Speed and error of a product in each precision, and grids that train so."""
    found = [read(path) for path in paths]
    ceilings = [one["ceilings"] for one in found]
    errors = [f"{ceilings[0][f'error_{name}']:.1e}".replace("e-0", "e-") for name in ("highest", "high", "default")]
    yield (
        f"is wrong by {errors[0]} of its largest element in float32, by {errors[1]} with three and by {errors[2]} with one: three are "
        "no less exact than float32 itself"
    )
    three, one = ([number(c[f"flops_{name}"] / 1e12, 0) for c in ceilings] for name in ("high", "default"))
    yield f"Of 8192 x 8192 they go at {three[0]} and {three[1]} TFLOP/s, with one product at {one[0]} and {one[1]};"
    titles = {
        "runs": "float32 (highest, the default)",
        "tf32x3": "three TF32 products (high)",
        "tf32": "one TF32 product (default)",
    }
    for name, title in titles.items():
        cells = [number(by_runs(one[name])[runs], 0) for one in found for runs in (30, 1024)]
        yield f"| {title} | {' | '.join(cells)} |"


@claims(f"{B}/stop_rule_gpu.json")
def stop_rules(path):
    """30 runs in one wide tile that stop by themselves, and that do not."""
    found = read(path)
    rule, none = found["with"], found["without"]
    last = max(found["retired_at"])
    trained = [number(one["run_steps"] / one["run_steps_per_second"], 0) for one in (rule, none)]
    yield (
        f"the rule left {rule['run_steps']:,} run-steps of {none['run_steps']:,}, as the stored curves had said, and its last run "
        f"retired at step {last:,}"
    )
    yield f"Training took {trained[0]} s instead of {trained[1]}"
    yield (
        f"the whole commands, {rule['seconds']} and {none['seconds']} s: each ran once, the one with the rule first on a fresh machine (it "
        f"compiled for {rule['compile_seconds']} s, the other for {none['compile_seconds']})"
    )


@claims(H100, f"{B}/tickets_gpu.json")
def at_a_glance(path, tickets):
    """README.md, and the first section of docs/performance.md."""
    found, levels = read(path), read(tickets)
    ours, torch = (
        {key: number(rate, 0) for key, rate in rates.items()} for rates in (by_runs(found["runs"]), torch_of(found))
    )
    yield (
        f"on one H100 30 runs alone at {ours[30]}, PyTorch at {torch['ensemble_compiled', 30]} as a compiled torch.func ensemble and "
        f"{torch['graphed', 1]} run by run"
    )
    best = min(seconds for way, seconds in levels["seconds"].items() if way.startswith("PyTorch"))
    yield (
        f"{levels['runs']} runs x {levels['levels']} levels of pruning took {number(levels['seconds']['collapse_jax'], 2)} s, PyTorch "
        f"{number(best, 1)} s."
    )
    yield f"training alone reaches {ours[30]} with 30 runs and {ours[1024]} with 1024 on one H100"


@claims(H100, H200)
def beside_pytorch(*paths):
    """Grids in float32 beside PyTorch, and the goals."""
    found = [read(path) for path in paths]
    ours, torch = [by_runs(one["runs"]) for one in found], [torch_of(one) for one in found]

    def row(way, runs, compared):
        cells = [
            cell
            for own, other in zip(ours, torch, strict=True)
            for cell in (number(other[way, runs], 0), f"{own[compared] / other[way, runs]:.3g} x")
        ]
        return f"| {' | '.join(cells)} |"

    yield f"one run after the other, eager {row('eager', 1, 30)}"
    yield f"the same, torch.compile {row('compiled', 1, 30)}"
    yield f"the same, as a CUDA graph {row('graphed', 1, 30)}"
    yield f"30 runs as a torch.func ensemble {row('ensemble', 30, 30)}"
    yield f"the same, as a CUDA graph {row('ensemble_graphed', 30, 30)}"
    yield f"the same, compiled too {row('ensemble_compiled', 30, 30)}"
    yield f"1024 runs, compiled, CUDA graph {row('ensemble_compiled', 1024, 1024)}"
    flops = [112e6 * own[1024] for own in ours]
    shares = [reached / one["ceilings"]["flops_highest"] for reached, one in zip(flops, found, strict=True)]
    yield (
        f"which at 1024 runs go at {number(flops[0] / 1e12, 1)} and {number(flops[1] / 1e12, 1)} TFLOP/s, "
        f"{number(100 * shares[0], 0)} and {number(100 * shares[1], 0)} % of what a product of 8192 x 8192 reaches"
    )
    best = [own[30] / other["ensemble_compiled", 30] for own, other in zip(ours, torch, strict=True)]
    single = [own[30] / other["graphed", 1] for own, other in zip(ours, torch, strict=True)]
    yield (
        f"190,000 run-steps/s ({number(ours[0][1024], 0)} and {number(ours[1][1024], 0)}), and 20 times the best arrangement of PyTorch "
        f"for 30 runs ({number(best[0], 2)} and {number(best[1], 2)}; {number(single[0], 1)} and {number(single[1], 1)} times the best "
        "that trains single runs)"
    )


@claims(f"{B}/tickets_gpu.json")
def tickets_on_gpu(path):
    """Whole levels of pruning against one process per run."""
    found = read(path)
    seconds = {
        loop: [found["seconds"][f"PyTorch {loop}, {many} process(es)"] for many in (1, 4, 8)]
        for loop in ("loader", "graphed")
    }
    ours = found["seconds"]["collapse_jax"]
    loader, graphed = ([f"{one:.3g}" for one in seconds[loop]] for loop in ("loader", "graphed"))
    yield f"on the H100: {ours:.2f} s in one program."
    yield (
        f"as published code has them {loader[0]}, {loader[1]} and {loader[2]} s with 1, 4 and 8 processes at once; all on the "
        f"device and the step a CUDA graph {graphed[0]}, {graphed[1]} and {graphed[2]} s. So "
        f"{min(seconds['graphed']) / ours:.1f} times its best arrangement (goal 10)"
    )
