"""What a sweep says on the terminal; quiet when there is none."""

import sys
import time

from tqdm import tqdm


class Progress:
    """A bar in run-steps with rate and time left; compile time is not counted into the rate.

    Args:
      total: run-steps of the whole sweep.
      done: run-steps that an earlier call has taken.
      unit: what is counted, if not run-steps.
    """

    def __init__(self, total: int, done: int, unit: str = "run-steps"):
        self._bar = tqdm(
            total=total,
            initial=done,
            unit=f" {unit}",
            unit_scale=True,
            dynamic_ncols=True,
            disable=not sys.stderr.isatty(),
        )
        self._done = self._first = done
        self._began = time.monotonic()

    def update(self, done: int, note: str = "") -> None:
        """Move to `done` run-steps."""
        self._bar.set_postfix_str(note, refresh=False)
        self._bar.update(done - self._done)
        self._done = done

    def add(self, more: int, note: str = "") -> None:
        """Move on by `more`."""
        self.update(self._done + more, note)

    @property
    def rate(self) -> float:
        """Run-steps per second of this call."""
        return (self._done - self._first) / max(time.monotonic() - self._began, 1e-9)

    def close(self) -> None:
        """Leave the bar as it stands."""
        self._bar.close()


def say(line: str) -> None:
    """Print one line above the bar."""
    tqdm.write(line, file=sys.stderr)
