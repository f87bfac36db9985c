"""Processes that do the same work side by side and are told when: both ends of the pipe."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

from benchmarks import machine


def serve(answer: Callable[..., dict[str, Any] | None]) -> None:
    """Be a worker: answer the words of each line on stdin with the seconds that took, and what `answer` returns."""
    print("{}", flush=True)
    for line in sys.stdin:
        began = time.perf_counter()
        values = answer(*line.split()) or {}
        print(json.dumps({"seconds": time.perf_counter() - began} | values), flush=True)


class Workers:
    """Starts `python -m <module> <arguments>` several times; each must answer every line that it is sent.

    Args:
      module: of the worker; it prints one line of JSON when it is ready and one for each line it reads.
      arguments: of the command line.
      processes: how many run side by side.
    """

    def __init__(self, module: str, arguments: list[str], processes: int = 1):
        command = [sys.executable, "-m", module, *arguments]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "bufsize": 1}
        self._processes = [
            subprocess.Popen(command, cwd=machine.ROOT, env=os.environ, **pipes) for _ in range(processes)
        ]
        self.ready = self._answers()

    def ask(self, line: str, processes: int | None = None) -> tuple[float, list[dict[str, Any]]]:
        """Send a line to all, or the first few; return the seconds until the last has answered, and the answers."""
        began = time.perf_counter()
        for process in self._processes[:processes]:
            print(line, file=process.stdin, flush=True)
        answers = self._answers(processes)
        return time.perf_counter() - began, answers

    def _answers(self, processes: int | None = None) -> list[dict[str, Any]]:
        lines = [process.stdout.readline() for process in self._processes[:processes]]
        if not all(lines):
            raise RuntimeError("a worker ended early; its error stands above")
        return [json.loads(line) for line in lines]

    def __enter__(self) -> "Workers":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._processes:
            process.stdin.close()
        for process in self._processes:
            process.wait(timeout=30)
