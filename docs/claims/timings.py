"""The rest of what docs/performance.md and docs/reliability.md take from benchmarks: arrangements, scaling, measures, goodput.

As in speed.py: the files hold what was timed, by the commands that they name.
"""

import json

import numpy as np

from collapse_jax.publishing.claims import claims
from collapse_jax.publishing.wording import ends, number

B = "benchmarks/results"


def read(path):
    """A file of a benchmark."""
    return json.loads(path.read_text("utf-8"))


@claims(f"{B}/sweep_speed.json")
def arrangements(path):
    """The further rows of the table of arrangements."""
    found = read(path)
    ways, logs, whole = found["train"]["ways"], found["log"]["ways"], found["their_projection_seconds"]
    one, two = "1 process x 2 threads", "2 processes x 1 thread"
    for text, way, digits in (
        ("the same, 2 one-thread processes", f"loader, {two}", 2),
        ("PyTorch, tensors on the device, fused AdamW, 1 process", f"tensors, {one}", 3),
        ("the same, 2 one-thread processes", f"tensors, {two}", 3),
        ("the same through torch.compile, 2 one-thread processes", f"compiled, {two}", 3),
    ):
        hours = whole[way] / 3600
        yield (
            f"| {text} | {number(ways[way]['median'] * 1e3, 2)} | {number(logs[way]['median'], digits)} | "
            f"{number(hours, 2 if hours < 1 else 1)} h |"
        )
    peak = ways["matrix products at their peak"]["median"]
    yield (
        f"| matrix products alone at the speed of a 1024 x 1024 product | {number(peak * 1e3, 3)} | - | "
        f"{number(peak * 3e6 / 3600, 2)} h |"
    )
    ours, speed = ways["collapse_jax"]["median"], number(found["facts"]["peak_gflops"], 0)
    yield f"Of {number(ours * 1e3, 3)} ms the matrix products take at least {number(peak * 1e3, 2)}."
    share = found["facts"]["share_of_peak"]
    yield f"{number(100 * share, 0)} % of {speed} GFLOP/s ({number(ours * 1e3, 3)} ms) | met |"
    yield f"Here they run at {speed}, which slows"
    yield f"what is left to gain is the distance to the peak, {number(100 * (1 - share), 0)} %."
    yield f"batch 100, AdamW, float32, {number(found['facts']['flops_per_run_step'] / 1e6, 0)} MFLOP of matrix products."


@claims(f"{B}/sweep_speed.json")
def goals(path):
    """What was asked, and what it would be at the peak."""
    found = read(path)
    total, whole = found["our_projection_seconds"]["total"], found["their_projection_seconds"]
    peak = 3e6 * found["train"]["ways"]["matrix products at their peak"]["median"]
    best = {
        kind: min(value for name, value in whole.items() if name.startswith(kind)) for kind in ("loader", "tensors")
    }
    yield (
        f"{number(best['loader'] / total, 1)} x | not met; at the matmul peak, all else free, it would be "
        f"{number(best['loader'] / peak, 1)} x here |"
    )
    yield (
        f"| 2 x the optimised PyTorch loop in its best arrangement | {number(best['tensors'] / total, 1)} x | not met; at the "
        f"matmul peak it would be {number(best['tensors'] / peak, 1)} x here |"
    )
    warm, cold = (np.median([one[kind]["progress"] for one in found["starts"]]) for kind in ("warm", "cold"))
    yield f"15 s (warm compile cache), 30 s (cold) | {number(warm, 1)} s, {number(cold, 1)} s | met |"
    yield f"is in the first table above ({number(warm, 1)} s warm, {number(cold, 1)} s cold)"
    parts = found["our_projection_seconds"]
    share = sum(parts[name] for name in ("logs", "snapshots", "checkpoints")) / total
    yield (
        f"Log points, snapshots and checkpoints take {number(100 * share, 0)} % of the main experiment, the first progress line "
        f"appears after {number(warm, 0)} s ({number(cold, 0)} s with an empty compile cache), peak memory is "
        f"{number(found['crowded']['peak_bytes'] / 1e9, 1)} GB."
    )


@claims(f"{B}/scaling.json")
def scaling(path):
    """Throughput against runs, width and training examples; memory against runs."""
    found = read(path)
    runs = {row["runs"]: row for row in found["runs"]}
    many = [row["run_steps_per_second"] for n, row in runs.items() if n > 1]
    yield (
        f"One run cannot use two cores ({number(runs[1]['run_steps_per_second'], 0)} run-steps/s, "
        f"{number(100 * runs[1]['share_of_peak'], 0)} % of the peak of both); from 2 to {max(runs)} runs it is {ends(many, 0)}."
    )
    flat = 100 * found["flatness_2_to_64_runs"]
    yield f"| flat within 10 % from 2 to 64 runs | within {number(flat, 1)} % of the middle | met |"
    yield f"From 2 to 64 runs the throughput stays within {number(flat, 0)} % (python -m benchmarks.scaling)."
    yield f"python -m benchmarks.scaling ({number(found['seconds'] / 60, 0)} minutes, same machine"
    width = {row["width"]: row for row in found["width"]}
    shares = [100 * row["share_of_peak"] for size, row in width.items() if 100 <= size <= 800]
    memory = found["memory"]
    state = memory["predicted_bytes_per_run"]
    yield (
        f"From width 100 to 800 it reaches {ends(shares, 0)} % of the matmul peak, "
        f"{number(100 * width[50]['share_of_peak'], 0)} % at width 50, where a step lasts "
        f"{number(width[50]['ms_per_run_step'], 2)} ms, and {number(100 * width[1600]['share_of_peak'], 0)} % at width 1600"
    )
    yield (
        f"{number(memory['bytes_per_run']['training'] / 1e6, 2)} MB per run for training alone (parameters, two moments and one "
        f"gradient are {number(state / 1e6, 2)} MB; the gradient is not held for all runs at once), "
        f"{number(memory['bytes_per_run']['whole_sweep'] / 1e6, 1)} MB with logs, snapshots and checkpoints"
    )


@claims(f"{B}/measures_1_devices.json", f"{B}/measures_2_devices.json")
def measures(*paths):
    """Measures of snapshots at once against loops over one after the other."""
    found = [read(path) for path in paths]

    def ways(name):
        return [{way: value["median"] for way, value in one[name]["ways"].items()} for one in found]

    def ms(seconds):
        return [number(value * 1e3, 2 if value < 0.01 else 0) for value in seconds]

    nc = ways("NC measures, 1000 x 200")
    ours, loops = ([one[way] for one in nc] for way in ("collapse_jax, all runs", "PyTorch, DataLoader"))
    arrays = found[0]["NC measures, 1000 x 200"]["ways"]["numpy, whole arrays"]
    nc_ratio = [number(b / a, 0) for a, b in zip(ours, loops, strict=True)]
    yield (
        f"| NC set, 1000 x 200 | {' ms | '.join(ms(ours))} ms | {number(loops[0] * 1e3, 0)} and {number(loops[1] * 1e3, 1)} ms, "
        f"PyTorch with a DataLoader (numpy on whole arrays: {number(arrays['median'] * 1e3, 1)}, at best "
        f"{number(arrays['min'] * 1e3, 1)}) | {'; '.join(nc_ratio)} |"
    )
    hsic = ways("nHSIC, 10,000 x 200")
    ours, loops = ([one[way] for one in hsic] for way in ("collapse_jax, all runs", "PyTorch, batch by batch"))
    hsic_ratio = [b / a for a, b in zip(ours, loops, strict=True)]
    yield (
        f"| nHSIC, 10,000 x 200, mode of the reference | {' ms | '.join(ms(ours))} ms | {' and '.join(ms(loops))} ms, PyTorch "
        f"batch by batch | {'; '.join(number(one, 1) for one in hsic_ratio)} |"
    )
    slower, ball_ratio, scipy_ratio = [], [], []
    for when in ("early", "late"):
        ksg = ways(f"KSG, 10,000 x (4 + 4), {when}")
        names = ("collapse_jax, 2 snapshots", "scikit-learn, kd_tree", "scikit-learn, ball_tree", "scipy, cKDTree")
        ours, tree, ball, scipy = ([one[way] for one in ksg] for way in names)
        slower += [a / b for a, b in zip(ours, tree, strict=True)]
        ball_ratio += [b / a for a, b in zip(ours, ball, strict=True)]
        scipy_ratio += [b / a for a, b in zip(ours, scipy, strict=True)]
        of_sklearn = " of scikit-learn" if when == "early" else ""
        of_scipy = " of scipy" if when == "early" else ""
        yield (
            f"| KSG, 10,000 x (4 + 4), {when} | {' ms | '.join(ms(ours))} ms | {' and '.join(ms(tree))} ms, KDTree "
            f"({number(ball[0], 2)} s, BallTree{of_sklearn}; {ms(scipy)[0]} ms, cKDTree{of_scipy}) | "
            f"{'; '.join(number(b / a, 1) for a, b in zip(ours, tree, strict=True))} |"
        )
    cases = [(a, b) for a, b in zip(slower[::2], slower[1::2], strict=True)]
    early, late = ([1 / one for one in case] for case in cases)
    yield (
        f"takes {number(1 / early[0], 1)} and {number(1 / late[0], 1)} times as long as scikit-learn's KDTree on one device, early and "
        f"late, and on two it is {number(early[1], 1)} and {number(late[1], 1)} times as fast; it is {ends(ball_ratio, 1)} times as fast "
        f"as the BallTree of the paper's code and {ends(scipy_ratio, 1)} as scipy's cKDTree"
    )
    yield f"nHSIC reaches {number(hsic_ratio[0], 1)} and {number(hsic_ratio[1], 1)} x"
    yield (
        f"are {' to '.join(nc_ratio)} x (neural collapse) and {ends(hsic_ratio, 1)} x (nHSIC) faster than loops in PyTorch over one "
        f"after the other; nearest-neighbour information {ends([*early, *late], 1)} times as fast as scikit-learn's KDTree"
    )
    family = ways("families, 8 runs x 10,000")[0]
    cells = [f"{number(family['nhsic'] * 1e3, 0)} ms", number(family["nhsic, value"] * 1e3, 0)]
    cells += [number(family["mutual_information, 2000"], 2), number(family["mutual_information, 2000, value"], 2)]
    channel = [family[name] for name in family if name.startswith("noisy_channel")]
    yield (
        f"nHSIC {cells[0]} with its null of 20 permutations and its error ({cells[1]} the value alone), mutual information of 2000 "
        f"examples {cells[2]} s ({cells[3]}), the noisy channel {number(max(channel), 2)} s ({number(min(channel), 2)})."
    )


@claims(f"{B}/goodput.json")
def goodput(path):
    """What kills cost."""
    file = read(path)
    found, texts = (
        file["found"],
        ("wall clock, on one core of which other jobs took 46 %", "processor time of the same"),
    )
    names = ("wall", "processor", "wall_of_lives_with_a_core_of_their_own")
    for text, name in zip(
        (*texts, "wall clock of the four lives that had the core for themselves"), names, strict=True
    ):
        one = found[name]
        cost = " + ".join(number(seconds, 1) for seconds in one["seconds_of_a_kill"].values())
        after = number(100 * one["goodput_at_a_kill_every_600_s"], 1)
        yield f"| {text} | {number(100 * one['goodput'], 1)} % | {cost} s | {after} % |"
    assert 3500 < found["wall"]["seconds"] < 3700
    assert file["options"]["every"] == 120
    yield f"| one hour, {file['kills']} kills, {number(file['steps'], 0)} steps | measured at a kill every 2 minutes |"
    share = found["processor"]["seconds"] / found["wall"]["seconds"]
    yield f"on one core of which other jobs took {number(100 * (1 - share), 0)} %"
    bits = file["bits"].values()
    assert not any(one["different"] for one in bits)
    total = sum(one["numbers"] for one in bits)
    yield f"values at {max(one['log_steps'] for one in bits)} log steps"
    yield f"{number(total / 1e6, 1)} million numbers, no difference."
    yield f"({file['kills']} kills)"


@claims(f"{B}/networks.json", f"{B}/sweep_speed.json")
def faster(networks, sweep):
    """How many times as fast as PyTorch in its best arrangement, by medians and by minima."""
    found, ways = read(networks)["networks"], read(sweep)["train"]["ways"]
    ratio = {name: number(one["times_faster"], 2) for name, one in found.items()}
    for text, name in (
        ("2 one-thread processes", "cnn"),
        ("channels last", "resnet18_width_8"),
        ("the same", "resnet18_width_16"),
        ("CLS alone", "transformer"),
    ):
        own, best = (found[name]["ways"][way] for way in ("collapse_jax, one run per core", found[name]["best"]))
        yield f"{text} | {ratio[name]} ({number(best['min'] / own['min'], 2)}) |"
    series = found["transformer"]["ways"]
    whole = series["PyTorch, 2 processes x 1 thread"]["median"]
    yield (
        f"in {number(whole * 1e3, 1)} ms with 2 one-thread processes, "
        f"{number(whole / series['collapse_jax, one run per core']['median'], 1)} times ours"
    )
    yield (
        f"image transformer {ratio['transformer']} times as fast, CNN {ratio['cnn']}, ResNet18 of width 8 and 16 "
        f"{ratio['resnet18_width_8']} and {ratio['resnet18_width_16']}"
    )
    ours, theirs = (ways[way]["median"] for way in ("collapse_jax", "tensors, 2 processes x 1 thread"))
    yield f"| MLP (sweep_speed) | {number(ours * 1e3, 3)} | {number(theirs * 1e3, 2)} | {number(theirs / ours, 2)} | - |"
