"""Complexity of modular arithmetic and on MNIST: README.md and docs/experiments.md."""

import re

import numpy as np

from collapse_jax import timescales
from collapse_jax.publishing.claims import claims
from collapse_jax.publishing.wording import ends, listed, mean, number

E = "docs/experiments/modular_complexity"


def kb(results, distortion=1.0, variable="complexity"):
    """[seed, step] kB at a distortion, at the steps at which it was measured."""
    values = results[variable].squeeze("weight_decay", drop=True)
    return values.sel(distortion=distortion).dropna("step", how="all").transpose("seed", "step") / 1000


def spread(values, digits=0):
    """Mean (lowest to highest) over seeds."""
    return f"{mean(values, digits)} ({number(np.min(values), digits)} to {number(np.max(values), digits)})"


def epochs(steps, batches=5):
    """Epochs of a time in steps."""
    return np.asarray(steps, float) / batches


@claims(f"{E}/addition", f"{E}/multiplication")
def rise_and_fall(*operations):
    """Floor, peak and end of the complexity of the regularised networks."""
    texts = []
    for results in operations:
        values = kb(results)
        peak, last = values.max("step").values, values.isel(step=-1).values
        floor = number(values.isel(step=0).mean(), 1)
        texts.append(f"{floor}, {spread(peak)}, {spread(last)}")
        assert int(values.step[values.mean("seed").argmax("step")]) == 435
    yield f"| rise and fall: floor, peak at epoch 87, end | {texts[0]} | {texts[1]} |"
    peaks, lasts = (
        [mean(part(kb(one)), 0) for one in operations] for part in (lambda v: v.max("step"), lambda v: v[:, -1])
    )
    yield (
        f"compressed size rises from 0.2 to {' and '.join(peaks)} kB with the fit and falls to {' and '.join(lasts)} kB "
        "when it groks"
    )


@claims(f"{E}/addition_plain", f"{E}/multiplication_plain")
def without(*operations):
    """Without regularisers nothing falls and nothing generalises; weight decay alone falls at distortion 2."""
    ends_of, accuracy, decay = [], [], []
    for results in operations:
        plain = results.sel(weight_decay=[0.0])
        ends_of.append(kb(plain).isel(step=-1).values)
        accuracy.append(plain.test_accuracy.isel(step=-1).values)
        values = kb(results.sel(weight_decay=[1.0]), 2.0)
        decay.append(f"{spread(values.max('step').values)}, {spread(values.isel(step=-1).values)}")
    one, other = (f"{spread(a, 3)}, {spread(c)}" for a, c in zip(accuracy, ends_of, strict=True))
    highest = kb(operations[1].sel(weight_decay=[0.0])).max("step").values
    yield (
        f"| no regulariser: test accuracy and complexity at the end | {one}, its peak: stays | {other} of at most "
        f"{spread(highest)}: stays |"
    )
    yield f"without regularisers it stays at {mean(ends_of[0], 0)} and {mean(ends_of[1], 0)} kB and nothing generalises"
    yield f"| its peak and end, within distortion 2 | {decay[0]}: falls as it generalises (2 seeds) or after (1) | {decay[1]}: the same |"
    at_one = [np.sort(kb(one.sel(weight_decay=[1.0])).isel(step=-1).values) for one in operations]
    yield (
        f"depends on the seed, {number(at_one[0][0], 0)} kB or {listed(at_one[0][1:], 0, ' and ')} (multiplication: "
        f"{ends(at_one[1], 0)})."
    )


@claims(f"{E}/addition", f"{E}/multiplication", f"{E}/addition_plain", f"{E}/multiplication_plain")
def bounds(*sweeps):
    """Lowest bound on the gap from the fit on; effective ranks; quantisation alone."""
    lowest, ranks, quantised, naive = [], [], [], []
    for operation in (0, 1):
        arms = [sweeps[operation], *(sweeps[operation + 2].sel(weight_decay=[decay]) for decay in (1.0, 0.0))]
        low, rank = [], []
        for arm in arms:
            gap = kb(arm, variable="complexity_gap") * 1000
            fit = timescales(arm).fit_upper.squeeze("weight_decay")
            low.append(gap.where(gap.step >= fit).min("step").mean().item())
            means = arm.weight_effective_rank_mean.squeeze("weight_decay").dropna("step", how="all").mean("seed")
            rank.append((float(means[0]), float(means[-1])))
        lowest.append(low)
        ranks.append(
            f"{number(rank[0][0], 0)}, {number(rank[0][1], 0)}; {number(rank[1][1], 0)}; {number(rank[2][1], 0)}"
        )
        quantised.append(mean(kb(arms[0], variable="quantised_complexity").isel(step=-1), 0))
        sizes = arms[0].naive_size.squeeze("weight_decay").dropna("step", how="all") / 1000
        naive.append(ends(sizes, 0))
    yield (
        f"| bound on the gap, lowest from the fit on: regularised, weight decay, none | {listed(lowest[0], 1)} nats: "
        f"vacuous | {listed(lowest[1], 1)}: vacuous |"
    )
    yield f"| mean effective rank, first and end: regularised; weight decay; none | {ranks[0]} | {ranks[1]} |"
    yield (
        f"| quantisation alone, end; bzip2 of unquantised weights | {quantised[0]}; {naive[0]} throughout | "
        f"{quantised[1]}; {naive[1]} |"
    )


@claims(f"{E}/addition", f"{E}/multiplication", f"{E}/addition_plain", f"{E}/multiplication_plain")
def generalised(*sweeps):
    """When they fit and generalise, and which is the smallest."""
    taus = [timescales(one, {"test_accuracy": 0.99}) for one in sweeps]
    fit, grok = (
        [spread(epochs((one[f"{name}_lower"] + one[f"{name}_upper"]).values.ravel() / 2)) for one in taus[:2]]
        for name in ("fit", "grok")
    )
    yield (
        f"| regularised: fitted (99 %), and test accuracy 99 %, epochs | {fit[0]}, {grok[0]} | {fit[1]}, {grok[1]} |"
    )
    decay = [one.sel(weight_decay=1.0) for one in taus[2:]]
    alone = [spread(epochs((one.grok_lower + one.grok_upper).values.ravel() / 2)) for one in decay]
    back = number(sweeps[3].test_accuracy.sel(weight_decay=1.0).isel(step=-1).min(), 3)
    yield (
        f"| weight decay alone: test accuracy 99 %, epochs | {alone[0]} | {alone[1]}, one seed back at {back} at the "
        "end |"
    )
    smaller = []
    for own, plain in ((sweeps[0], sweeps[2]), (sweeps[1], sweeps[3])):
        mine = kb(own)
        counts = set()
        for weight_decay in (1.0, 0.0):
            other = kb(plain.sel(weight_decay=[weight_decay]))
            steps = [step for step in np.intersect1d(mine.step, other.step) if step >= 435]
            less = mine.sel(step=steps).values < other.sel(step=steps).values
            counts.add(f"{less.sum()} of {less.size}")
        assert len(counts) == 1
        smaller += counts
    yield (
        f"| the regularised is the smallest from the fit on | at {smaller[0]} (seed, step) pairs against either | at "
        f"{smaller[1]} |"
    )


@claims(f"{E}/verdict.txt")
def rates(path):
    """Rates against distortion, and how much of the fall is over, as `scripts/complexity_verdict.py` printed them."""
    arms = re.split(r"\n\n", path.read_text("utf-8"))
    found = {arm.strip().split(":")[0]: arm for arm in arms}
    cells = []
    for operation in ("addition", "multiplication"):
        text = found[f"{operation}, weight decay 1, regularised"]
        spans = re.search(r"rate at the end in kB: (.*?\)) ln d \+ (.*?\)), R2 (.*?\))", text).groups()
        cells.append(", ".join(respelled(span, digits) for span, digits in zip(spans, (1, 1, 2), strict=True)))
    yield f"| y = a ln d + b at the end: a, b, R2 | {cells[0]} | {cells[1]} |"


def respelled(text, digits):
    """Write the numbers of a text with so many digits."""
    return re.sub(r"-?[\d.]+", lambda found: number(float(found.group()), digits), text)


@claims(f"{E}/subtraction", f"{E}/division", f"{E}/subtraction_plain", f"{E}/division_plain")
def two_layers(*sweeps):
    """Subtraction and division, of one seed each: when they generalise, and their complexity on the way."""
    sweeps = [one.squeeze("seed", drop=True) for one in sweeps]

    def when(results, name):
        """The log steps between which an accuracy passes 99 %, in epochs of 8 steps."""
        logged = results[f"{name}_accuracy"].dropna("step")
        come, steps = np.flatnonzero(logged.values >= 0.99), logged.step.values / 8
        return f"{number(steps[come[0] - 1], 0)} to {number(steps[come[0]], 0)}" if len(come) else "never"

    def sizes(results, distortion=1.0, steps=(140, 435, 1240, 3200, 4800)):
        return listed(results.complexity.sel(distortion=distortion, step=list(steps)).values / 1000, 0)

    def row_of(text, cell, pair):
        return f"| {text} | {' | '.join(map(cell, pair))} |"

    own = [one.squeeze("weight_decay", drop=True) for one in sweeps[:2]]
    decay, none = ([one.sel(weight_decay=value, drop=True) for one in sweeps[2:]] for value in (1.0, 0.0))
    fitted, epochs_ = "fitted (99 %); test accuracy 99 %, epochs", "kB at epochs 18, 54, 155, 400, 600"
    yield row_of(f"regularised: {fitted}", lambda one: f"{when(one, 'train')}; {when(one, 'test')}", own)
    yield row_of(epochs_, sizes, own)
    yield row_of(f"weight decay alone: {fitted}", lambda one: f"{when(one, 'train')}; {when(one, 'test')}", decay)
    yield row_of(epochs_, sizes, decay)
    yield row_of("the same within distortion 4", lambda one: sizes(one, 4.0), decay)
    yield row_of("no regulariser: test accuracy at the end", lambda one: number(one.test_accuracy[-1], 3), none)
    yield row_of(epochs_, sizes, none)


@claims("docs/experiments/mnist_complexity")
def mnist(results):
    """Complexity on MNIST: does it fall with RNC1 or with the test accuracy?"""
    runs = results.complexity.sel(distortion=0.125) / 1000

    def at(decay, step):
        return listed(runs.sel(weight_decay=decay, step=step).values, 0, " and ")

    accuracy = results.test_accuracy.dropna("step", how="all").interp(step=5000).sel(weight_decay=0.1)
    yield (
        f"At weight decay 0.1 it goes from {at(0.1, 2200)} kB at step 2,200 to {at(0.1, 5000)} kB at 5,000, while the "
        f"test accuracy rises to {listed(accuracy, 2, ' and ')}"
    )
    yield f"when complexity is still {at(0.3, 3000)} kB; that falls to {at(0.3, 6000)} kB by step 6,000"


@claims("docs/experiments/mnist_complexity")
def mnist_more(results):
    """RNC1 beside complexity on MNIST."""
    rnc1 = np.log(results.rnc1.dropna("step", how="all"))

    def at(decay, step):
        return listed(np.exp(rnc1.interp(step=step).sel(weight_decay=decay)), 3, " and ")

    size = (results.complexity.sel(distortion=0.125) / 1000).sel(weight_decay=0.1).isel(step=-1)
    last = results.rnc1.sel(weight_decay=0.1).isel(step=-1)
    yield (
        f"RNC1 has hardly moved ({at(0.1, 5000)}, from 0.06); RNC1 falls to {listed(last, 3, ' and ')} only then, "
        f"complexity to {listed(size, 0, ' and ')} kB."
    )
    yield f"At 0.3 RNC1 is {at(0.3, 3000)} at step 3,000"
    grok = timescales(results).tau_grok.sel(weight_decay=0.3)
    yield f"test accuracy passing 0.8 at {listed(grok, -2, ' and ')}."


@claims(f"{E}/verdict.txt")
def falls(path):
    """How much of the fall is over at the generalisation, and the rates and bounds of two layers."""
    arms = {arm.strip().split(":")[0]: arm for arm in re.split(r"\n\n", path.read_text("utf-8"))}
    shares = []
    for operation in ("addition", "multiplication", "subtraction", "division"):
        text = arms[f"{operation}, weight decay 1, regularised"]
        over = re.search(r"over by then ([\d.]+) \(([\d.]+) to ([\d.]+)\)", text).groups()
        shares.append([number(100 * float(one), 0) for one in over])
    one, other, *two = shares
    yield f"{two[0][0]} and {two[1][0]} % of the fall are over when the test accuracy passes 99 %"
    yield (
        f"{one[0]} % ({one[1]} to {one[2]}) is over when test accuracy is 99 % | {other[0]} % ({other[1]} to {other[2]}) is "
        "over;"
    )
    lines, gaps = [], []
    for operation in ("subtraction", "division"):
        text = arms[f"{operation}, weight decay 1, regularised"]
        a, b, r2 = re.search(r"rate at the end in kB: (\S+) .*? ln d \+ (\S+) .*?, R2 (\S+) ", text).groups()
        lines.append(f"{number(a, 0)} ln d + {number(b, 0)}, R2 {number(r2, 2)}")
        kinds = (", weight decay 1, regularised", ", weight decay 1", ", none")
        lowest = [re.search(r"lowest (\S+) ", arms[operation + kind]).group(1) for kind in kinds]
        gaps.append(listed([float(one) for one in lowest], 1))
    yield f"| regularised: kB at the end by distortion | {lines[0]} | {lines[1]} |"
    yield f"| bound on the gap: regularised, weight decay, none (nats) | {gaps[0]} | {gaps[1]} |"
