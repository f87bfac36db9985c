"""One process with eight host devices: sharded over all of them, padded, without a word between them."""

import dataclasses
import json
import os
import pathlib
import shutil
import subprocess
import sys

import harness
import pytest
import xarray as xr

import collapse_jax
from collapse_jax.experiment.config import Grid, Model, Packing, Schedule

ROOT = pathlib.Path(__file__).parents[2]
GRID = Grid(weight_decay=(0.1, 0.01, 0.001), seed=(1, 2, 3), init_scale=(1.0,))
EIGHT = """
import dataclasses, json, sys
sys.path[:0] = [sys.argv[1], sys.argv[1] + "/benchmarks", sys.argv[1] + "/engine"]
from collapse_jax.system import runtime
runtime.start(devices=8)
import jax
from conftest import tiny_experiment
import test_eight_devices as here
import test_programs_hlo as hlo
from collapse_jax import tasks
from collapse_jax.engine import compile as programs
from collapse_jax.engine import packing, train
from collapse_jax.experiment.config import Packing

jax.config.update("jax_num_cpu_devices", 8)  # conftest asks for two
experiment = tiny_experiment(grid=here.GRID, packing=Packing(8, 1))
layout = packing.choose_layout(experiment.packing, 9)
compiled = programs.compile_for(experiment, layout, tasks.load(experiment.task))
texts = [program.as_text() for program in (compiled.advance, compiled.measure, compiled.snapshot)]
memory = compiled.advance.memory_analysis()
made = programs.compile_programs(experiment, layout)
states = made.initial()
kernel = states.params["head"]["kernel"]
each = [shard.data.shape[0] for shard in kernel.addressable_shards]
on = len({shard.device for shard in kernel.addressable_shards})
moved = made.advance(states, 0, 1)
found = {
    "devices": len(jax.devices()),
    "padded": layout.padded,
    "on": on,
    "each": each,
    "collectives": sorted(set.union(*map(hlo.operations, texts)) & set(hlo.COLLECTIVES)),
    "donated": memory.alias_size_in_bytes / memory.output_size_in_bytes,
    "deleted": kernel.is_deleted(),
}
train.train(experiment, sys.argv[2])
here.go_on_with_fewer(experiment, sys.argv[2])
print(json.dumps(found))
"""
# Wide enough that several threads share a matrix product.
WIDE = {"model": Model(hidden=(300, 300)), "batch_size": 100, "grid": Grid(seed=tuple(range(8)))}


def go_on_with_fewer(experiment, folder):
    """Begin a sweep with eight devices and end it with four, two and one; in the process of eight devices."""
    log = Schedule("explicit", at=(0, 10, 20, 30))
    wide = dataclasses.replace(experiment, **WIDE, packing=Packing(8, 1), log=log)
    whole = collapse_jax.train(wide, f"{folder}_whole")
    begun = harness.stopped(wide, pathlib.Path(f"{folder}_begun"), step=10)
    for devices in (4, 2, 1):
        shutil.copytree(begun, f"{folder}_{devices}")
        other = dataclasses.replace(wide, packing=Packing(devices, 1))
        results = collapse_jax.train(other, f"{folder}_{devices}")
        xr.testing.assert_identical(results.drop_attrs(deep=False), whole.drop_attrs(deep=False))


@pytest.mark.slow
@pytest.mark.bits
def test_nine_runs_on_eight_devices(tiny, tmp_path):
    command = [sys.executable, "-c", EIGHT, str(ROOT / "tests"), str(tmp_path / "eight")]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | {"XLA_FLAGS": ""}, cwd=ROOT / "tests"
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found.pop("donated") > 0.99
    assert found == {
        "devices": 8,
        "padded": 16,
        "on": 8,
        "each": [2] * 8,
        "collectives": [],
        "deleted": True,
    }
    assert "9 runs x 40 steps on 8 cpu device(s)" in done.stderr
    assert "memory per device: " in done.stderr
    for devices in (4, 2, 1):
        assert f"goes on with {devices} devices, until now 8: the same bits" in done.stderr
    here = collapse_jax.train(tiny(grid=GRID), tmp_path / "two")
    eight = collapse_jax.open_results(tmp_path / "eight")
    xr.testing.assert_identical(eight.drop_attrs(deep=False), here.drop_attrs(deep=False))
