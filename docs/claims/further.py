"""Further sentences of the pages of papers and of docs/information.md, one function for each page."""

import re

import numpy as np

from collapse_jax import timescales
from collapse_jax.analysis.nulls import null_name
from collapse_jax.publishing.claims import claims
from collapse_jax.publishing.wording import ends, mean, number

E = "docs/experiments"


@claims(f"{E}/fashion_mlp/information.nc")
def fashion(results):
    """docs/information.md: the share of a null in the fall of nHSIC."""
    falls = []
    for name in (null_name(results.superfluous_nhsic), "superfluous_nhsic"):
        values = results[name].dropna("step", how="all")
        falls.append((values.isel(step=0) - values.isel(step=-1)).mean().item())
    yield f"On Fashion-MNIST it is {number(100 * falls[0] / falls[1], 0)} %."


@claims(f"{E}/mnist_complexity")
def mnist(results):
    """docs/papers/complexity.md: sizes at the beginning, and when a network of zeros is within the distortion."""
    size = (results.complexity.sel(distortion=0.125) / 1000).dropna("step", how="all")
    plain = (results.naive_size / 1000).isel(step=0)
    yield (
        f"Of {number(size.isel(step=0).mean(), 0)} kB at step 0 (unquantised weights compress to {number(plain.mean(), 0)}), most goes "
        "with the large initial loss."
    )
    floor = size < 0.2
    steps = [size.step.values[floor.sel(weight_decay=decay).all("seed")] for decay in (0.3, 0.1)]
    assert all(len(one) == 1 for one in steps)
    yield (
        f"At steps {number(steps[0][0], 0)} and {number(steps[1][0], 0)} the loss passes that of a network of zeros, which then is within "
        f"the distortion: {ends(size.where(floor), 1)} kB."
    )


@claims(f"{E}/token_selection/map")
def regimes(results):
    """docs/papers/token_selection.md: where test losses are large, and where no wrong label is learnt."""
    cells = results.isel(step=-1).mean("seed").squeeze()
    large, unlearnt = cells.test_loss > 0.6, cells.noisy_accuracy == 0
    begins = [int(large.dimension[large.sel(signal_norm=signal).argmax("dimension")]) for signal in (5, 7.5, 10)]
    assert not large.sel(signal_norm=slice(10.1, None)).any()
    yield (
        f"Test losses above 0.6 are those of signals up to 5 from d = {begins[0]} on, 7.5 from {begins[1]} and 10 from {begins[2]}"
    )
    signal = {}
    for dimension in (250, 375, 625, 750):
        own = unlearnt.sel(dimension=dimension)
        signal[dimension] = float(own.signal_norm[np.flatnonzero(~own)[-1] + 1])
    ratio = [number(signal[dimension] / dimension**0.5, 1) for dimension in (625, 750)]
    yield (
        f"No wrong label is learnt from SNR {ratio[0]} on at d = 625 and {ratio[1]} at 750, and from signals of "
        f"{signal[250]:g} and {signal[375]:g} on at 250 and 375"
    )
    far = cells.noisy_accuracy.sel(dimension=slice(1500, None))
    assert float(far.min()) == 5 / 8
    yield f"From d = 1500 on {number(100 * (far == 1).mean(), 0)} % of the cells have learnt all wrong labels"


@claims(f"{E}/lottery_noise")
def collapse_of_tickets(results):
    """docs/papers/tickets.md: RNC1, NC1 and NC2 at each density, right labels."""
    last = (
        results.isel(step=np.flatnonzero(np.diff(np.append(results.level.values, 99)))).sel(flip_rate=0.0).squeeze()
    )
    fitted = last.train_accuracy
    yield f"training set fitted at each level (training accuracy {number(fitted.min(), 3)} to {number(fitted.max(), 0)}):"
    for text, name, digits in (
        ("RNC1, rates 0.01 and 0.1", "rnc1", 3),
        ("NC1", "nc1", 2),
        ("NC2, condition number (nc2_condition)", "nc2_condition", 0),
    ):
        cells = [
            ", ".join(mean(last[name].isel(step=at).sel(learning_rate=rate), digits) for rate in (0.01, 0.1))
            for at in range(last.sizes["step"])
        ]
        yield f"| {text} | {' | '.join(cells)} |"


@claims("benchmarks/results/token_selection.txt")
def loop(path):
    """docs/papers/token_selection.md: the map against a PyTorch loop."""
    text = path.read_text("utf-8")
    parts = [int(one) / 60 for one in re.search(r"engine (\d+) s of \D+(\d+) s of \D+(\d+) s", text).groups()]
    times = [(int(seconds) / 3600, ratio) for seconds, ratio in re.findall(r"evaluated .*: (\d+) s, (\d+) x", text)]
    yield f"CPU seconds of one thread): {number(times[0][0], 0)} hours."
    yield (
        f"the engine takes {number(sum(parts), 0)} minutes ({number(parts[0], 1)} of compilation, {number(parts[1], 1)} of training, "
        f"{number(parts[2], 0)} of evaluation, nearly all of it drawing the examples and W_0 anew): {times[0][1]} times less, "
        f"{times[1][1]} if the loop evaluates every ten steps"
    )


@claims(f"{E}/modular_synergy/clamp", f"{E}/modular_synergy/temperature")
def held(clamp, temperature):
    """docs/papers/synergy.md: which nets fit and grok where the norm is held and the logits are divided."""
    taus, last = timescales(clamp), clamp.isel(step=-1)

    def test(value, digits=2):
        return ends(last.test_accuracy.sel(norm_clamp=value), digits)

    yield (
        f"1 does not fit ({mean(last.train_accuracy.sel(norm_clamp=1), 2)}); 4 fits at "
        f"{ends(taus.tau_fit.sel(norm_clamp=4), 0)}, test {test(4)}; 8 groks at {ends(taus.tau_grok.sel(norm_clamp=8), 0)}; 16 and "
        f"50 memorise, test {test(16)} and {test(50, 3)}."
    )
    taus, last = timescales(temperature), temperature.isel(step=-1)
    cold = last.sel(init_scale=8, temperature=0.1)
    assert int((cold.train_accuracy > 0.99).sum()) == 1
    yield (
        f"at scale 8 0.1 fits in one of three seeds (training {ends(cold.train_accuracy, 2)}, test {ends(cold.test_accuracy, 2)})"
    )
    ten = {"init_scale": 50, "temperature": 10}
    yield (
        f"at scale 50 0.1 memorises, 10 fits at {ends(taus.tau_fit.sel(ten), 0)} with test "
        f"{ends(last.test_accuracy.sel(ten), 2)}"
    )


@claims(*(f"{E}/modular_synergy/{name}" for name in ("decays", "seeds", "scales")))
def grokking(decays, seeds, scales):
    """docs/papers/synergy.md: when the nets of all weight decays and scales fit and grok."""
    five, twenty, scaled = (timescales(results) for results in (decays, seeds, scales))
    two, tenth = (five.sel(weight_decay=decay) for decay in (2, 0.1))
    yield (
        f"{ends(two.tau_grok, 0)} ({twenty.sizes['seed']} seeds: {ends(twenty.tau_grok.sel(weight_decay=2), 0)}) after the fit at "
        f"{number(two.tau_fit.median(), 0)}; {ends(tenth.tau_grok, 0)} after {number(tenth.tau_fit.median(), 0)};"
    )
    yield (
        f"groks at {ends(scaled.tau_grok.sel(init_scale=8), 0)}; memorises (fitted at "
        f"{ends(scaled.tau_fit.sel(init_scale=50), 0)}, test"
    )
    zero = twenty.tau_fit.sel(weight_decay=0)
    yield f"memorises: training accuracy 1 from step {number(zero.median(), 0)}, test accuracy"
