"""Runs of MLflow, wherever `MLFLOW_TRACKING_URI` says: a server, a database, or what MLflow takes without it."""

import contextlib
import gc
import time
from collections.abc import Iterator, Sequence

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag

from collapse_jax.tracking.base import Row, Run

ID = "collapse_jax.run"
AT_ONCE = 1000  # metrics that MLflow takes in a call
STATUS = {"diverged": "FAILED", "interrupted": "KILLED"}


class MLflow:
    """A run, found again by a tag with the id of the run of the grid."""

    def start(self, run: Run) -> int:
        """See `Tracker`."""
        self._client = MlflowClient()
        found = self._client.get_experiment_by_name(run.project)
        experiment = found.experiment_id if found else self._client.create_experiment(run.project)
        runs = self._client.search_runs([experiment], f"tags.`{ID}` = '{run.id}'", max_results=1)
        if runs:
            self._id = runs[0].info.run_id
            self._client.update_run(self._id, status="RUNNING", name=run.name)
            histories = [self._client.get_metric_history(self._id, name) for name in runs[0].data.metrics]
            return max((metric.step for history in histories for metric in history), default=-1)
        tags = {ID: run.id, "group": run.group}
        self._id = self._client.create_run(experiment, tags=tags, run_name=run.name).info.run_id
        params = [Param(name, str(value)) for name, value in run.config.items()]
        self._client.log_batch(self._id, params=params)
        return -1

    def log(self, rows: Sequence[Row]) -> None:
        """See `Tracker`."""
        now = round(1000 * time.time())
        metrics = [Metric(name, value, now, step) for step, values in rows for name, value in values.items()]
        with _uncollected():
            for first in range(0, len(metrics), AT_ONCE):
                self._client.log_batch(self._id, metrics=metrics[first : first + AT_ONCE])

    def finish(self, outcome: str, step: int) -> None:
        """See `Tracker`: `outcome` and `outcome_step` are tags, and a run that diverged has failed."""
        tags = [RunTag("outcome", outcome), RunTag("outcome_step", str(step))]
        self._client.log_batch(self._id, tags=tags)
        self._client.set_terminated(self._id, STATUS.get(outcome, "FINISHED"))


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Keep the garbage collector from looking at the objects that MLflow makes of every value of a batch.

    They are a few thousand at a time, dropped with their batch; looking at them took a third of the time.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
