"""Signed distances of features to the decision boundaries of the last layer.

Source: arXiv:2509.20829, Figures 2, 5 and 8. Its public code adds b_b - b_a, which puts the boundary on the wrong
side; the definition of the paper, with b_a - b_b, is used here.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from collapse_jax.errors import require
from collapse_jax.measures.base import Measure, Probe, Scalars, Snapshot, Variable
from collapse_jax.measures.estimators.class_geometry import prepare, squared_distances_of_rows
from collapse_jax.measures.precision import at_least_float32, matmul
from collapse_jax.measures.splits import for_each_probe, of_each_probe

# The pairs of the paper, and the quantiles of `margin_quantiles`.
PAIRS = ((0, 1), (4, 5), (8, 9))
QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)

_SIDES = "side 0: examples of class a, side 1: of class b"
_NEAREST = "the distance to the nearest boundary of the class of the label, negative beyond it"
_TEXTS = {
    "margin_quantiles": (
        "Quantiles of the pair margin",
        "feature",
        f"quantiles {', '.join(f'{q:g}' for q in QUANTILES)} of the signed distance to the boundary of a pair; "
        + _SIDES,
        ("pair", "side", "quantile"),
    ),
    "margin_error": (
        "Pair error",
        "1",
        f"fraction on the wrong side of the boundary of a pair, or on it; {_SIDES}",
        ("pair", "side"),
    ),
    "margin_min": (
        "Smallest pair margin",
        "feature",
        "smallest distance to the boundary of a pair, negative on the wrong side, over both classes",
        ("pair",),
    ),
    "nearest_margin_min": (
        "Smallest margin",
        "feature",
        f"smallest over examples of {_NEAREST}",
        (),
    ),
    "nearest_margin_median": (
        "Median margin",
        "feature",
        f"median over examples of {_NEAREST}",
        (),
    ),
    "largest_norm": ("Largest feature norm", "feature", "B_g, by which margins of different steps compare", ()),
}
VARIABLES = for_each_probe({name: Variable(*text) for name, text in _TEXTS.items()})


def margins(snapshot: Snapshot, *, pairs: Sequence[tuple[int, int]] | None = None) -> Scalars:
    r"""Distances to the decision boundaries of the last layer, in the unit of the features.

    For classes a, b: m(x) = (<w_a - w_b, g(x)> + b_a - b_b) / ||w_a - w_b||. Positive on the side of a; what other
    classes say does not matter. `pair_margins` gives it for every example.

    * `margin_quantiles` [pairs, 2, 7] = quantiles 0, .05, .25, .5, .75, .95, 1 (linear between order statistics) of
      m over the examples of class a, then of class b, whose values are negative where they are right.
    * `margin_error` [pairs, 2] = fraction with m <= 0 of class a, with m >= 0 of class b. Chance: they add to 1.
    * `margin_min` [pairs] = min over examples of a of m and over examples of b of -m.
    * `nearest_margin_min`, `nearest_margin_median` over all examples of min_k (f_y - f_k) / ||w_y - w_k||, k != y:
      the distance to the nearest boundary of the own class, negative if another class wins.
    * `largest_norm` = B_g, the largest feature norm.

    Margins scale with the features, which weight decay shrinks; features and head scaled inversely leave the
    network and change them. So compare m / `largest_norm` between steps or runs. A rotation of features and head
    changes nothing.

    Limits:
      * A class without examples has nan quantiles and errors, and a pair with one has nan `margin_min`.
      * Equal columns w_a = w_b have no boundary: nan, for the pair and for the nearest margins.
      * nan in the features of an example makes the values of its class nan, and the variables over all examples.

    Args:
      snapshot: features and labels of `train`, and of `test` where it is there; `head_kernel`, and `head_bias` if
        the head has one.
      pairs: class pairs (a, b); None: those of (0, 1), (4, 5), (8, 9) that the number of classes allows.

    Returns:
      The variables of the train probe, `_test` of the test probe; nothing without a head.

    Raises:
      ConfigError: a pair that is not two different classes, no pair, or fewer than two classes.
    """
    if snapshot.head_kernel is None:
        return {}
    chosen = check_pairs(pairs, snapshot.num_classes)
    kernel = at_least_float32(snapshot.head_kernel)
    return of_each_probe(snapshot, lambda probe: _margins(probe, kernel, snapshot.head_bias, chosen))


def pair_margins(
    features: jax.Array, head_kernel: jax.Array, head_bias: jax.Array | None, pair: tuple[int, int]
) -> jax.Array:
    """Signed distance [N] of every feature to the decision boundary of two classes.

    Positive on the side of the first class:

    m(x) = (<w_a - w_b, g(x)> + b_a - b_b) / ||w_a - w_b||

    Args:
      features: [N, D] penultimate representation g(x).
      head_kernel: [D, K] kernel of the last layer, columns w_k.
      head_bias: [K] its bias, or None.
      pair: the classes a and b.

    Raises:
      ConfigError: `pair` is not two different classes.
    """
    ((a, b),) = check_pairs([pair], head_kernel.shape[1])
    kernel = jnp.asarray(head_kernel)
    normal = kernel[:, a] - kernel[:, b]
    length = jnp.sqrt(jnp.sum(normal**2))
    offset = 0.0 if head_bias is None else head_bias[a] - head_bias[b]
    return jnp.where(length > 0, (matmul(jnp.asarray(features), normal) + offset) / length, jnp.nan)


def check_pairs(pairs: Sequence[tuple[int, int]] | None, num_classes: int) -> tuple[tuple[int, int], ...]:
    """The pairs as integers; ConfigError names the first that is not two different classes."""
    require(num_classes >= 2, "num_classes", num_classes, "a margin needs at least 2 classes")
    if pairs is None:
        return tuple(pair for pair in PAIRS if max(pair) < num_classes)
    require(len(pairs) > 0, "pairs", pairs, "name at least one pair of classes, such as (0, 1)")
    for pair in pairs:
        classes = list(pair) if isinstance(pair, Sequence) else []
        ok = len(classes) == len(set(classes)) == 2 and all(c in range(num_classes) for c in classes)
        require(ok, "pairs", pair, f"must be two different classes of 0 to {num_classes - 1}")
    return tuple((int(a), int(b)) for a, b in pairs)


def _margins(
    probe: Probe, kernel: jax.Array, bias: jax.Array | None, pairs: tuple[tuple[int, int], ...]
) -> Scalars:
    probe, _ = prepare(probe, kernel.shape[1])
    rows = []
    for pair in pairs:
        distances = pair_margins(probe.features, kernel, bias, pair)
        sides = []
        for sign, label in zip((1, -1), pair, strict=True):
            member = probe.labels == label
            bad = jnp.any(member & jnp.isnan(distances)) | ~jnp.any(member)
            oriented = jnp.where(member, sign * distances, jnp.inf)
            side = {
                "margin_quantiles": masked_quantiles(distances, member),
                "margin_error": jnp.sum(oriented <= 0) / jnp.sum(member),
                "margin_min": jnp.min(oriented),
            }
            sides.append({name: jnp.where(bad, jnp.nan, value) for name, value in side.items()})
        row = jax.tree.map(lambda *values: jnp.stack(values), *sides)
        rows.append(row | {"margin_min": jnp.min(row["margin_min"])})
    result = jax.tree.map(lambda *values: jnp.stack(values), *rows)
    nearest = _nearest(probe, kernel, bias)
    return result | {
        "nearest_margin_min": jnp.min(nearest),
        "nearest_margin_median": jnp.median(nearest),
        "largest_norm": jnp.max(jnp.sqrt(jnp.sum(probe.features**2, axis=1))),
    }


def masked_quantiles(values: jax.Array, mask: jax.Array) -> jax.Array:
    """The `QUANTILES` of the values [N] where `mask` [N], linear between order statistics; of none: nan."""
    ordered = jnp.sort(jnp.where(mask, values, jnp.inf))
    last = jnp.maximum(jnp.sum(mask) - 1, 0)
    positions = jnp.asarray(QUANTILES, values.dtype) * last
    low = jnp.floor(positions).astype(jnp.int32)
    below, above = ordered[low], ordered[jnp.minimum(low + 1, last)]
    result = below + jnp.where(above > below, (positions - low) * (above - below), 0)
    return jnp.where(jnp.any(mask), result, jnp.nan)


def _nearest(probe: Probe, kernel: jax.Array, bias: jax.Array | None) -> jax.Array:
    """[N] signed distance to the nearest boundary of the class of the label."""
    logits = matmul(probe.features, kernel)
    if bias is not None:
        logits = logits + bias[None, :]
    own = jnp.take_along_axis(logits, probe.labels[:, None], axis=1)
    lengths = jnp.sqrt(squared_distances_of_rows(kernel.T))
    lengths = jnp.where(lengths > 0, lengths, jnp.nan)[probe.labels]
    others = jnp.arange(kernel.shape[1])[None, :] != probe.labels[:, None]
    return jnp.min(jnp.where(others, (own - logits) / lengths, jnp.inf), axis=1)


def coordinates(snapshot: Snapshot, *, pairs: Sequence[tuple[int, int]] | None) -> dict[str, Sequence[Any]]:
    """Name the pairs "a-b", the sides "a" and "b", and the quantiles."""
    names = [f"{a}-{b}" for a, b in check_pairs(pairs, snapshot.num_classes)]
    return {"pair": names, "side": ["a", "b"], "quantile": QUANTILES}


MARGINS = Measure("margins", margins, VARIABLES, needs=("train", "head"), coords=coordinates)
