"""Several processes of one job: the hosts of a TPU slice, the tasks of a Slurm step, the ranks of `mpirun`.

No run talks to another, so each process trains its own share of the runs on its own devices, at its own pace and
with its own checkpoints, as a shard of the grid. Nothing has to be agreed on the way: after a kill each process
walks back to its own newest good checkpoint. When all are done, process 0 merges the shares.

The workdir must be one that all processes see: a shared file system or an object store.
"""

import contextlib
import os
import sys
import traceback
from collections.abc import Iterator
from typing import Any

from collapse_jax.errors import CollapseError, ConfigError, Preempted
from collapse_jax.shards import Shard

DONE = "collapse_jax_done"
MONTH_MS = 30 * 24 * 3600 * 1000


def start(shard: Shard) -> Shard:
    """Join the job and return the share of `shard` that this process trains.

    The cluster is found by jax itself: TPU, Slurm, Open MPI and Kubernetes. Elsewhere the processes are told by
    JAX_COORDINATOR_ADDRESS=host:port, JAX_NUM_PROCESSES and JAX_PROCESS_ID. Must precede the first use of a
    device.

    Raises:
      ConfigError: no cluster was found, or its coordinator does not answer.
    """
    import jax

    told: dict[str, Any] = {name: os.environ.get(f"JAX_{name.upper()}") for name in ("num_processes", "process_id")}
    # Only used between processes on CPU; TPU and GPU have collectives of their own.
    with contextlib.suppress(AttributeError):
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
    try:
        numbers: dict[str, Any] = {name: int(value) for name, value in told.items() if value is not None}
        jax.distributed.initialize(**numbers)
    except (ValueError, RuntimeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ConfigError(
            "--distributed",
            True,
            f"no cluster: {reason} Run it under TPU, Slurm, Open MPI or Kubernetes, or set "
            "JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES and JAX_PROCESS_ID",
        ) from None
    return shard.divided(jax.process_index(), jax.process_count())


@contextlib.contextmanager
def leaving_at_once() -> Iterator[None]:
    """End a process that failed without waiting for the others, so that jax ends them and the job fails as a whole.

    Without it the process would wait for them at its exit, and they for it at the end of the sweep. A preempted one
    waits, since the others were told to save too and need the job until they have.
    """
    try:
        yield
    except Preempted:
        raise
    except BaseException as error:
        code = getattr(error, "code", 1)
        lines = " ".join(str(error).split()) if isinstance(error, CollapseError) else traceback.format_exc()
        print(f"collapse-jax: {lines}", file=sys.stderr, flush=True)
        os._exit(code if isinstance(code, int) else 1)


def wait_for_all() -> bool:
    """Return when every process has come here; True in process 0."""
    import jax
    from jax._src import distributed as state

    client = state.global_state.client
    if client is not None:
        client.wait_at_barrier(DONE, timeout_in_ms=MONTH_MS)
    return jax.process_index() == 0
