"""Flatness and PAC-Bayes on losses of which all is known: quadratics, and a linear classifier in float64."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize, special, stats

from collapse_jax.errors import ConfigError
from collapse_jax.measures import Probe, Snapshot, measure_arrays
from collapse_jax.measures.estimators import evaluation, posterior_sgd, surviving
from collapse_jax.measures.estimators import pac_bayes as bounds
from collapse_jax.measures.estimators.curvature import extreme_eigenvalues
from collapse_jax.measures.families.flatness import SIGMA, flatness
from collapse_jax.measures.families.pac_bayes import pac_bayes

flatness = jax.jit(flatness, static_argnames=("draws", "probes", "lanczos", "seed", "sigma"))
SPECTRUM = np.array([-0.5, 0.1, 0.2, 0.7, 1.0, 3.0])


def quadratic(rng, mask=None):
    """L(w) = 1/2 w^T H w with the spectrum in a random basis, as a mean over examples that are its eigenvectors."""
    basis = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    signs = jnp.asarray(np.sign(SPECTRUM), jnp.int32)
    examples = jnp.asarray(np.sqrt(6 * abs(SPECTRUM))[:, None] * basis.T, jnp.float32)
    theta = jnp.asarray(rng.normal(size=(6, 1)), jnp.float32)
    snapshot = Snapshot(
        train=Probe(examples, signs, examples=examples),
        params={"layer": {"kernel": theta}},
        initial={"layer": {"kernel": jnp.ones((6, 1))}},
        mask=None if mask is None else {"layer": {"kernel": jnp.asarray(mask)[:, None]}},
        network=lambda params, _, x: (x @ params["layer"]["kernel"], ()),
        loss=lambda logits, sign: 0.5 * sign * logits[:, 0] ** 2,
    )
    return snapshot, basis @ np.diag(SPECTRUM) @ basis.T, np.asarray(theta, float)[:, 0]


def test_a_quadratic_has_its_spectrum(rng):
    snapshot, hessian, _ = quadratic(rng)
    values = flatness(snapshot, draws=4000, probes=2000, lanczos=6, sigma=0.1)
    assert float(values["hessian_top"]) == pytest.approx(3.0, rel=1e-5)
    assert float(values["hessian_bottom"]) == pytest.approx(-0.5, rel=1e-4)
    assert abs(values["hessian_trace"] - SPECTRUM.sum()) < 5 * values["hessian_trace_error"]
    # The variance of Hutchinson's estimator is 2 sum_(i != j) H_ij^2.
    spread = math.sqrt(2 * (np.sum(hessian**2) - np.sum(np.diag(hessian) ** 2)) / 2000)
    assert float(values["hessian_trace_error"]) == pytest.approx(spread, rel=0.1)
    # sigma^2 tr H / 2 exactly, since the loss is quadratic.
    rise = 0.01 * SPECTRUM.sum() / 2
    assert abs(values["expected_sharpness"] - rise) < 5 * values["expected_sharpness_error"]
    assert float(values["expected_sharpness_error"]) < 0.5 * rise


def test_only_what_was_kept_moves(rng):
    mask = np.array([True, False, True, True, False, True])
    snapshot, hessian, theta = quadratic(rng, mask)
    values = flatness(snapshot, draws=10, probes=4000, lanczos=6)
    right = np.linalg.eigvalsh(hessian[np.ix_(mask, mask)])
    assert float(values["hessian_top"]) == pytest.approx(right[-1], rel=1e-4)
    assert float(values["hessian_bottom"]) == pytest.approx(right[0], abs=1e-4)
    assert abs(values["hessian_trace"] - right.sum()) < 5 * values["hessian_trace_error"]
    assert float(values["density"]) == pytest.approx(4 / 6)
    assert float(values["distance_per_weight"]) == pytest.approx(np.linalg.norm((theta - 1)[mask]) / 2, rel=1e-5)


@pytest.mark.parametrize("steps", [1, 3, 12])
def test_lanczos_lies_between_the_extremes_and_ends_where_the_space_does(rng, steps):
    """Three distinct eigenvalues in 50 dimensions: three products find both ends, more change nothing."""
    spectrum = np.repeat([-2.0, 0.5, 4.0], [10, 25, 15])
    basis = np.linalg.qr(rng.normal(size=(50, 50)))[0]
    matrix = jnp.asarray(basis @ np.diag(spectrum) @ basis.T, jnp.float32)
    start = jnp.asarray(rng.normal(size=50), jnp.float32)
    low, high = extreme_eigenvalues(lambda v: matrix @ v, start, steps)
    if steps == 1:
        assert low == high
        assert float(low) == pytest.approx(float(start @ matrix @ start / (start @ start)), rel=1e-4)
    else:
        assert float(low) == pytest.approx(-2.0, rel=1e-4)
        assert float(high) == pytest.approx(4.0, rel=1e-4)


def classifier(rng, mask_share=0.0):
    """A linear classifier of 2 classes in 5 dimensions with bias, 230 examples."""
    inputs = jnp.asarray(rng.normal(size=(230, 5)), jnp.float32)
    labels = jnp.asarray(rng.integers(0, 2, 230), jnp.int32)
    kernel = jnp.asarray(rng.normal(size=(5, 2)), jnp.float32)
    params = {"head": {"kernel": kernel, "bias": jnp.zeros(2)}}
    initial = {"head": {"kernel": jnp.asarray(rng.normal(size=(5, 2)), jnp.float32), "bias": jnp.ones(2)}}
    gone = jnp.asarray(rng.permutation(10).reshape(5, 2) < round(10 * mask_share))
    return Snapshot(
        train=Probe(inputs, labels, examples=inputs),
        params=params,
        initial=initial,
        mask={"head": {"kernel": ~gone, "bias": jnp.ones(2, bool)}} if mask_share else None,
        network=lambda p, _, x: (x @ p["head"]["kernel"] + p["head"]["bias"][None], ()),
        loss=lambda logits, y: -jnp.take_along_axis(jax.nn.log_softmax(logits), y[:, None], 1)[:, 0],
    )


def test_losses_are_summed_in_blocks(rng, monkeypatch):
    network = surviving.Surviving(classifier(rng))
    vector = network.theta + 0.1
    whole = *network.evaluated(vector), network.loss(vector), jax.grad(network.loss)(vector)
    calls = []
    monkeypatch.setattr(evaluation, "BATCH", 100)
    apply = Snapshot.apply
    monkeypatch.setattr(Snapshot, "apply", lambda self, p, x: calls.append(len(x)) or apply(self, p, x))
    parts = *network.evaluated(vector), network.loss(vector), jax.grad(network.loss)(vector)
    assert {*calls} == {100, 30}
    for part, right in zip(parts, whole, strict=True):
        np.testing.assert_allclose(part, right, rtol=1e-4, atol=1e-6)
    assert float(parts[2]) == pytest.approx(float(whole[2]), rel=1e-5)
    assert float(parts[1]) == pytest.approx(float(whole[1]), rel=1e-6)
    assert float(parts[0]) == pytest.approx(float(parts[2]), rel=1e-6)


def test_the_divergence_is_that_of_gaussians_with_the_best_variance(rng):
    """Against the divergence of two normal distributions, minimised numerically over the prior's variance."""
    moved, sigma = rng.normal(size=4), 0.3

    def divergence(log_v, d):
        v = math.exp(log_v)
        return 0.5 * (math.log(v / sigma**2) + (sigma**2 + d**2) / v - 1)

    right = sum(optimize.minimize_scalar(lambda t, d=d: divergence(t, d), (-5, 2)).fun for d in moved)
    assert float(bounds.gaussian_divergence(jnp.asarray(moved), sigma)) == pytest.approx(right, rel=1e-5)


def test_bounds_in_float64(rng):
    snapshot = classifier(rng, mask_share=0.4)
    sigmas = (0.01, 0.1, 1.0, 3.0)
    values = jax.tree.map(np.asarray, pac_bayes(snapshot, sigmas=sigmas, draws=400, rise=0.1))
    kept = np.asarray(snapshot.mask["head"]["kernel"])
    theta, start = (np.asarray(p["head"]["kernel"], float) * kept for p in (snapshot.params, snapshot.initial))
    inputs, labels = np.asarray(snapshot.train.examples, float), np.asarray(snapshot.train.labels)
    cost = 10 * float(special.entr(0.4) + special.entr(0.6))
    assert float(values["mask_cost"]) == pytest.approx(cost, rel=1e-5)
    # The difference of the two logits is normal, so the risk of the posterior is known.
    margin = inputs @ (theta[:, 1] - theta[:, 0])
    results = {"slab": [], "gaussian": [], "gaussian_zero": []}
    for i, sigma in enumerate(sigmas):
        slab = 0.5 * (np.sum(np.log1p(((theta - start) / sigma) ** 2)) + 2 * np.log1p(1 / sigma**2))
        zero = 0.5 * np.sum(np.log1p((theta / sigma) ** 2))
        assert float(values["slab_divergence"][i]) == pytest.approx(slab, rel=1e-4)
        assert float(values["zero_divergence"][i]) == pytest.approx(zero, rel=1e-4)
        for name, there in (("posterior_risk", kept), ("posterior_risk_all", np.ones_like(kept))):
            spread = sigma * np.sqrt(inputs**2 @ there.sum(axis=1) + 2)
            risk = np.mean(stats.norm.cdf(np.where(labels == 1, -margin, margin) / spread))
            assert float(values[name][i]) == pytest.approx(risk, abs=0.02)
        for kind, risk, divergence in (
            ("slab", "posterior_risk", slab + cost),
            ("gaussian", "posterior_risk_all", slab),
            ("gaussian_zero", "posterior_risk_all", zero),
        ):
            r = float(values[risk][i])
            b = (divergence + math.log(2 * math.sqrt(230) * 4 / 0.01)) / 230
            results[kind].append(min(r + b + math.sqrt(b * (b + 2 * r)), r + math.sqrt(b / 2)))
    for kind, found in results.items():
        assert float(values[f"pac_bound_{kind}"]) == pytest.approx(min(found), rel=1e-4)
    assert values["pac_bound_without_mask"] < values["pac_bound_slab"]


def test_spike_and_slab_weight_by_weight(rng):
    """Kept weights pay for their move and -ln(1 - lambda), pruned ones -ln lambda: N H_b(lambda) for the mask."""
    snapshot = classifier(rng, mask_share=0.3)
    kept = np.asarray(snapshot.mask["head"]["kernel"])
    moved = {
        n: np.asarray(snapshot.params["head"][n], float) - snapshot.initial["head"][n] for n in ("kernel", "bias")
    }
    slab = {name: 0.5 * np.log1p((move / SIGMA) ** 2) for name, move in moved.items()}
    right = np.sum(np.where(kept, slab["kernel"] - math.log(0.7), -math.log(0.3))) + np.sum(slab["bias"])
    values = pac_bayes(snapshot, sigmas=(SIGMA,), draws=1)
    assert float(values["slab_divergence"][0] + values["mask_cost"]) == pytest.approx(right, rel=1e-5)
    gaussian = np.sum(slab["kernel"][kept]) + np.sum(slab["bias"])
    assert right - gaussian == pytest.approx(float(values["mask_cost"]), rel=1e-5)


def by_hand(sgd, theta, noisy, moved, cost, inputs, labels):
    """The mode "sgd" of a linear classifier with bias, in float64 with gradients written down; sigma [12]."""
    n, r = len(labels), np.full(12, posterior_sgd.START)
    velocity, zeros, step = np.zeros(12), np.zeros(12, np.float32), 0
    for epoch in range(sgd.epochs):
        order = np.asarray(sgd.order(jnp.int32(epoch), n))
        for rows in (rows[rows >= 0] for rows in order.reshape(-1, sgd.batch)):
            noise, sigma = noisy * np.asarray(sgd.noise(step, zeros), float), np.log1p(np.exp(r))
            bias, kernel = np.split(theta + sigma * noise, [2])
            logits = inputs[rows] @ kernel.reshape(5, 2) + bias
            likely = special.softmax(logits, axis=1)
            own = likely[np.arange(len(rows)), labels[rows]]
            slope = (likely - np.eye(2)[labels[rows]]) * (own > 1e-4)[:, None] / (math.log(10) * len(rows))
            of_risk = np.concatenate([slope.sum(axis=0), (inputs[rows].T @ slope).ravel()]) * noise
            risk = -np.log(np.maximum(own, 1e-4)).mean() / math.log(10)
            b = (0.5 * np.sum(np.log1p((moved / sigma) ** 2)) + cost + math.log(2 * n**0.5 / sgd.delta)) / n
            of_b = -(moved**2) / (sigma * (sigma**2 + moved**2)) / n
            root = math.sqrt(b * (b + 2 * risk))
            if b + root < math.sqrt(b / 2):
                gradient = of_risk * (1 + b / root) + of_b * (1 + (b + risk) / root)
            else:
                gradient = of_risk + of_b / (4 * math.sqrt(b / 2))
            velocity = sgd.momentum * velocity + gradient / (1 + np.exp(-r))
            r, step = r - sgd.rate * velocity, step + 1
    return np.log1p(np.exp(r))


def test_trained_standard_deviations_are_those_of_gradients_written_down(rng):
    """Three epochs of batches of 100, 100 and 30, at a rate that moves sigma far; all three posteriors."""
    snapshot = classifier(rng, mask_share=0.4)
    network, sgd = surviving.Surviving(snapshot), posterior_sgd.SGD(0.01, rate=3.0, batch=100, epochs=3, seed=5)
    theta, start, kept = (np.asarray(v, float) for v in (network.theta, network.initial, network.kept))
    data = np.asarray(snapshot.train.examples, float), np.asarray(snapshot.train.labels)
    cost = 10 * float(special.entr(0.4) + special.entr(0.6))
    for noisy, moved, paid in ((kept, theta - start, cost), (kept**0, theta - start, 0.0), (kept**0, theta, 0.0)):
        posterior = posterior_sgd.Posterior(jnp.asarray(moved), jnp.asarray(noisy), jnp.asarray(paid))
        posterior = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), posterior)
        found = np.asarray(jax.jit(lambda p: sgd.sigma(network, p))(posterior))
        right = by_hand(sgd, theta, noisy, moved, paid, *data)
        assert right.max() > 1.5 * SIGMA  # it has moved
        np.testing.assert_allclose(found, right, rtol=2e-4)


def test_the_mode_sgd_says_what_the_trained_posterior_is_worth(rng):
    snapshot = classifier(rng, mask_share=0.4)
    snapshot = dataclasses.replace(snapshot, test=snapshot.train)
    values = jax.tree.map(float, pac_bayes(snapshot, mode="sgd", epochs=2, draws=3, seed=1))
    network = surviving.Surviving(snapshot)
    moved = np.asarray(network.theta - network.initial, float)
    for kind, mask in (("slab", values["mask_cost"]), ("gaussian", 0.0)):
        # Two steps at 0.01 leave sigma where it began.
        assert values[f"trained_sigma_{kind}"] == pytest.approx(SIGMA, rel=0.02)
        near = 0.5 * np.sum(np.log1p((moved / SIGMA) ** 2)) + mask
        assert values[f"trained_divergence_{kind}"] == pytest.approx(near, rel=0.02)
    for kind in ("slab", "gaussian", "gaussian_zero"):
        r, divergence = values[f"trained_risk_{kind}"], values[f"trained_divergence_{kind}"]
        b = (divergence + math.log(2 * math.sqrt(230) / 0.01)) / 230
        right = min(r + b + math.sqrt(b * (b + 2 * r)), r + math.sqrt(b / 2))
        assert values[f"pac_bound_{kind}"] == pytest.approx(right, rel=1e-4)
        assert values[f"trained_test_error_{kind}"] == pytest.approx(r)  # the same examples and draws
    assert values["pac_bound_without_mask"] < values["pac_bound_slab"]


@pytest.mark.slow
def test_the_tolerated_sigma_is_where_the_risk_has_risen(rng):
    snapshot = classifier(rng)
    fitted = jnp.argmax(snapshot.apply(snapshot.params, snapshot.train.examples)[0], axis=1)
    snapshot = dataclasses.replace(snapshot, train=dataclasses.replace(snapshot.train, labels=fitted))
    sigmas = (0.001, 0.01, 0.1, 1.0, 10.0)
    values = jax.tree.map(np.asarray, pac_bayes(snapshot, sigmas=sigmas, draws=100, rise=0.05))
    first = int(np.argmax(values["posterior_risk"] > 0.05))
    assert sigmas[first - 1] < values["tolerated_sigma"] < sigmas[first]
    finer = (*sigmas[:first], float(values["tolerated_sigma"]), *sigmas[first:])
    again = pac_bayes(snapshot, sigmas=finer, draws=100, rise=0.05)
    assert float(again["posterior_risk"][first]) == pytest.approx(0.05, abs=0.1)
    assert np.isnan(pac_bayes(snapshot, sigmas=(1e-6, 1e-5), draws=2)["tolerated_sigma"])


def test_without_pruning_the_mask_is_free_and_sigma_is_that_of_the_code(rng):
    values = pac_bayes(classifier(rng), draws=2)
    assert float(values["mask_cost"]) == 0
    assert float(values["pac_bound_slab"]) == pytest.approx(float(values["pac_bound_without_mask"]))
    assert pytest.approx(0.018150, abs=5e-7) == SIGMA


def test_nan_parameters_give_nan(rng):
    snapshot = classifier(rng)
    bad = dataclasses.replace(snapshot, params=jax.tree.map(lambda leaf: leaf * jnp.nan, snapshot.params))
    values = flatness(bad, draws=2, probes=2, lanczos=2) | pac_bayes(bad, draws=2)
    finite = [name for name, value in values.items() if np.all(np.isfinite(value))]
    assert sorted(finite) == ["density", "mask_cost"]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("flatness", {"sigma": 0.0}, "sigma=0.0: must be above 0"),
        ("flatness", {"lanczos": 0}, "lanczos=0: must be an integer of at least 1"),
        ("pac_bayes", {"sigmas": (0.2, 0.1)}, r"sigmas=\(0.2, 0.1\): must be above 0 and ascend"),
        ("pac_bayes", {"delta": 1.0}, r"delta=1.0: must be in \(0, 1\)"),
        ("pac_bayes", {"mode": "adam"}, "mode='adam': unknown mode"),
        ("pac_bayes", {"mode": "sgd", "epochs": 0}, "epochs=0: must be an integer of at least 1"),
    ],
)
def test_wrong_options(rng, name, options, message):
    with pytest.raises(ConfigError, match=message):
        {"flatness": flatness, "pac_bayes": pac_bayes}[name](classifier(rng), **options)


def test_arrays_alone_have_neither(rng):
    with pytest.raises((ConfigError, ValueError), match="flatness"):
        measure_arrays("flatness", train_features=rng.normal(size=(6, 2)), train_labels=np.arange(6) % 2)
