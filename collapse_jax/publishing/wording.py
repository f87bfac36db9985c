"""How the pages write numbers.

Results are float32, which holds no 0.9125 but a number a little below it. So a number is taken with the seven
digits that float32 is good for, and a half of the last digit shown goes up, as one does by hand: 0.913.
"""

import re
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import numpy as np


def number(value: Any, digits: int = 3) -> str:
    """Write a number with so many digits after the point, thousands apart: "0.913"; -2: "12,300"."""
    value = float(value)
    if not np.isfinite(value):
        return "∞" if value > 0 else "-∞" if value < 0 else "nan"
    rounded = Decimal(f"{value:.7g}").quantize(Decimal(1).scaleb(-digits), rounding=ROUND_HALF_UP)
    return f"{rounded if rounded else abs(rounded):,f}"


def listed(values: Any, digits: int = 3, between: str = ", ") -> str:
    """Write each value: "0.907, 0.896"."""
    return between.join(number(value, digits) for value in np.ravel(values))


def ends(values: Any, digits: int = 3, between: str = " to ") -> str:
    """Write the lowest and the highest value, one number where they look the same: "0.84 to 0.88"."""
    low, high = number(np.nanmin(values), digits), number(np.nanmax(values), digits)
    return low if low == high else f"{low}{between}{high}"


def mean(values: Any, digits: int = 3) -> str:
    """Write the mean of what is known."""
    return number(np.nanmean(np.asarray(values, float)), digits)


def mean_range(values: Any, digits: int = 3) -> str:
    """Write mean, lowest and highest: "0.907 [0.895, 0.913]"."""
    return f"{mean(values, digits)} [{number(np.nanmin(values), digits)}, {number(np.nanmax(values), digits)}]"


def mean_error(values: Any, digits: int = 3) -> str:
    """Write mean and standard error of the mean: "0.592 +- 0.019"."""
    found = np.ravel(values).astype(float)
    return f"{number(found.mean(), digits)} +- {number(found.std(ddof=1) / found.size**0.5, digits)}"


def short(text: str) -> str:
    """Leave out the zeros before the points of numbers: ".912 [.903, .918]"."""
    return re.sub(r"(?<!\d)0\.", ".", text)
