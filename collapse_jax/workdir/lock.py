"""One writer per workdir: a lock file that says who writes, and a heartbeat that says whether it still does.

On one machine the kernel decides (`flock`): it frees the lock of a process in the moment of its death, and of two
starters exactly one gets it. Between machines that share a directory or a bucket the heartbeat decides: a lock that
does not change for `STALE_SECONDS` is taken over, one that changes is respected.
"""

import contextlib
import errno
import fcntl
import json
import os
import secrets
import threading
import time
from collections.abc import Iterator
from typing import Any

from etils import epath

from collapse_jax.errors import CollapseError, StoreError, WorkdirError, first_line, is_storage_error
from collapse_jax.system.files import is_remote, make_folder, storing
from collapse_jax.system.host import is_running, this_host
from collapse_jax.system.progress import say

LOCK = "writer.lock"
HEARTBEAT_SECONDS = 10.0
STALE_SECONDS = 60.0
SETTLE_SECONDS = 1.0  # in which two starters on different machines see each other's claim
POLL_SECONDS = 0.5
WIDTH = 512  # bytes of the record, fixed so that a heartbeat needs no space on a full disk
# What a file system says that cannot lock; 524 is ENOTSUPP of the kernel, which some let out.
NO_FLOCK = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, 524)


class Lock:
    """The lock of a workdir anywhere, held by this process until `release`.

    Attributes:
      progress: how far the sweep is, which the next heartbeat tells whoever reads the lock.

    Raises:
      WorkdirError: a live process holds it; the message says which.
    """

    def __init__(self, workdir: epath.Path):
        self.path = workdir / LOCK
        self._own = {
            "host": this_host(),
            "pid": os.getpid(),
            "since": _now(),
            "token": secrets.token_hex(8),
        }
        self.progress: dict[str, Any] = {}
        self._released = threading.Event()
        self._claim()
        threading.Thread(target=self._beat, name="heartbeat", daemon=True).start()

    def _claim(self) -> None:
        held = self._read()
        if held and self._is_live(held):
            raise self._refusal(held)
        self._write()
        self._settle()

    def _is_live(self, held: dict[str, Any]) -> bool:
        """Watch a lock until its heartbeat changes or is too old; only this process's clock is used."""
        if self._of_this_host(held):
            return is_running(held["pid"])
        say(
            f"workdir={self.path.parent}: held by {_who(held)}; waiting up to {STALE_SECONDS:g} s for its heartbeat"
        )
        deadline = time.monotonic() + STALE_SECONDS
        while time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
            now = self._read()
            if now and now != held:
                return True
            if not now and not self.path.exists():
                return False  # released; a record that is half written is read again
        return False

    def _of_this_host(self, held: dict[str, Any]) -> bool:
        return held["host"] == self._own["host"]

    def _settle(self) -> None:
        """Wait until a claim of the same moment from another machine would be seen; the last one stands."""
        time.sleep(SETTLE_SECONDS)
        self.check()

    def _refusal(self, held: dict[str, Any] | None) -> WorkdirError:
        return WorkdirError(
            f"workdir={self.path.parent}: {_who(held)} is writing it; wait for its end, or name another directory"
        )

    def _record(self) -> str:
        own = self._own | {"heartbeat": _now()}
        text = json.dumps(own | self.progress)
        return (text if len(text) < WIDTH else json.dumps(own)).ljust(WIDTH - 1) + "\n"

    def _read(self) -> dict[str, Any] | None:
        with storing(self.path, "read"), contextlib.suppress(OSError):
            return _parsed(self.path.read_bytes())
        return None

    def _write(self) -> None:
        self.path.write_text(self._record())

    def _beat(self) -> None:
        while not self._released.wait(HEARTBEAT_SECONDS):
            with contextlib.suppress(Exception):  # the next one may succeed; a lost lock is noticed by the sweep
                self.check()
                self._write()

    def check(self) -> None:
        """Make sure that the lock is still ours; a process that was suspended for minutes may have lost it.

        Raises:
          WorkdirError: another process has taken it over.
        """
        found = self._read()
        if not found or found["token"] != self._own["token"]:
            raise WorkdirError(f"workdir={self.path.parent}: {_who(found)} has taken it over; this process stops")

    def release(self) -> None:
        """Give the workdir back."""
        self._released.set()
        with contextlib.suppress(CollapseError), storing(self.path):
            self.check()
            self.path.unlink()


class LocalLock(Lock):
    """The lock of a workdir on a mounted file system, where the kernel arbitrates."""

    _one_at_a_time = threading.RLock()  # the heartbeat makes no file anew while the sweep gives it back

    def _claim(self) -> None:
        while not self._try_to_claim():
            pass

    def _try_to_claim(self) -> bool:
        self._file = self._open()
        try:
            self._flocked = self._flock()
            if not self._is_current():  # its holder removed the file between our two calls
                os.close(self._file)
                return False
            held = self._read()
            if held and self._is_live(held):
                raise self._refusal(held)
            if not self._is_current():
                os.close(self._file)
                return False
            self._write()
            if not self._flocked or (held and not self._of_this_host(held)):
                self._settle()
        except BaseException:
            with contextlib.suppress(OSError):
                os.close(self._file)
            raise
        return True

    def _open(self, flags: int = 0) -> int:
        """Open the file, or make it: never another one through a link, and writable for whom the workdir is."""
        if os.path.islink(self.path):
            raise WorkdirError(f"workdir={self.path.parent}: {LOCK} is a symbolic link; remove it")
        file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | flags, 0o644)
        with contextlib.suppress(OSError):  # of another user, who has done it
            os.fchmod(file, os.stat(self.path.parent).st_mode & 0o666)
        return file

    def _flock(self) -> bool:
        """Lock by the kernel; False where the file system cannot.

        Raises:
          WorkdirError: another process has locked it.
          OSError: neither is known.
        """
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in NO_FLOCK:
                return False
            if error.errno != errno.EWOULDBLOCK:
                raise
            raise self._refusal(self._holder()) from None
        return True

    def check(self) -> None:
        """See `Lock.check`; a file that somebody removed is made again, unless another process was faster."""
        with self._one_at_a_time, contextlib.suppress(FileExistsError):
            if not self._released.is_set() and not os.path.lexists(self.path):
                removed, self._file = self._file, self._open(os.O_EXCL)
                os.close(removed)
                self._flocked = self._flock()
                self._write()
        super().check()

    def _holder(self) -> dict[str, Any] | None:
        """Read who holds the kernel's lock; its record follows a moment after it got the lock."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while not (held := _parsed(os.pread(self._file, WIDTH, 0))):
            if time.monotonic() > deadline:
                return None
            time.sleep(0.01)
        return held

    def _is_live(self, held: dict[str, Any]) -> bool:
        # The kernel has just said that no process of this machine holds it; a process id may be in use again.
        return not (self._flocked and self._of_this_host(held)) and super()._is_live(held)

    def _is_current(self) -> bool:
        try:
            return os.path.samestat(os.fstat(self._file), os.stat(self.path))
        except FileNotFoundError:
            return False

    def _write(self) -> None:
        os.pwrite(self._file, self._record().encode(), 0)
        if os.fstat(self._file).st_size > WIDTH:  # it was no lock that was taken over
            os.ftruncate(self._file, WIDTH)

    def release(self) -> None:
        """Give the workdir back; the file goes before the kernel's lock, so that nobody holds a removed file."""
        with self._one_at_a_time:
            super().release()
            with contextlib.suppress(OSError):
                os.close(self._file)


@contextlib.contextmanager
def one_writer(workdir: epath.Path) -> Iterator[Lock]:
    """Make the workdir if need be and hold its lock.

    Raises:
      WorkdirError: the workdir cannot be written, or a live process holds it.
      StoreError: there is no space for it.
    """
    with writing_to(workdir):
        make_folder(workdir)
        lock = Lock(workdir) if is_remote(workdir) else LocalLock(workdir)
    try:
        yield lock
    finally:
        lock.release()


@contextlib.contextmanager
def writing_to(workdir: epath.Path) -> Iterator[None]:
    """Say in one line that a workdir cannot be written: a `StoreError` where space or the disk fails."""
    try:
        yield
    except CollapseError:
        raise
    except Exception as error:
        if not isinstance(error, OSError) and not is_remote(workdir):
            raise
        kind = WorkdirError if isinstance(error, OSError) and not is_storage_error(error) else StoreError
        reason = getattr(error, "strerror", None) or first_line(error)
        raise kind(f"workdir={workdir}: cannot be written: {reason}") from None


def read_lock(workdir: epath.Path) -> dict[str, Any] | None:
    """Return what the lock of a workdir says: who holds it, since when, how far the sweep is; None without one.

    Only the file is read: nobody is kept from taking the lock.
    """
    path = workdir / LOCK
    with storing(path, "read"), contextlib.suppress(FileNotFoundError, NotADirectoryError):
        return _parsed(path.read_bytes())
    return None


def _parsed(content: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(content)
        record["pid"], record["since"], record["token"], record["host"].split()[0]
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        return None
    return record


def _who(held: dict[str, Any] | None) -> str:
    return (
        f"process {held['pid']} on {held['host'].split()[0]} since {held['since']}" if held else "another process"
    )


def _now() -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S %Z")
