"""What a sweep takes of a device's memory, by XLA's own count of the compiled programs."""

import dataclasses
from typing import Any

import humanize
import jax

from collapse_jax.engine import packing
from collapse_jax.tasks import Dataset

# Outputs of a boundary stay on the devices while the next chunk runs, so those of two boundaries can be alive.
BOUNDARIES = 2


@dataclasses.dataclass(frozen=True)
class Memory:
    """Bytes per device.

    Attributes:
      states: parameters and moments of all runs of the device.
      data: the data set.
      working: the largest temporary memory of any program: gradients, activations, measures.
      outputs: measures and snapshots that wait to be written.
      limit: of the device, None where it is not known.
    """

    states: int
    data: int
    working: int
    outputs: int
    limit: int | None = None

    @property
    def total(self) -> int:
        """Bytes at the peak."""
        return self.states + self.data + self.working + self.outputs

    def __str__(self) -> str:
        parts = {"states": self.states, "data": self.data, "working": self.working, "outputs": self.outputs}
        parts_text = ", ".join(f"{name} {humanize.naturalsize(size)}" for name, size in parts.items())
        limit = f" of {humanize.naturalsize(self.limit)}" if self.limit else ""
        return f"{humanize.naturalsize(self.total)}{limit} ({parts_text})"


def of_programs(
    programs: tuple[jax.stages.Compiled, jax.stages.Compiled, jax.stages.Compiled],
    data: Dataset,
    limit: int | None = None,
) -> Memory:
    """Read the memory of a sweep from its compiled programs: advance, measure and snapshot."""
    advance, measure, snapshot = (analysis(program) for program in programs)
    return Memory(
        # As they lie on the device, padding included.
        states=advance.output_size_in_bytes,
        data=bytes_of(data),
        working=max(program.temp_size_in_bytes for program in (advance, measure, snapshot)),
        outputs=BOUNDARIES * (measure.output_size_in_bytes + snapshot.output_size_in_bytes),
        limit=packing.device_memory() if limit is None else limit,
    )


def analysis(program: jax.stages.Compiled) -> Any:
    """Return XLA's count of a program's memory; every backend of the engine has one."""
    return program.memory_analysis()


def bytes_of(tree: Any) -> int:
    """Return the bytes of all arrays of a tree, or of their shapes."""
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))
