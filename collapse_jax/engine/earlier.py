"""In-line measures that a sweep was given later: their values at earlier steps, from stored parameters."""

import dataclasses
from typing import Any

import numpy as np

from collapse_jax import models
from collapse_jax.engine.compile import Programs
from collapse_jax.errors import DamagedError, StoreError
from collapse_jax.experiment.config import Experiment
from collapse_jax.system.progress import say
from collapse_jax.training import RunState
from collapse_jax.training.state import BATCH_STATS, MASK
from collapse_jax.workdir.trees import TreeStore, unflattened

PARAMETERS = "parameters"


def measure_earlier(
    experiment: Experiment,
    results: dict[str, np.ndarray],
    log_steps: np.ndarray,
    until: int,
    programs: Programs,
    store: TreeStore,
    like: RunState,
) -> list[int]:
    """Measure what snapshots with parameters hold, by the program that measures in line: the bits of a log point.

    Args:
      experiment: of the sweep.
      results: variable -> [R, T, ...], filled at the steps found.
      log_steps: [T] of these.
      until: the last at which to measure; steps without a good snapshot are left out.
      programs: of all runs of the sweep.
      store: its snapshots.
      like: state of its runs at any step, on the host; a measure reads the network of it alone.

    Returns:
      The steps found; none where snapshots do not hold all that a measure reads.
    """
    found: list[int] = []
    whole = PARAMETERS in experiment.snapshots.content and models.coordinates_of(experiment.model) is None
    for step in sorted({*log_steps[log_steps <= until].tolist()} & {*store.steps()}) if whole else ():
        try:
            network = unflattened(store.load(step, only=f"{PARAMETERS}/"), PARAMETERS)
        except (DamagedError, StoreError) as error:
            say(f"not measured: {error}")
            continue
        values = programs.rows(programs.measure(programs.place(_with_network(like, network)), step))
        for name, filled in results.items():
            filled[:, int(np.searchsorted(log_steps, step))] = values[name]
        found.append(step)
    return found


def _with_network(state: RunState, network: dict[str, Any]) -> RunState:
    """Put a stored network into the state of its runs."""
    params = state.params | {name: tree for name, tree in network.items() if name in state.params}
    beside = {name: network[name] for name in (BATCH_STATS, MASK) if name in network}
    return dataclasses.replace(state, params=params, **beside)
