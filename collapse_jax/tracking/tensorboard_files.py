"""Event files of TensorBoard, without TensorFlow: `tensorboard --logdir=WORKDIR/tensorboard`."""

import pathlib
import time
from collections.abc import Sequence

from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import api_pb2, metadata
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionEndInfo, SessionStartInfo
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from collapse_jax.errors import require
from collapse_jax.tracking.base import Row, Run

STATUS = {"diverged": api_pb2.STATUS_FAILURE, "interrupted": api_pb2.STATUS_RUNNING}


class TensorBoard:
    """A folder of event files for a run; each call that trains it adds one."""

    def start(self, run: Run) -> int:
        """See `Tracker`: hyperparameters go to the tab HPARAMS."""
        require(bool(run.folder), "--track", "tensorboard", "writes files: train into a folder of this machine")
        folder = pathlib.Path(run.folder) / "tensorboard" / run.name.replace("/", "_")
        last = max(map(_last_step, folder.glob("events.out.tfevents.*")), default=-1)
        self._writer = EventFileWriter(str(folder), filename_suffix=f".{run.id}")
        start = SessionStartInfo(group_name=run.id, start_time_secs=time.time())
        for name, value in run.config.items():
            if isinstance(value, bool):
                start.hparams[name].bool_value = value
            elif isinstance(value, int | float):
                start.hparams[name].number_value = value
            else:
                start.hparams[name].string_value = value
        self._tell(metadata.SESSION_START_INFO_TAG, HParamsPluginData(session_start_info=start))
        return last

    def log(self, rows: Sequence[Row]) -> None:
        """See `Tracker`."""
        for step, values in rows:
            summary = Summary(value=[Summary.Value(tag=name, simple_value=value) for name, value in values.items()])
            self._writer.add_event(Event(wall_time=time.time(), step=step, summary=summary))
        self._writer.flush()

    def finish(self, outcome: str, step: int) -> None:
        """See `Tracker`: the session has failed where the run diverged."""
        end = SessionEndInfo(status=STATUS.get(outcome, api_pb2.STATUS_SUCCESS), end_time_secs=time.time())
        self._tell(metadata.SESSION_END_INFO_TAG, HParamsPluginData(session_end_info=end))
        self._writer.close()

    def _tell(self, tag: str, data: HParamsPluginData) -> None:
        """Write what the tab HPARAMS reads; TensorBoard's own functions for it need TensorFlow."""
        value = Summary.Value(tag=tag, metadata=metadata.create_summary_metadata(data), tensor=metadata.NULL_TENSOR)
        self._writer.add_event(Event(wall_time=time.time(), summary=Summary(value=[value])))


def _last_step(file: pathlib.Path) -> int:
    """Return the last step with a scalar of a file, of which a killed process may have written the end by half."""
    events = EventFileLoader(str(file)).Load()
    return max((e.step for e in events if any(not v.tag.startswith("_") for v in e.summary.value)), default=-1)
