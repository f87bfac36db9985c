"""One life of a sweep: trains as the command line does, and notes when it did what.

Command: python -m benchmarks.goodput_life NOTES FLAGS_OF_TRAIN..., with the time of the start ($BEGAN)
"""

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any


def train_with_notes(path: str, flags: list[str], began: float) -> int:
    """Call `train`; each note is a line with its seconds on both clocks, which a SIGKILL leaves on the disk."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def note(name: str, **more: float) -> None:
        now = {"wall": time.monotonic() - began, "processor": time.process_time()}
        os.write(file, (json.dumps({"name": name} | now | more) + "\n").encode())

    note("started")
    from collapse_jax.__main__ import main
    from collapse_jax.engine import train
    from collapse_jax.engine.sweep import Sweep
    from collapse_jax.workdir.trees import TreeStore

    note("imported")

    def then(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*arguments: Any) -> Any:
            result = function(*arguments)
            first = arguments[0]
            note(name, **({"step": max(first.step, 0)} if isinstance(first, Sweep) else {}))
            return result

        return wrapper

    def timed(function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*arguments: Any) -> Any:
            start = time.monotonic()
            try:
                return function(*arguments)
            finally:
                note("saved", saving=time.monotonic() - start)

        return wrapper

    train.compile_programs = then("compiled", train.compile_programs)
    Sweep._restore_or_begin = then("restored", Sweep._restore_or_begin)
    Sweep._advance = then("reached", Sweep._advance)
    Sweep._checkpoint, TreeStore.settle = timed(Sweep._checkpoint), timed(TreeStore.settle)
    return main(["train", *flags])


if __name__ == "__main__":
    sys.exit(train_with_notes(sys.argv[1], sys.argv[2:], float(os.environ["BEGAN"])))
