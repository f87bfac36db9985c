"""Errors for a fresh sample of examples: estimates that leave out one group of a random partition at a time."""

import jax
import jax.numpy as jnp
import numpy as np

from collapse_jax.measures.base import Scalars

PARTITIONS = 3
ERROR = "standard error for a fresh sample of examples, by the jackknife over groups of this one"


def remaining(key: jax.Array, count: int, groups: int, number: int = PARTITIONS) -> jax.Array:
    """[number, groups, n] rows without one group, in random partitions; the rest of count / groups is in none."""
    size = count // groups
    orders = jnp.argsort(jax.random.bits(key, (number, count)), axis=1)
    blocks = orders[:, : size * groups].reshape(number, groups, size)
    others = np.array([[other for other in range(groups) if other != group] for group in range(groups)])
    return blocks[:, others].reshape(number, groups, -1)


def jackknife_errors(values: Scalars, shifts: Scalars | None = None) -> Scalars:
    """Standard errors of estimates t, from those t_g without group g, in P partitions into G groups each.

        e^2 = mean over partitions of (G - 1) / G sum_g (t_g - mean_g t_g)^2
              - (G - 1)^3 var over partitions of mean_g t_g,

    but at least half of the first term: the variance over fresh samples of as many examples, with all that is
    chosen by them (noise, components, largest norms) where each t_g takes it of the examples that it has. The
    first term (Shao & Wu 1989, doi:10.1214/aos/1176347263) is exact for means of examples; what is quadratic in
    the deviations of a sample, such as the entropy of equally frequent labels, it counts twice. Of a mean of
    examples mean_g t_g is the same in any partition, of quadratic parts it has 1 / (G - 1)^3 of their variance: so
    the second term counts them once.

    Limits: e is known to about 1 / sqrt(2 P (G - 1)) of it, worse where a largest value decides. It knows nothing
    of the bias.

    Args:
      values: [P, G, ...] by name, t_g, all of one shape.
      shifts: [P, G, ...] what must be added to t_g and is no smooth function of the sample, such as the effect of a
        largest value: it takes part in the first term alone. None: nothing.

    Returns:
      `<name>_error` [...].
    """
    # All at once: names one after the other would take the compiler as many times as long.
    smooth = jnp.stack([value for value in values.values()], axis=-1)
    whole = smooth if shifts is None else smooth + jnp.stack([shifts[name] for name in values], axis=-1)
    number, groups = smooth.shape[:2]
    deviations = whole - jnp.mean(whole, axis=1, keepdims=True)
    squares = jnp.mean(jnp.sum(deviations**2, axis=1), axis=0) * (groups - 1) / groups
    if number > 1:
        twice = jnp.var(jnp.mean(smooth, axis=1), axis=0, ddof=1) * (groups - 1) ** 3
        squares = jnp.maximum(squares - twice, squares / 2)
    return {
        f"{name}_error": error for name, error in zip(values, jnp.moveaxis(jnp.sqrt(squares), -1, 0), strict=True)
    }
