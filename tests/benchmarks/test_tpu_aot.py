"""The real train step compiled for TPUs that are not there: needs libtpu (extra `tpu-aot`), takes no TPU."""

import importlib.util
import json
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
RUNS_PER_CHIP = 128
# Traffic of one step of one run of the main experiment by XLA:TPU's count [MB]; jax 0.10.2, libtpu 0.0.42.1.
MEGABYTES = {"tpu-v5e:2x2": 29.1, "tpu-v6e:2x2": 28.8, "tpu-v5p:2x2x1": 32.4}
PLAN = """
import dataclasses, json, sys
sys.path.insert(0, ".")
from collapse_jax.experiment.config import Snapshots
from collapse_jax.planning import plan
from configs.mnist_mlp import get_config

experiment = get_config()
experiment.grid = dataclasses.replace(experiment.grid, weight_decay=(0.01,), seed=tuple(range(int(sys.argv[2]))))
experiment.measures = ("fit", "norms")  # the eigenvalues of "collapse" compile for minutes; the step is the same
found = plan(experiment, sys.argv[1])
print(found)
print(json.dumps(dataclasses.asdict(found)))
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not importlib.util.find_spec("libtpu"), reason="libtpu is not installed (extra tpu-aot)"),
]


@pytest.mark.timeout(1200)  # v6e compiles for six minutes on two busy cores
@pytest.mark.parametrize("target", MEGABYTES)
def test_the_train_step_compiles_for(target):
    command = [sys.executable, "-c", PLAN, target, str(4 * RUNS_PER_CHIP)]
    environment = os.environ | {"XLA_FLAGS": ""}  # those of the tests are of XLA:CPU
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    print(done.stdout)
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["compiled_for"] == "tpu"
    assert found["devices"] == 4
    assert found["runs_per_tile"] == RUNS_PER_CHIP
    assert found["collectives"] == []
    assert found["donated_bytes"] >= 0.99 * found["state_bytes"]
    assert found["memory_bytes"] < 0.8 * found["target"]["chip"]["memory"]
    assert found["bytes_per_run_step"] / 1e6 == pytest.approx(MEGABYTES[target], rel=0.1)
