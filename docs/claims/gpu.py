"""docs/performance.md, "On a GPU", and README.md's sentence of it.

The files are those of `python -m benchmarks.accelerator` and `python -m benchmarks.tickets --device=gpu`.
"""

import json

from collapse_jax.publishing.claims import claims
from collapse_jax.publishing.wording import number

B = "benchmarks/results"
BOTH = (f"{B}/accelerator.json", f"{B}/accelerator_tf32.json")


def read(path):
    """A file of a benchmark."""
    return json.loads(path.read_text("utf-8"))


def memory(row):
    """Bytes of a row, in MB below 100 of them."""
    size = row["memory_bytes"] / 1e6
    return f"{number(size, 0)} MB" if size < 100 else f"{number(size / 1e3, 2 if size < 1000 else 1)} GB"


@claims(*BOTH)
def grids(path, tf32):
    """Share of the memory floor and memory of each grid; what the floor is."""
    for found, rows in ((read(path), read(path)["runs"]), (read(tf32), read(tf32)["tf32"])):
        floor = found["ceilings"]["copy_bytes_per_second"] / found["floor_bytes"]
        for row in rows:
            share = number(100 * row["run_steps_per_second"] / floor, 0)
            runs = "1 run" if row["runs"] == 1 else row["runs"]
            cells = (
                number(row["run_steps_per_second"], 0),
                number(row["us_per_step"], 0),
                f"{share} %",
                memory(row),
            )
            yield f"| {runs} | {' | '.join(cells)} |"
    own = read(path)
    yield (
        f"The floor is {number(own['floor_bytes'] / 1e6, 2)} MB a run-step (parameters and two moments read and written, the batch "
        f"read) at the {number(own['ceilings']['copy_bytes_per_second'] / 1e12, 2)} TB/s of a copy."
    )
    compiling = sum(row["compile_seconds"] for row in own["runs"])
    yield f"{number(own['seconds'], 0)} s, of which {number(compiling, -1)} s compile our six grids;"


@claims(f"{B}/accelerator_tf32.json")
def tf32(path):
    """Tiles, other models and measures with TF32 products."""
    found = read(path)
    rows = {row["runs"]: row for row in found["tf32"]}
    times = [number(row["us_per_step"] / rows[1024]["us_per_step"], 1) for row in found["tiles"]]
    yield (
        f"1024 runs in tiles of {found['tiles'][0]['tile']}, {found['tiles'][1]['tile']} and {found['tiles'][2]['tile']} take "
        f"{times[0]}, {times[1]} and {times[2]} times as long."
    )
    speeds = {name: [row["run_steps_per_second"] for row in found[name]] for name in ("transformer", "cnn")}
    cells = {name: [number(one, 0) for one in own] for name, own in speeds.items()}
    yield f"| image transformer | {cells['transformer'][0]} run-steps/s | {cells['transformer'][1]} |"
    yield f"| CNN | {cells['cnn'][0]} | {cells['cnn'][1]} |"
    yield f"A batch of CNNs gains {number(speeds['cnn'][1] / speeds['cnn'][0], 1)} times only"
    measures = found["measures_seconds_per_run_snapshot"]
    yield (
        f"collapse {number(measures['collapse'], 3)}, nHSIC (reference) {number(measures['nhsic'], 3)}, mutual information of 2000 "
        f"examples {number(measures['mutual_information'], 3)};"
    )
    many = [number(rows[runs]["run_steps_per_second"], -3) for runs in (30, 4096)]
    share = rows[4096]["run_steps_per_second"] * found["floor_bytes"] / found["ceilings"]["copy_bytes_per_second"]
    yield (
        f"on one H200 {many[0]} run-steps/s with 30 runs and {many[1]} with 4096, {number(100 * share, 0)} % of its floor."
    )


@claims(f"{B}/accelerator.json", f"{B}/tickets_gpu.json")
def at_a_glance(path, tickets):
    """README.md, and the first section of docs/performance.md."""
    found, levels = read(path), read(tickets)
    ours = {row["runs"]: number(row["run_steps_per_second"], 0) for row in found["runs"]}
    torch = {(one["way"], one["runs"]): number(one["run_steps_per_second"], 0) for one in found["pytorch"]}
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


@claims(f"{B}/accelerator.json")
def beside_pytorch(path):
    """Grids in float32 beside PyTorch, and the goals."""
    found = read(path)
    ours = {row["runs"]: row["run_steps_per_second"] for row in found["runs"]}
    torch = {(one["way"], one["runs"]): one["run_steps_per_second"] for one in found["pytorch"]}
    for way, text in (("eager", ", eager"), ("compiled", ", torch.compile"), ("graphed", ", as a CUDA graph")):
        more = " (30 runs)" if way == "eager" else ""
        ratio = f"{ours[30] / torch[way, 1]:.3g} x{more}"
        yield f"{text} | {number(torch[way, 1], 0)} | {ratio} |"
    for way in ("ensemble", "ensemble_graphed", "ensemble_compiled"):
        yield f"| {number(torch[way, 30], 0)} | {ours[30] / torch[way, 30]:.3g} x |"
    best = torch["ensemble_compiled", 1024]
    yield f"1024 runs, compiled, CUDA graph | {number(best, 0)} | {ours[1024] / best:.3g} x |"
    products = 112e6 * ours[1024]
    yield (
        f"which at 1024 runs go at {products / 1e12:.1f} TFLOP/s, {number(100 * products / found['ceilings']['flops_highest'], 0)} % "
        f"of the {found['ceilings']['flops_highest'] / 1e12:.1f} of a product of 8192 x 8192"
    )
    yield (
        f"190,000 run-steps/s ({number(ours[1024], 0)}), and 20 times the best arrangement of PyTorch for 30 runs "
        f"({ours[30] / torch['ensemble_compiled', 30]:.2f}; {ours[30] / torch['graphed', 1]:.1f} times the best that trains single runs)"
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
