"""The part of a measure that runs on the host: `Measure.finish`, for many runs at once on threads."""

import concurrent.futures
import os
from collections.abc import Mapping

import numpy as np
from threadpoolctl import threadpool_limits

from collapse_jax.errors import CollapseError, ConfigError
from collapse_jax.experiment.extensions import told
from collapse_jax.measures import Measure


def finish_each(measure: Measure, values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Make the variables of a measure of what its function returned for U runs: [U, ...] -> [U, ...].

    Raises:
      ConfigError: `finish` raised, or returned different variables for different runs.
    """
    if measure.finish is None:
        return dict(values)
    units = len(next(iter(values.values())))
    threads = min(units, len(os.sched_getaffinity(0)))
    finish = measure.finish
    try:
        # The threads share the cores already; those of a product would wait for one another.
        with threadpool_limits(1, "blas"), concurrent.futures.ThreadPoolExecutor(threads) as pool:
            rows = list(pool.map(lambda u: finish({name: v[u] for name, v in values.items()}), range(units)))
        return {name: np.stack([np.asarray(row[name]) for row in rows]) for name in rows[0]}
    except CollapseError:
        raise
    except Exception as error:
        raise ConfigError("measures", measure.name, f"finish: {told(error, None)}") from None
