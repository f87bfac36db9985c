"""MNIST one image at a time: the work that torchvision's data set and transforms do per example, written anew."""

import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.utils.data import Dataset

import collapse_jax

ARCHIVE = pathlib.Path(collapse_jax.__file__).parent / "data" / "mnist_subset.npz"
MEAN, STD = 0.1307, 0.3081


def load() -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """Return uint8 images [N, 28, 28] and labels [N] of the training and the test set."""
    with np.load(ARCHIVE) as arrays:
        return {
            name: (
                torch.from_numpy(arrays[f"{name}_images"]).reshape(-1, 28, 28),
                torch.from_numpy(arrays[f"{name}_labels"]).long(),
            )
            for name in ("train", "test")
        }


class Images(Dataset):
    """Images that are turned into PIL images and transformed each time they are asked for."""

    def __init__(self, data: torch.Tensor, targets: torch.Tensor, transform: Callable[[Any], Any]):
        self.data, self.targets, self.transform = data, targets, transform

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        image, target = self.data[index], int(self.targets[index])
        return self.transform(Image.fromarray(image.numpy())), target


class Compose:
    """Transforms in a row."""

    def __init__(self, transforms: Sequence[Callable[[Any], Any]]):
        self.transforms = transforms

    def __call__(self, value: Any) -> Any:
        """Apply them."""
        for transform in self.transforms:
            value = transform(value)
        return value


def to_tensor(image: Image.Image) -> torch.Tensor:
    """Return the pixels [channels, height, width] in [0, 1]."""
    pixels = torch.from_numpy(np.array(image, np.uint8, copy=True))
    pixels = pixels.view(image.size[1], image.size[0], len(image.getbands())).permute(2, 0, 1).contiguous()
    return pixels.to(dtype=torch.get_default_dtype()).div(255)


class Normalize:
    """Subtracts a mean and divides by a standard deviation per channel, refusing zero."""

    def __init__(self, mean: Sequence[float], std: Sequence[float]):
        self.mean, self.std = mean, std

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        """Normalise a copy."""
        pixels = pixels.clone()
        mean = torch.as_tensor(self.mean, dtype=pixels.dtype, device=pixels.device)
        std = torch.as_tensor(self.std, dtype=pixels.dtype, device=pixels.device)
        if (std == 0).any():
            raise ValueError(f"std: {self.std}; must not be 0")
        return pixels.sub_(mean.view(-1, 1, 1)).div_(std.view(-1, 1, 1))
