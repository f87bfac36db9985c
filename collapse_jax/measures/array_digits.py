"""Whether arrays of float64 lose in float32 what measures read: differences within classes."""

from typing import Any

import numpy as np

# Share of the variance within classes that rounding may add: less than float32 sums are right to.
LOST = 1e-6


def loses_digits(array: np.ndarray, labels: np.ndarray | None = None) -> bool:
    """Whether rounding rows to float32 adds more than `LOST` to their variance within classes.

    Args:
      array: [N, ...] of any type; what is no float64 loses nothing.
      labels: [N] classes; None: one class.
    """
    if array.dtype != np.float64 or array.ndim < 2 or not array.size:
        return False
    rows = array.reshape(len(array), -1)
    classes = np.zeros(len(rows), int) if labels is None else np.unique(labels, return_inverse=True)[1]
    with np.errstate(over="ignore", invalid="ignore"):
        rounding = np.sum((rows.astype(np.float32) - rows) ** 2)
        within = sum(
            np.sum((part - part.mean(0)) ** 2) for part in (rows[classes == c] for c in np.unique(classes))
        )
    return bool(rounding > LOST * within)


def needs_float64(arrays: dict[str, Any]) -> bool:
    """Whether one of the arrays of `measure_arrays` loses digits in float32; what is no array loses none."""
    for name, value in arrays.items():
        kind = "test" if name.startswith("test") else "train"
        try:
            parts = [np.asarray(part) for part in (value if name.endswith("layers") else [value])]
            labels = np.asarray(arrays[f"{kind}_labels"])
        except (TypeError, ValueError, RuntimeError):  # said in one line where the array is read
            continue
        for part in parts:
            of_classes = name.split("_")[0] in ("train", "test") and labels.shape == part.shape[:1]
            if name not in ("train_labels", "test_labels") and loses_digits(part, labels if of_classes else None):
                return True
    return False
