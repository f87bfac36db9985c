"""Models and tasks that a user defines in a file of their own, `my_model.py:MODEL`."""

import hashlib
import importlib.util
import pathlib
import traceback
from typing import Any, TypeVar

from collapse_jax import config
from collapse_jax.errors import ConfigError, unknown

Kind = TypeVar("Kind")


def source_hashes(experiment: config.Experiment) -> dict[str, str]:
    """Name the contents of the files that define the model and the task of an experiment, by field."""
    fields = {"model.name": experiment.model.name, "task.dataset": experiment.task.dataset}
    files = {field: _file(name) for field, name in fields.items() if is_extension(name)}
    return {field: hashlib.sha256(file.read_bytes()).hexdigest()[:16] for field, file in files.items()}


def is_extension(name: str) -> bool:
    """Whether a name is "FILE.py:NAME" and not that of something in the package."""
    return name.endswith(".py") or ".py:" in name


def load_extension(field: str, where: str, kind: type[Kind]) -> Kind:
    """Return the object that `where`, "FILE.py:NAME", names.

    Args:
      field: of the config, for messages.
      where: file, absolute or relative to the current directory, and name of a global variable in it.
      kind: class of which the object must be.

    Raises:
      ConfigError: there is no such file or name, the file raised, or the object is something else.
    """
    _, _, name = where.rpartition(":")
    file = _file(where)
    if name == where:
        raise ConfigError(field, where, f"name the {kind.__name__} in it, FILE.py:NAME")
    if not file.is_file():
        raise ConfigError(field, where, f"no file {str(file)!r}; it must be FILE.py:NAME")
    spec = importlib.util.spec_from_file_location(f"extension_{file.stem}", file)
    if spec is None or spec.loader is None:
        raise ConfigError(field, where, f"{file} is no Python file; it must be FILE.py:NAME")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise ConfigError(field, where, _told(error, file)) from None
    defined = {key: value for key, value in vars(module).items() if isinstance(value, kind)}
    if name not in defined:
        raise ConfigError(field, where, unknown(f"{kind.__name__} in {file}", name, defined))
    return defined[name]


def _same(filename: str, file: pathlib.Path) -> bool:
    return pathlib.Path(filename).resolve() == file.resolve()


def _file(where: str) -> pathlib.Path:
    return pathlib.Path(where.rpartition(":")[0] or where).expanduser()


def _told(error: BaseException, file: pathlib.Path) -> str:
    """Say an error of a user's file in one line, with the last line of the file that it passed."""
    lines: list[Any] = [f.lineno for f in traceback.extract_tb(error.__traceback__) if _same(f.filename, file)]
    if isinstance(error, SyntaxError):
        lines = [error.lineno]
    place = f"{file.name}, line {lines[-1]}: " if lines else ""
    message = next((line for line in str(error).splitlines() if line.strip()), "")
    return f"{place}{type(error).__name__}: {message}"[:400]
