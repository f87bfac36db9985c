"""Counts of neighbours where rows lie at equal distances: the mean over random orders of those that do."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.special import digamma

# Where psi(x) - log(x) is below the rounding of float32.
_CERTAIN = 1e8


class Shell(NamedTuple):
    """Rows at exactly the distance r of one space, by their distance in the other one.

    Attributes:
      closer: below r there; in the joint space they are at r.
      same: at r there, too; in the joint space they are at r.
      farther: beyond r there, and in the joint space.
    """

    closer: jax.Array
    same: jax.Array
    farther: jax.Array


def local_information(counts: jax.Array, radius: jax.Array, k: int | jax.Array) -> jax.Array:
    r"""psi(k) - psi(a) - psi(b) of one row, rows at equal distance being in random order.

    `radius` r is the distance to the k-th neighbour in the joint space, whose distances are the larger of those in
    the first and in the second. `counts` [3, 3] says how many of all rows, the row itself among them, are closer
    than r, at r and farther in the first space and (columns) in the second. a and b count the rows closer than r,
    the row itself among them (Kraskov et al. 2004). That is all where no other row is at r.

    Where several are, an infinitesimal independent noise in each space would bring them into an order, and leave
    the information as it is. The value is the mean over these orders. At r = 0, k of n equal rows stand at random
    among the m_a equal in `first`, m_b in `second`, and the mean is exact:

        psi(n) - psi(m_a) - psi(m_b),    the row itself in all three.

    At r > 0 mean and variance of a and b enter (`_moments`): the bias of independent normal variables on
    grids stays below 0.01 (steps of 0.1 to 2, k from 1 to 5, one to four coordinates).
    """
    inside, same = counts[0, 0], counts[1, 1]
    in_first, in_second = jnp.sum(counts[0]), jnp.sum(counts[:, 0])
    of_first = Shell(counts[1, 0], same, counts[1, 2])
    of_second = Shell(counts[0, 1], same, counts[2, 1])
    rank = jnp.maximum(k - inside + 1, 1).astype(radius.dtype)  # of the k-th neighbour among those at r
    mean_a, shape_a = _moments(in_first, of_first, of_second.closer, rank)
    mean_b, shape_b = _moments(in_second, of_second, of_first.closer, rank)
    repeated = [same, same + of_first.farther, same + of_second.farther]
    # One digamma function of all: it is long, and compiled once.
    numbers = [k, mean_a, mean_b, shape_a, shape_b, *repeated]
    psi = digamma(jnp.stack([jnp.asarray(number, radius.dtype) for number in numbers]))
    positive = psi[0] - psi[1] - psi[2] - (psi[3] - jnp.log(shape_a)) - (psi[4] - jnp.log(shape_b))
    return jnp.where(radius == 0, psi[5] - psi[6] - psi[7], positive)


def _moments(count: jax.Array, shell: Shell, other: jax.Array, rank: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Mean of a and mean^2 / variance, `_CERTAIN` for none, with E psi(a) = psi(mean) + psi(shape) - log(shape).

    That is exact for a count that does not vary, and for one of negative binomial law (neighbours among many rows).
    `count` rows of this space are closer than r; `other` rows are at r in the other space alone, closer here. Noise
    is uniform on [0, 1]: rows of the shell lie in the joint space at theirs, `same` ones at the larger of two. The
    k-th neighbour is the one of this `rank` there.
    """
    own, both, beyond = (x.astype(rank.dtype) for x in shell)
    count, other = count.astype(rank.dtype), other.astype(rank.dtype)
    total = own + other + both
    # One row at r in both spaces is no tie: two spaces are equal, not two rows.
    own, both = jnp.where(total == 1, own + both, own), jnp.where(total == 1, 0, both)
    single = total - both
    # The share of joint rows below its noise u is Beta(rank, total + 1 - rank), and (single u + both u^2) / total.
    share = rank / (total + 1)
    spread = share * (1 - share) / (total + 2)
    discriminant = jnp.sqrt(single**2 + 4 * both * total * share)
    u = 2 * total * share / (single + discriminant)
    slope = total / discriminant
    u_variance = slope**2 * spread
    u_mean = u - both / total * slope**3 * spread
    here = (own + both * u) / (single + 2 * both * u)  # whether this space holds the k-th neighbour at its noise
    mean = count + (own + both + beyond) * u_mean - here * (1 - u_mean)
    # Rows below u here that are none of the joint rows below u, of which there are rank - 1 always.
    free = beyond + both * (1 - 2 * u)
    binomial = (beyond * u + both * u * (1 - u)) * (1 - u) * (total + 1) / (total + 2)
    divided = (rank - 1) * own * other / total**2 * (1 - share)
    variance = free**2 * u_variance + binomial + divided
    return mean, mean**2 / jnp.maximum(variance, mean**2 / _CERTAIN)
