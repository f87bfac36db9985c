"""CKA against N x N matrices in float64, closed forms, invariances and what chance gives."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from collapse_jax import measure_arrays
from collapse_jax.measures import Probe, Snapshot
from collapse_jax.measures.families.cka import VARIABLES, cka

_cka = jax.jit(cka, static_argnames=("permutations", "seed"))


def of_layers(*layers, permutations=0):
    layers = [np.asarray(layer, np.float32) for layer in layers]
    labels = np.zeros(len(layers[0]), int)
    return measure_arrays(
        "cka", train_features=layers[-1], train_labels=labels, train_layers=layers, permutations=permutations
    )


def by_definition(x, y):
    """CKA by H K H L H and the U-statistic of Song et al., Equation 5, without any algebra."""
    n = len(x)
    centring = np.eye(n) - 1 / n

    def biased(k, m):
        return np.trace(centring @ k @ centring @ m)

    def unbiased(k, m):
        k, m = (a * (1 - np.eye(n)) for a in (k, m))
        one = np.ones(n)
        terms = np.trace(k @ m), (one @ k @ one) * (one @ m @ one) / ((n - 1) * (n - 2)), one @ k @ m @ one
        return (terms[0] + terms[1] - 2 / (n - 2) * terms[2]) / (n * (n - 3))

    k, m = (np.asarray(a, np.float64) @ np.asarray(a, np.float64).T for a in (x, y))
    return [f(k, m) / np.sqrt(f(k, k) * f(m, m)) for f in (biased, unbiased)]


def related(rng, rows, *widths):
    source = rng.normal(size=(rows, 5))
    return [source @ rng.normal(size=(5, width)) + rng.normal(size=(rows, width)) + 7 for width in widths]


@pytest.mark.parametrize("widths", [(6, 11), (60, 8)])
def test_equals_the_definition(rng, widths):
    """Also for layers wider than there are rows, and far from the origin."""
    x, y = related(rng, 40, *widths)
    values = of_layers(x, y)
    for name, right in zip(("cka", "cka_debiased"), by_definition(x, y), strict=True):
        assert values[name][0, 1] == pytest.approx(right, abs=2e-5)
        np.testing.assert_allclose(values[name], values[name].T, rtol=1e-4)
        np.testing.assert_allclose(np.diag(values[name]), 1, rtol=1e-4)


@pytest.mark.parametrize(("a", "b", "common"), [(4, 4, 4), (4, 4, 1)])
def test_shared_directions(rng, a, b, common):
    """a and b orthonormal columns, of which c are shared: c / sqrt(a b)."""
    columns = np.linalg.qr(np.column_stack([np.ones(30), rng.normal(size=(30, 9))]))[0][:, 1:]
    values = of_layers(columns[:, :a], columns[:, a - common : a - common + b])
    assert values["cka"][0, 1] == pytest.approx(common / np.sqrt(a * b), abs=1e-5)


def test_rotation_scale_shift_and_order_change_nothing(rng):
    x, y = related(rng, 40, 6, 9)
    order = rng.permutation(40)
    moved = [100 * x[order] @ np.linalg.qr(rng.normal(size=(6, 6)))[0] + 3, y[order] / 100]
    for name, value in of_layers(*moved).items():
        np.testing.assert_allclose(value, of_layers(x, y)[name], atol=1e-4)


def test_null_of_independent_layers_is_what_they_have(rng):
    """Twenty rows of 40 independent columns: CKA far from 0, and so is its null; debiased both about 0."""
    pairs = [of_layers(*rng.normal(size=(2, 20, 40)), permutations=20) for _ in range(30)]
    for name in ("cka", "cka_debiased"):
        seen = np.array([values[name][0, 1] for values in pairs])
        null = np.array([values[f"{name}_null"][0, 1] for values in pairs])
        assert abs(seen.mean() - null.mean()) < 5 * seen.std() / np.sqrt(len(seen))
        below = np.mean([values[f"{name}_p"][0, 1] < 0.1 for values in pairs])
        assert below <= 0.4
        assert bool(seen.mean() > 0.5) == (name == "cka")
    assert abs(np.mean([values["cka_debiased"][0, 1] for values in pairs])) < 0.06


def test_dependent_layers_are_told_from_the_null(rng):
    values = of_layers(*related(rng, 20, 40, 40), permutations=20)
    assert values["cka_debiased_p"][0, 1] < 1e-3
    assert values.keys() == {n for n in VARIABLES if "initial" not in n and "_test" not in n}


def network(params, batch_stats, inputs):
    hidden = jnp.tanh(inputs @ params["hidden"])
    return hidden @ params["head"], (hidden,)


def snapshot_of(rng, *, same=False):
    inputs = jnp.asarray(rng.normal(size=(30, 4)), jnp.float32)
    trees = [
        {"hidden": jnp.asarray(rng.normal(size=(4, 6)), jnp.float32), "head": jnp.ones((6, 2))} for _ in range(2)
    ]
    _, layers = network(trees[0], None, inputs)
    probe = Probe(layers[-1], jnp.zeros(30, jnp.int32), layers=layers, examples=inputs)
    initial = trees[0] if same else trees[1]
    snapshot = Snapshot(train=probe, params=trees[0], initial=initial, network=network, num_classes=2)
    return snapshot, network(initial, None, inputs)[1][0]


def test_initial_network(rng):
    snapshot, first = snapshot_of(rng)
    values = _cka(snapshot, permutations=0)
    right = by_definition(snapshot.train.features, first)
    assert [float(values[n][0]) for n in ("cka_initial", "cka_initial_debiased")] == pytest.approx(right, abs=2e-5)
    assert values["cka_initial"].shape == (1,)


def test_a_network_that_has_not_moved(rng):
    values = _cka(snapshot_of(rng, same=True)[0], permutations=0)
    assert [float(values[n][0]) for n in ("cka_initial", "cka_initial_debiased")] == pytest.approx([1, 1])


def test_running_statistics_of_theta_0_are_not_known(rng):
    snapshot = dataclasses.replace(snapshot_of(rng)[0], batch_stats={"mean": jnp.zeros(6)})
    assert not any("initial" in name for name in _cka(snapshot, permutations=0))


def test_nothing_to_compare_is_nan(rng):
    x, y = related(rng, 20, 5, 5)
    for bad in (np.full((20, 5), 2.0), np.where(np.arange(5) == 1, np.nan, y)):
        values = of_layers(x, bad)
        assert np.isnan([values["cka"][0, 1], values["cka_debiased"][1, 0]]).all()
        assert values["cka"][0, 0] == pytest.approx(1)
    few = of_layers(x[:3], y[:3])
    assert np.isnan(few["cka_debiased"]).all()
    assert np.isfinite(few["cka"]).all()
