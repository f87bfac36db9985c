"""Settings that must be made before jax starts its backend. Imports jax only inside `start`."""

import contextlib
import functools
import hashlib
import os
import pathlib
import platform
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

# jax 0.10.2 can hang on small CPU machines when a program with Cholesky factorisations alternates with training,
# unless its concurrency-optimised scheduler is off; the speed of training is the same.
CPU_FLAGS = {"xla_cpu_enable_concurrency_optimized_scheduler": "false"}

P = ParamSpec("P")
R = TypeVar("R")


def start(devices: int = 0, precision: str = "highest") -> None:
    """Prepare jax: XLA flags, one host device per core, matrix precision, quiet logs.

    Flags that the user has set in XLA_FLAGS win. Has no effect on the devices of a backend that runs already.

    Args:
      devices: host devices on CPU; 0 means one per available core.
      precision: default precision of matrix multiplications.
    """
    count = devices or len(os.sched_getaffinity(0))
    flags = dict(CPU_FLAGS)
    if count > 1:
        # Each device has a core of its own, so a matrix product must not spread over the cores of the others.
        flags["xla_cpu_multi_thread_eigen"] = "false"
    mine = [f"--{name}={value}" for name, value in flags.items() if name not in os.environ.get("XLA_FLAGS", "")]
    os.environ["XLA_FLAGS"] = " ".join([*mine, os.environ.get("XLA_FLAGS", "")]).strip()

    import jax
    from absl import logging

    logging.set_verbosity(logging.WARNING)
    with contextlib.suppress(ValueError):  # `validate` names a precision that there is not, in one line
        jax.config.update("jax_default_matmul_precision", precision)
    if not getattr(jax.config, "jax_compilation_cache_dir", None):
        jax.config.update("jax_compilation_cache_dir", str(cache_directory() / "compiled"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.3)
    # Where the backend runs already (in a notebook, say), the packing adapts to the devices that are there.
    with contextlib.suppress(RuntimeError):
        jax.config.update("jax_num_cpu_devices", count)


def in_dtype_of_experiment(function: Callable[P, R]) -> Callable[P, R]:
    """Let `function(experiment, ...)` work in the type `experiment.dtype`, whatever jax's own setting is.

    Without it jax would turn float64 into float32 and say nothing. It works where jax runs already, too: a program
    is traced for each type.
    """

    @functools.wraps(function)
    def in_dtype(*arguments: P.args, **named: P.kwargs) -> R:
        experiment = arguments[0] if arguments else named.get("experiment")
        with floats(getattr(experiment, "dtype", "")):
            return function(*arguments, **named)

    return in_dtype


def floats(dtype: str) -> contextlib.AbstractContextManager[Any]:
    """Make `dtype`, "float32" or "float64", the type of jax's floating-point numbers inside a `with`."""
    import jax

    return jax.enable_x64(dtype == "float64")


def cache_directory() -> pathlib.Path:
    """Return the user's cache folder for this kind of machine.

    Programs compiled for a CPU must not meet another one (home directories are often shared), so the folder
    is named after its instruction set.
    """
    base = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        features = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    except OSError:
        features = platform.processor()
    kind = hashlib.sha256(f"{platform.machine()} {features}".encode()).hexdigest()[:12]
    return base / "collapse_jax" / kind
