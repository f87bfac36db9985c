"""Pixels to network inputs."""

from collections.abc import Sequence

import numpy as np

# Mean and deviation of the training pixels / 255 per channel that are customary (and those of arXiv:2509.20829).
CONSTANTS: dict[str, tuple[Sequence[float], Sequence[float]]] = {
    "mnist": ((0.1307,), (0.3081,)),
    "fashion_mnist": ((0.2860,), (0.3530,)),
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),
}


def normalise(
    train: np.ndarray, test: np.ndarray, normalisation: str, dataset: str = ""
) -> tuple[np.ndarray, np.ndarray]:
    """Return float32 inputs of the training and test examples.

    uint8 becomes (x / 255 - mean) / std per channel, or x / 255 with the normalisation "unit"; the constants are
    those of `CONSTANTS`, or else of `train` itself. Floating-point inputs are taken as they are.

    Args:
      train: [N, H, W, C] or [N, D].
      test: [M, ...] of the same shape.
      normalisation: "standard" or "unit".
      dataset: name in `CONSTANTS`, or any other.
    """
    if train.dtype != np.uint8:
        return train.astype(np.float32), test.astype(np.float32)
    if normalisation == "unit":
        return _unit(train), _unit(test)
    constants = CONSTANTS.get(dataset) or channel_statistics(train)
    mean, std = (np.asarray(values, np.float32) for values in constants)
    return (_unit(train) - mean) / std, (_unit(test) - mean) / std


def channel_statistics(pixels: np.ndarray) -> tuple[list[float], list[float]]:
    """Return mean and deviation of uint8 `pixels` / 255 per channel of [N, H, W, C], or over all of [N, D].

    Sums of integers are exact, so every machine gets the same bits. A constant channel has deviation 1.
    """
    channels = pixels.reshape(-1, pixels.shape[-1] if pixels.ndim > 2 else 1)
    values = np.arange(256)
    means, deviations = [], []
    for channel in range(channels.shape[1]):
        counts = np.bincount(channels[:, channel], minlength=256)
        total, first, second = int(counts.sum()), int(counts @ values), int(counts @ values**2)
        means.append(first / total / 255)
        deviations.append((total * second - first**2) ** 0.5 / total / 255 or 1.0)
    return means, deviations


def _unit(pixels: np.ndarray) -> np.ndarray:
    return pixels.astype(np.float32) / np.float32(255)
