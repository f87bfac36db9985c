"""What a tracking library costs: CPU seconds to tell it six runs of the main experiment, beside their training.

Command: python -m benchmarks.tracking, with the extras tensorboard, wandb, mlflow and trackio

The results of a finished sweep are told as the sweep told them, once at every log point and once in the pace of
`engine.records`, in a process for each library; without a network. CPU seconds are those of all threads and of the
processes that the library starts.
"""

import argparse
import itertools
import json
import os
import resource
import subprocess
import sys
import tempfile

import numpy as np
from etils import epath

from benchmarks import machine
from collapse_jax.tracking import TRACKERS

RESULTS = machine.ROOT / "docs" / "mnist_mlp" / "results.nc"
RUNS = 6
CPU_SECONDS = RUNS * 100_000 * 2 * 0.67 * 3600 / 3e6  # of their training, on two cores: docs/performance.md


def cpu_seconds() -> float:
    """Return the CPU time of this process and of those that it has waited for."""
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(used.ru_utime + used.ru_stime for used in both)


def tell(library: str, at_once: bool) -> dict[str, float]:
    """Tell a library the whole sweep; return CPU seconds to begin, to tell and to end."""
    from collapse_jax import open_results
    from collapse_jax.engine import records
    from collapse_jax.tracking import find_tracker
    from collapse_jax.workdir.record import read_experiment

    results = open_results(RESULTS)
    experiment = read_experiment({"experiment": json.loads(results.attrs["experiment"])})
    runs = records.runs_of(epath.Path(os.getcwd()), experiment, experiment, {})[:RUNS]
    names = [name for name, variable in results.items() if variable.dims[-1:] == ("step",)]
    values = {name: results[name].values.reshape(30, -1)[:RUNS] for name in names}
    variables = dict.fromkeys(names)
    ends = {name: np.full(len(runs), -1) for name in ("diverged", "retired")}
    steps, found, last = results["step"].values, {}, cpu_seconds()

    def took(part: str) -> None:
        nonlocal last
        found[part], last = cpu_seconds() - last, cpu_seconds()

    if not at_once:
        records.SHARE = np.inf
    make = find_tracker(library)
    took("import")
    told = records.Records(make, runs)
    took("begin")
    for step in [] if at_once else steps.tolist():
        told.tell(step, steps, values, variables, ends)
    told.close(False, int(steps[-1]), steps, values, variables, ends)
    if library == "wandb":
        import wandb

        wandb.teardown()
    took("tell")
    found["share"] = (found["begin"] + found["tell"]) / CPU_SECONDS
    return {name: round(value, 5) for name, value in found.items()} | {
        "values": len(runs) * len(steps) * len(names)
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--library")
    parser.add_argument("--at_once", action="store_true")
    arguments = parser.parse_args()
    if arguments.library:
        print(json.dumps(tell(arguments.library, arguments.at_once)))
        return
    path = os.pathsep.join([str(machine.ROOT), os.environ.get("PYTHONPATH", "")])
    for library, way in itertools.product(TRACKERS, ([], ["--at_once"])):
        with tempfile.TemporaryDirectory() as folder:
            local = {"WANDB_MODE": "offline", "WANDB_DIR": folder, "TRACKIO_DIR": f"{folder}/trackio"}
            local |= {"MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db", "HF_HUB_OFFLINE": "1"}
            command = [sys.executable, "-m", "benchmarks.tracking", f"--library={library}", *way]
            environment = os.environ | local | {"PYTHONPATH": path}
            done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
            print(library, *way, done.stdout.splitlines()[-1], flush=True)


if __name__ == "__main__":
    main()
