"""A sweep that another version of the in-line measures began: what becomes of its values.

A variable that the version before did not have is nan for the steps before; one that this version does not have
keeps its values and its description.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from etils import epath

from collapse_jax.errors import CollapseError, WorkdirError
from collapse_jax.measures import Variable
from collapse_jax.workdir.record import read_record
from collapse_jax.workdir.results import RESULTS, open_results
from collapse_jax.workdir.software import written_by

BELOW, LOG_STEPS = "results/", "log_steps"
ATTRIBUTES = ("long_name", "units", "definition")


def results_of(flat: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the values of a checkpoint: variable -> [R, T, ...]."""
    return {name.removeprefix(BELOW): leaf for name, leaf in flat.items() if name.startswith(BELOW)}


def steps_of(flat: Mapping[str, np.ndarray], grown: Mapping[str, Any] | None) -> np.ndarray | None:
    """Return the log steps of the values of a checkpoint; None for those of a sweep that never grew."""
    if LOG_STEPS in flat:
        return flat[LOG_STEPS]
    return np.array(grown["log"], np.int64) if grown else None


def laid_out(values: dict[str, np.ndarray], begun: np.ndarray | None, now: np.ndarray) -> dict[str, np.ndarray]:
    """Put values [R, T, ...] at the log steps `begun` to their places among the steps `now`; nan elsewhere."""
    if begun is None or np.array_equal(begun, now):
        return values
    kept = np.isin(begun, now)
    columns, found = np.searchsorted(now, begun[kept]), {}
    for name, array in values.items():
        found[name] = np.full((len(array), len(now), *array.shape[2:]), np.nan, array.dtype)
        found[name][:, columns] = array[:, kept]
    return found


def require_same_shapes(
    workdir: epath.Path, begun: Mapping[str, np.ndarray], now: Mapping[str, np.ndarray]
) -> None:
    """Refuse to go on where a variable of the same name has another shape by now.

    Raises:
      WorkdirError: it has; the message says which version began.
    """
    for name in begun.keys() & now.keys():
        there, here = begun[name].shape[2:], now[name].shape[2:]
        if there != here:
            raise WorkdirError(
                f"workdir={workdir}: {name} was begun with values of shape {there} and now has {here}; continue "
                f"with the version that wrote it, {written_by(read_record(workdir))}"
            )


def described(workdir: epath.Path, names: Iterable[str]) -> dict[str, Variable]:
    """Describe variables as the results of the workdir do; briefly, where these are damaged."""
    wanted = sorted(names)
    try:
        results = open_results(workdir / RESULTS) if wanted else None
    except CollapseError:
        results = None
    found: dict[str, Variable] = {}
    for name in wanted:
        if results is None or name not in results:
            found[name] = Variable(name, "1", "of an earlier version")
            continue
        variable = results[name]
        dims = tuple(str(d) for d in variable.dims[list(variable.dims).index("step") + 1 :])
        long_name, units, definition = (str(variable.attrs.get(key, "")) for key in ATTRIBUTES)
        coords = {d: results[d].values.tolist() for d in dims if d in results.coords}
        found[name] = Variable(long_name, units, definition, dims, coords)
    return found
