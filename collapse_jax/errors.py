"""The errors that a user can cause; the command line prints each as one line and exits with `code`."""

import contextlib
import difflib
import errno
from collections.abc import Callable, Iterable, Iterator
from typing import Any


class CollapseError(Exception):
    """An error whose message is one line for the user, not a bug; `code` is the exit code of the process."""

    code = 2


class ConfigError(CollapseError, ValueError):
    """A configuration field holds a value that is not allowed."""

    def __init__(self, field: str, value: Any, allowed: str):
        super().__init__(f"{field}={value!r}: {allowed}")
        self.field, self.value, self.allowed = field, value, allowed

    @property
    def each(self) -> "list[ConfigError]":
        """The errors of single fields that this one tells."""
        return [self]


class ConfigErrors(ConfigError):
    """Several fields hold values that are not allowed: told together, in one line."""

    def __init__(self, errors: "list[ConfigError]"):
        super().__init__(errors[0].field, errors[0].value, errors[0].allowed)
        self.args = ("; ".join(map(str, errors)),)
        self._each = errors

    @property
    def each(self) -> list[ConfigError]:
        """The errors of single fields."""
        return self._each


class Wrong:
    """The wrong fields found so far, the first error of each, to be told together."""

    def __init__(self) -> None:
        self.found: dict[str, ConfigError] = {}

    @contextlib.contextmanager
    def noted(self) -> Iterator[None]:
        """Note the `ConfigError` of a block instead of raising it."""
        try:
            yield
        except ConfigError as error:
            for one in error.each:
                self.found.setdefault(one.field, one)

    def holds(self, fields: Iterable[str]) -> bool:
        """Whether one of the fields, or of those in a group that is named, is wrong."""
        return any(wrong == field or wrong.startswith(f"{field}.") for field in fields for wrong in self.found)

    def tell(self) -> None:
        """Raise what was noted, if anything was."""
        errors = list(self.found.values())
        if errors:
            raise errors[0] if len(errors) == 1 else ConfigErrors(errors)


def together(checks: Iterable[Callable[[], Any]]) -> None:
    """Run all checks, and then raise what they refuse, as one `ConfigError`."""
    wrong = Wrong()
    for check in checks:
        with wrong.noted():
            check()
    wrong.tell()


def require(ok: bool, field: str, value: Any, allowed: str) -> None:
    """Raise `ConfigError` unless `ok`."""
    if not ok:
        raise ConfigError(field, value, allowed)


class StoreError(CollapseError):
    """Storage failed: a file of the package or of a sweep cannot be read or written."""

    code = 3


class DamagedError(StoreError):
    """A stored file was read, and is not what was written; what cannot be read is a `StoreError` alone."""


class ConformanceError(CollapseError):
    """Measures of this installation miss their right values."""

    code = 4


class Preempted(CollapseError):
    """A signal asked the sweep to stop, and everything is saved: the same command continues."""

    code = 75  # EX_TEMPFAIL of sysexits.h, which schedulers read as "run it again"


class WorkdirError(CollapseError):
    """A workdir cannot be used for this experiment: foreign, corrupt, not writable or without a sweep."""


def require_one_of(field: str, value: str, known: Iterable[str]) -> None:
    """Raise `ConfigError` unless `value` is one of `known`, with the closest name."""
    known = list(known)
    require(value in known, field, value, unknown(field.rsplit(".", 1)[-1], str(value), known))


def unknown(kind: str, name: str, known: Iterable[str], listed: Iterable[str] = ()) -> str:
    """Say that `name` is not a known `kind`, with the closest known name first; `listed` if all are too many."""
    known = sorted(known)
    close = closest(name, known)
    hint = f"did you mean {close!r}? " if close else ""
    return f"unknown {kind}; {hint}known: {', '.join(listed or known)}"


def closest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is most like `name`, in whichever case its letters are; None if none is."""
    folded = {candidate.casefold(): candidate for candidate in known}
    close = difflib.get_close_matches(name.casefold(), folded, n=1)
    return folded[close[0]] if close else None


def first_line(error: BaseException) -> str:
    """Return the beginning of what an error says, its type where it says nothing."""
    said = (str(error).splitlines() or [""])[0][:300]
    return said if said not in ("", "None") else type(error).__name__


def is_storage_error(error: OSError) -> bool:
    """Return whether the disk is full, over quota or broken, rather than the path wrong."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG)
