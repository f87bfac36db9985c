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
    parts = [number(seconds, 0) for seconds in own["seconds"]]
    yield f"in two parts of {parts[0]} and {parts[1]} s"
    yield f"Our six grids compile in {number(compiling, -1)} s of it."


@claims(*BOTH)
def tiles(path, tf32):
    """Narrower tiles beside one wide one."""
    times, tile = [], [row["tile"] for row in read(path)["tiles"]]
    for found, name in ((read(path), "runs"), (read(tf32), "tf32")):
        wide = next(row["us_per_step"] for row in found[name] if row["runs"] == 1024)
        times.append([number(row["us_per_step"] / wide, 1) for row in found["tiles"]])
    own, other = times
    yield (
        f"runs in tiles of {tile[0]}, {tile[1]} and {tile[2]} take {own[0]}, {own[1]} and {own[2]} times as long in float32 (on the "
        f"H200 with TF32 {other[0]}, {other[1]} and {other[2]})."
    )


@claims(*BOTH)
def other_models(path, tf32):
    """Transformer and CNN, measures, and what 32 CNNs gain."""
    own, other = read(path), read(tf32)
    names = {"transformer": "image transformer, all tokens through the last layer", "cnn": "CNN"}
    for name, title in names.items():
        cells = [number(row["run_steps_per_second"], 0) for found in (own, other) for row in found[name]]
        cells[0] += " run-steps/s" if name == "transformer" else ""
        yield f"| {title} | {' | '.join(cells)} |"
    gain = own["cnn"][1]["run_steps_per_second"] / own["cnn"][0]["run_steps_per_second"]
    yield f"A batch of CNNs gains {number(gain, 1)} times only"
    measures = own["measures_seconds_per_run_snapshot"]
    yield (
        f"collapse {number(measures['collapse'], 3)}, nHSIC (reference) {number(measures['nhsic'], 3)}, mutual information of 2000 "
        f"examples {number(measures['mutual_information'], 3)};"
    )


@claims(f"{B}/accelerator.json")
def precisions(path):
    """Speed and error of a product in each precision, and grids that train so."""
    found = read(path)
    ceilings = found["ceilings"]
    errors = [f"{ceilings[f'error_{name}']:.1e}".replace("e-0", "e-") for name in ("highest", "high", "default")]
    yield (
        f"is wrong by {errors[0]} of its largest element in float32, by {errors[1]} with three and by {errors[2]} with one: three are "
        "no less exact than float32 itself."
    )
    yield (
        f"Of 8192 x 8192 they go at {number(ceilings['flops_high'] / 1e12, 0)} TFLOP/s, with one product at "
        f"{number(ceilings['flops_default'] / 1e12, 0)};"
    )
    titles = {
        "runs": "float32 (highest, the default)",
        "tf32x3": "three TF32 products (high)",
        "tf32": "one TF32 product (default)",
    }
    for name, title in titles.items():
        few, many = (
            next(row["run_steps_per_second"] for row in found[name] if row["runs"] == runs) for runs in (30, 1024)
        )
        unit = " run-steps/s" if name == "runs" else ""
        yield f"| {title} | {number(few, 0)}{unit} | {number(many, 0)} |"


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
