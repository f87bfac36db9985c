"""Information through a noisy channel: limits in closed form, bounds on both sides, scale and collapse."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from collapse_jax.measures import measure_arrays
from collapse_jax.measures.base import Probe, Snapshot
from collapse_jax.measures.estimators.reference_channel import REFERENCE_VARIABLES
from collapse_jax.measures.families.noisy_channel import NOISY_CHANNEL, SIGMAS, noisy_channel

_channel = jax.jit(noisy_channel, static_argnames=("mode", "samples", "permutations", "partitions", "split"))
DIM, CLASSES, COUNT = 8, 4, 400
WHOLE = {"permutations": 20, "partitions": 3}
LABELS = np.arange(COUNT) % CLASSES


def measure(features, labels=LABELS, num_classes=CLASSES, **options):
    # The value alone where nothing else is looked at: less to compile.
    options = {"permutations": 0, "partitions": 0, **options}
    snapshot = Snapshot(Probe(jnp.asarray(features, jnp.float32), jnp.asarray(labels)), num_classes=num_classes)
    return {name: float(value) for name, value in _channel(snapshot, **options).items()}


def clusters(spread, seed=0, dim=DIM):
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(CLASSES, dim)) + 2
    return centres[LABELS] + spread * rng.normal(size=(COUNT, dim))


def by_name(values, name):
    return np.array([values[f"{name}_{suffix}"] for suffix in SIGMAS])


def test_one_repeated_feature_tells_nothing():
    """Nor do both pairwise bounds leave any room, so that both entropies are d/2 log(2 pi e tau^2)."""
    values = measure(np.ones((COUNT, DIM)))
    assert values == pytest.approx(dict.fromkeys(values, 0), abs=1e-6)


def test_far_apart_features_tell_everything():
    """Log M for the input, log K for the balanced label, from the estimate and both pairwise bounds."""
    corners = np.eye(40)
    values = measure(corners, np.arange(40) % 4)
    for sigma, name in ((0, "noisy_zx"), (0, "kde_lower_zx"), (0, "kde_upper_zx"), (1, "noisy_zx")):
        assert by_name(values, name)[sigma] == pytest.approx(np.log(40), abs=1e-3)
    assert by_name(values, "noisy_zy")[:2] == pytest.approx(np.log([4, 4]), abs=1e-3)
    assert by_name(values, "noisy_zx_given_y")[:2] == pytest.approx(np.log([10, 10]), abs=1e-3)


@pytest.mark.parametrize("spread", [1.0, 0.3])
def test_equals_direct_integration_of_the_mixture_density(spread):
    """The definition -E log p(z) - h(Z|X) by an independent draw in float64."""
    features = clusters(spread)
    values = measure(features, **WHOLE)
    rng = np.random.default_rng(1)
    norm = np.max(np.linalg.norm(features, axis=1))

    def log_density(points, centres, noise):
        squares = np.sum((points[:, None] - centres[None]) ** 2, axis=-1)
        exponents = -squares / (2 * noise**2)
        largest = exponents.max(1)
        return largest + np.log(np.mean(np.exp(exponents - largest[:, None]), axis=1))

    for suffix, sigma in SIGMAS.items():
        noise = norm * sigma
        points = features + noise * rng.normal(size=features.shape)
        own = -np.sum((points - features) ** 2, axis=1) / (2 * noise**2)
        overall = np.mean(own - log_density(points, features, noise))
        members = [np.flatnonzero(label == LABELS) for label in range(CLASSES)]
        within = np.mean([np.mean(own[m] - log_density(points[m], features[m], noise)) for m in members])
        error = 5 * values[f"noisy_zx_error_{suffix}"] + 0.05
        assert values[f"noisy_zx_{suffix}"] == pytest.approx(overall, abs=error)
        assert values[f"noisy_zx_given_y_{suffix}"] == pytest.approx(within, abs=error)
        assert values[f"noisy_zy_{suffix}"] == pytest.approx(overall - within, abs=error)


@pytest.mark.parametrize("spread", [1.0, 0.3, 0.1, 1e-2, 1e-3, 1e-4])
def test_sandwich(spread):
    """Lower <= estimate <= upper; superfluous information <= log-det bound <= trace bound."""
    values = measure(clusters(spread), **WHOLE)
    for name in ("zx", "zx_given_y"):
        estimate, error = by_name(values, f"noisy_{name}"), by_name(values, f"noisy_{name}_error")
        slack = 4 * error + 1e-7
        assert np.all(by_name(values, f"kde_lower_{name}") <= estimate + slack)
        assert np.all(estimate <= by_name(values, f"kde_upper_{name}") + slack)
    log_det, trace = by_name(values, "log_det_bound"), by_name(values, "trace_bound")
    assert np.all(by_name(values, "noisy_zx_given_y") <= log_det + slack)
    assert np.all(log_det <= trace * (1 + 1e-5))
    # Collapsed: every bound is tight, and the estimate keeps its digits.
    if spread <= 1e-2:
        assert by_name(values, "noisy_zx_given_y") == pytest.approx(trace, rel=0.2, abs=1e-7)
        assert by_name(values, "noisy_zy")[0] == pytest.approx(np.log(4), abs=0.01)


def test_bounds_in_closed_form():
    features, sigma = clusters(0.5), np.array(list(SIGMAS.values()))
    values = measure(features)
    noise = np.max(np.linalg.norm(features, axis=1)) * sigma
    spectra = [np.linalg.eigvalsh(np.cov(features[c == LABELS].T, ddof=0)) for c in range(CLASSES)]
    log_det = np.mean([[0.5 * np.sum(np.log1p(s / tau**2)) for tau in noise] for s in spectra], axis=0)
    trace = np.mean([[0.5 * np.sum(s / tau**2) for tau in noise] for s in spectra], axis=0)
    assert by_name(values, "log_det_bound") == pytest.approx(log_det, rel=1e-4)
    assert by_name(values, "trace_bound") == pytest.approx(trace, rel=1e-4)


def test_log_det_bound_is_an_equality_for_normal_classes():
    """Normal features of one class: I(Z;X|Y) = d/2 log(1 + s^2 / tau^2), where it is far below log M."""
    features = np.random.default_rng(2).normal(size=(1500, 2))
    values = measure(features, np.zeros(1500, int), 1)
    assert values["noisy_zx_given_y_sigma030"] == pytest.approx(values["log_det_bound_sigma030"], abs=0.03)
    assert values["noisy_zy_sigma030"] == pytest.approx(0, abs=1e-5)


def test_more_coordinates_than_examples():
    features, labels = clusters(0.5, dim=60)[:40], LABELS[:40]
    values = measure(features, labels)
    noise = np.max(np.linalg.norm(features, axis=1)) * 0.3
    spectra = [np.linalg.eigvalsh(np.cov(features[labels == c].T, ddof=0)) for c in range(CLASSES)]
    expected = np.mean([0.5 * np.sum(np.log1p(np.maximum(s, 0) / noise**2)) for s in spectra])
    assert values["log_det_bound_sigma030"] == pytest.approx(expected, rel=1e-3)


def test_scale_rotation_and_offset_of_labels():
    features = clusters(0.3)
    value = measure(features)
    scaled = measure(1e-6 * features)
    assert scaled == pytest.approx(value, rel=1e-3, abs=1e-4)
    rotated = measure(features @ np.linalg.qr(np.random.default_rng(3).normal(size=(DIM, DIM)))[0])
    for name in ("kde_lower_zx", "kde_upper_zx_given_y", "log_det_bound", "trace_bound"):
        assert by_name(rotated, name) == pytest.approx(by_name(value, name), rel=1e-3)
    absent = measure(features, LABELS + 2, CLASSES + 3)
    assert absent == pytest.approx(value, rel=1e-3, abs=1e-5)


def test_null_shows_what_chance_explains(rng):
    features = np.random.default_rng(4).normal(size=(COUNT, DIM))
    values = measure(features, rng.permutation(LABELS), **WHOLE)
    off = by_name(values, "noisy_zy") - by_name(values, "noisy_zy_null")
    assert np.all(np.abs(off) < 8 * by_name(values, "noisy_zy_null_sd"))
    assert np.all(by_name(values, "noisy_zy_p") > 1e-5)
    remains = by_name(values, "noisy_zx_given_y_null")
    assert by_name(values, "noisy_zy_null") == pytest.approx(by_name(values, "noisy_zx") - remains, abs=1e-5)
    slack = 4 * by_name(values, "noisy_zx_given_y_null_sd")
    assert np.all(by_name(values, "kde_lower_zx_given_y_null") <= remains + slack)
    assert np.all(remains <= by_name(values, "kde_upper_zx_given_y_null") + slack)
    # A noise that separates all examples makes any labelling look fully informative.
    assert by_name(values, "noisy_zy_null")[0] > 1
    dependent = measure(clusters(0.1), **WHOLE)
    assert np.all(by_name(dependent, "noisy_zy") > by_name(dependent, "noisy_zy_null") + 0.3)
    for name in ("noisy_zy", "noisy_zx_given_y", "kde_lower_zx_given_y", "kde_upper_zx_given_y"):
        assert np.all(by_name(dependent, f"{name}_p") < 1e-6), name
    # The chain rule: what labels tell is missing of what is left.
    given_y, zy = by_name(dependent, "noisy_zx_given_y_p"), by_name(dependent, "noisy_zy_p")
    assert np.log(given_y) == pytest.approx(np.log(zy), rel=0.02)


def test_the_null_is_the_value_of_permuted_labels():
    """Drawn anew: the mean and the spread of the measure over permutations of the labels."""
    features, draws = clusters(0.5), np.random.default_rng(5)
    values = measure(features, **WHOLE)
    others = [measure(features, draws.permutation(LABELS)) for _ in range(20)]
    for name in ("noisy_zy", "noisy_zx_given_y", "kde_lower_zx_given_y", "kde_upper_zx_given_y"):
        drawn = np.array([by_name(other, name) for other in others])
        spread = drawn.std(0, ddof=1)
        assert np.all(np.abs(by_name(values, f"{name}_null") - drawn.mean(0)) < 5 * spread * np.sqrt(2 / 20)), name
        ratio = by_name(values, f"{name}_null_sd") / spread
        assert np.all((ratio > 0.4) & (ratio < 2.5)), name


def test_reference_mode_is_too_high_by_log_5():
    repeated = measure(np.ones((COUNT, DIM)), mode="reference")
    assert set(repeated) == set(REFERENCE_VARIABLES)
    assert repeated["noisy_zx_reference"] == pytest.approx(np.log(5), abs=1e-5)
    assert repeated["noisy_zx_given_y_reference"] == pytest.approx(np.log(5), abs=1e-5)
    assert repeated["noisy_zy_reference"] == pytest.approx(0, abs=1e-5)
    classes = measure(10 * np.eye(10)[np.arange(100) % 10], np.arange(100) % 10, 10, mode="reference")
    assert classes["noisy_zy_reference"] == pytest.approx(np.log(10), abs=0.05)
    # Its noise is absolute: what scaling does to it, collapse seems to do.
    features = clusters(0.3)
    large, small = (measure(scale * features, mode="reference") for scale in (1, 0.1))
    assert large["noisy_zx_given_y_reference"] > small["noisy_zx_given_y_reference"] + 1


def test_degenerate_features():
    broken = clusters(0.3)
    broken[7, 3] = np.nan
    infinite = clusters(0.3)
    infinite[7, 3] = np.inf
    for features in (broken, infinite, np.zeros((COUNT, DIM))):
        values = measure(features)
        assert all(np.isnan(by_name(values, name)).all() for name in ("noisy_zx", "log_det_bound", "trace_bound"))
        assert np.isnan(by_name(values, "noisy_zx_given_y")).all()
    assert np.isnan(measure(broken, mode="reference")["noisy_zx_reference"])


def test_runs_in_a_batch_equal_single_runs():
    batch = jnp.stack([jnp.asarray(clusters(0.3)), jnp.full((COUNT, DIM), jnp.nan), jnp.asarray(clusters(0.1))])

    def one(features):
        snapshot = Snapshot(Probe(features, jnp.asarray(LABELS)), num_classes=CLASSES)
        return noisy_channel(snapshot, permutations=0, partitions=0)

    together = jax.jit(jax.vmap(one))(batch)
    assert all(np.isnan(value[1]) for value in together.values())
    for run, spread in ((0, 0.3), (2, 0.1)):
        alone = measure(clusters(spread))
        batched = {name: float(value[run]) for name, value in together.items()}
        assert batched == pytest.approx(alone, rel=1e-3, abs=1e-4)


def test_sample_options_and_arrays():
    features = clusters(0.3)
    half = measure(features, samples=200)
    assert half["noisy_zx_sigma030"] == pytest.approx(measure(features)["noisy_zx_sigma030"], abs=0.2)
    assert measure(features, samples=None) == pytest.approx(measure(features))
    arrays = measure_arrays("noisy_channel", train_features=features, train_labels=LABELS)
    whole = measure(features, **WHOLE)
    assert arrays == pytest.approx(whole, rel=1e-3, abs=1e-5)
    assert measure(features) == pytest.approx({name: whole[name] for name in measure(features)}, rel=1e-5)
    of_an_option = {name for name in NOISY_CHANNEL.variables if "sigma" not in name}
    assert set(arrays) | set(REFERENCE_VARIABLES) | of_an_option == set(NOISY_CHANNEL.variables)
    with pytest.raises(ValueError, match=r"^mode='kde': unknown mode; known: channel, reference"):
        measure(features, mode="kde")
    with pytest.raises(ValueError, match=r"^samples=1: must be an integer of at least 2"):
        measure(features, samples=1)
