"""The SkyPilot task: what it asks for, the command that it gives, and whether SkyPilot would take it."""

import json
import os
import pathlib
import shlex
import shutil
import subprocess
import textwrap

import launch_scripts
import pytest
from launch_scripts import BUCKET, LAUNCH

fakes = launch_scripts.fakes


def run_of_skypilot(tmp_path, **variables):
    """Run the task's command as SkyPilot does, with a stand-in for the training."""
    command = textwrap.dedent((LAUNCH / "skypilot.yaml").read_text().partition("\nrun: |\n")[2])
    (tmp_path / "collapse_jax" / "bin").mkdir(parents=True, exist_ok=True)
    python = tmp_path / "collapse_jax" / "bin" / "python"
    python.unlink(missing_ok=True)
    python.symlink_to(tmp_path / "bin" / "python_of_the_job")
    environment = os.environ | {"HOME": str(tmp_path), "CONFIG": "a.py", "OVERRIDES": ""} | variables
    return subprocess.run(["bash", "-c", command], env=environment, capture_output=True, text=True, check=False)


def test_overrides_of_skypilot_are_fields_of_the_config(fakes, tmp_path):
    shard = {"SKYPILOT_JOB_RANK": "3", "SKYPILOT_NUM_JOBS": "8"}
    done = run_of_skypilot(tmp_path, OVERRIDES=" --config.steps=3  --config.grid.seed=0,1 ", **shard)
    assert done.returncode == 0, done.stderr
    end = [f"--workdir={BUCKET}", "--shard=3/8"]
    assert fakes()[0][4:] == ["--config=a.py", "--config.steps=3", "--config.grid.seed=0,1", *end]
    assert run_of_skypilot(tmp_path, **shard).returncode == 0
    assert fakes()[1][4:] == ["--config=a.py", *end]


@pytest.mark.parametrize("word", ["*", "--workdir=gs://other/x", "--shard=0/1", "$(touch run)", "; touch run"])
def test_other_overrides_of_skypilot_are_refused(fakes, tmp_path, word):
    done = run_of_skypilot(tmp_path, OVERRIDES=f"--config.steps=3 {word}")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert f"OVERRIDES: {word.split()[0]}: must be --config.FIELD=VALUE" in done.stderr
    assert fakes() == []
    assert not (tmp_path / "run").exists()


def test_the_skypilot_task():
    yaml = pytest.importorskip("yaml")
    task = yaml.safe_load((LAUNCH / "skypilot.yaml").read_text())
    assert task["resources"]["use_spot"] is True
    assert task["resources"]["job_recovery"]["recover_on_exit_codes"] == [75]
    assert "$SKYPILOT_JOB_RANK" in task["run"].replace("{", "").replace(":-0}", "")
    assert all(isinstance(value, str) for value in task["envs"].values())
    for part in ("setup", "run"):
        assert subprocess.run(["bash", "-n"], input=task[part], text=True, check=False).returncode == 0


@pytest.fixture(scope="module")
def sky_reads(tmp_path_factory):
    """Ask SkyPilot 0.14 (the tests passed with 0.14.1), in this or in its own virtual environment."""
    if not shutil.which("sky"):
        pytest.skip("SkyPilot is not installed (pip install skypilot; also in a virtual environment of its own)")
    python = pathlib.Path(shutil.which("sky")).read_text().splitlines()[0].removeprefix("#!")
    environment = {"HOME": str(tmp_path_factory.mktemp("home")), "SKYPILOT_DISABLE_USAGE_COLLECTION": "1"}

    def read(task, *lines):
        done = subprocess.run(
            [python, pathlib.Path(__file__).with_name("skypilot_worker.py")],
            input=json.dumps([task, lines]),
            env=os.environ | environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return json.loads(done.stdout.splitlines()[-1])

    return read


def test_skypilot_takes_the_task_and_the_documented_command(sky_reads):
    task = (LAUNCH / "skypilot.yaml").read_text()
    header = "".join(line.removeprefix("#").rstrip("\\\n") for line in task.splitlines(keepends=True)[2:4])
    documented = (LAUNCH.parent / "docs" / "launch.md").read_text().splitlines()
    lines = [header, *(line for line in documented if line.startswith("sky "))]
    assert len(lines) == 2
    found = sky_reads(task, *(shlex.split(line)[1:] for line in lines))
    assert found == {
        "use_spot": True,
        "accelerators": {"tpu-v5litepod-4": 1},
        "job_recovery": {"max_restarts_on_errors": 3, "recover_on_exit_codes": [75], "strategy": None},
        "cloud": "GCP",
    }


@pytest.mark.parametrize(
    ("right", "wrong", "named"),
    [
        ("use_spot:", "use_spott:", "use_spott"),
        ("runtime_version:", "runtime:", "runtime"),
        ("[75]", "[saved]", "saved"),
        ('OVERRIDES: ""', "OVERRIDES: 3", "3"),
        ("setup: |", "set_up: |", "set_up"),
    ],
)
def test_skypilot_refuses(sky_reads, right, wrong, named):
    task = (LAUNCH / "skypilot.yaml").read_text()
    assert right in task
    assert named in sky_reads(task.replace(right, wrong))["refused"]
