"""What a user defines in a file of their own, `my_model.py:MODEL`: models, tasks, optimizers, losses, measures."""

import functools
import hashlib
import importlib.machinery
import importlib.util
import pathlib
import sys
import traceback
import types
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from collapse_jax.errors import ConfigError, unknown
from collapse_jax.experiment import config
from collapse_jax.system.paths import local_path

Kind = TypeVar("Kind")


def named_files(experiment: config.Experiment) -> dict[str, str]:
    """Return the "FILE.py:NAME" of an experiment by field: its model, task, optimizer, loss."""
    fields = {
        "model.name": experiment.model.name,
        "task.dataset": experiment.task.dataset,
        "optimizer.name": experiment.optimizer.name,
        "loss": experiment.loss,
    }
    return {field: name for field, name in fields.items() if is_extension(name)}


def source_hashes(experiment: config.Experiment) -> dict[str, str]:
    """Name the contents of the files that an experiment names, by field."""
    hashes = {field: source_hash(field, name) for field, name in named_files(experiment).items()}
    mask = experiment.training.mask
    return hashes | ({"training.mask": _hash(local_path("training.mask", mask))} if mask else {})


def source_hash(field: str, where: str) -> str:
    """Name the content of the file of "FILE.py:NAME", so that an earlier version of it is known as such."""
    return _hash(file_of(field, where))


def _hash(path: pathlib.Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16] if path.is_file() else "none, there is no file"


def is_extension(name: str) -> bool:
    """Whether a name is "FILE.py:NAME" and not that of something in the package."""
    return name.endswith(".py") or ".py:" in name


def find(field: str, name: str, known: Mapping[str, Any], kind: type[Kind]) -> Any:
    """Return what `known` calls `name`, or the `kind` that "FILE.py:NAME" defines.

    Raises:
      ConfigError: there is neither, as `load_extension`.
    """
    if is_extension(name):
        return load_extension(field, name, kind)
    if name not in known:
        raise ConfigError(field, name, f"{unknown(field.partition('.')[0], name, known)}; or FILE.py:NAME")
    return known[name]


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
    if name == where:
        raise ConfigError(field, where, f"name the {kind.__name__} in it, FILE.py:NAME")
    module = load_file(field, where, "FILE.py:NAME")
    defined = {key: value for key, value in vars(module).items() if isinstance(value, kind)}
    if name not in defined:
        raise ConfigError(field, where, unknown(f"{kind.__name__} in {file_of(field, where)}", name, defined))
    return defined[name]


def load_file(field: str, where: str, form: str) -> types.ModuleType:
    """Run the file of `where` and return it as a module; `form` says in messages how to name what is in it.

    Raises:
      ConfigError: there is no such file, or it raised.
    """
    file = file_of(field, where)
    if not file.is_file():
        raise ConfigError(field, where, f"no file {str(file)!r}; it must be {form}")
    name = f"extension_{file.stem}_{hashlib.sha256(str(file.resolve()).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, file, loader=_Source(name, str(file)))
    if file.suffix != ".py" or spec is None or spec.loader is None:
        raise ConfigError(field, where, f"{file} is no Python file; it must be {form}")
    module = importlib.util.module_from_spec(spec)
    # Dataclasses, and so Flax modules, look up annotations that are strings in the module that has this name.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        sys.modules.pop(name, None)
        raise ConfigError(field, where, told(error, file)) from None
    return module


class _Source(importlib.machinery.SourceFileLoader):
    """Compile what the file says now, and leave nothing beside it.

    Python takes stored bytecode for that of a file of the same size and second, be its content another one.
    """

    def get_code(self, fullname: str) -> types.CodeType:
        return self.source_to_code(self.get_data(self.path), self.path)


def guarded(field: str, where: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a user's function so that what it raises, where it is traced, is told in one line of its file."""

    @functools.wraps(function)
    def call(*arguments: Any) -> Any:
        try:
            return function(*arguments)
        except Exception as error:
            raise ConfigError(field, where, told(error, file_of(field, where))) from None

    return call


def _same(filename: str, file: pathlib.Path) -> bool:
    return pathlib.Path(filename).resolve() == file.resolve()


def file_of(field: str, where: str) -> pathlib.Path:
    """Return the file that "FILE.py:NAME", the value of a field, names."""
    return local_path(field, where.rpartition(":")[0] or where)


def told(error: BaseException, file: pathlib.Path | None) -> str:
    """Say an error of a user's code in one line, with the last line of the user's file that it passed."""
    passed = traceback.extract_tb(error.__traceback__) if file else ()
    lines: list[Any] = [f.lineno for f in passed if file and _same(f.filename, file)]
    if isinstance(error, SyntaxError):
        lines = [error.lineno]
    place = f"{file.name}, line {lines[-1]}: " if lines and file else ""
    message = next((line for line in str(error).splitlines() if line.strip()), "")
    return f"{place}{type(error).__name__}: {message}"[:400]
