"""Calibration of `learning_coefficient` on losses whose learning coefficient is known.

nice python -m benchmarks.learning_coefficient > benchmarks/results/learning_coefficient.txt

quadratic    sum_i h_i w_i^2 / 2, d directions: the closed form of the measure's docstring; d/2 without localisation
power        w^(2k): 1 / (2k), at every temperature
crossing     w_1^(2k) w_2^(2l): N beta E L of the localised density by quadrature; lambda = min(1/(2k), 1/(2l)),
             with multiplicity 2, and so 1 / log(N beta) below it, where they are equal
rank         ||W_2 W_1 - A||^2 / 2, A [m, n] of rank r, W_1 [h, n]: the theorem of Aoyagi and Watanabe, Neural
             Networks 18 (2005) 924; localised by 1, without which the chains drift along W_2 = 0

Columns: llc and its error over chains, drift, the right value where it is exact, lambda, d/2.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from collapse_jax.measures import Probe, Snapshot
from collapse_jax.measures.families.learning_coefficient import VARIABLES, learning_coefficient


@dataclasses.dataclass(frozen=True)
class Model:
    """A loss of some parameters, where it is least, and what is known of its learning coefficient.

    Attributes:
      loss: parameters -> loss, the same for every example.
      minimum: parameters.
      heat: N beta.
      options: of the measure.
      known: lambda.
      exact: N beta E L of the localised density, where there is a formula or a quadrature.
    """

    loss: Callable[[Any], jax.Array]
    minimum: Any
    heat: float
    options: dict[str, Any]
    known: float
    exact: float = float("nan")


EXAMPLES = 2


def snapshot_of(loss: Callable[[Any], jax.Array], minimum: Any) -> Snapshot:
    """Return a network whose loss is `loss` of its parameters for each of two examples."""

    def network(params: Any, batch_stats: Any, inputs: jax.Array) -> tuple[jax.Array, tuple[()]]:
        return jnp.broadcast_to(loss(params), (len(inputs), 1)), ()

    zeros = jnp.zeros((EXAMPLES, 1))
    probe = Probe(zeros, jnp.zeros(EXAMPLES, jnp.int32), examples=zeros)
    params = jax.tree.map(jnp.asarray, minimum)
    return Snapshot(train=probe, params=params, network=network, loss=lambda logits, _: logits[:, 0])


def estimate(model: Model) -> dict[str, float]:
    """Take the measure of a model."""
    options = {"localisation": 0.0} | model.options | {"inverse_temperature": model.heat / EXAMPLES}
    snapshot = snapshot_of(model.loss, model.minimum)
    values = jax.jit(lambda s: learning_coefficient(s, **options))(snapshot)
    return {name: float(value) for name, value in values.items()}


def quadratic(curvatures: np.ndarray, heat: float, localisation: float, **options: Any) -> Model:
    """Return the regular model."""
    h = jnp.asarray(curvatures, jnp.float32)
    stiff = heat * curvatures
    width = (stiff + localisation) * (1 - options["step_size"] * (stiff + localisation) / 4)
    return Model(
        lambda w: jnp.sum(h * w**2) / 2,
        np.zeros(len(curvatures), np.float32),
        heat,
        options | {"localisation": localisation},
        len(curvatures) / 2,
        float(np.sum(stiff / width) / 2),
    )


def power(k: int, heat: float, **options: Any) -> Model:
    """Return w^(2k)."""
    return Model(lambda w: w[0] ** (2 * k), np.zeros(1, np.float32), heat, options, 1 / (2 * k), 1 / (2 * k))


def crossing(k: int, m: int, heat: float, localisation: float, **options: Any) -> Model:
    """Return w_1^(2k) w_2^(2m)."""
    sides = np.linspace(-6, 6, 4001) / localisation**0.5
    loss = heat * sides[:, None] ** (2 * k) * sides[None, :] ** (2 * m)
    density = np.exp(-loss - localisation * (sides[:, None] ** 2 + sides[None, :] ** 2) / 2)
    return Model(
        lambda w: w[0] ** (2 * k) * w[1] ** (2 * m),
        np.zeros(2, np.float32),
        heat,
        options | {"localisation": localisation},
        min(1 / (2 * k), 1 / (2 * m)),
        float(np.sum(loss * density) / np.sum(density)),
    )


def rank(rows: int, columns: int, hidden: int, true: int, heat: float, **options: Any) -> Model:
    """Return reduced-rank regression on inputs of unit covariance, localised by 1."""
    target = np.eye(rows, columns) * (np.arange(columns) < true)
    minimum = {
        "second": np.eye(rows, hidden, dtype=np.float32) * (np.arange(hidden) < true),
        "first": np.eye(hidden, columns, dtype=np.float32) * (np.arange(hidden) < true)[:, None],
    }
    return Model(
        lambda w: jnp.sum((w["second"] @ w["first"] - target) ** 2) / 2,
        jax.tree.map(np.float32, minimum),
        heat,
        options | {"localisation": 1.0},
        aoyagi_watanabe(columns, rows, hidden, true),
    )


def aoyagi_watanabe(m: int, n: int, h: int, r: int) -> float:
    """Return the learning coefficient of maps from m to n dimensions of rank h at most, the true one of rank r."""
    if m + h < n + r:
        return (h * m - h * r + n * r) / 2
    if n + h < m + r:
        return (h * n - h * r + m * r) / 2
    if m + n < h + r:
        return m * n / 2
    inner = -((h + r) ** 2) - m**2 - n**2 + 2 * (h + r) * (m + n) + 2 * m * n
    return (inner + (m + h + n + r) % 2) / 8


LONG = {"chains": 16, "burn_in": 20_000, "draws": 80_000}
MODELS = {
    "quadratic": quadratic(np.geomspace(0.1, 10, 6), 1e3, 1.0, step_size=2e-5, **LONG),
    "quadratic, localised": quadratic(np.geomspace(0.1, 10, 6), 1e3, 1e3, step_size=2e-5, **LONG),
    "quadratic, long steps": quadratic(np.geomspace(0.1, 10, 6), 1e3, 1.0, step_size=2e-4, **LONG),
    "w^4": power(2, 1e3, step_size=1e-4, **LONG),
    "w^6": power(3, 1e3, step_size=1e-4, **LONG),
    "w1^2 w2^2": crossing(1, 1, 1e3, 1.0, step_size=1e-4, **LONG),
    "w1^2 w2^2, n beta = 1e5": crossing(1, 1, 1e5, 1.0, step_size=2e-6, **LONG),
    "w1^2 w2^4": crossing(1, 2, 1e3, 1.0, step_size=1e-4, **LONG),
    "rank 0 of 2, 2 x 2": rank(2, 2, 2, 0, 1e3, step_size=1e-4, **LONG),
    "rank 0 of 3, 3 x 3": rank(3, 3, 3, 0, 1e3, step_size=1e-4, **LONG),
    "rank 1 of 2, 3 x 3": rank(3, 3, 2, 1, 1e3, step_size=4e-5, **LONG),
    "rank 1 of 2, 3 x 3, n beta = 1e4": rank(3, 3, 2, 1, 1e4, step_size=1e-5, **LONG),
    "rank 2 of 2, 3 x 3": rank(3, 3, 2, 2, 1e3, step_size=2e-5, **LONG),
}


def main() -> None:
    """Print the table."""
    print("nice python -m benchmarks.learning_coefficient")
    print(f"{'model':34}{'llc':>9}{'error':>9}{'drift':>9}{'exact':>9}{'lambda':>9}{'d/2':>7}", flush=True)
    for name, model in MODELS.items():
        found = estimate(model)
        size = sum(np.size(leaf) for leaf in jax.tree.leaves(model.minimum)) / 2
        numbers = (*(found[column] for column in VARIABLES), model.exact, model.known)
        print(f"{name:34}" + "".join(f"{number:9.4f}" for number in numbers) + f"{size:7.1f}", flush=True)


if __name__ == "__main__":
    main()
