"""Heavy tails against the package `powerlaw`, spectra of known exponent, and random matrices."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import powerlaw
import pytest

from collapse_jax.measures import Snapshot
from collapse_jax.measures.estimators.power_law import fit_power_law
from collapse_jax.measures.families.heavy_tails import VARIABLES, coordinates, heavy_tails

_heavy_tails = jax.jit(heavy_tails, static_argnames=("permutations", "seed"))
_fit = jax.jit(fit_power_law)


def of_kernels(permutations=0, **kernels):
    params = {name: {"kernel": jnp.asarray(kernel, jnp.float32)} for name, kernel in kernels.items()}
    values = _heavy_tails(Snapshot(params=params), permutations=permutations)
    return {name: np.asarray(value) for name, value in values.items()}


def by_package(values):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = powerlaw.Fit(values, verbose=0, parameter_ranges={"alpha": [1, 1e9]})  # by default at most 3
        return fit.power_law.alpha, fit.power_law.xmin, fit.power_law.D, fit.power_law.standard_err


def with_spectrum(rng, eigenvalues, rows):
    left = np.linalg.qr(rng.normal(size=(rows, len(eigenvalues))))[0]
    return left * np.sqrt(eigenvalues) @ np.linalg.qr(rng.normal(size=(len(eigenvalues), len(eigenvalues))))[0]


@pytest.mark.parametrize("kind", ["pareto", "gaussian", "student"])
def test_equals_the_package(rng, kind):
    matrix = {
        "pareto": lambda: with_spectrum(rng, rng.pareto(1.5, 60) + 1, 90),
        "gaussian": lambda: rng.normal(size=(90, 60)),
        "student": lambda: rng.standard_t(2, size=(90, 60)),
    }[kind]().astype(np.float32)
    values = of_kernels(a=matrix)
    eigenvalues = np.linalg.svd(matrix.astype(np.float64), compute_uv=False) ** 2
    alpha, xmin, distance, error = by_package(eigenvalues)
    # Two beginnings may be equally good to the precision of float32.
    assert values["htsr_ks"][0] == pytest.approx(distance, abs=1e-5)
    assert values["htsr_alpha"][0] == pytest.approx(alpha, rel=1e-4)
    assert values["htsr_xmin"][0] == pytest.approx(xmin, rel=1e-4)
    assert values["htsr_alpha_error"][0] == pytest.approx(error, rel=1e-3)
    assert values["htsr_tail"][0] == np.sum(eigenvalues >= xmin * (1 - 1e-9))


@pytest.mark.parametrize("alpha", [1.8, 2.5, 4.0])
def test_recovers_the_exponent_of_a_sample(rng, alpha):
    """x = (1 - u)^(-1 / (alpha - 1)); the choice of x_min widens the error a little."""
    sample = (1 - rng.uniform(size=800)) ** (-1 / (alpha - 1))
    fit = _fit(jnp.asarray(sample, jnp.float32), jnp.ones(800, bool))
    assert abs(float(fit.alpha) - alpha) < 6 * float(fit.error)
    assert float(fit.distance) < 1.63 / np.sqrt(float(fit.size))


def test_by_hand():
    """1, 2, 4, 8: from 1 on alpha is 1 + 4 / (6 log 2), from 2 on 1 + 3 / (3 log 2); the nearer one is taken."""
    fit = _fit(jnp.asarray([8.0, 1.0, 4.0, 2.0, 99.0]), jnp.asarray([True] * 4 + [False]))
    rates = {1: 4 / (6 * np.log(2)), 2: 1 / np.log(2)}
    distances = {
        begin: max(abs(1 - (x / begin) ** -rates[begin] - j / len(tail)) for j, x in enumerate(tail))
        for begin, tail in {1: (1, 2, 4, 8), 2: (2, 4, 8)}.items()
    }
    begin = min(distances, key=distances.get)
    assert [float(v) for v in fit[:3]] == pytest.approx([1 + rates[begin], begin, distances[begin]], rel=1e-5)


def test_null_of_a_random_matrix_is_what_it_has(rng):
    """Gaussian entries: alpha within the null; the same entries with a heavy spectrum are far below it."""
    gaussian = of_kernels(permutations=20, a=rng.normal(size=(90, 60)))
    assert gaussian["htsr_alpha_p"][0] > 1e-3
    heavy = of_kernels(permutations=20, a=with_spectrum(rng, np.geomspace(1, 1e-5, 60), 90))
    assert heavy["htsr_alpha"][0] < 2 < heavy["htsr_alpha_null"][0]
    assert heavy["htsr_alpha_p"][0] < 0.05
    assert gaussian.keys() == VARIABLES.keys()


def test_scale_rotation_and_transposition_change_nothing(rng):
    matrix = rng.standard_t(2, size=(90, 60))
    moved = 1e8 * (np.linalg.qr(rng.normal(size=(90, 90)))[0] @ matrix).T
    first, second = of_kernels(a=matrix), of_kernels(a=moved)
    assert second["htsr_xmin"] == pytest.approx(first["htsr_xmin"] * 1e16, rel=1e-3)
    for name in ("htsr_alpha", "htsr_ks", "htsr_tail"):
        assert second[name] == pytest.approx(first[name], rel=1e-3)


def test_kernels_in_their_order_and_convolutions_as_matrices(rng):
    kernel = rng.normal(size=(3, 3, 5, 20))
    params = {
        "hidden_10": {"kernel": rng.normal(size=(20, 20)), "bias": np.ones(20)},
        "head": {"kernel": rng.normal(size=(20, 3))},
        "hidden_2": {"kernel": kernel},
        "token": {"embedding": rng.normal(size=(20, 20))},
    }
    snapshot = Snapshot(params=jax.tree.map(jnp.asarray, params))
    assert coordinates(snapshot) == {"matrix": ["hidden_2", "hidden_10", "head"]}
    values = _heavy_tails(snapshot, permutations=0)
    assert values["htsr_alpha"].shape == (3,)
    own = by_package(np.linalg.svd(kernel.reshape(45, 20), compute_uv=False) ** 2)
    assert float(values["htsr_alpha"][0]) == pytest.approx(own[0], rel=1e-4)
    assert np.isnan(values["htsr_alpha"][2])  # three eigenvalues


def test_what_is_not_resolved_is_no_eigenvalue(rng):
    """Forty directions of 60 are rounding errors: the fit is that of the twenty."""
    matrix = with_spectrum(rng, rng.pareto(1.5, 20) + 1, 90)
    padded = matrix @ np.linalg.qr(rng.normal(size=(60, 60)))[0][:20]
    first, second = of_kernels(a=matrix), of_kernels(a=padded)
    assert second["htsr_alpha"] == pytest.approx(first["htsr_alpha"], rel=1e-3)


@pytest.mark.parametrize("bad", [0.0, np.nan, np.inf])
def test_nothing_to_fit_is_nan(rng, bad):
    values = of_kernels(a=np.full((90, 60), bad), b=rng.normal(size=(90, 60)))
    assert all(np.isnan(value[0]) and np.isfinite(value[1]) for value in values.values())
