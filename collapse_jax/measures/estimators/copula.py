"""Gaussian copula: variables by their ranks, as normal scores (Ince et al. 2017, doi:10.1002/hbm.23471)."""

import numpy as np
from scipy.special import ndtri

TIES = ("average", "ordinal", "random")


def ranks(x: np.ndarray, ties: str, rng: np.random.Generator) -> np.ndarray:
    """Return the ranks 1 ... N of each column of x [N, n].

    Equal numbers have the mean of their ranks ("average"), those of their places in the sample ("ordinal"), or
    these in an order that is random in each column ("random").
    """
    order = np.argsort(x, axis=0, kind="stable") if ties != "random" else _mixed_order(x, rng)
    places = np.arange(1.0, len(x) + 1)
    if ties == "average":
        ascending = np.take_along_axis(x, order, 0)
        places = np.stack([_mean_places(column) for column in ascending.T], axis=1)
    found = np.empty(x.shape)
    np.put_along_axis(found, order, places if ties == "average" else places[:, None], 0)
    return found


def _mixed_order(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the order of each column, equal numbers in random order."""
    mixed = rng.permuted(np.broadcast_to(np.arange(len(x))[:, None], x.shape), axis=0)
    return np.take_along_axis(mixed, np.argsort(np.take_along_axis(x, mixed, 0), axis=0, kind="stable"), 0)


def _mean_places(ascending: np.ndarray) -> np.ndarray:
    """Return the places 1 ... N of sorted numbers [N], equal ones with the mean of theirs."""
    begins = np.flatnonzero(np.concatenate([[True], ascending[1:] != ascending[:-1]]))
    sizes = np.diff(np.append(begins, len(ascending)))
    return np.repeat(begins + (sizes + 1) / 2, sizes)


def copula_correlation(x: np.ndarray, ties: str, rng: np.random.Generator) -> np.ndarray:
    """Return the correlation [n, n] of the normal scores Phi^-1(rank / (N + 1)) of the columns of x [N, n].

    No column may be constant.
    """
    scores = ndtri(ranks(x, ties, rng) / (len(x) + 1))
    scores -= scores.mean(axis=0)
    scores /= np.sqrt(np.sum(scores**2, axis=0))
    return scores.T @ scores
