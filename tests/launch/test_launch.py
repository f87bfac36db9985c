"""The launch scripts: their syntax, the commands that they give, and whether gcloud would take them."""

import contextlib
import json
import os
import pathlib
import shlex
import shutil
import signal
import subprocess
import sys

import pytest

LAUNCH = pathlib.Path(__file__).parents[2] / "launch"
BUCKET = "gs://bucket/sweep"
RECORDER = """#!{python}
import json, os, sys
with open(os.environ["RECORD"], "a") as record:
    record.write(json.dumps([os.path.basename(sys.argv[0]), *sys.argv[1:]]) + "\\n")
sys.exit(int(os.environ.get("FAKE_CODE", 0)))
"""
ACTIONS = {
    "create": [],
    "status": [],
    "push": [],
    "run": ["--config=configs/mnist_mlp.py", "--config.grid.seed=(0, 1)"],
    "pull": ["out put"],
    "delete": [],
}


@pytest.fixture
def fakes(tmp_path, monkeypatch):
    """Put programs on PATH that record their arguments; return the record."""
    record = tmp_path / "record"
    (tmp_path / "bin").mkdir()
    for name in ("gcloud", "scontrol", "python_of_the_job"):
        fake = tmp_path / "bin" / name
        fake.write_text(RECORDER.format(python=sys.executable))
        fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("RECORD", str(record))
    monkeypatch.setenv("PYTHON", str(tmp_path / "bin" / "python_of_the_job"))
    monkeypatch.setenv("WORKDIR", BUCKET)
    monkeypatch.chdir(tmp_path)
    return lambda: [json.loads(line) for line in record.read_text().splitlines()] if record.exists() else []


def script(name, *arguments):
    return subprocess.run([str(LAUNCH / name), *arguments], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", ["local.sh", "tpu_vm.sh", "slurm.sbatch"])
def test_syntax(name):
    assert subprocess.run(["bash", "-n", LAUNCH / name], check=False).returncode == 0


@pytest.mark.parametrize("action", ACTIONS)
def test_a_dry_run_prints_exactly_what_a_real_one_does(fakes, action):
    dry = script("tpu_vm.sh", action, *ACTIONS[action], "--dry_run")
    assert dry.returncode == 0, dry.stderr
    assert fakes() == []
    done = script("tpu_vm.sh", action, *ACTIONS[action])
    assert done.returncode == 0, done.stderr
    printed = [line for line in map(shlex.split, dry.stdout.splitlines()) if line[0] == "gcloud"]
    assert printed
    for asked, called in zip(printed, fakes(), strict=True):
        # The archive of `push` lies in a fresh temporary directory.
        same = [pathlib.Path(a).name == pathlib.Path(b).name for a, b in zip(asked, called, strict=True)]
        assert all(same), (asked, called)


def test_the_command_on_the_workers_keeps_its_arguments(fakes):
    script("tpu_vm.sh", "run", *ACTIONS["run"])
    (called,) = fakes()
    assert "--worker=all" in called
    remote = next(a for a in called if a.startswith("--command=")).removeprefix("--command=")
    words = shlex.split(remote)
    assert words[-3:] == [f"--workdir={BUCKET}", *ACTIONS["run"]]
    assert "--distributed" in words


@pytest.mark.parametrize(
    ("arguments", "workdir", "expected"),
    [
        ([], BUCKET, "tpu_vm.sh create"),
        (["destroy"], BUCKET, "tpu_vm.sh create"),
        (["run"], BUCKET, "tpu_vm.sh create"),
        (["run", "--config=a"], "", "must be gs://"),
        (["pull", "out"], "/local", "must be gs://"),
    ],
)
def test_wrong_use_is_exit_code_2(fakes, monkeypatch, arguments, workdir, expected):
    monkeypatch.setenv("WORKDIR", workdir)
    done = script("tpu_vm.sh", *arguments)
    assert done.returncode == 2
    assert expected in done.stderr
    assert fakes() == []


def test_spot_and_project_are_settings(fakes, monkeypatch):
    assert "--spot" in script("tpu_vm.sh", "create", "--dry_run").stdout
    monkeypatch.setenv("SPOT", "0")
    monkeypatch.setenv("PROJECT", "mine")
    printed = script("tpu_vm.sh", "create", "--dry_run").stdout
    assert "--spot" not in printed
    assert "--project=mine" in printed


@pytest.mark.skipif(not shutil.which("gcloud"), reason="gcloud is not installed")
@pytest.mark.slow
def test_gcloud_takes_every_command(tmp_path):
    environment = os.environ | {"WORKDIR": BUCKET, "PROJECT": "mine", "CLOUDSDK_CONFIG": str(tmp_path)}
    for action, arguments in ACTIONS.items():
        command = [str(LAUNCH / "tpu_vm.sh"), action, *arguments, "--dry_run"]
        printed = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
        for line in printed.splitlines():
            if line.startswith("gcloud "):
                assert lint(line, environment)["success"], line
    assert not lint("gcloud compute tpus tpu-vm ssh x --wroker=all", environment)["success"]


def lint(line, environment):
    command = ["gcloud", "meta", "lint-gcloud-commands", f"--command-string={line}"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return json.loads(done.stdout)[0]


def test_local_trains_every_shard_and_merges(fakes):
    done = script("local.sh", "3", "runs/w", "--config=a.py")
    assert done.returncode == 0, done.stderr
    *trained, merged = fakes()
    assert {a for call in trained for a in call if a.startswith("--shard=")} == {f"--shard={i}/3" for i in range(3)}
    assert all("--workdir=runs/w" in call and "--config=a.py" in call for call in trained)
    assert merged[1:] == ["-m", "collapse_jax", "merge", "--workdir=runs/w"]


def test_local_hands_on_the_exit_code_and_does_not_merge(fakes, monkeypatch):
    monkeypatch.setenv("FAKE_CODE", "75")
    assert script("local.sh", "2", "runs/w", "--config=a.py").returncode == 75
    assert not [call for call in fakes() if "merge" in call]
    assert script("local.sh", "two", "runs/w", "--config=a.py").returncode == 2


@pytest.mark.parametrize("code", [0, 75, 2])
def test_a_slurm_task_trains_its_shard_and_is_requeued_when_preempted(fakes, monkeypatch, code):
    slurm = {"ARRAY_TASK_ID": "2", "ARRAY_TASK_COUNT": "4", "ARRAY_JOB_ID": "77"}
    for name, value in slurm.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    monkeypatch.setenv("FAKE_CODE", str(code))
    script = subprocess.run(["bash", LAUNCH / "slurm.sbatch", "runs/w", "--config=a.py"], check=False)
    calls = fakes()
    assert "--shard=2/4" in calls[0]
    assert [call for call in calls if call[0] == "scontrol"] == (
        [["scontrol", "requeue", "77_2"]] if code == 75 else []
    )
    assert script.returncode == code


@pytest.mark.parametrize("name", ["local.sh", "slurm.sbatch"])
def test_the_signal_before_the_limit_reaches_the_training(tmp_path, monkeypatch, name):
    """A stand-in for the training that saves and exits with 75 when it gets SIGTERM."""
    trainer = tmp_path / "trainer"
    trainer.write_text(
        "#!/bin/bash\ntrap 'sleep 0.2; echo saved >> saved; exit 75' TERM\necho ready >> ready\n"
        "while true; do sleep 0.05; done\n"
    )
    requeue = tmp_path / "scontrol"
    requeue.write_text("#!/bin/bash\necho $@ >> requeued\n")
    for program in (trainer, requeue):
        program.chmod(0o755)
    slurm = {"SLURM_ARRAY_TASK_ID": "0", "SLURM_ARRAY_TASK_COUNT": "1", "SLURM_ARRAY_JOB_ID": "5"}
    environment = os.environ | slurm | {"PYTHON": str(trainer), "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    arguments = ["1", "w", "--config=a"] if name == "local.sh" else ["w", "--config=a"]
    command = ["bash", LAUNCH / name, *arguments]
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, start_new_session=True)
    try:
        while not (tmp_path / "ready").exists():
            assert process.poll() is None
        process.terminate()
        assert process.wait(timeout=20) == 75
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert (tmp_path / "saved").read_text() == "saved\n"
    assert (tmp_path / "requeued").exists() == (name == "slurm.sbatch")


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
