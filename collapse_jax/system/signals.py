"""Preemption: SIGTERM, SIGINT and SIGHUP become a request to stop, honoured where nothing is lost.

The first signal asks: the sweep saves at the end of its chunk and ends with exit code 75. Where nothing is unsaved
(while a program compiles, say) the process of the command line ends at once with the same code. The second signal
ends it at once with 128 + the number of the signal; the last checkpoint stays intact.

One wish to stop often arrives twice, in different ways: Ctrl-C as SIGINT from the terminal and as SIGTERM from the
script that started us, a preemption as a signal and as the word of another process of the job. Within a second
these are one.
"""

import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from collapse_jax.errors import Preempted
from collapse_jax.system.progress import tell

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
ECHO_SECONDS = 1.0


class Stop:
    """A request to stop, and what to do about it.

    Attributes:
      requested: name of the first signal; None before it came.
      hurried: whether a second one came.
      when_asked: called with that name when it comes.
      before_leaving: called before the process ends at once, the last one first.
      kept: says what of the work is saved.
    """

    def __init__(self, *, owns_process: bool = False):
        self.requested: str | None = None
        self.hurried = False
        self.when_asked: list[Callable[[str], None]] = []
        self.before_leaving: list[Callable[[], None]] = []
        self.kept: Callable[[], str] = lambda: "what was saved before is good"
        self._asked_at = 0.0
        self._owns_process = owns_process
        self._unsaved = False
        self._lock = threading.RLock()

    def arm(self) -> None:
        """Install the handlers, also anew after another library has installed its own."""
        for number in SIGNALS:
            if signal.getsignal(number) != signal.SIG_IGN:  # `nohup` has us outlive the terminal
                signal.signal(number, self._handle)

    @contextlib.contextmanager
    def unsaved_work(self) -> Iterator[None]:
        """While this block runs, a first signal waits for the block to save; before and after, nothing is lost.

        Raises:
          Preempted: a signal came before the block began.
        """
        with self._lock:
            if self.requested:
                raise Preempted(f"{self.requested} before the training began; the same command begins it")
            self._unsaved = True
        try:
            yield
        finally:
            with self._lock:
                self._unsaved = False

    def _handle(self, number: int, _frame: Any) -> None:
        # Python calls this when the main thread returns from native code, which compilation may delay by minutes;
        # a process of our own is therefore watched by a thread, which has then acted already.
        if not self._owns_process:
            self.act(number)

    def act(self, number: int) -> None:
        """Take note of a signal; leave if it is the second, or the first while nothing is unsaved."""
        name = signal.Signals(number).name
        with self._lock:
            if self.requested and not self._is_echo(name):
                self.hurried = True
                self._leave(128 + number, f"{self.requested} and {name}: stopped at once; {self.kept()}")
            self.ask(name)

    def _is_echo(self, name: str) -> bool:
        """Whether a signal is the first one once more, on another way."""
        return name != self.requested and time.monotonic() - self._asked_at < ECHO_SECONDS

    def ask(self, why: str) -> None:
        """Ask to stop as a first signal does; asking again changes nothing."""
        with self._lock:
            if self.requested:
                return
            self.requested, self._asked_at = why, time.monotonic()
            for action in self.when_asked:
                with contextlib.suppress(Exception):
                    action(why)
            if not self._unsaved and self._owns_process:
                self._leave(Preempted.code, f"{why}: nothing was unsaved; the same command continues")
        tell(f"{why}: saving at the end of this chunk; a second signal stops at once")

    def _leave(self, code: int, why: str) -> None:
        if not self._owns_process:
            raise KeyboardInterrupt(why)
        tell(f"collapse-jax: {why}")
        for action in reversed(self.before_leaving):
            with contextlib.suppress(Exception):
                action()
        os._exit(code)


_active: Stop | None = None


@contextlib.contextmanager
def listening(*, owns_process: bool = False) -> Iterator[Stop]:
    """Listen for SIGTERM, SIGINT and SIGHUP; inside another `listening` block, return its `Stop`.

    Args:
      owns_process: whether this process serves the command line alone and may be ended at any moment. Otherwise
        (a notebook, a script) the second signal raises KeyboardInterrupt.
    """
    global _active
    if threading.current_thread() is not threading.main_thread():
        # Python lets only the main thread install handlers; without one, nothing ever asks this Stop.
        yield _active or Stop()
        return
    if _active is not None:
        _active.arm()
        yield _active
        return
    stop = Stop(owns_process=owns_process)
    before = {number: signal.getsignal(number) for number in SIGNALS}
    stop.arm()
    _active = stop
    try:
        with _watched(stop) if owns_process else contextlib.nullcontext():
            yield stop
    finally:
        _active = None
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _watched(stop: Stop) -> Iterator[None]:
    """Act on signals in a thread, at once, whatever the main thread does."""
    reading, writing = socket.socketpair()
    writing.setblocking(False)

    def watch() -> None:
        while numbers := reading.recv(64):
            for number in numbers:
                if number in SIGNALS:
                    stop.act(number)

    before = signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
    thread = threading.Thread(target=watch, name="signals", daemon=True)
    thread.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        writing.close()
        thread.join(timeout=5.0)
        reading.close()
