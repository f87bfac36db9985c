"""Several processes of one job: the hosts of a TPU slice, the tasks of a Slurm step, the ranks of `mpirun`.

No run talks to another, so each process trains its own share of the runs on its own devices, at its own pace and
with its own checkpoints, as a shard of the grid. Nothing has to be agreed on the way: after a kill each process
walks back to its own newest good checkpoint. When all are done, process 0 merges the shares.

The job starts and ends as a whole, since jax lets no process join it again: a signal to one process stops all.

The workdir must be one that all processes see: a shared file system or an object store.
"""

import contextlib
import os
import threading
import time
import traceback
from collections.abc import Iterator
from typing import Any

from collapse_jax.errors import CollapseError, ConfigError, Preempted, first_line, require
from collapse_jax.system import signals
from collapse_jax.system.progress import tell

DONE = "collapse_jax_done"
STOP = "collapse_jax_stop"
LEFT = "collapse_jax_left"
MONTH_MS = 30 * 24 * 3600 * 1000
POLL_SECONDS = 0.5
MEETING_SECONDS = 300.0  # in which all processes must have come
LEAVING_SECONDS = 60.0  # in which the other processes must have saved


def start() -> tuple[int, int]:
    """Join the job and return which process of how many this is.

    The cluster is found by jax itself: TPU, Slurm, Open MPI and Kubernetes. Elsewhere the processes are told by
    JAX_COORDINATOR_ADDRESS=host:port, JAX_NUM_PROCESSES and JAX_PROCESS_ID. Must precede the first use of a
    device.

    Where not all have come in time, the process ends with a line and the code of a `ConfigError`.

    Raises:
      ConfigError: no cluster was found, or the numbers of processes make no sense.
    """
    import jax

    numbers: dict[str, Any] = _told()
    # Only used between processes on CPU; TPU and GPU have collectives of their own.
    with contextlib.suppress(AttributeError):
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
    try:
        with _patience():
            jax.distributed.initialize(**numbers, initialization_timeout=int(2 * MEETING_SECONDS))
    except Exception as error:  # whatever the detection of clusters meets
        raise _no_cluster(first_line(error)) from None
    job = _job()
    return job.process_id, job.num_processes


def _told() -> dict[str, int]:
    """Return what the environment says of the job, as jax takes it; jax reads the address itself."""
    address = os.environ.get("JAX_COORDINATOR_ADDRESS", "host:1")
    require(address.rpartition(":")[2].isdecimal(), "JAX_COORDINATOR_ADDRESS", address, "must be host:port")
    found = {}
    for name in ("num_processes", "process_id"):
        text = os.environ.get(f"JAX_{name.upper()}")
        if text is not None:
            require(text.isdecimal(), f"JAX_{name.upper()}", text, "must be a whole number")
            found[name] = int(text)
    return found


def _no_cluster(reason: str) -> ConfigError:
    return ConfigError(
        "--distributed",
        True,
        f"no cluster: {reason} Run it under TPU, Slurm, Open MPI or Kubernetes, or set "
        "JAX_COORDINATOR_ADDRESS=host:port, JAX_NUM_PROCESSES and JAX_PROCESS_ID",
    )


@contextlib.contextmanager
def _patience() -> Iterator[None]:
    """End this process in one line if the block takes too long: jax would end it with an abort and a C++ stack."""

    def leave() -> None:
        job = _job()
        who = f"process {job.process_id} of {job.num_processes}, with {job.coordinator_address} as coordinator,"
        error = _no_cluster(f"{who} waited {MEETING_SECONDS:.0f} s, and not all have come. Start every process.")
        tell(f"collapse-jax: {error}")
        os._exit(error.code)

    timer = threading.Timer(MEETING_SECONDS, leave)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@contextlib.contextmanager
def ending_together() -> Iterator[signals.Stop]:
    """Stop all processes when one is told to; let one that failed or is preempted end without waiting for the rest.

    A signal to one process asks all of them to save and to leave with the code of a preemption. Process 0, without
    which jax would end the others, leaves last. One that fails leaves at once, and jax ends the others after 100 s;
    at its exit it would wait for them, and they for it at the end of the sweep.
    """
    with signals.listening() as stop:  # also takes the handlers back, which jax has replaced
        done = threading.Event()
        stop.when_asked.append(_tell_others)
        stop.before_leaving.append(lambda: _depart(stop))
        thread = threading.Thread(target=_listen_to_others, args=(stop, done), name="job", daemon=True)
        thread.start()
        try:
            yield stop
        except BaseException as error:
            code = getattr(error, "code", 1)
            lines = " ".join(str(error).split()) if isinstance(error, CollapseError) else traceback.format_exc()
            tell(f"collapse-jax: {lines}")
            if isinstance(error, Preempted):
                _depart(stop)
            os._exit(code if isinstance(code, int) else 1)
        _say_left()
        done.set()
        thread.join()


def _tell_others(why: str) -> None:
    job = _job()
    with contextlib.suppress(Exception):  # another one has been faster
        job.client.key_value_set(STOP, f"{why} of process {job.process_id}")


def _listen_to_others(stop: signals.Stop, done: threading.Event) -> None:
    client = _job().client
    while not done.wait(POLL_SECONDS) and not stop.requested:
        with contextlib.suppress(Exception):  # there is no such key, or no coordinator any more
            stop.ask(client.key_value_try_get(STOP))


def _depart(stop: signals.Stop) -> None:
    """Say that this process has nothing more to save; in process 0 wait until all have said so."""
    _say_left()
    job = _job()
    if job.process_id or stop.hurried:
        return
    deadline = time.monotonic() + LEAVING_SECONDS
    for other in range(1, job.num_processes):
        left = max(int(1000 * (deadline - time.monotonic())), 1)
        with contextlib.suppress(Exception):  # it hangs or is dead
            job.client.blocking_key_value_get(f"{LEFT}/{other}", left)
    time.sleep(POLL_SECONDS)  # between the word of the last one and its end


def _say_left() -> None:
    job = _job()
    with contextlib.suppress(Exception):
        job.client.key_value_set(f"{LEFT}/{job.process_id}", "", allow_overwrite=True)


def wait_for_all(stop: signals.Stop) -> bool:
    """Return when every process has come here; True in process 0.

    Raises:
      Preempted: another process was told to stop while this one did its last work, and will not come here.
    """
    if stop.requested:
        raise Preempted(f"{stop.requested}: nothing was unsaved; the same command continues")
    job = _job()
    job.client.wait_at_barrier(DONE, timeout_in_ms=MONTH_MS)
    return job.process_id == 0


def _job() -> Any:
    """Return jax's own state of the job: `client`, `process_id`, `num_processes`."""
    from jax._src import distributed

    return distributed.global_state
