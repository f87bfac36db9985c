"""Reported errors of the measures of information against the spread of their values over fresh samples.

python -m benchmarks.calibration > benchmarks/results/calibration.txt

Each sample of 500 or 200 examples draws labels (ten classes, equally likely), features and inputs anew:
"independent" of one another; "clusters" of width 0.5 around class centres; "collapsed", the same of width 0.001;
features that are a "function" of the inputs. Reported: root of the mean square of `_error`. True: standard
deviation of the values over the samples; a dash where they do not vary. Suffixes are those of `noisy_channel`.
"""

import functools
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from collapse_jax.measures import Probe, Snapshot
from collapse_jax.measures.base import Scalars
from collapse_jax.measures.families.layer_information import layer_information
from collapse_jax.measures.families.mutual_information import mutual_information
from collapse_jax.measures.families.nhsic import nhsic
from collapse_jax.measures.families.noisy_channel import noisy_channel
from collapse_jax.system import runtime

CLASSES, DIM, INPUTS = 10, 20, 30
WIDTHS = {"independent": 1.0, "clusters": 0.5, "collapsed": 1e-3, "function": 0.5}
COUNTS = (500, 200)
# What is left to the measure: nulls take time and say nothing of errors.
ALONE: dict[str, Any] = {"permutations": 0}


def binned(snapshot: Snapshot) -> Scalars:
    """The binned estimates of the features as the one layer of a network, two units in ten bins each."""
    train = snapshot.train.replace(layers=(snapshot.train.features[:, :2],))
    own = snapshot.replace(train=train)
    values = layer_information(own, estimators=("binned",), bins=10, **ALONE)
    return {name: value[0] for name, value in values.items()}


MEASURES: Mapping[str, Callable[[Snapshot], Scalars]] = {
    "nHSIC": functools.partial(nhsic, **ALONE),
    "mutual information, KSG": functools.partial(mutual_information, **ALONE),
    "mutual information, reference": functools.partial(mutual_information, mode="reference", **ALONE),
    "noisy channel": functools.partial(noisy_channel, **ALONE),
    "binned": binned,
}


def draw(kind: str, count: int, samples: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features [S, N, D], labels [S, N] and inputs [S, N, P] of S samples."""
    centres = np.random.default_rng(0).normal(size=(CLASSES, INPUTS))
    rng = np.random.default_rng([count, list(WIDTHS).index(kind)])
    width = WIDTHS[kind]
    labels = rng.integers(0, CLASSES, size=(samples, count))
    inputs = centres[labels] + width * rng.normal(size=(samples, count, INPUTS))
    if kind == "function":
        mixing = np.random.default_rng(1).normal(size=(INPUTS, DIM)) / INPUTS**0.5
        return np.maximum(inputs @ mixing, 0), labels, inputs
    shown = rng.permuted(labels, axis=1) if kind == "independent" else labels
    features = np.maximum(centres[shown][..., :DIM] + width * rng.normal(size=(samples, count, DIM)), 0)
    return features, labels, inputs


def errors_of(
    measure: Callable[[Snapshot], Scalars], kind: str, count: int, samples: int
) -> dict[str, tuple[float, float, float]]:
    """Mean, true and reported standard deviation of every variable with an error."""
    features, labels, inputs = draw(kind, count, samples)
    given = jnp.asarray(features, jnp.float32), jnp.asarray(labels), jnp.asarray(inputs, jnp.float32)
    values = {name: np.asarray(value) for name, value in _program(measure)(given).items()}
    result = {}
    for name, value in values.items():
        stem, separator, sigma = name.partition("_sigma")
        error = f"{stem}_error{separator}{sigma}"
        if error in values:
            reported = float(np.sqrt(np.mean(np.square(values[error]))))
            result[name] = float(value.mean()), float(value.std(ddof=1)), reported
    return result


@functools.cache
def _program(measure: Callable[[Snapshot], Scalars]) -> Callable[..., Scalars]:
    """The measure of all samples, one after the other; compiled once for data of one shape."""

    def take(sample: tuple[jax.Array, jax.Array, jax.Array]) -> Scalars:
        features, labels, inputs = sample
        return measure(Snapshot(Probe(features, labels, inputs=inputs), num_classes=CLASSES))

    return jax.jit(lambda samples: jax.lax.map(take, samples))


def rows(samples: int) -> Iterator[str]:
    """Lines of the table."""
    for title, measure in MEASURES.items():
        yield f"\n{title}\n{'':32}" + "".join(f"{kind:>12} {count}" for count in COUNTS for kind in WIDTHS)
        found = [errors_of(measure, kind, count, samples) for count in COUNTS for kind in WIDTHS]
        for name in found[0]:
            yield f"{name:32}" + "".join(f"{_ratio(*one[name]):>16}" for one in found)


def _ratio(mean: float, true: float, reported: float) -> str:
    """The ratio; a dash where the value does not vary."""
    return f"{reported / true:.2f}" if true > 1e-5 * abs(mean) else "-"


if __name__ == "__main__":
    runtime.start(devices=1)
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    known = (0.5 / number) ** 0.5
    print(f"Reported over true standard error, of {number} samples, which know the latter to {known:.0%}")
    for row in rows(number):
        print(row, flush=True)
