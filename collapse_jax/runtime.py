"""Settings that must be made before jax starts its backend. Imports jax only inside `start`."""

import os

# jax 0.10.2 can hang on small CPU machines when a program with Cholesky factorisations alternates with training,
# unless its concurrency-optimised scheduler is off; the speed of training is the same.
CPU_FLAGS = {"xla_cpu_enable_concurrency_optimized_scheduler": "false"}


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
    jax.config.update("jax_default_matmul_precision", precision)
    try:
        jax.config.update("jax_num_cpu_devices", count)
    except RuntimeError:
        # The backend runs already (a notebook, say): the packing adapts to the devices that are there.
        pass
