"""Seconds from a command to what a user waits for: help, a table, a figure, the first progress of a running grid.

Command: python -m benchmarks.startup; with --before=CHECKOUT the same commands of another checkout in turn
"""

import argparse
import itertools
import json
import os
import pathlib
import pty
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Sequence

from benchmarks import machine

# What is started, in a folder that holds the main experiment: its results alone, and with 12 files of measures.
COMMANDS = {
    "import collapse_jax": ("-c", "import collapse_jax"),
    "--help": ("-m", "collapse_jax", "--help"),
    "show": ("-m", "collapse_jax", "show", "--workdir=alone"),
    "show, 12 files of measures": ("-m", "collapse_jax", "show", "--workdir=mnist_mlp"),
    "plot, one figure": ("-m", "collapse_jax", "plot", "--workdir=alone", "--figures=phases"),
}
# The bar of a grid that has moved: "0%|   | 30.0/3.00M [00:01<...", but not "0.00/3.00M".
MOVED = re.compile(r"\| *(?!0\.00/)([\d.]+[kM]?)/[\d.]+M \[")


def first_progress(workdir: pathlib.Path, cache: pathlib.Path, limit: float = 180) -> dict[str, float]:
    """Start the main experiment on a terminal and end it when its bar moves.

    Returns:
      Seconds until it says that it has compiled, and until the bar has moved.
    """
    command = [sys.executable, "-m", "collapse_jax", "train", "--config=configs/mnist_mlp.py"]
    environment = os.environ | {"XDG_CACHE_HOME": str(cache)}
    environment.pop("JAX_COMPILATION_CACHE_DIR", None)
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (40, 120))
    began = time.perf_counter()
    process = subprocess.Popen(
        [*command, f"--workdir={workdir}"], cwd=machine.ROOT, env=environment, stderr=theirs, stdout=theirs
    )
    os.close(theirs)
    seen, seconds = "", {}
    try:
        while time.perf_counter() - began < limit:
            seen += os.read(ours, 4096).decode(errors="replace")
            now = time.perf_counter() - began
            if "compiled in" in seen:
                seconds.setdefault("compiled", now)
            if MOVED.search(seen):
                return seconds | {"progress": now}
        raise RuntimeError(f"no progress in {limit} s:\n{seen}")
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def measure(repeats: int = 3) -> list[dict[str, dict[str, float]]]:
    """Measure cold and warm starts in turn, each pair with a cache folder of its own."""
    rounds = []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            rounds.append({kind: first_progress(folder / kind, folder / "cache") for kind in ("cold", "warm")})
    return rounds


def commands(checkouts: Sequence[pathlib.Path], repeats: int = 5) -> dict[str, dict[str, list[float]]]:
    """Run the commands that train nothing in turn, round after round.

    Returns:
      command -> checkout -> median seconds by the clock, and of all its threads, which other jobs change less.
    """
    taken: dict[tuple[str, str], list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        shutil.copytree(machine.ROOT / "docs" / "mnist_mlp", folder / "mnist_mlp")
        (folder / "alone").mkdir()
        shutil.copy(folder / "mnist_mlp" / "results.nc", folder / "alone")
        for _, checkout, (text, command) in itertools.product(range(repeats), checkouts, COMMANDS.items()):
            began, before = time.perf_counter(), os.times()
            environment = os.environ | {"PYTHONPATH": str(checkout)}
            subprocess.run([sys.executable, *command], cwd=folder, env=environment, capture_output=True, check=True)
            cpu = sum(os.times()[2:4]) - sum(before[2:4])
            taken.setdefault((text, str(checkout)), []).append((time.perf_counter() - began, cpu))
    found: dict[str, dict[str, list[float]]] = {}
    for (text, where), seconds in taken.items():
        middle = [round(statistics.median(each), 2) for each in zip(*seconds, strict=True)]
        found.setdefault(text, {})[where] = middle
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--before", type=pathlib.Path, action="append", default=[])
    parser.add_argument("--train", type=int, default=3, help="starts of a grid, each cold and warm")
    arguments = parser.parse_args()
    timed = commands([machine.ROOT, *arguments.before], arguments.repeats)
    print(json.dumps({"commands": timed, "train": measure(arguments.train)}, indent=1))
