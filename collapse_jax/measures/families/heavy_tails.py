"""Heavy tails of the spectra of weight matrices (HTSR): the exponent alpha of every layer.

Sources: arXiv:1810.01075 (Martin and Mahoney: heavy-tailed self-regularisation), arXiv:0706.1062 (Clauset, Shalizi
and Newman: the fit), arXiv:2506.04434 (its use in late training).
"""

import re
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from collapse_jax.measures.base import Measure, Scalars, Snapshot, Variable
from collapse_jax.measures.estimators.class_geometry import resolved
from collapse_jax.measures.estimators.coarse_graining import named
from collapse_jax.measures.estimators.permutation import LESS, PERMUTATIONS, against_null, null_variables
from collapse_jax.measures.estimators.power_law import PowerLaw, fit_power_law
from collapse_jax.measures.options import require_at_least
from collapse_jax.measures.precision import at_least_float32

_MATRIX = ("matrix",)
_ALPHA = {
    "htsr_alpha": Variable(
        "HTSR alpha", "1", "exponent of the power law fitted to the largest eigenvalues of W^T W", _MATRIX
    )
}
_BROKEN = "entries of the matrix permuted"
VARIABLES = (
    _ALPHA
    | {
        "htsr_alpha_error": Variable(
            "HTSR alpha, error", "1", "(alpha - 1) / sqrt(n), of the fit for the tail that was chosen", _MATRIX
        ),
        "htsr_xmin": Variable(
            "HTSR tail, beginning", "weight^2", "smallest eigenvalue of the fitted tail", _MATRIX
        ),
        "htsr_ks": Variable(
            "HTSR tail, distance", "1", "Kolmogorov-Smirnov distance D of the tail and its fit", _MATRIX
        ),
        "htsr_tail": Variable("HTSR tail, size", "1", "number n of eigenvalues in the fitted tail", _MATRIX),
    }
    | null_variables(_ALPHA, _BROKEN, {"htsr_alpha": LESS})
)


def heavy_tails(snapshot: Snapshot, *, permutations: int = PERMUTATIONS, seed: int = 0) -> Scalars:
    """Power law of the largest eigenvalues of W^T W for every kernel W, by the method of Clauset et al.

    Of each kernel, a convolution as the matrix from its windows to its channels, with lambda_i the squared singular
    values above rounding:

    * `htsr_alpha` = 1 + n / sum log(lambda_i / x_min) over the n eigenvalues from x_min on
    * `htsr_alpha_error` = (alpha - 1) / sqrt(n), for that tail: it knows nothing of the choice of x_min
    * `htsr_xmin`: of all eigenvalues but the largest two the one that makes `htsr_ks` smallest
    * `htsr_ks` = D = max over the tail of |F - F_fit|, `htsr_tail` = n

    Vectors over the kernels, the head last. alpha does not change with the scale or under rotations of W on either
    side. Small is heavy: 2 to 4 is read as well trained, below 2 as overfitted (arXiv:1810.01075, 2506.04434).

    What chance gives: the fit always finds a tail. The spectrum of a random matrix (Marchenko and Pastur) has none,
    and alpha is then what its bounded upper end looks like: 5 to 17 in 18 of 20 Gaussian matrices of 784 x 200, 4
    to 11 of 200 x 200, 3 to 13 of 90 x 60. `_null`, `_null_sd`, `_p` (of log alpha) are those of the entries
    permuted, which keeps their distribution; entries that are heavy-tailed themselves keep a tail.

    Limits: fewer than four eigenvalues above rounding (a head of three classes) are nan, and some tens are too few
    to tell a power law from others; read D and n. A tail of a few eigenvalues far above the rest is no power law,
    and moves x_min. Equal singular values: alpha without meaning, very large. nan parameters: nan. Time is
    that of P + 1 singular value decompositions of each kernel: some 8 s of a core for 784-200-200-200-10 with the
    default P, 0.3 s with none. The package `powerlaw` 2.0 admits no alpha above 3 unless told to,
    and takes another tail then.

    Args:
      snapshot: reads `params`.
      permutations: P of the null; 0 leaves it out.
      seed: of the permutations, which are the same for all runs and steps.
    """
    require_at_least("permutations", permutations, 0)
    rows = []
    for index, leaf in enumerate(_leaves(snapshot.params).values()):
        kernel = at_least_float32(leaf).reshape(-1, leaf.shape[-1])
        fit = _fit(kernel)
        row = {
            "htsr_alpha": fit.alpha,
            "htsr_alpha_error": fit.error,
            "htsr_xmin": fit.begin,
            "htsr_ks": fit.distance,
            "htsr_tail": fit.size,
        }
        if permutations:
            keys = jax.random.split(jax.random.fold_in(jax.random.key(seed), index), permutations)
            draws = lax.map(lambda key, kernel=kernel: _fit(_permuted(key, kernel)).alpha, keys)
            row |= against_null({"htsr_alpha": fit.alpha}, {"htsr_alpha": draws}, {"htsr_alpha": LESS})
        rows.append(row)
    return {name: jnp.stack([row[name] for row in rows]) for name in (rows[0] if rows else ())}


def _fit(kernel: jax.Array) -> PowerLaw:
    finite = jnp.all(jnp.isfinite(kernel))
    values = jnp.linalg.svd(jnp.where(finite, kernel, 0), compute_uv=False)
    used = resolved(values) & (values > 0)
    # In units of the largest, so that no square leaves the range of float32.
    largest = values[0]
    fit = fit_power_law(jnp.where(finite, (values / largest) ** 2, jnp.nan), used)
    return fit._replace(begin=fit.begin * largest**2)


def _permuted(key: jax.Array, kernel: jax.Array) -> jax.Array:
    # One sort; jax.random.permutation takes two or three.
    return kernel.ravel()[jnp.argsort(jax.random.bits(key, (kernel.size,)))].reshape(kernel.shape)


def _leaves(params: Any) -> dict[str, Any]:
    """The kernels by name, hidden_2 before hidden_10, the head last."""
    leaves = named(params)

    def place(name: str) -> tuple[bool, list[str]]:
        return name.startswith("head/"), [part.zfill(9) for part in re.findall(r"\d+|\D+", name)]

    names = sorted((name for name, leaf in leaves.items() if name.endswith("/kernel") and leaf.ndim > 1), key=place)
    return {name.removesuffix("/kernel"): leaves[name] for name in names}


def coordinates(snapshot: Snapshot) -> dict[str, list[str]]:
    """Name the kernels."""
    return {"matrix": list(_leaves(snapshot.params))}


HEAVY_TAILS = Measure("heavy_tails", heavy_tails, VARIABLES, needs=("parameters",), coords=coordinates)
