"""Accelerators: what their makers state of one chip."""

import dataclasses
import math
import re

from collapse_jax.errors import ConfigError, require, unknown

DEFAULT_TARGET = "tpu-v5e:2x2"
MOST_GPUS = 10_000


@dataclasses.dataclass(frozen=True)
class Chip:
    """One chip.

    Attributes:
      memory: bytes that XLA may use.
      bandwidth: of that memory, bytes per second.
      flops: precision -> peak floating-point operations per second of matrix products with float32 operands.
      dimensions: of its interconnect, 0 where chips are only counted.
      most: chips that can be had in one piece.
    """

    memory: float
    bandwidth: float
    flops: dict[str, float]
    dimensions: int = 0
    most: int = MOST_GPUS


def _tpu(memory: float, bandwidth: float, bf16: float, dimensions: int, most: int) -> Chip:
    """Describe a TPU, which multiplies float32 as 6 ("highest") or 3 ("high") products of bfloat16."""
    return Chip(memory, bandwidth, {"highest": bf16 / 6, "high": bf16 / 3, "default": bf16}, dimensions, most)


def _gpu(memory: float, bandwidth: float, float32: float, tf32: float) -> Chip:
    return Chip(memory, bandwidth, {"highest": float32, "high": tf32 / 3, "default": tf32})


CHIPS = {
    "tpu-v4": _tpu(32e9, 1.23e12, 275e12, 3, 4096),
    "tpu-v5e": _tpu(16e9, 0.82e12, 197e12, 2, 256),
    "tpu-v5p": _tpu(95e9, 2.77e12, 459e12, 3, 8960),
    "tpu-v6e": _tpu(32e9, 1.64e12, 918e12, 2, 256),
    "a100": _gpu(80e9, 2.04e12, 19.5e12, 156e12),
    "h100": _gpu(80e9, 3.35e12, 67e12, 494e12),
    "h200": _gpu(141e9, 4.8e12, 67e12, 494e12),
}


@dataclasses.dataclass(frozen=True)
class Target:
    """Chips that a sweep is planned for; `topology` is their arrangement, "" for a mere number of chips."""

    name: str
    chip: Chip
    devices: int
    topology: str = ""

    @property
    def is_tpu(self) -> bool:
        """Whether libtpu can compile for it."""
        return bool(self.topology)


def parse_target(text: str | None) -> Target:
    """Read "chip:topology", such as tpu-v5e:2x2, tpu-v5p:2x2x1 or h100:8.

    Raises:
      ConfigError: the chip is not known or its topology is malformed.
    """
    text = DEFAULT_TARGET if text is None else text
    name, _, arrangement = text.partition(":")
    if name not in CHIPS:
        raise ConfigError("--target", text, unknown("chip", name, CHIPS))
    chip = CHIPS[name]
    count = chip.dimensions or 1
    if not re.fullmatch(r"x".join([r"[1-9]\d{0,3}"] * count), arrangement):
        example = "x".join(["2", "2", "1"][:count]) if chip.dimensions else "8"
        raise ConfigError("--target", text, f"must be {name}:{'x'.join(['N'] * count)}, such as {name}:{example}")
    devices = math.prod(int(part) for part in arrangement.split("x"))
    require(devices <= chip.most, "--target", text, f"is {devices} chips; at most {chip.most} make one {name}")
    return Target(name, chip, devices, arrangement if chip.dimensions else "")
