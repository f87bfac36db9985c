"""The smallest size within a distortion: closed forms, feasibility by another implementation, brute force."""

import bz2
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from collapse_jax.errors import ConfigError
from collapse_jax.measures import MEASURES, Probe, Snapshot, measure_arrays
from collapse_jax.measures.families.complexity import COMPLEXITY, complexity, coordinates, distortion
from collapse_jax.measures.families.complexity_host import smallest
from collapse_jax.models.losses import cross_entropy

LIMITS = (1.0, 0.3, 0.05)
IN, HIDDEN, CLASSES, COUNT = 60, 50, 4, 128


def network(params, stats, inputs):
    hidden = jax.nn.relu(inputs @ params["hidden"]["kernel"] + params["hidden"]["bias"][None])
    return hidden @ params["head"]["kernel"], (hidden,)


def numpy_loss(params, inputs, labels):
    hidden = np.maximum(inputs @ params["hidden/kernel"] + params["hidden/bias"], 0)
    logits = np.float64(hidden @ params["head/kernel"])
    return np.mean(np.log(np.exp(logits).sum(1)) - logits[np.arange(len(labels)), labels])


def made(seed, noise=0.02):
    """A network of a first layer of rank 2 and noise, whose labels are what it says."""
    rng = np.random.default_rng(seed)
    kernel = rng.normal(size=(IN, 2)) @ rng.normal(size=(2, HIDDEN)) + noise * rng.normal(size=(IN, HIDDEN))
    params = {
        "hidden": {"kernel": kernel, "bias": rng.normal(size=HIDDEN)},
        "head": {"kernel": rng.normal(size=(HIDDEN, CLASSES))},
    }
    inputs = rng.normal(size=(COUNT, IN)).astype(np.float32) / IN**0.5
    params = jax.tree.map(jnp.float32, params)
    labels = np.argmax(network(params, None, inputs)[0], axis=1)
    return snapshot_of(params, inputs, labels)


def snapshot_of(params, inputs, labels, network=network, loss=cross_entropy):
    probe = Probe(jnp.zeros((len(labels), 0)), jnp.asarray(labels), examples=jnp.asarray(inputs))
    return Snapshot(train=probe, test=probe, params=params, network=network, loss=loss, num_classes=CLASSES)


@functools.cache
def _program(mode, loss):
    return jax.jit(functools.partial(complexity, distortions=LIMITS, mode=mode))


def taken(snapshot, mode="corrected", **options):
    values = _program(mode, snapshot.loss)(snapshot)
    return smallest({name: np.asarray(value) for name, value in values.items()}, mode=mode, **options)


def coarse_in_numpy(params, tau, width):
    """Equations 11, 13 and 14 for all tensors, and their numbers in the order of names."""
    q = lambda array: np.round(np.float32(array) / np.float32(width)) * np.float32(width) + np.float32(0)  # noqa: E731
    rebuilt, told = {}, []
    for name in sorted(params, key=lambda name: name.split("/")):
        leaf = np.asarray(params[name])
        parts = [q(leaf)]
        if leaf.ndim == 2:
            left, values, right = np.linalg.svd(leaf.astype(np.float64), full_matrices=False)
            k = min(int(np.sum(np.cumsum(values) < tau * values.sum())) + 1, len(values))
            if k * sum(leaf.shape) < leaf.size:
                parts = [q(left[:, :k] * values[:k]), q(right[:k])]
        rebuilt[name] = parts[0] if len(parts) == 1 else parts[0] @ parts[1]
        told += parts
    return rebuilt, len(bz2.compress(b"".join(part.astype("<f4").tobytes() for part in told)))


def flat(params):
    return {f"{layer}/{name}": np.asarray(leaf) for layer, tree in params.items() for name, leaf in tree.items()}


@pytest.mark.parametrize("seed", [0])
def test_what_is_found_is_feasible_and_no_worse_than_a_grid(seed):
    """Loss and bytes at the point found are those of numpy; no point of a grid is much smaller."""
    snapshot = made(seed)
    params, inputs, labels = flat(snapshot.params), np.asarray(snapshot.train.examples), snapshot.train.labels
    result = taken(snapshot, "paper")
    began = numpy_loss(params, inputs, labels)
    best = np.full(len(LIMITS), np.inf)
    for tau in np.linspace(0.1, 1, 8):
        for width in np.geomspace(0.02, 1, 14):
            rebuilt, size = coarse_in_numpy(params, tau, width)
            change = abs(numpy_loss(rebuilt, inputs, labels) - began)
            best = np.where(change < np.array(LIMITS), np.minimum(best, size), best)
    for i, limit in enumerate(LIMITS):
        tau, width = result["complexity_threshold"][i], result["complexity_bin_width"][i]
        rebuilt, size = coarse_in_numpy(params, tau, width)
        # A singular vector may have the other sign, which is another string of as many numbers.
        assert result["complexity"][i] == pytest.approx(size, rel=0.02)
        loss = numpy_loss(rebuilt, inputs, labels)
        assert result["coarse_train_loss"][i] == pytest.approx(loss, rel=1e-3, abs=1e-4)
        assert result["coarse_test_loss"][i] == pytest.approx(result["coarse_train_loss"][i], rel=1e-5)
        assert abs(result["complexity_distortion"][i]) < limit
        assert result["complexity"][i] <= 1.5 * best[i]
    assert (np.diff(result["complexity"]) >= 0).all()
    assert (result["complexity"] <= result["quantised_complexity"]).all()
    assert result["complexity"][-1] < 0.9 * result["quantised_complexity"][-1]  # the low rank pays


def test_a_network_that_ignores_its_parameters_costs_the_floor():
    """Closed form: everything may become 0; header and zeros remain, and the bound follows from their bytes."""
    snapshot = made(0)
    constant = jnp.array([[3.0, 0.0, 0.0, 0.0]])
    ignoring = snapshot.replace(network=lambda p, s, x: (jnp.broadcast_to(constant, (len(x), CLASSES)), ()))
    values = jax.jit(functools.partial(complexity, distortions=LIMITS))(ignoring)
    result = smallest({name: np.asarray(value) for name, value in values.items()}, delta=0.1, unit="bit")
    header = 4 + 3 + (1 + 8 + 3) * 2 + 2  # D; per vector 1 + 4, per matrix 1 + 8 + 3
    zeros = np.zeros(IN * HIDDEN + HIDDEN + HIDDEN * CLASSES, np.float32)
    floor = header + len(bz2.compress(zeros.tobytes()))
    np.testing.assert_array_equal(result["quantised_complexity"], floor)
    assert floor - 8 <= result["complexity"][0] <= floor
    np.testing.assert_array_equal(result["complexity_distortion"], 0)
    labels = np.asarray(snapshot.train.labels)
    logits = np.array([3.0, 0, 0, 0])
    nats = np.mean(np.log(np.exp(logits).sum()) - logits[labels])
    size = result["complexity"][0]
    assert result["description_length"][0] == pytest.approx(size + COUNT * nats / np.log(2) / 8, rel=1e-5)
    gap = np.sqrt((8 * size + 2 * np.log(8 * size) + np.log(10)) / (2 * COUNT))
    assert result["complexity_gap"][0] == pytest.approx(gap)
    assert result["generalisation_bound"][0] == pytest.approx(np.mean(labels != 0) + gap)


def test_spectra_and_naive_size():
    snapshot = made(1)
    result = taken(snapshot)
    params = flat(snapshot.params)
    ranks = []
    for name in ("head/kernel", "hidden/kernel"):
        share = np.linalg.svd(params[name].astype(np.float64), compute_uv=False)
        share /= share.sum()
        ranks.append(np.exp(-np.sum(share * np.log(share))))
    np.testing.assert_allclose(result["weight_effective_rank"], ranks, rtol=1e-4)
    np.testing.assert_allclose(result["weight_spectral_entropy"], np.log(ranks), rtol=1e-4)
    count = sum(leaf.size for leaf in params.values())
    mean = sum(r * params[n].size for r, n in zip(ranks, ("head/kernel", "hidden/kernel"), strict=True)) / count
    assert result["weight_effective_rank_mean"] == pytest.approx(mean, rel=1e-4)
    assert result["naive_size"] == sum(len(bz2.compress(leaf.tobytes())) for leaf in params.values())
    assert coordinates(snapshot, distortions=LIMITS) == {
        "distortion": LIMITS,
        "matrix": ("head/kernel", "hidden/kernel"),
    }


def test_a_scale_that_the_loss_does_not_see_changes_nothing():
    """The widths follow the weights: four times the weights of a network that divides them by four."""
    snapshot = made(2)
    scaled = snapshot.replace(
        params=jax.tree.map(lambda leaf: 4 * leaf, snapshot.params),
        network=lambda p, s, x: network(jax.tree.map(lambda leaf: leaf / 4, p), s, x),
    )
    plain, four = taken(snapshot), taken(scaled)
    np.testing.assert_allclose(four["quantised_complexity"], plain["quantised_complexity"], rtol=0.01)
    assert (plain["quantised_complexity"] > 300).any()
    np.testing.assert_allclose(four["weight_effective_rank"], plain["weight_effective_rank"], rtol=1e-4)


def test_the_order_of_neurons_is_part_of_the_description():
    """The same function, other bytes: by little."""
    snapshot = made(2)
    order = np.random.default_rng(0).permutation(HIDDEN)
    hidden, head = snapshot.params["hidden"], snapshot.params["head"]
    permuted = {
        "hidden": {"kernel": hidden["kernel"][:, order], "bias": hidden["bias"][order]},
        "head": {"kernel": head["kernel"][order]},
    }
    plain, mixed = taken(snapshot), taken(snapshot.replace(params=permuted))
    np.testing.assert_allclose(mixed["complexity"], plain["complexity"], rtol=0.1)
    assert (mixed["complexity"] != plain["complexity"]).any()


def test_a_diverged_network_has_no_complexity():
    snapshot = made(0)
    broken = jax.tree.map(lambda leaf: leaf.at[0].set(jnp.nan), snapshot.params)
    result = taken(snapshot.replace(params=broken))
    assert np.isnan(result["complexity"]).all()
    assert np.isnan(result["generalisation_bound"]).all()


def test_tests_of_the_modes():
    """Two-sided and strict; in the reference one-sided, and everything finite where the network's loss is nan."""
    losses = jnp.float32([0.5, 1.5, jnp.nan, jnp.inf])
    for mode in ("corrected", "paper"):
        np.testing.assert_allclose(distortion(losses, jnp.float32(1), mode), [0.5, 0.5, np.inf, np.inf])
        assert np.isinf(distortion(losses, jnp.float32(jnp.nan), mode)).all()
    np.testing.assert_allclose(distortion(losses, jnp.float32(1), "reference"), [-0.5, 0.5, np.inf, np.inf])
    np.testing.assert_array_equal(
        distortion(losses, jnp.float32(jnp.nan), "reference"), [-np.inf, -np.inf, np.inf, np.inf]
    )


def test_the_reference_is_one_sided_and_pays_for_the_pickle():
    snapshot = made(0)
    result, plain = taken(snapshot, "reference"), taken(snapshot, "paper")
    assert (result["complexity_distortion"] <= np.array(LIMITS) * (1 + 1e-5)).all()
    assert (result["complexity"] > 200 + plain["complexity"]).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"distortions": (1.0, 0.0)}, r"distortions=\(1.0, 0.0\): must be numbers > 0"),
        ({"distortions": ()}, r"distortions=\(\): must be numbers > 0"),
        ({"distortions": (float("nan"),)}, r"distortions=\(nan,\): must be numbers > 0"),
        ({"delta": 0.0}, "delta=0.0: must lie between 0 and 1"),
        ({"delta": 1}, "delta=1: must lie between 0 and 1"),
        ({"mode": "papers"}, "mode='papers': "),
        ({"unit": "byte"}, "unit='byte': "),
    ],
)
def test_wrong_options_are_one_line(options, message):
    with pytest.raises(ConfigError, match=message):
        jax.eval_shape(functools.partial(complexity, **options), made(0))


def test_arrays_have_no_parameters():
    with pytest.raises(ConfigError, match="measures='complexity': needs 'parameters'; which arrays do not have"):
        measure_arrays("complexity", train_features=np.ones((2, 2)), train_labels=[0, 1])
    assert MEASURES["complexity"] is COMPLEXITY
