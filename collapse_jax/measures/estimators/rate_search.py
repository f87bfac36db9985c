"""The search for the smallest coarse-graining within each distortion, all on the device.

The loss of a candidate costs fifty times its entropy, so that losses are spent where entropies cannot decide:

1. Screening: losses on few examples, and entropies, on a grid of rank thresholds tau and bin widths Delta.
   Per distortion and threshold the last feasible width of the grid and the next one bracket the frontier; the width
   between them comes from the power law through both.
2. Refinement in tau: the entropy at the interpolated frontier, on thresholds four times as dense; the best are
   kept.
3. Refinement in Delta: the frontier of those few on all examples, by a secant in log Delta and log distortion.

What is returned was evaluated on all examples and is feasible, whatever the interpolations were worth; that nothing
smaller is feasible is not proved.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

DENSER = 4
SAME = 2e-3  # candidates whose entropies differ by less are one: below the smallest step of a rank all are
AIM = 0.985  # of the distortion that is allowed, so that rounding does not decide
STEEPNESS = (1.0, 12.0)  # d log distortion / d log Delta: 2 while the loss is quadratic
USUAL = 4.0  # of that slope, where the losses do not tell
STEP_BACK = 0.04
TINY = 1e-9  # of a distortion, so that it has a logarithm

Points = tuple[jax.Array, jax.Array]  # thresholds and widths, of one shape
Evaluate = Callable[[jax.Array, jax.Array], tuple[jax.Array, jax.Array]]


@struct.dataclass
class Found:
    """The candidates of each distortion.

    Attributes:
      threshold: [E, F] tau; in column 0 it is 1, which is quantisation alone.
      width: [E, F] Delta, the widest that was found feasible; nan where none was.
      seen: [E, F, ...] what `evaluate` said there.
    """

    threshold: jax.Array
    width: jax.Array
    seen: jax.Array


def over(function: Callable[..., Any], points: Points) -> Any:
    """Call `function(tau, Delta)` for points of any shape, one after the other."""
    shape = points[0].shape
    values = jax.lax.map(lambda point: function(*point), tuple(axis.ravel() for axis in points))
    return jax.tree.map(lambda leaf: leaf.reshape(*shape, *leaf.shape[1:]), values)


def mesh(thresholds: jax.Array, widths: jax.Array) -> Points:
    """[T, J] all pairs."""
    tau, width = jnp.meshgrid(thresholds, widths, indexing="ij")
    return tau, width


def search(
    screen: Callable[[jax.Array, jax.Array], jax.Array],
    evaluate: Evaluate,
    entropy: Callable[[jax.Array, jax.Array], jax.Array],
    distortions: jax.Array,
    thresholds: jax.Array,
    widths: jax.Array,
    finalists: int,
    rounds: int,
) -> Found:
    """Find per distortion the widest bin at tau = 1 and at the `finalists` - 1 most promising other thresholds.

    Args:
      screen: (tau, Delta) -> distortion on few examples; infinite where it is not defined.
      evaluate: (tau, Delta) -> distortion on all examples, and anything to be remembered of the candidate.
      entropy: (tau, Delta) -> its size, by which candidates are ranked.
      distortions: [E] that are allowed.
      thresholds: [T] increasing, the last 1.
      widths: [J] increasing, equal steps of the logarithm.
      finalists: F >= 2.
      rounds: of the secant.
    """
    grid = mesh(thresholds, widths)
    guess, slope, sure = _frontier(over(screen, grid), widths, distortions)
    position = jnp.arange((len(thresholds) - 1) * DENSER + 1) / DENSER
    dense, guess, slope, sure = (_between(rows, position) for rows in (thresholds, guess, slope, sure))
    sizes = over(entropy, (jnp.broadcast_to(dense[None], guess.shape), jnp.exp(guess)))
    sizes = jnp.where(jnp.isnan(guess), jnp.inf, sizes)
    chosen = jax.vmap(lambda row: _smallest_distinct(row, finalists))(sizes)
    start, slope, sure = (jnp.take_along_axis(each, chosen, axis=1) for each in (guess, slope, sure))
    return _solve(evaluate, dense[chosen], start, slope, sure, distortions[:, None], jnp.log(widths), rounds)


def _frontier(
    distortion: jax.Array, widths: jax.Array, allowed: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """[E, T] log Delta where the allowed distortion is reached, d log distortion / d log Delta there, and a refuge.

    Above the last feasible width: distortion need not grow with Delta. nan where no width is feasible. The refuge
    is the log of the last width before the first that is not feasible: few examples may take for feasible what
    lies beyond, say the network of zeros, and nothing near it then is.
    """
    feasible = distortion[None] < allowed[:, None, None]
    index = jnp.arange(len(widths))[None, None]
    last = jnp.max(jnp.where(feasible, index, 0), axis=-1)
    low = jnp.minimum(last, len(widths) - 2)
    logs = jnp.broadcast_to(_log(distortion)[None], feasible.shape)
    first, second = (jnp.take_along_axis(logs, at[..., None], axis=-1)[..., 0] for at in (low, low + 1))
    step = jnp.log(widths[1] / widths[0])
    slope = jnp.clip((second - first) / step, *STEEPNESS)
    goal = jnp.log(AIM * allowed)[:, None]
    # A distortion that is (nearly) 0, or negative, says nothing of the power law: down from the width above, then.
    down = step - (second - goal) / USUAL
    above = jnp.where(first < goal - jnp.log(1e3), down, (goal - first) / slope)
    whole = last == len(widths) - 1  # feasible everywhere up to the widest bin
    guess = jnp.where(whole, jnp.log(widths[-1]), jnp.log(widths)[low] + jnp.clip(above, 0, step))
    before = jnp.sum(jnp.cumprod(feasible, axis=-1), axis=-1) - 1
    sure = jnp.log(widths)[jnp.maximum(before, 0)]
    return jnp.where(feasible.any(axis=-1), guess, jnp.nan), slope, sure


def _log(distortion: jax.Array) -> jax.Array:
    return jnp.log(jnp.clip(jnp.nan_to_num(distortion, nan=1e9, posinf=1e9), TINY, 1e9))


def _between(rows: jax.Array, position: jax.Array) -> jax.Array:
    """Interpolate the last axis at fractional indices; nan where a neighbour that counts is nan."""
    low = jnp.floor(position).astype(int)
    high, share = jnp.ceil(position).astype(int), position - low
    share = jnp.broadcast_to(share, (*rows.shape[:-1], len(position)))
    return jnp.where(share == 0, rows[..., low], (1 - share) * rows[..., low] + share * rows[..., high])


def _smallest_distinct(sizes: jax.Array, count: int) -> jax.Array:
    """The indices of the last entry and of the `count` - 1 smallest others, no two of (nearly) the same size."""
    chosen: list[Any] = [len(sizes) - 1]
    for _ in range(count - 1):
        sizes = jnp.where(jnp.abs(jnp.log(sizes / sizes[chosen[-1]])) < SAME, jnp.inf, sizes)
        chosen.append(jnp.argmin(sizes))
    return jnp.stack([jnp.asarray(index) for index in chosen])


def _solve(
    evaluate: Evaluate,
    thresholds: jax.Array,
    start: jax.Array,
    slope: jax.Array,
    sure: jax.Array,
    allowed: jax.Array,
    logs: jax.Array,
    rounds: int,
) -> Found:
    """Widen every candidate up to its frontier: all shapes are [E, F]; `logs` are those of the screened widths."""
    ends, grid = (logs[0], logs[-1]), logs[1] - logs[0]
    start = jnp.clip(jnp.nan_to_num(start, nan=-jnp.inf), *ends)
    goal = jnp.log(AIM * allowed)
    shape = start.shape
    example = jax.eval_shape(evaluate, jnp.zeros(()), jnp.zeros(()))[1]
    state = {
        "x": start,
        "slope": slope,
        "low": jnp.full(shape, -jnp.inf),
        "high": jnp.full(shape, jnp.inf),
        "at_low": jnp.zeros(shape),
        "at_high": jnp.zeros(shape),
        "seen": jnp.full((*shape, *example.shape), jnp.nan, example.dtype),
    }

    def body(i: jax.Array, state: dict[str, jax.Array]) -> dict[str, jax.Array]:
        x = state["x"]
        distortion, seen = over(evaluate, (thresholds, jnp.exp(x)))
        feasible = distortion < allowed
        y = _log(distortion)
        better = feasible & (x > state["low"])
        worse = ~feasible & (x < state["high"])
        low, at_low = jnp.where(better, x, state["low"]), jnp.where(better, y, state["at_low"])
        high, at_high = jnp.where(worse, x, state["high"]), jnp.where(worse, y, state["at_high"])
        known = jnp.isfinite(low) & jnp.isfinite(high) & (high > low)
        between = jnp.clip((at_high - at_low) / jnp.where(known, high - low, 1.0), *STEEPNESS)
        slope = jnp.where(known, between, state["slope"])
        base, at_base = jnp.where(better | known, low, x), jnp.where(better | known, at_low, y)
        step = jnp.clip((goal - at_base) / slope, -jnp.log(2.0), jnp.log(2.0))
        # Where nothing is feasible yet, back by more each time, as the loss may be flat: at last by a grid step, or
        # to the refuge.
        ahead = base + jnp.where(jnp.isfinite(low), step, jnp.minimum(step, -STEP_BACK * 2.0**i))
        back = jnp.minimum(jnp.minimum(ahead, start - grid), sure)
        ahead = jnp.where((i == rounds - 2) & ~jnp.isfinite(low), back, ahead)
        inside = jnp.clip(ahead, low + 0.02 * (high - low), high - 0.02 * (high - low))
        ahead = jnp.where(known, inside, ahead)
        wide = better.reshape(better.shape + (1,) * (seen.ndim - better.ndim))
        return {
            "x": jnp.clip(ahead, *ends),
            "slope": slope,
            "low": low,
            "high": high,
            "at_low": at_low,
            "at_high": at_high,
            "seen": jnp.where(wide, seen, state["seen"]),
        }

    state = jax.lax.fori_loop(0, rounds, body, state)
    width = jnp.where(jnp.isfinite(state["low"]), jnp.exp(state["low"]), jnp.nan)
    return Found(thresholds, width, state["seen"])
