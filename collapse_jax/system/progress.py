"""What a sweep says: a bar on a terminal or in a notebook, a line every half minute in a file or a pipe."""

import contextlib
import sys
import time
from collections.abc import Sequence

from tqdm import tqdm

LINE_SECONDS = 30.0


class Progress:
    """Run-steps with rate and time left, as a bar or as lines; compile time is not counted into the rate.

    Args:
      total: run-steps of the whole sweep.
      done: run-steps that an earlier call has taken.
      unit: what is counted, if not run-steps.
    """

    def __init__(self, total: int, done: int, unit: str = "run-steps"):
        bar = _bar_of_notebooks() if _is_notebook() else tqdm
        self._bar = bar(
            total=total,
            initial=done,
            unit=f" {unit}",
            unit_scale=True,
            dynamic_ncols=True,
            disable=not (_is_notebook() or _is_terminal()),
        )
        self._total, self._unit = total, unit
        self._done = self._first = done
        self._began = self._said = time.monotonic()

    def update(self, done: int, note: str = "") -> None:
        """Move to `done` run-steps."""
        self._bar.set_postfix_str(note, refresh=False)
        with contextlib.suppress(OSError):  # the terminal has gone
            self._bar.update(done - self._done)
        self._done = done
        if self._bar.disable and time.monotonic() - self._said >= LINE_SECONDS:
            self._said = time.monotonic()
            say(self._line(note))

    def _line(self, note: str) -> str:
        """Say the same as the bar."""
        left = tqdm.format_interval((self._total - self._done) / self.rate) if self.rate else "?"
        share = f"{self._done / self._total:.0%} of {self._total:,} {self._unit}"
        return ", ".join([f"{share}, {self.rate:,.0f} a second, {left} left", *filter(None, [note])])

    def expect(self, total: int) -> None:
        """Go on to another total than was given."""
        self._total = self._bar.total = total

    def add(self, more: int, note: str = "") -> None:
        """Move on by `more`."""
        self.update(self._done + more, note)

    @property
    def rate(self) -> float:
        """Run-steps per second of this call."""
        return (self._done - self._first) / max(time.monotonic() - self._began, 1e-9)

    def close(self) -> None:
        """Leave the bar as it stands."""
        with contextlib.suppress(OSError):
            self._bar.close()


def listed(names: Sequence[str], most: int = 10) -> str:
    """List names, of many the first."""
    shown = "; ".join(names[:most])
    return shown if len(names) <= most else f"{shown}; and {len(names) - most} more"


def say(line: str) -> None:
    """Print one line above the bar; with stderr closed or its disk full, the line is lost and no more."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        tqdm.write(line, file=sys.stderr)


def tell(line: str) -> None:
    """Print a last line, from whatever thread or handler, with as little in the way as can be; else as `say`."""
    with contextlib.suppress(OSError, ValueError):
        print(line, file=sys.stderr, flush=True)


def _is_terminal() -> bool:
    try:
        return sys.stderr.isatty()
    except (AttributeError, ValueError):  # there is none, or it is closed
        return False


def _is_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return shell is not None and "IPKernelApp" in shell.config


def _bar_of_notebooks() -> type[tqdm]:
    """Return the bar that is a widget, and where ipywidgets is not installed the one of terminals."""
    from tqdm import notebook

    return notebook.tqdm if notebook.IProgress else tqdm
