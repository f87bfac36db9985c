"""Which classes of a data set have examples, in words. No jax: reports read it of records."""

from collections.abc import Sequence

import numpy as np

MAX_NAMED = 10


def without_examples(counts: Sequence[int] | np.ndarray) -> str:
    """Say which classes have no training example, "" if each has one.

    Args:
      counts: [K] training examples of each class.
    """
    empty = [str(label) for label, count in enumerate(counts) if not count]
    listed = ", ".join(empty[:MAX_NAMED]) + (", ..." if len(empty) > MAX_NAMED else "")
    return f"no training example of {len(empty)} of the {len(counts)} classes: {listed}" if empty else ""
