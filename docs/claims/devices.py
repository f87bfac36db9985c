"""The main experiment on two kinds of device: docs/mnist_mlp/README.md, "On two devices".

`cpu.nc` holds what the comparison reads of the sweep on CPU: accuracies and RNC1 at 193 log steps.
"""

import numpy as np
from scipy import stats

from collapse_jax import timescales
from collapse_jax.publishing.claims import claims
from collapse_jax.publishing.wording import number

BOTH = ("docs/mnist_mlp/cpu.nc", "docs/mnist_mlp")
EVENTS = ("fit", "grok", "collapse")


def geometric(taus, event):
    """Geometric mean over the seeds, a lower bound where some run had not come so far."""
    bound = "> " if bool(taus[f"{event}_censored"].any()) else ""
    return bound + number(np.exp(np.log(taus[f"tau_{event}"]).mean()), 0)


@claims(*BOTH)
def means(*devices):
    """The table: accuracies and times on CPU and on the H200."""
    taus = [timescales(results) for results in devices]
    for decay in devices[0].weight_decay.values:
        last = [results.test_accuracy.sel(weight_decay=decay).isel(step=-1).mean() for results in devices]
        cells = [", ".join(number(value) for value in last)]
        for event in EVENTS:
            cells.append(", ".join(geometric(one.sel(weight_decay=decay), event) for one in taus))
        yield f"| {decay:g} | {' | '.join(cells)} |"


@claims(*BOTH)
def differences(*devices):
    """Whether means differ by more than their spread."""
    taus = [timescales(results) for results in devices]
    pairs = [[results.test_accuracy.isel(step=-1).values for results in devices]]
    pairs += [[np.log(one[f"tau_{event}"].values) for one in taus] for event in EVENTS]
    old, new = (np.concatenate([pair[side] for pair in pairs]) for side in (0, 1))  # [24, S]
    spread = np.sqrt((old.var(1, ddof=1) + new.var(1, ddof=1)) / 2)
    share = abs(new.mean(1) - old.mean(1)) / spread
    least = stats.ttest_rel(old, new, axis=1).pvalue.min()
    yield (
        f"the {share.size} differences are {number(share.min(), 2)} to {number(share.max(), 2)} of its standard deviation, "
        f"and none of them differs from zero (t test over seeds, paired, of accuracies and logarithms of times, lower bounds as "
        f"they are: p >= {number(least, 2)} each)"
    )


@claims(*BOTH)
def single_runs(cpu, gpu):
    """How far single runs are from one another."""
    apart = abs(gpu.rnc1 / cpu.rnc1 - 1).max(("weight_decay", "seed"))  # at the steps of both
    yield (
        f"RNC1 differs by {apart.sel(step=1):.0e}".replace("e-0", "e-")
        + f" of itself after one step and by up to {number(100 * apart.sel(step=100), 1)} % after 100."
    )
    taus = [timescales(results) for results in (cpu, gpu)]
    medians, most = [], []
    for event in EVENTS:
        seen = [one[f"tau_{event}"].where(~one[f"{event}_censored"]) for one in taus]
        factors = np.exp(abs(np.log(seen[1] / seen[0])))
        medians.append(number(100 * (factors.median() - 1), 1))
        most.append(number(factors.max(), 1 if event == "fit" else 2))
    seen = [~one.collapse_censored for one in taus]
    alone = [int((one & ~other).sum()) for one, other in (seen, seen[::-1])]
    assert alone == [1, 1]  # "one does so on the CPU alone and one on the H200 alone"
    yield (
        f"its tau_fit, tau_grok and tau_collapse differ by {medians[0]}, {medians[1]} and {medians[2]} % in the median, by "
        f"factors of {most[0]}, {most[1]} and {most[2]} at most, and of the {int(seen[0].sum())} runs that reach RNC1 0.01 on "
        f"each device one does so on the CPU alone"
    )
