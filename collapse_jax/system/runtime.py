"""Settings that must be made before jax starts its backend, or where a program is traced.

Imports jax only inside functions, so that the command line can refuse before jax is there.
"""

import contextlib
import hashlib
import os
import pathlib
import platform
import tempfile
from collections.abc import Iterator
from typing import Any, Protocol

from collapse_jax.errors import ConfigError
from collapse_jax.system.programs import replace_damaged_entries

# jax 0.10.2 can hang on small CPU machines when a program with Cholesky factorisations alternates with training,
# unless its concurrency-optimised scheduler is off; the speed of training is the same.
CPU_FLAGS = {"xla_cpu_enable_concurrency_optimized_scheduler": "false"}

# Also on one core, where one thread would compute other last bits of a matrix product than two.
LEAST_THREADS = 2

_chosen = 0  # host devices, of the calls of `start` in this process
_trains = False  # whether one of these was of training


class Numbers(Protocol):
    """The fields of an experiment that say how it computes; the room of experiments stands above this one."""

    precision: str
    dtype: str


def start(devices: int = 0, *, threads: int = 0, training: bool = False) -> None:
    """Prepare jax: XLA flags, host devices, the cache of compiled programs, quiet logs.

    Commands and the functions of `collapse_jax` all begin with it, and the first call decides; a later one may
    still ask for more devices as long as jax has not started its backend. Flags of the user in XLA_FLAGS win.

    In which order a large matrix product is summed depends on the number of threads that share it. Training takes
    as many as there are devices, which a sweep records, and not as many as there are cores; no setting of the
    environment changes that. Where the backend runs already (in a notebook, say), it keeps its threads, and the
    packing adapts to the devices that are there.

    Args:
      devices: host devices on CPU; 0 means what an earlier call chose, or else one per available core.
      threads: that the host devices share, at least; 0 means what `pool_size` says.
      training: whether programs of training are to run.

    Raises:
      ConfigError: the backend was started by others in a way in which training can hang.
    """
    global _chosen, _trains
    import jax

    if training:
        calm_lapack()
    count = max(devices, _chosen) or cores()
    try:
        jax.config.update("jax_num_cpu_devices", count)
    except RuntimeError:
        if training:
            _require_flags()
        return
    _chosen = count
    _trains = _trains or training
    pool = max(threads, pool_size(count, training=_trains))
    os.environ["NPROC"] = str(pool)  # how XLA is told the size of its pool
    flags = dict(CPU_FLAGS)
    if count > 1:
        # Each device has a core of its own, so nothing should spread over the cores of the others. The matrix
        # products of jax 0.10.2 do so all the same, which is why the threads are counted above.
        flags["xla_cpu_multi_thread_eigen"] = "false"
    mine = [f"--{name}={value}" for name, value in flags.items() if name not in os.environ.get("XLA_FLAGS", "")]
    os.environ["XLA_FLAGS"] = " ".join([*mine, os.environ.get("XLA_FLAGS", "")]).strip()

    from absl import logging

    logging.set_verbosity(logging.WARNING)
    replace_damaged_entries()
    if not getattr(jax.config, "jax_compilation_cache_dir", None):
        jax.config.update("jax_compilation_cache_dir", str(cache_directory() / "compiled"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.3)


def calm_lapack() -> contextlib.AbstractContextManager[Any]:
    """Let each call of LAPACK take one thread, from now on, or inside a `with`.

    jax factorises on CPU by the OpenBLAS of scipy, whose threads wait for each other in a loop. Beside other jobs a
    step that factorises small matrices takes 3 to 30 times as long with two of them (jax 0.10.2, 2 cores).
    """
    import scipy.linalg  # noqa: F401  loads the library
    from threadpoolctl import ThreadpoolController

    found = ThreadpoolController().select(internal_api="openblas")
    paths = [lib.filepath for lib in found.lib_controllers if "scipy" in pathlib.Path(lib.filepath).parent.name]
    limited: contextlib.AbstractContextManager[Any] = found.select(filepath=paths).limit(limits=1)
    return limited


def pool_size(devices: int, *, training: bool) -> int:
    """Return how many threads the host devices share: in training one for each, else also one for each core."""
    return max(devices, LEAST_THREADS) if training else max(devices, LEAST_THREADS, cores())


def shared_threads() -> int:
    """Return how many threads share the host devices: in which order large matrix products are summed."""
    return max(int(os.environ.get("NPROC") or cores()), LEAST_THREADS)


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0))


def _require_flags() -> None:
    """Raise `ConfigError` if a CPU backend runs without the flags that keep it from hanging."""
    import jax

    given = os.environ.get("XLA_FLAGS", "")
    lacking = [f"--{name}={value}" for name, value in CPU_FLAGS.items() if name not in given]
    if lacking and jax.default_backend() == "cpu":
        what = f"jax runs already, without {' '.join(lacking)}, and training can hang"
        raise ConfigError("XLA_FLAGS", given, f"{what}; in a new process call collapse_jax before you use jax")


@contextlib.contextmanager
def numbers(experiment: Numbers) -> Iterator[None]:
    """Compute as an experiment says inside a `with`: its precision of matrix products, its type of numbers.

    Both act where a program is traced, whatever jax's own settings are and whether it runs already. Without the
    type jax would turn float64 into float32 and say nothing.
    """
    import jax

    precision = experiment.precision
    if (precision, experiment.dtype) == ("high", "float32") and jax.default_backend() == "gpu":
        precision = "TF32_TF32_F32_X3"  # XLA itself takes "high" for one product of TF32 there
    with jax.default_matmul_precision(precision), floats(experiment.dtype):
        yield


def floats(dtype: str) -> contextlib.AbstractContextManager[Any]:
    """Make `dtype`, "float32" or "float64", the type of jax's floating-point numbers inside a `with`."""
    import jax

    return jax.enable_x64(dtype == "float64")


def cache_directory() -> pathlib.Path:
    """Return the user's cache folder for this kind of machine, in the temporary one where there is no home.

    Programs compiled for a CPU must not meet another one (home directories are often shared), so the folder
    is named after its instruction set.
    """
    base = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or _home() / ".cache")
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        features = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    except OSError:
        features = platform.processor()
    kind = hashlib.sha256(f"{platform.machine()} {features}".encode()).hexdigest()[:12]
    return base / "collapse_jax" / kind


def _home() -> pathlib.Path:
    try:
        return pathlib.Path.home()
    except RuntimeError:  # no HOME and no such user, as in a container that runs as any number
        own = pathlib.Path(tempfile.gettempdir()) / f"user_{os.getuid()}"
    with contextlib.suppress(OSError):
        own.mkdir(mode=0o700, exist_ok=True)
        if own.stat().st_uid == os.getuid() and not own.is_symlink():  # another's could hold programs of theirs
            return own
    return pathlib.Path(tempfile.mkdtemp())
