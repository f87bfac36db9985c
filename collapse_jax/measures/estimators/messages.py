"""The bytes that a coarse-grained network is told in, on the host."""

import bz2
import pickle
import struct
import sys
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from collapse_jax.measures.estimators.coarse_graining import RAW, Tensor

Arrays = Mapping[str, np.ndarray]
PARTS = ("weights", "used", "left", "right", "shape")


def packed(tensors: dict[str, Tensor], params: Any) -> dict[str, jax.Array]:
    """What the host needs of the tensors to write any of their coarse-grainings: "left:head/kernel" -> array."""
    arrays: dict[str, jax.Array] = {}
    for (name, tensor), leaf in zip(tensors.items(), jax.tree.leaves(params), strict=True):
        parts = {"weights": tensor.weights, "used": tensor.used, "shape": jnp.array(leaf.shape, jnp.int32)}
        if tensor.left is not None and tensor.right is not None:
            parts |= {"left": tensor.left, "right": tensor.right}
        arrays |= {f"{part}:{name}": array for part, array in parts.items()}
    return arrays


def unpacked(values: Arrays) -> dict[str, dict[str, np.ndarray]]:
    """The arrays of `packed`, by tensor and part; tensors in the order of `jax.tree.leaves`, which jit loses."""
    tensors: dict[str, dict[str, np.ndarray]] = {}
    for key, array in values.items():
        part, _, name = key.partition(":")
        if name and part in PARTS:
            tensors.setdefault(name, {})[part] = array
    return {name: tensors[name] for name in sorted(tensors, key=lambda name: name.split("/"))}


def size(tensors: Mapping[str, Arrays], kept: np.ndarray, width: float, mode: str) -> int:
    """Bytes of the coarse-grained network.

    * "corrected": those of `message`.
    * "paper": bzip2 (level 9) of all numbers, float32, little-endian, without header.
    * "reference": bzip2 of the pickle of the authors' code, which depends on the version of jax.
    """
    if mode == "reference":
        return len(bz2.compress(_pickle(tensors, kept, width)))
    return len(message(tensors, kept, width) if mode == "corrected" else bz2.compress(_body(tensors, kept, width)))


def message(tensors: Mapping[str, Arrays], kept: np.ndarray, width: float) -> bytes:
    """A message from which the coarse-grained parameters can be rebuilt, given the names of the tensors.

    A header, all little-endian: the bin width (float32); of every tensor, in the order of `jax.tree.leaves` (by
    name), the number of its axes (uint8) and their lengths (uint32); of one with two axes or more its rank (int16,
    -1: not factored) and whether rows are left out (uint8), and if so one bit per row, 1 where it is told. Then
    bzip2 (level 9) of the numbers, float32 multiples of the bin width: per tensor its rows, or U s [m, k] and then
    V^T [k, n].
    """
    head = [struct.pack("<f", width)]
    for tensor, k in zip(tensors.values(), kept, strict=True):
        shape = tensor["shape"].tolist()
        head.append(struct.pack(f"<B{len(shape)}I", len(shape), *shape))
        if len(shape) >= 2:
            used = tensor["used"]
            head.append(struct.pack("<hB", int(k), not used.all()))
            head.append(b"" if used.all() else np.packbits(used).tobytes())
    return b"".join(head) + bz2.compress(_body(tensors, kept, width))


def exact_size(tensors: Mapping[str, Arrays]) -> int:
    """Bytes of bzip2 of the numbers that are used, not quantised."""
    return len(bz2.compress(b"".join(_bytes(t["weights"][t["used"]]) for t in tensors.values())))


def naive_size(tensors: Mapping[str, Arrays]) -> int:
    """Bytes of bzip2 of each tensor alone, not quantised, summed."""
    return sum(len(bz2.compress(_bytes(t["weights"][t["used"]]))) for t in tensors.values())


def _quantised(array: np.ndarray, width: float) -> np.ndarray:
    step = np.float32(width)
    return np.round(array.astype(np.float32) / step) * step + np.float32(0)  # -0 + 0 = 0


def _arrays(tensor: Arrays, k: int, width: float) -> tuple[np.ndarray, ...]:
    used = tensor["used"]
    if k == RAW or "left" not in tensor:
        return (_quantised(tensor["weights"][used], width),)
    return _quantised(tensor["left"][used, :k], width), _quantised(tensor["right"][:k], width)


def _body(tensors: Mapping[str, Arrays], kept: np.ndarray, width: float) -> bytes:
    parts = (_arrays(tensor, k, width) for tensor, k in zip(tensors.values(), kept, strict=True))
    return b"".join(_bytes(array) for arrays in parts for array in arrays)


def _bytes(array: np.ndarray) -> bytes:
    return array.astype("<f4").tobytes()


def _pickle(tensors: Mapping[str, Arrays], kept: np.ndarray, width: float) -> bytes:
    """(leaves, treedef) of the tree of raveled jax arrays; a factored matrix is a pair of them."""
    tree: dict[str, Any] = {}
    for (name, tensor), k in zip(tensors.items(), kept, strict=True):
        *folders, last = map(sys.intern, name.split("/"))  # a pickle refers back to a key that is the same object
        place = tree
        for folder in folders:
            place = place.setdefault(folder, {})
        arrays = tuple(jnp.asarray(array.ravel(), jnp.float32) for array in _arrays(tensor, k, width))
        place[last] = arrays[0] if k == RAW else arrays
    return pickle.dumps(jax.tree.flatten(tree))
