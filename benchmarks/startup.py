"""Seconds from the command to the first progress of a running grid, with an empty and with a filled cache."""

import os
import pathlib
import pty
import re
import subprocess
import sys
import tempfile
import termios
import time

from benchmarks import machine

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


if __name__ == "__main__":
    for line in measure():
        print(line)
