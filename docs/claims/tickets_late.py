"""docs/papers/tickets.md: tickets that fit wrong labels, and tickets that grok."""

import numpy as np

from collapse_jax.publishing.claims import claims
from collapse_jax.publishing.wording import listed, mean, number

E = "docs/experiments"


def end_of(results, level=0):
    """Results at the end of a level; of a sweep without levels, at its end."""
    if "level" not in results.coords:
        return results.isel(step=-1)
    return results.isel(step=np.flatnonzero(results["level"].values == level)[-1])


@claims(f"{E}/lottery_noise", f"{E}/lottery_noise/control_1", f"{E}/lottery_noise/control_3")
def interpolation(results, *controls):
    """Label noise where everything is fitted, beside the masks with other weights, and collapse of tickets."""
    results = results.squeeze("weight_decay")
    levels = [end_of(results, level) for level in range(4)]
    others = [end_of(one.squeeze("weight_decay")) for one in controls]

    def cells(ends, name, rate, flips, digits):
        return [mean(one[name].sel(learning_rate=rate, flip_rate=flips), digits) for one in ends]

    def rows(name, rate, flips, digits):
        one, two = cells(others, name, rate, flips, digits)
        return " | ".join(cells(levels, name, rate, flips, digits)), f"- | {one} | - | {two}"

    for rate in (0.01, 0.1):
        ticket, control = rows("noisy_accuracy", rate, 0.4, 2)
        yield f"| rate {rate:g}: wrong labels fitted | {ticket} |"
        yield f"| the same mask, other weights | {control} |"
        for text, flips in (("test accuracy with 40 % wrong labels", 0.4), ("with right labels", 0.0)):
            ticket, control = rows("test_accuracy", rate, flips, 3)
            yield f"| {text} | {ticket} |"
            yield f"| the same mask, other weights | {control} |"
    both = [cells([levels[level]], "test_accuracy", rate, 0.4, 3)[0] for level in (0, 1) for rate in (0.01, 0.1)]
    yield f"not the more vulnerable: {both[0]} against {both[1]} and {both[2]} against {both[3]},"

    def against(name, rate, digits):
        pairs = (
            cells([levels[level], other], name, rate, 0.4, digits)
            for level, other in zip((1, 3), others, strict=True)
        )
        return "; ".join(f"{ticket} against {control}" for ticket, control in pairs)

    yield f"and the ticket is not the more vulnerable ({against('test_accuracy', 0.1, 3)})."
    yield f"fits more of the wrong labels than its mask with other weights in the same steps ({against('noisy_accuracy', 0.01, 2)})"
    yield f"and loses the more for it ({against('test_accuracy', 0.01, 3)})."
    names = {"rnc1": ("RNC1, rates 0.01 and 0.1", 3), "nc1": ("NC1", 2)}
    names |= {"nc2_condition": ("NC2, condition number (nc2_condition)", 0)}
    for name, (text, digits) in names.items():
        pairs = [
            ", ".join(mean(one[name].sel(learning_rate=rate, flip_rate=0.0), digits) for rate in (0.01, 0.1))
            for one in levels
        ]
        yield f"| {text} | {' | '.join(pairs)} |"


def first(runs, name, level):
    """Mean over seeds of the first log step of the level at which a variable reaches a value."""
    steps = runs["level_step"].values if "level_step" in runs.coords else runs["step"].values
    values = runs[name].transpose("seed", "step").values
    assert (values >= level).any(1).all()
    return steps[(values >= level).argmax(1)].mean()


@claims(f"{E}/lottery_grok", f"{E}/lottery_grok/control_1", f"{E}/lottery_grok/control_2")
def grok(results, *controls):
    """Does a ticket grok earlier?"""
    results = results.isel(step=results.step > 0).squeeze("weight_decay")
    levels = [results.isel(step=results["level"].values == level) for level in range(3)]
    others = [one.isel(step=one.step > 0).squeeze("weight_decay") for one in controls]
    networks = [levels[0], levels[1], others[0], levels[2], others[1]]
    fit, passed = (
        [first(one, f"{of}_accuracy", at) for one in networks] for of, at in (("train", 0.95), ("test", 0.8))
    )
    yield f"| training accuracy 0.95 at step | {listed(fit, 0, ' | ')} |"
    yield f"| test accuracy 0.8 at step | {listed(passed, 0, ' | ')} |"
    last = [one.isel(step=-1) for one in networks]
    yield "| test accuracy at the end | " + " | ".join(mean(one.test_accuracy) for one in last) + " |"
    yield "| RNC1 at the end | " + " | ".join(mean(one.rnc1) for one in last) + " |"
    yield f"test accuracy 0.8 at step {number(passed[0], 0)}, {number(passed[3], 0)} and {number(passed[4], 0)} (density 0.09)"


@claims(f"{E}/lottery_grok", f"{E}/lottery_grok/control_1", f"{E}/lottery_grok/control_2")
def norms(results, *controls):
    """Norms of the weights early in each network's training."""
    runs = results.squeeze("weight_decay")
    levels = [runs.isel(step=runs["level"].values == level) for level in range(3)]
    early = [one.weight_norm.isel(step=int(np.abs(one.level_step.values - 100).argmin())) for one in levels]
    others = [one.squeeze("weight_decay").weight_norm.sel(step=100, method="nearest") for one in controls]
    values = [early[0], early[1], others[0], early[2], others[1]]
    yield f"| norm of the weights at step 100 | {' | '.join(mean(one, 0) for one in values)} |"
