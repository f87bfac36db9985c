"""Lottery tickets: docs/tickets.md, and what README.md and docs/experiments.md say of them."""

import numpy as np

from collapse_jax.publishing.claims import claims
from collapse_jax.publishing.wording import ends, listed, mean, mean_error, number

E = "docs/experiments"
LEVEL = 10  # density 0.107


def end_of(results, level=LEVEL):
    """Results at the end of a level, at the slab's sigma of the tables; of a sweep without levels, at its end."""
    if "level" not in results.coords:
        return results.isel(step=-1)
    last = results.isel(step=np.flatnonzero(results["level"].values == level)[-1])
    return last.sel(posterior_sigma=0.01815, method="nearest") if "posterior_sigma" in last.dims else last


def row(name, values, digits, asked=None):
    """A row of a table: means over seeds of each learning rate."""
    cells = [mean(value, digits) for value in by_rate(values)]
    return f"| {name} | " + " | ".join(cells) + (f" | {asked} |" if asked is not None else " |")


def by_rate(values):
    """The values over the seeds, rate by rate."""
    return [values.sel(learning_rate=rate).values.ravel() for rate in values.learning_rate.values]


def sized(value, digits=3):
    """A large number with so many significant digits."""
    return f"{float(f'{float(value):.{digits}g}'):,.0f}"


def advantage(results, control, level=LEVEL):
    """[rate, seed] how far tickets are ahead of the same masks with other weights."""
    ticket, other = end_of(results, level).test_accuracy, end_of(control).test_accuracy
    return ticket - other.assign_coords(seed=ticket.seed)


@claims(f"{E}/lottery_digits", f"{E}/lottery_digits/control")
def digits(results, control):
    """The table of the digits at level 10, right labels."""
    right = results.sel(flip_rate=0.0).squeeze("weight_decay")
    control = control.sel(flip_rate=0.0).squeeze("weight_decay")
    ticket, dense, other = end_of(right), end_of(right, 0), end_of(control)
    ahead = advantage(right, control)
    yield row("test accuracy: ticket", ticket.test_accuracy, 3, "-")
    yield row("the same mask, other initial weights", other.test_accuracy, 3, "-")
    yield "| advantage | " + " | ".join(mean_error(one) for one in by_rate(ahead)) + " |"
    yield row("dense network", dense.test_accuracy, 3, "-")
    distance, trace = ticket.distance_from_initial, ticket.hessian_trace
    far = [float(one.mean()) for one in by_rate(distance)]
    cells = [number(one, 2) for one in far[:4]] + [number(far[4], 1)]
    yield f"| distance from theta_0 | {' | '.join(cells)} | rising, 0.3 : 0.01 >= 1.8 ({number(far[4] / far[1], 1)}) |"
    curved = [float(one.mean()) for one in by_rate(trace)]
    yield (
        f"| trace of the Hessian | {listed(curved, 1, ' | ')} | falling, >= 5 x "
        f"({number(curved[1] / curved[4], 0)} x) |"
    )
    yield row("largest eigenvalue", ticket.hessian_top, 2, "falling")
    yield row("expected sharpness (nats)", ticket.expected_sharpness, 4, "falling")
    slab = [sized(one.mean()) for one in by_rate(ticket.slab_divergence)]
    yield f"| KL of the slab at sigma 0.01815 (nats) | {' | '.join(slab)} | rising |"
    yield row("sigma that the train error tolerates", ticket.tolerated_sigma, 3, "not falling")
    yield row("bound, spike and slab (mask 17,100 nats)", ticket.pac_bound_slab, 2, "nearly flat")
    yield row("the same, the mask for free", ticket.pac_bound_without_mask, 2, "the small rate wins")
    small, large = (number(one.mean(), 3) for one in (by_rate(ahead)[1], by_rate(ahead)[4]))
    yield (
        f"tickets are ahead of the same masks by {number(by_rate(ahead)[1].mean(), 2)} at rate 0.01 and {large} at 0.3 "
        f"(density 0.107), with distance {number(far[1], 1)} and {number(far[4], 1)} from theta_0 and trace of the "
        f"Hessian {number(curved[1], 1)} and {number(curved[4], 1)}"
    )
    tolerated = [number(by_rate(ticket.tolerated_sigma)[rate].mean(), 3) for rate in (1, 4)]
    yield f"trace of the Hessian {number(curved[1], 1)} and {number(curved[4], 1)}, tolerated sigma {' and '.join(tolerated)}"
    accuracy = [mean(one) for one in by_rate(ticket.test_accuracy)]
    yield f"with an MLP ({accuracy[1]} at 0.01, {accuracy[3]} at 0.1, {accuracy[4]} at 0.3)"
    assert small


@claims(f"{E}/lottery_digits", f"{E}/lottery_digits/control", f"{E}/lottery_images", f"{E}/lottery_images/control")
def label_noise(digits, digits_control, images, images_control):
    """The table of label noise after 400 steps a level."""
    rates = [0.01, 0.03, 0.1, 0.3]
    digits, digits_control, images, images_control = (
        one.sel(flip_rate=0.4, learning_rate=rates).squeeze("weight_decay")
        for one in (digits, digits_control, images, images_control)
    )
    ticket, other, dense = end_of(digits), end_of(digits_control), end_of(digits, 0)
    yield row("digits, training accuracy: ticket", ticket.train_accuracy, 2)
    yield row("the same mask, other weights", other.train_accuracy, 2)
    yield row("digits, test accuracy: ticket", ticket.test_accuracy, 3)
    yield row("the same mask, other weights", other.test_accuracy, 3)
    yield row("dense", dense.test_accuracy, 3)
    yield row("MNIST 10,000, test accuracy: ticket", end_of(images).test_accuracy, 3)
    yield row("the same mask, other weights", end_of(images_control).test_accuracy, 3)
    accuracy = [mean(one) for one in by_rate(ticket.test_accuracy)]
    yield f"not with an MLP: {accuracy[0]} at 0.01, {accuracy[3]} at 0.3;"
    behind = -advantage(digits, digits_control).mean("seed").values
    yield f"and is {number(behind[2], 2)} to {number(behind[3], 2)} behind the same mask with other weights"


@claims(f"{E}/lottery_images", f"{E}/lottery_images/control")
def images(results, control):
    """The table of 10,000 MNIST images at level 10, right labels."""
    right, control = (one.sel(flip_rate=0.0).squeeze("weight_decay") for one in (results, control))
    ahead = by_rate(advantage(right, control))
    yield row("ticket", end_of(right).test_accuracy, 3)
    yield row("the same mask, other initial weights", end_of(control).test_accuracy, 3)
    yield "| advantage | " + " | ".join(mean_error(one) for one in ahead) + " |"
    yield row("dense network", end_of(right, 0).test_accuracy, 3)
    yield f"The advantage falls with the rate over a factor of {number(ahead[0].mean() / ahead[-1].mean(), 0)};"
    yield f"MNIST 10,000 {mean(ahead[2])} and {mean(ahead[5])}"


@claims(f"{E}/lottery_density", *(f"{E}/lottery_density/control_{level}" for level in (5, 10, 15)))
def density(results, *controls):
    """Advantage by density."""
    for name, level, control in zip(("density 0.328", "0.107", "0.035"), (5, 10, 15), controls, strict=True):
        yield row(name, advantage(results.squeeze("weight_decay"), control.squeeze("weight_decay"), level), 3)


@claims(f"{E}/lottery_conv2", f"{E}/lottery_conv2/control")
def conv2(results, control):
    """Conv-2 at half its width, density 0.107 = 0.64^5."""
    results, control = (one.squeeze("weight_decay") for one in (results, control))
    ticket, other = end_of(results, 5), end_of(control)
    ahead = by_rate(advantage(results, control, 5))
    yield row("test accuracy: ticket", ticket.test_accuracy, 3)
    yield row("the same mask, other initial weights", other.test_accuracy, 3)
    yield "| advantage | " + " | ".join(mean_error(one) for one in ahead) + " |"
    pairs = zip(by_rate(ticket.train_accuracy), by_rate(other.train_accuracy), strict=True)
    yield "| training accuracy: ticket, control | " + " | ".join(f"{mean(a)}, {mean(b)}" for a, b in pairs) + " |"
    yield f"Conv-2 by {mean(ahead[0])} at 0.003 and {mean(ahead[1])} at 0.03"


@claims(f"{E}/lottery_density")
def trained_sigma(results):
    """Sigma trained as in the authors' code, beside the best common one."""
    ticket = end_of(results.squeeze("weight_decay"))
    yield row("spike and slab, best common sigma", ticket.pac_bound_slab, 2)
    yield row("spike and slab, trained sigma", ticket.pac_bound_slab_sgd, 2)
    for text, name in (("gaussian", "gaussian"), ("gaussian around 0", "gaussian_zero")):
        pairs = zip(by_rate(ticket[f"pac_bound_{name}"]), by_rate(ticket[f"pac_bound_{name}_sgd"]), strict=True)
        yield f"| {text}: common, trained | " + " | ".join(f"{mean(a, 2)}, {mean(b, 2)}" for a, b in pairs) + " |"


@claims(f"{E}/lottery_mlp", f"{E}/lottery_mlp/control_10")
def first_thousand(results, control):
    """The table of the first 1000 MNIST images."""
    results, control = results.squeeze("weight_decay"), control.squeeze("weight_decay")
    ahead = advantage(results, control)
    right, wrong = ({"flip_rate": flips} for flips in (0.0, 0.4))
    dense, ticket, other = (one.sel(right) for one in (end_of(results, 0), end_of(results), end_of(control)))
    cells = [mean_error(one) for one in by_rate(ahead.sel(right))]
    yield f"| advantage of the ticket | {' | '.join(cells)} | >= 0.05 at 0.01, <= 0.01 at 0.3 |"
    for text, values, digits, asked in (
        ("test accuracy: ticket", ticket.test_accuracy, 3, "-"),
        ("the same mask, other initial weights", other.test_accuracy, 3, "-"),
        ("training accuracy of the other", other.train_accuracy, 3, "-"),
        ("dense network (level 0)", dense.test_accuracy, 3, "-"),
        ("distance from theta_0", ticket.distance_from_initial, 2, "increasing, ratio >= 1.8"),
        ("trace of the Hessian", ticket.hessian_trace, 1, "decreasing, >= 5 x"),
        ("largest eigenvalue", ticket.hessian_top, 2, "decreasing"),
        ("expected sharpness (nats)", ticket.expected_sharpness, 4, "decreasing"),
        ("sigma that the train error tolerates", ticket.tolerated_sigma, 3, "not decreasing"),
        ("bound, spike and slab (mask 90,771 nats)", ticket.pac_bound_slab, 2, "vacuous, nearly flat in the rate"),
        ("the same, the mask for free", ticket.pac_bound_without_mask, 2, "the small rate wins"),
    ):
        yield row(text, values, digits, asked)
    slab = [sized(one.mean()) for one in by_rate(ticket.slab_divergence)]
    yield f"| KL of the slab at sigma 0.01815 (nats) | {' | '.join(slab)} | increasing |"
    small = [one.mean() for one in by_rate(ahead.sel(right))]
    yield f"MNIST 1000 {number(small[0], 3)} at 0.003. Where the control fits too (MNIST 1000 from 0.01 on) {ends(small[1:], 3)}"
    yield f"which leaves an advantage of {ends(small[1:], 3)}: how far a ticket is ahead"
    ticket, other = end_of(results).sel(wrong), end_of(control).sel(wrong)
    yield row("40 % wrong labels, training accuracy: ticket", ticket.train_accuracy, 3, "-")
    yield row("40 % wrong labels, training accuracy: other", other.train_accuracy, 3, "-")
    yield row("40 % wrong labels, test accuracy: ticket", ticket.test_accuracy, 3, "-")
    yield row("40 % wrong labels, test accuracy: other", other.test_accuracy, 3, "-")
    cells = [mean_error(one) for one in by_rate(ahead.sel(wrong))]
    yield f"| 40 % wrong labels, advantage | {' | '.join(cells)} | - |"


@claims(
    f"{E}/lottery_digits",
    f"{E}/lottery_digits/control",
    f"{E}/lottery_conv2",
    f"{E}/lottery_conv2/control",
    f"{E}/lottery_density",
    f"{E}/lottery_noise",
)
def by_claim(digits, control, conv2, conv2_control, density, noise):
    """The table of claims."""
    right = digits.sel(flip_rate=0.0).squeeze("weight_decay")
    ticket, ends_of = end_of(right), (1, 4)
    ahead = by_rate(advantage(right, control.sel(flip_rate=0.0).squeeze("weight_decay")))
    yield f"digits {mean(ahead[1], 2)} at rate 0.01, {mean(ahead[4])} at 0.3;"
    small, large = by_rate(advantage(conv2.squeeze("weight_decay"), conv2_control.squeeze("weight_decay"), 5))
    yield f"Conv-2 {mean(small)} at 0.003, {mean(large)} at 0.03;"
    yield f"ahead of their control by {mean(ahead[1], 2)} at rate 0.01 and {mean(ahead[4])} at 0.3, as the paper has it"
    far = [by_rate(ticket.distance_from_initial)[rate].mean() for rate in ends_of]
    yield f"digits {number(far[0], 1)} at 0.01, {number(far[1], 1)} at 0.3"
    slab = [sized(by_rate(ticket.slab_divergence)[rate].mean()) for rate in ends_of]
    bound, free = (
        " and ".join(mean(by_rate(ticket[name])[rate], 2) for rate in ends_of)
        for name in ("pac_bound_slab", "pac_bound_without_mask")
    )
    trained = [
        mean(by_rate(end_of(density.squeeze("weight_decay")).pac_bound_slab_sgd)[rate], 2) for rate in ends_of
    ]
    yield (
        f"slab {slab[0]} and {slab[1]} nats, bound {bound} (vacuous); the mask for free {free}; sigma as the code trains "
        f"it {trained[0]} and {trained[1]}"
    )
    accuracy = [mean(one) for one in by_rate(end_of(conv2.squeeze("weight_decay"), 5).test_accuracy)]
    yield f"nor with Conv-2 ({accuracy[0]} at 0.003, {accuracy[1]} at 0.03)"
    fitted = end_of(noise.sel(flip_rate=0.4).squeeze("weight_decay"), 1).test_accuracy
    yield f"where all wrong labels are fitted {', '.join(f'{mean(a)} at {r:g}' for a, r in zip(by_rate(fitted), (0.01, 0.1), strict=True))}"


@claims(f"{E}/lottery_density")
def trained_parts(results):
    """What the trained sigma costs and risks."""
    ticket = end_of(results.squeeze("weight_decay"))
    yield row("mean of the trained sigma, from 0.01815", ticket.trained_sigma_slab_sgd, 4)
    yield row("its risk on the training set", ticket.trained_risk_slab_sgd, 3)
    cost = [sized(one.mean()) for one in by_rate(ticket.trained_divergence_slab_sgd)]
    yield f"| its KL (mask 17,117 nats in it) | {' | '.join(cost)} |"


@claims(f"{E}/lottery_conv2", f"{E}/lottery_resnet20", f"{E}/lottery_resnet20/control")
def networks(conv2, resnet20, control):
    """Distances of Conv-2, and the short sweep of ResNet20."""
    far = [ends(one, 1) for one in by_rate(end_of(conv2, 5).distance_from_initial)]
    yield f"| distance from theta_0 | {far[0]} | {far[1]} |"
    results, control = (one.squeeze(("weight_decay", "seed")) for one in (resnet20, control))
    dense, ticket, other = end_of(results, 0), end_of(results, 2), end_of(control)
    yield row("test accuracy: ticket", ticket.test_accuracy, 3)
    yield row("the same mask, other initial weights", other.test_accuracy, 3)
    yield row("dense network", dense.test_accuracy, 3)
    pairs = zip(ticket.train_accuracy.values, other.train_accuracy.values, strict=True)
    yield "| training accuracy: ticket, control | " + " | ".join(f"{mean(a)}, {mean(b)}" for a, b in pairs) + " |"
    yield row("distance of the ticket from theta_0", ticket.distance_from_initial, 1)


@claims(f"{E}/lottery_resnet20_fitted")
def resnet20_fitted(results):
    """What wrong labels cost ResNet20 where it fits them."""
    ends_of = [end_of(results.squeeze("weight_decay"), level) for level in (0, 1)]
    assert all((one.train_accuracy > 0.999).all() for one in ends_of)
    means = [one.test_accuracy.mean("seed") for one in ends_of]
    clean, noisy = (
        [one.sel(learning_rate=rate, flip_rate=flips) for rate in (0.01, 0.1) for one in means]
        for flips in (0.0, 0.4)
    )
    costs = [a - b for a, b in zip(clean, noisy, strict=True)]
    names = ("test accuracy, right labels", "40 % wrong labels", "cost of the wrong labels")
    for name, values in zip(names, (clean, noisy, costs), strict=True):
        yield f"| {name} | " + " | ".join(number(one, 3) for one in values) + " |"
    shares = [cost / one for cost, one in zip(costs, clean, strict=True)]
    yield f"as a share of their accuracy {number(shares[1], 2)} at 0.01 and {number(shares[3], 2)} at 0.1 (density 0.327)"
