"""Synergy of neurons and grokking: docs/synergy.md, and what README.md and docs/experiments.md say of it."""

import re

from collapse_jax.analysis.groups import take
from collapse_jax.analysis.order import order
from collapse_jax.figures.everything import SHOWN, reduced
from collapse_jax.publishing.claims import claims
from collapse_jax.publishing.wording import ends, listed, mean, number

E = "docs/experiments/modular_synergy"


def columns(predictor, window):
    """Columns of the line of a predictor: means of both groups, AUROC with its interval, rho and p."""
    line = next(line for line in window.splitlines() if line.startswith(f"{predictor} "))
    means = re.findall(r"([\d.e-]+) \(", line)
    auroc, low, high = re.search(r"\)\s+([\d.]+) \[([\d.]+), ([\d.]+)\]", line).groups()
    rho, p = re.search(r"2: ([+-][\d.]+), ([\d.]+)", line).groups()
    span = f"{number(auroc, 2)} [{number(low, 2)}, {number(high, 2)}]"
    return [float(one) for one in means], span, float(rho), float(p)


def windows(path):
    """The tables of a verdict, one for each window of steps."""
    return path.read_text("utf-8").split("$ ")[1:]


@claims(f"{E}/verdict.txt", f"{E}/verdict_ordinal.txt")
def verdict(own, ordinal):
    """AUROC of synergy for grokking, as `scripts/synergy_verdict.py` printed it."""
    first, second, third = windows(own)
    means, auroc, *_ = columns("synergy", second)
    early, later = (columns("synergy", window)[1] for window in (first, third))
    yield (
        f"AUROC {early} until step 200; {auroc} from the fit to step 80 ({listed(means, 1, ' and ')} bits); "
        f"{later.split()[0]} to step 200, where test accuracy is"
    )
    ranks = [columns("synergy", window)[2:] for window in (first, second, third)]
    yield (
        f"rank correlation with the step of grokking, within the 20: {number(ranks[0][0], 2)} (p = "
        f"{number(ranks[0][1], 2)}), {number(ranks[1][0], 2)} ({number(ranks[1][1], 2)}), {number(ranks[2][0], 2)} "
        f"({number(ranks[2][1], 2)})"
    )
    paper = [columns("synergy_ordinal", window) for window in windows(ordinal)]
    yield (
        f"{paper[0][1]} until step 200; {paper[1][1]} from the fit to step 80: {listed(paper[1][0], 1, ' and ')} bits"
    )
    yield (
        f"Rank correlation with the step of grokking {number(paper[0][2], 2)} (p = {number(paper[0][3], 2)}) and "
        f"{number(paper[1][2], 2)} ({number(paper[1][3], 2)})"
    )
    redundancy = columns("redundancy_ordinal", windows(ordinal)[1])
    yield f"Redundancy ({listed(redundancy[0], 1, ' and ')} bits) has {redundancy[1].split()[0]}:"
    yield (
        f"its AUROC for grokking against memorising is {early} until step 200 and {auroc} from the fit to step 80, "
        f"{paper[1][1].split()[0]} by the paper's ranks"
    )


@claims(f"{E}/decays", f"{E}/seeds", f"{E}/scales")
def when(decays, seeds, scales):
    """What groks, what memorises, what does not fit."""
    own = decays.isel(step=-1).squeeze()
    low, high = ends(own.train_accuracy.sel(weight_decay=10), 2), mean(own.train_accuracy.sel(weight_decay=50), 3)
    yield f"10 and 50 do not fit: training accuracy {low} and {high} at step 4000"
    zero = seeds.sel(weight_decay=0).isel(step=-1).squeeze()
    yield f"test accuracy at most {number(zero.test_accuracy.max(), 3)} at step 4000 in all of {zero.sizes['seed']} seeds"
    last = scales.isel(step=-1).squeeze()
    one = mean(last.train_accuracy.sel(init_scale=1), 2)
    yield f"| does not fit ({one}); groks at"
    yield f"test {mean(last.test_accuracy.sel(init_scale=50), 3)} at step 4000) |"


def at_step(results, step, names, **point):
    """Means over seeds of variables at a step, one digit after the point."""
    return [mean(results[name].sel(step=step, **point), 1) for name in names]


@claims(E, f"{E}/decays", f"{E}/scales")
def bits(main, decays, scales):
    """Synergy in bits, and that of random directions with the same spectrum in brackets."""
    names = ("synergy", "synergy_spectrum_null")
    peak = [at_step(main, 2, names, weight_decay=decay) for decay in (2, 0.1)]
    later = [at_step(main, step, names, weight_decay=decay) for decay, step in ((2, 172), (0.1, 1696))]
    yield (
        f"at step 2, {peak[0][0]} bits at decay 2 and {peak[1][0]} at 0.1 [{peak[0][1]}, {peak[1][1]}]; then "
        f"{later[0][0]} at step 172 [{later[0][1]}] and {later[1][0]} at 1,696 [{later[1][1]}]"
    )
    rows = [at_step(decays, 50, names, weight_decay=decay) for decay in (0.1, 2, 10, 50)]
    zero = at_step(decays, 50, names, weight_decay=0)
    yield (
        f"at step 50 {', '.join(row[0] for row in rows)} [{', '.join(row[1] for row in rows)}]; of what memorises "
        f"without decay {zero[0]} [{zero[1]}]"
    )
    rows = [at_step(scales, 50, names, init_scale=scale) for scale in (1, 8, 50)]
    last = [at_step(scales, 4000, names[:1], init_scale=scale)[0] for scale in (8, 50)]
    yield (
        f"at step 50 {', '.join(row[0] for row in rows)} [{', '.join(row[1] for row in rows)}]; at step 4000 scale 8 has "
        f"{last[0]} and 50, which memorises, {last[1]}"
    )
    paper = [
        at_step(main, 97, ["redundancy_ordinal", "redundancy_null_ordinal"], weight_decay=decay)
        for decay in (0.1, 2)
    ]
    raw = [mean(main.redundancy.sel(step=97, weight_decay=decay), 2) for decay in (0.1, 2)]
    yield (
        f"at step 97 {raw[0]} bits at 0.1 and {raw[1]} at 2; by the paper's ranks {paper[0][0]} and {paper[1][0]}, of "
        f"which independent neurons with the same values have {paper[0][1]} and {paper[1][1]}"
    )


@claims(f"{E}/clamp", f"{E}/temperature")
def interventions(clamp, temperature):
    """The norm held, and the logits divided."""
    names = ("synergy", "synergy_spectrum_null")
    steps = (50, 315, 640)

    def row(value):
        rows = [at_step(clamp, step, names, norm_clamp=value) for step in steps]
        return ", ".join(one[0] for one in rows), ", ".join(one[1] for one in rows)

    four, eight, sixteen = (row(value) for value in (4, 8, 16))
    yield (
        f"at 4 it is {four[0]} without any grokking [{four[1]}]; at 8 {eight[0]} [{eight[1]}]; at 16 {sixteen[0]} "
        f"[{sixteen[1]}]"
    )
    run = temperature.isel(step=-1).squeeze()
    ten, hundred = (run.sel(init_scale=8, temperature=value) for value in (10, 100))
    yield f"10 and 100 do not ({mean(ten.train_accuracy, 2)}, {mean(hundred.train_accuracy, 2)});"
    high = run.sel(init_scale=50, temperature=100)
    value = at_step(temperature.squeeze("weight_decay"), 50, names, init_scale=50, temperature=100)
    yield f"100 reaches {mean(high.train_accuracy, 2)}."
    yield f"at step 50 is {value[0]} bits at scale 50 and 100, which does not fit [{value[1]}]"


@claims(f"{E}/subnetworks/table.txt", f"{E}/subnetworks-scale/table.txt")
def subnetworks(own, scaled):
    """Sub-networks trained alone, as `scripts/synergy_subnetworks.py` printed them."""
    rows = [{line.split()[0]: line for line in path.read_text("utf-8").splitlines()[2:]} for path in (own, scaled)]
    times = re.compile(r"\((\d+ to \d+)\)")
    spans = [
        {name: found.group(1) for name, line in table.items() if (found := times.search(line))} for table in rows
    ]
    count = re.search(r"(\d+ to \d+)", rows[0]["random"]).group()
    yield (
        f"3 of 4 seeds grok by step 640, at {spans[0]['subnetwork']}; as many random neurons ({count} of 250) 3, at "
        f"{spans[0]['random']}; all neurons 4, at {spans[0]['none']}"
    )
    count = [re.search(r"(\d+ to \d+)", rows[1][name]).group() for name in ("random", "inverse")]
    last = [number(rows[1][name].split()[6], 2) for name in ("inverse", "random_inverse")]
    yield (
        f"3 of 3 grok, at {spans[1]['subnetwork']}; as many random neurons ({count[0]}) at {spans[1]['random']}; the "
        f"neurons left over ({count[1]}) and as many random ones fit later and do not within 800 steps: test accuracy "
        f"{last[0]} and {last[1]}; all neurons (:scales) at {spans[1]['none']}"
    )


@claims(f"{E}/everything")
def moves_first(results):
    """Which measure moves first."""
    runs = reduced(take(results, range(results.sizes["seed"])), tuple(SHOWN))
    moves = order(runs, {str(name): SHOWN[str(name)] for name in runs.data_vars})
    at = {move.variable: number(move.median, 0) for move in moves}
    size = results.complexity.dropna("step", how="all").squeeze() / 1000
    yield (
        f"NC3 at step {at['nc3_self_duality']}, complexity at {at['complexity']} ("
        f"{mean(size.sel(step=2), 2)} kB at step 2, {mean(size.sel(step=11), 1)} kB at 11"
    )
    yield (
        f"synergy at {at['synergy']}, weight norm at {at['weight_norm']}, training accuracy at {at['train_accuracy']}, "
        f"effective rank at {at['effective_rank']}, RNC1 at {at['rnc1']}, NC1 at {at['nc1']}, nHSIC(Z;X) - nHSIC(Z;Y) at "
        f"{at['superfluous_nhsic']}, test accuracy at {at['test_accuracy']}, test loss at {at['test_loss']};"
    )
    p = {move.variable: (move.p, move.p_holm) for move in moves}
    weak = [p[name] for name in ("effective_rank", "test_loss")]
    strong = [one for name, one in p.items() if name not in ("effective_rank", "test_loss") and one[0] < 0.01]
    yield (
        f"(p = {ends([one[0] for one in strong], 3)}, by Holm's correction {ends([one[1] for one in strong], 3)}) but "
        f"effective rank ({number(weak[0][0], 2)}, corrected {number(weak[0][1], 2)})"
    )
