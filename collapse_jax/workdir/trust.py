"""Which code that a workdir names may run: the user's own, as it was when the sweep was begun, or what is trusted.

A config that a user gives is run as it is. A workdir can come from anybody, and its record can name any file as the
one of its model, task, optimizer or loss; to look at a workdir (`show`, `plot`, `report`, `verify`, `merge`) runs
none of them.
"""

import os
import pathlib
from typing import Any

from etils import epath

from collapse_jax.errors import WorkdirError
from collapse_jax.experiment import config
from collapse_jax.experiment.extensions import file_of, named_files
from collapse_jax.workdir.record import RECORD, refuse_other_sources


def require_trust(
    workdir: epath.Path, record: dict[str, Any], experiment: config.Experiment, trusted: bool = False
) -> None:
    """Refuse, before any of it runs, code that a workdir names and that may be another's.

    Args:
      workdir: directory of a leaf.
      record: of the leaf.
      experiment: that it describes.
      trusted: the user has said that the code may run.

    Raises:
      WorkdirError: a file is not the one of the beginning; or it, or the record that names it, belongs to another
        user (or to nobody known, in an object store) and `trusted` is False.
    """
    refuse_other_sources(workdir, record, experiment)
    for field, name in named_files(experiment).items():
        file = file_of(field, name)
        for path in (file, workdir / RECORD):
            if not trusted and not _is_own(path):
                raise WorkdirError(
                    f"workdir={workdir}: would run {file}, which its {field} names, and {path} is not yours; read "
                    "the file, then say --trust (in Python trust=True)"
                )


def _is_own(path: epath.Path | pathlib.Path) -> bool:
    local = pathlib.Path(os.fspath(path))
    return local.exists() and local.stat().st_uid == os.geteuid()
