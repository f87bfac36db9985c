"""The part of `complexity` on the host: bzip2 of the finalists, and what follows from the smallest."""

import concurrent.futures
import math
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from collapse_jax.measures.estimators import messages

UNITS = ("nat", "bit")
_SPECTRA = ("weight_spectral_entropy", "weight_effective_rank", "weight_effective_rank_mean")
_Point = tuple[tuple[int, ...], float]  # ranks and bin width


def smallest(
    values: Mapping[str, np.ndarray], *, mode: str = "corrected", delta: float = 0.05, unit: str = "nat"
) -> dict[str, Any]:
    """Choose per distortion the smallest of the finalists; see `complexity.complexity`.

    Args:
      values: what `complexity` returned.
      mode: how they are told.
      delta: of the bound.
      unit: of the bound.
    """
    tensors = messages.unpacked(values)
    sizes = _sizes(tensors, values, mode)  # [E, F]
    exact = messages.exact_size(tensors)
    best, none = _best(sizes, values["distortion"], values["allowed"])
    plain = _best(sizes[:, :1], values["distortion"][:, :1], values["allowed"])

    def chosen(name: str, otherwise: Any, *entry: int) -> np.ndarray:
        found = np.asarray(values[name], np.float64)
        return np.where(none, otherwise, found.reshape(sizes.size, -1)[(best, *(entry or (0,)))])

    loss, nats, wrong = (chosen("seen", values["began"][i], i) for i in range(3))
    size = np.where(none, exact, sizes.ravel()[best])
    n = max(int(values["examples"]), 1)
    bits = 8 * size
    gap = np.sqrt((bits * (math.log(2) if unit == "nat" else 1) + 2 * np.log(bits) + math.log(1 / delta)) / (2 * n))
    by_distortion = {
        "complexity": size,
        "complexity_threshold": chosen("threshold", 1.0),
        "complexity_bin_width": chosen("width", 0.0),
        "complexity_distortion": loss - values["began"][0],
        "quantised_complexity": np.where(plain[1], exact, sizes[plain[0], 0]),
        "coarse_train_loss": loss,
        "coarse_train_error": wrong,
        "description_length": size + n * nats / math.log(2) / 8,
        "complexity_gap": gap,
        "generalisation_bound": wrong + gap,
    }
    if "test" in values:
        by_distortion["coarse_test_loss"] = chosen("test", values["test_began"])
    defined = np.isfinite(values["began"][0]) or mode == "reference"
    result = {name: np.where(defined, value, np.nan) for name, value in by_distortion.items()}
    spectra = {name: values[name] for name in _SPECTRA if name in values}
    return result | {"naive_size": messages.naive_size(tensors)} | spectra


def _best(sizes: np.ndarray, distortion: np.ndarray, allowed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """[E] the smallest candidate, of all, whose distortion each limit allows, and whether there is none.

    What was found within a smaller distortion is within a larger one, too: sizes never grow with the distortion.
    """
    feasible = distortion.ravel()[None] < allowed[:, None]
    held = np.where(feasible & np.isfinite(sizes.ravel())[None], sizes.ravel()[None], np.inf)
    return np.argmin(held, axis=1), np.asarray(np.isinf(held).all(axis=1))


def _sizes(tensors: Mapping[str, Any], values: Mapping[str, np.ndarray], mode: str) -> np.ndarray:
    """[E, F] bytes of every candidate, nan where there is none; equal ones are compressed once."""
    width = values["width"]
    points: dict[_Point, int] = {}
    for index in np.ndindex(width.shape):
        if width[index] > 0:  # nan where nothing was found
            points[_point(values, index)] = 0
    with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        told = pool.map(lambda p: messages.size(tensors, np.array(p[0]), p[1], mode), points)
        points = dict(zip(points, told, strict=True))
    sizes = np.full(width.shape, np.nan)
    for index in np.ndindex(width.shape):
        if width[index] > 0:  # nan where nothing was found
            sizes[index] = points[_point(values, index)]
    return sizes


def _point(values: Mapping[str, np.ndarray], index: tuple[int, ...]) -> _Point:
    return tuple(values["ranks"][index].tolist()), float(values["width"][index])
