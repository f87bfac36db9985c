"""The measure of mutual information on features: value, null, error, collapse and its failure in reference mode."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from collapse_jax.measures import measure_arrays
from collapse_jax.measures.base import Probe, Snapshot
from collapse_jax.measures.families.mutual_information import MUTUAL_INFORMATION, mutual_information

_STATIC = ("mode", "k", "dim", "samples", "permutations", "null_rows", "partitions", "split")
_information = jax.jit(mutual_information, static_argnames=_STATIC)
COUNT, CLASSES, DIM = 1500, 10, 30
LABELS = np.arange(COUNT) % CLASSES


def measure(features, inputs, labels=LABELS, num_classes=CLASSES, permutations=0, partitions=0, **options):
    inputs = None if inputs is None else jnp.asarray(inputs, jnp.float32)
    probe = Probe(jnp.asarray(features, jnp.float32), jnp.asarray(labels), inputs=inputs)
    options = {"permutations": permutations, "partitions": partitions, **options}
    values = _information(Snapshot(probe, num_classes=num_classes), **options)
    return {name: float(value) for name, value in values.items()}


@functools.cache
def clusters(spread):
    """Ten clusters of inputs that overlap, and features that know the label and nothing else of the input.

    Also returns I(X;Y), which is I(Z;X) as soon as the features identify the label.
    """
    rng = np.random.default_rng(0)
    centres = 1.5 * rng.normal(size=(CLASSES, 4))
    inputs = centres[LABELS] + rng.normal(size=(COUNT, 4))
    exponents = -0.5 * np.sum((inputs[:, None] - centres[None]) ** 2, axis=-1)
    posterior = np.exp(exponents) / np.exp(exponents).sum(1, keepdims=True)
    shared = np.log(CLASSES) + np.mean(np.log(posterior[np.arange(COUNT), LABELS]))
    places = rng.normal(size=(CLASSES, DIM))
    return places[LABELS] + spread * rng.normal(size=(COUNT, DIM)), inputs, shared


@pytest.mark.parametrize("spread", [0.3, 1e-2, 1e-4])
def test_collapse_leaves_the_default_right(spread):
    features, inputs, shared = clusters(spread)
    values = measure(features, inputs, permutations=20)
    assert 0.7 < shared < 2
    # Its known bias is towards 0.
    assert shared - 0.3 < values["mi_zx"] < shared + 0.1
    assert values["mi_zy"] == pytest.approx(np.log(10), abs=0.05)
    assert values["superfluous_information"] == pytest.approx(values["mi_zx"] - values["mi_zy"], abs=1e-5)
    for name in ("mi_zx", "mi_zy"):
        assert abs(values[f"{name}_null"]) < 0.05 + values[f"{name}_null_sd"]
        assert values[f"{name}_p"] < 1e-9


def test_collapse_makes_the_reference_mode_diverge():
    """Without any dependence, too: its null falls with it."""
    values = {
        spread: measure(*clusters(spread)[:2], mode="reference", permutations=3) for spread in (0.3, 1e-2, 1e-3)
    }
    shared = clusters(0.3)[2]
    assert values[0.3]["mi_zx"] == pytest.approx(shared, abs=0.9)
    for spread, least in ((1e-2, -1), (1e-3, -4)):
        assert values[spread]["mi_zx"] < least
        assert values[spread]["mi_zx_null"] < least
        assert values[spread]["superfluous_information"] < least - 2
        assert values[spread]["mi_zy"] == pytest.approx(np.log(10), abs=0.1)


def normal_codes(correlation, dim=4, count=COUNT):
    first, noise = np.random.default_rng(1).normal(size=(2, count, dim))
    return first, correlation * first + np.sqrt(1 - correlation**2) * noise


@pytest.mark.parametrize(
    ("mode", "correlation", "low", "high"),
    [("ksg", 0.6, -0.3, 0.1), ("ksg", 0.9, -1, 0), ("reference", 0.6, -0.4, 0.4), ("reference", 0.9, -0.45, 0.45)],
)
def test_normal_features(mode, correlation, low, high):
    """Four coordinates, -2 log(1 - rho^2); KSG reads strong dependence in eight dimensions too low."""
    values = measure(*normal_codes(correlation), mode=mode, permutations=3)  # compiled for the test below, too
    assert low < values["mi_zx"] + 2 * np.log(1 - correlation**2) < high
    assert values["mi_zy"] == pytest.approx(0, abs=0.15)


@pytest.mark.parametrize("mode", ["ksg", "reference"])
def test_independence_is_within_the_null(mode):
    values = measure(*normal_codes(0.0), mode=mode, permutations=3)
    for name in ("mi_zx", "mi_zy", "superfluous_information"):
        difference = values[name] - values[f"{name}_null"]
        assert abs(difference) < 5 * values[f"{name}_null_sd"]
        assert values[f"{name}_p"] > 1e-3


def test_superfluous_null_keeps_the_label(rng):
    """Features that know the label alone, of inputs that know more: permuted within classes, nothing changes."""
    labels = np.arange(400) % 10
    centres_x, centres_z = 3 * rng.normal(size=(10, 20)), rng.normal(size=(10, 30))
    inputs = centres_x[labels] + rng.normal(size=(400, 20))
    features = centres_z[labels] + 0.5 * rng.normal(size=(400, 30))
    options = {"permutations": 20}
    nothing = measure(features, inputs, labels, **options)
    name = "superfluous_information"
    assert nothing[f"{name}_p"] > 1e-4
    assert abs(nothing[name] - nothing[f"{name}_null"]) < 5 * nothing[f"{name}_null_sd"] + 0.02
    assert nothing["mi_zx_p"] < 1e-9
    more = measure(centres_z[labels] @ np.eye(30) + inputs @ np.eye(20, 30), inputs, labels, **options)
    assert more[f"{name}_p"] < 1e-6


@pytest.mark.slow
def test_error_is_the_spread_over_fresh_samples():
    """Labels and principal components included, which double it; classes spread out and collapsed."""
    rng = np.random.default_rng(7)
    centres, runs = rng.normal(size=(CLASSES, DIM)), 25

    def take(sample):
        features, labels, inputs = sample
        snapshot = Snapshot(Probe(features, labels, inputs=inputs), num_classes=CLASSES)
        return mutual_information(snapshot, permutations=0)

    spread = np.repeat([0.5, 1e-3], runs)[:, None, None]
    labels = rng.integers(0, CLASSES, size=(2 * runs, 300))
    features = centres[labels] + spread * rng.normal(size=(2 * runs, 300, DIM))
    inputs = centres[labels][..., :20] + spread * rng.normal(size=(2 * runs, 300, 20))
    samples = jnp.asarray(features, jnp.float32), jnp.asarray(labels), jnp.asarray(inputs, jnp.float32)
    values = jax.jit(lambda samples: jax.lax.map(take, samples))(samples)
    for name in ("mi_zx", "mi_zy", "superfluous_information"):
        for rows in (slice(runs), slice(runs, None)):
            reported = np.sqrt(np.mean(np.square(values[f"{name}_error"][rows])))
            # The entropy of equally frequent labels is quadratic in their counts: up to 1.4 times too large.
            assert 0.6 < reported / np.std(values[name][rows], ddof=1) < 1.9, (name, rows)


@pytest.mark.parametrize("mode", ["ksg", "reference"])
def test_invertible_linear_maps_change_nothing(mode):
    features, inputs = clusters(0.3)[0], clusters(0.3)[1]
    rotation = np.linalg.qr(np.random.default_rng(3).normal(size=(DIM, DIM)))[0]
    value = measure(features, inputs, mode=mode)
    moved = measure(3 * features @ rotation + 5, inputs - 2, mode=mode)
    for name in ("mi_zx", "mi_zy"):
        assert moved[name] == pytest.approx(value[name], abs=0.02)


def test_permuted_examples_and_seed():
    features, inputs, _ = clusters(0.1)
    order = np.random.default_rng(4).permutation(COUNT)
    value = measure(features, inputs)
    shuffled = measure(features[order], inputs[order], LABELS[order])
    for name in ("mi_zx", "mi_zy"):
        assert shuffled[name] == pytest.approx(value[name], abs=1e-3)
    assert measure(features, inputs, seed=1)["mi_zx"] == pytest.approx(value["mi_zx"], abs=1e-5)


def test_small_and_broken_samples():
    features, inputs, _ = clusters(0.3)
    with pytest.raises(ValueError, match=r"^k=5: must be below the number of examples, 5"):
        measure(features[:5], inputs[:5], LABELS[:5])
    # One class has five examples, of which a subset may hold a single one; one class has no second example.
    labels = np.where(np.arange(300) < 6, np.minimum(np.arange(300), 1), 2)
    for mode in ("ksg", "reference"):
        assert np.all(np.isfinite(list(measure(features[:300], inputs[:300], labels, mode=mode).values())))
    broken = features[:300].copy()
    broken[0, 0] = np.nan
    assert all(np.isnan(value) for value in measure(broken, inputs[:300], LABELS[:300]).values())
    wrong = inputs[:300].copy()
    wrong[0, 0] = np.inf
    assert np.isnan(measure(features[:300], wrong, LABELS[:300])["mi_zx"])


@pytest.mark.parametrize("mode", ["ksg", "reference"])
def test_runs_in_a_batch_equal_single_runs(mode):
    """A diverged run does not touch the others; inputs and labels are shared."""
    features, inputs = clusters(0.3)[0][:300], clusters(0.3)[1][:300]
    batch = jnp.stack([jnp.asarray(features), jnp.full(features.shape, jnp.nan), jnp.asarray(features[::-1])])

    def one(features):
        probe = Probe(features, jnp.asarray(LABELS[:300]), inputs=jnp.asarray(inputs))
        return mutual_information(Snapshot(probe, num_classes=CLASSES), mode=mode, permutations=0, partitions=0)

    together = jax.jit(jax.vmap(one))(batch)
    assert all(np.isnan(value[1]) for value in together.values())
    for run, rows in ((0, features), (2, features[::-1])):
        alone = measure(rows, inputs, LABELS[:300], mode=mode)
        assert {name: float(value[run]) for name, value in together.items()} == pytest.approx(alone, abs=0.02)


def test_constant_features_tell_nothing():
    values = measure(np.ones((300, DIM)), clusters(0.3)[1][:300], LABELS[:300])
    assert values["mi_zx"] == pytest.approx(0, abs=1e-4)
    assert values["mi_zy"] == pytest.approx(0, abs=0.05)


def test_options_without_inputs_and_arrays():
    features, inputs, _ = clusters(0.3)
    alone = measure(features[:300], None, LABELS[:300])
    assert set(alone) == {"mi_zy"}
    sampled = measure(features, inputs, samples=300)
    assert sampled["mi_zy"] == pytest.approx(alone["mi_zy"], abs=0.2)
    arrays = measure_arrays(
        "mutual_information", train_features=features[:300], train_labels=LABELS[:300], inputs=inputs[:300]
    )
    assert list(arrays) == list(MUTUAL_INFORMATION.variables)
    assert arrays["mi_zy"] == pytest.approx(alone["mi_zy"], abs=1e-4)
    for options, message in (
        ({"mode": "kde"}, "mode='kde': unknown mode; known: ksg, reference"),
        ({"k": 0}, "k=0: must be an integer of at least 1"),
        ({"null_rows": 0}, "null_rows=0: must be an integer of at least 1"),
        ({"permutations": 0.5}, "permutations=0.5: must be an integer"),
    ):
        with pytest.raises(ValueError, match=f"^{message}"):
            measure(features, inputs, **options)
