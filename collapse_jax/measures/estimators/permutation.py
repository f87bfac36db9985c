"""Permutation nulls: what a measure says where the pairing that it looks for is broken."""

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
from jax import lax
from jax.scipy.special import ndtr

from collapse_jax.measures.base import Scalars, Variable
from collapse_jax.measures.splits import varied

PERMUTATIONS = 20
# Tails where small values are the evidence: compared as logarithms, and as they are.
LESS, LOWER = "less", "lower"


def shuffles(key: jax.Array, labels: jax.Array, number: int) -> tuple[jax.Array, jax.Array]:
    """Random permutations of N rows with `labels` [N]: of all of them, and of the rows of every class.

    Returns:
      [number, N] and [number, N], independent.
    """
    count = len(labels)
    bits = jax.random.bits(key, (2 * number, count))
    rows = jnp.arange(count)
    # One sort for both and for the places of the members of every class: each would take the compiler as long.
    order = jnp.concatenate([bits, rows[None].astype(bits.dtype)])
    classes = jnp.where(jnp.arange(len(order))[:, None] < number, 0, labels[None])
    _, _, found = lax.sort((classes, order, jnp.broadcast_to(rows, order.shape)), dimension=1, num_keys=2)
    within = found[number:-1]
    return found[:number], jnp.zeros_like(within).at[:, found[-1]].set(within)


def identity_first(*orders: jax.Array) -> jax.Array:
    """[1 + P, N] the order of the rows as they are, then `orders`: value and nulls in one compiled loop."""
    return jnp.concatenate([jnp.arange(orders[0].shape[-1])[None], *orders])


def against_null(values: Scalars, draws: Scalars, tails: Mapping[str, str] | None = None) -> Scalars:
    """Compare values with the same after P permutations.

    Args:
      values: by name; those that have draws are all of one shape.
      draws: [P, ...] by the same names; nothing is returned of what has none.
      tails: name -> "less" or "lower" where small values are the evidence; "greater" for all others. "less"
        compares logarithms, of what is positive and has a skewed null, where 0 may be few standard deviations away.

    Returns:
      `<name>_null` and `<name>_null_sd`, mean and standard deviation (P - 1) of the draws, and `<name>_p`, see
      `p_value`.
    """
    if not draws:
        return {}
    # All at once: names one after the other would take the compiler as many times as long.
    value, drawn = jnp.stack([values[name] for name in draws]), jnp.stack(list(draws.values()), axis=1)
    tail = [(tails or {}).get(name) for name in draws]
    p = p_value(_towards(value, tail), _towards(drawn.swapaxes(0, 1), tail).swapaxes(0, 1))
    mean = jnp.mean(drawn, axis=0)
    spread = jnp.std(drawn, axis=0, ddof=1) if len(drawn) > 1 else mean * jnp.nan
    kinds = {"_null": mean, "_null_sd": spread, "_p": p}
    return {name + kind: found[index] for index, name in enumerate(draws) for kind, found in kinds.items()}


def _towards(array: jax.Array, tails: Sequence[str | None]) -> jax.Array:
    """The rows of an array, each as numbers that are the larger the more there is."""
    rows = (-1, *(1 for _ in array.shape[1:]))
    less, lower = (jnp.asarray([tail == kind for tail in tails]).reshape(rows) for kind in (LESS, LOWER))
    return jnp.where(less, -jnp.log(array), jnp.where(lower, -array, array))


def p_value(value: jax.Array, draws: jax.Array) -> jax.Array:
    """Probability that one more of the P `draws` [P, ...] of a null lies as far out as the value.

    P(T_{P-1} >= t), t = (value - mean) / (sd sqrt(1 + 1/P)), Student's T with P - 1 degrees of freedom: exact where
    draws are normal, as averages over examples nearly are. Unlike the rank (1 + #{draws >= value}) / (P + 1), which
    it becomes where the draws have no spread, it can fall below 1 / (P + 1), and so survive a correction for many
    runs. Far beyond the draws it is an extrapolation: of 1e-12 read only that it is small.

    Returns:
      [...] in [0, 1]; nan where the value or a draw is.
    """
    number = len(draws)
    rank = (1 + jnp.sum(draws >= value[None], axis=0)) / (number + 1)
    unknown = jnp.isnan(value) | jnp.any(jnp.isnan(draws), axis=0)
    p = rank.astype(draws.dtype)
    if number > 1:
        mean, spread = jnp.mean(draws, axis=0), jnp.std(draws, axis=0, ddof=1)
        usable = jnp.isfinite(spread) & (spread > 0)
        t = (value - mean) / jnp.where(usable, spread * (1 + 1 / number) ** 0.5, 1)
        p = jnp.where(usable, student_tail(t, number - 1), p)
    return jnp.where(unknown, jnp.nan, p)


def student_tail(t: jax.Array, freedom: int) -> jax.Array:
    """P(T >= t) of Student's T, to 2 % from 9 degrees of freedom on (Wallace 1959, doi:10.1214/aoms/1177705811)."""
    # The incomplete beta function, which is exact, takes the compiler longer than all of nHSIC.
    deviate = jnp.sqrt(freedom * jnp.log1p(t**2 / freedom)) * ((8 * freedom + 1) / (8 * freedom + 3))
    return ndtr(-jnp.sign(t) * deviate)


def null_variables(
    variables: Mapping[str, Variable], broken: str, tails: Mapping[str, str] | None = None
) -> dict[str, Variable]:
    """Describe what `against_null` returns of variables; `broken` says what was permuted."""
    tails = tails or {}
    result = {}
    for name, v in variables.items():
        more = "no larger" if tails.get(name) in (LESS, LOWER) else "no smaller"
        kinds = {
            "_null": ("null", v.units, f"mean of {{}} after permutations: {broken}"),
            "_null_sd": ("null, spread", v.units, f"standard deviation of {{}} over permutations: {broken}"),
            "_p": ("p-value", "1", f"probability of {{}} {more} than this under the null: {broken}"),
        }
        for suffix, (title, units, text) in kinds.items():
            result[name + suffix] = Variable(
                f"{v.long_name}, {title}", units, text.format(v.long_name), v.dims, v.coords
            )
    return result


def compared_variables(
    own: Mapping[str, Variable], difference: Mapping[str, Variable], broken: str, broken_within: str, error: str
) -> dict[str, Variable]:
    """Describe estimates and their difference, each with its null (of the difference within classes) and error."""
    return {
        **own,
        **difference,
        **null_variables(own, broken),
        **null_variables(difference, broken_within),
        **varied({**own, **difference}, {"_error": (", error", f"{{}}: {error}")}),
    }
