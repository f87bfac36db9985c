"""The launch scripts: their syntax, the commands that they give, and whether gcloud would take them."""

import contextlib
import json
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time

import launch_scripts
import pytest
from launch_scripts import BUCKET, LAUNCH, script

fakes = launch_scripts.fakes
ACTIONS = {
    "create": [],
    "status": [],
    "push": [],
    "run": ["--config=configs/mnist_mlp.py", "--config.grid.seed=(0, 1)"],
    "pull": ["out put"],
    "delete": [],
}


@pytest.mark.parametrize("name", ["local.sh", "tpu_vm.sh", "slurm.sbatch", "python.sh"])
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


def slurm(*arguments, task=None, job="77"):
    """Run a task of an array (or none) as Slurm does; return what it did."""
    variables = {"SLURM_JOB_ID": "99"} | (
        {"SLURM_ARRAY_TASK_ID": task, "SLURM_ARRAY_TASK_COUNT": "1", "SLURM_ARRAY_JOB_ID": job} if task else {}
    )
    command = ["bash", LAUNCH / "slurm.sbatch", *arguments]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SLURM_")} | variables
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("code", [0, 75, 2])
def test_a_slurm_task_trains_its_shard_and_is_requeued_when_preempted(fakes, monkeypatch, code):
    """Also when it is submitted again alone, with --array=2: an array of one task."""
    monkeypatch.setenv("FAKE_CODE", str(code))
    done = slurm("4", "runs/w", "--config=a.py", task="2")
    calls = fakes()
    assert calls[0][1:] == ["-m", "collapse_jax", "train", "--workdir=runs/w", "--shard=2/4", "--config=a.py"]
    assert [call for call in calls if call[0] == "scontrol"] == (
        [["scontrol", "requeue", "77_2"]] if code == 75 else []
    )
    assert done.returncode == code


def test_outside_an_array_slurm_trains_the_whole_grid(fakes, monkeypatch):
    monkeypatch.setenv("FAKE_CODE", "75")
    assert slurm("1", "runs/w", "--config=a.py").returncode == 75
    trained, requeued = fakes()
    assert "--shard=0/1" in trained
    assert requeued == ["scontrol", "requeue", "99"]


@pytest.mark.parametrize(
    ("arguments", "task", "said"),
    [
        (["8", "w", "--config=a"], "8", "task 8: shards are counted from 0, so submit 8 of them with --array=0-7"),
        (["8", "w", "--config=a"], None, "task outside an array: shards are counted from 0"),
        (["w", "--config=a", "--x=1"], "0", "usage: sbatch --array=0-7 launch/slurm.sbatch 8 WORKDIR"),
        (["0", "w", "--config=a"], "0", "usage"),
        (["8", "w"], "0", "usage"),
        (["8", "w", "--config=a"], "x[$(touch run)]", "task x[$(touch run)]: shards"),
        (["x[$(touch run)]", "w", "--config=a"], "0", "usage"),
    ],
)
def test_slurm_refuses_in_one_line(fakes, tmp_path, arguments, task, said):
    done = slurm(*arguments, task=task)
    assert done.returncode == 2
    assert done.stderr.startswith(f"slurm.sbatch: {said}")
    assert done.stderr.count("\n") == 1
    assert fakes() == []
    assert not (tmp_path / "run").exists()


def test_the_documented_lines_of_slurm_name_as_many_shards_as_tasks():
    for text in ((LAUNCH.parent / "docs" / "launch.md"), LAUNCH.parent / "README.md", LAUNCH / "slurm.sbatch"):
        lines = re.findall(r"sbatch --array=0-(\d+) launch/slurm.sbatch (\S+)", text.read_text())
        assert lines, text
        assert all(shards == str(int(last) + 1) for last, shards in lines), text


@pytest.mark.parametrize("name", ["local.sh", "slurm.sbatch"])
def test_a_python_that_is_too_old_is_named_with_what_to_do(fakes, tmp_path, monkeypatch, name):
    old = tmp_path / "bin" / "old"
    old.write_text("#!/bin/bash\n[[ $1 == --version ]] && exec echo Python 3.9.2\nexit 1\n")
    old.chmod(0o755)
    (tmp_path / "launch").symlink_to(LAUNCH)  # the folder that Slurm was called from
    for python, found in ((old, "Python 3.9.2"), ("nosuch", "not to be run")):
        monkeypatch.setenv("PYTHON", str(python))
        done = script(name, "1", "w", "--config=a") if name == "local.sh" else slurm("1", "w", "--config=a")
        assert done.returncode == 2, done.stderr
        assert f"needs Python 3.11 or newer; {python} is: {found}" in done.stderr
        assert "PYTHON=/path/to/python" in done.stderr
        assert done.stderr.count("\n") == 1


def test_the_first_python_that_is_new_enough_is_taken(tmp_path, monkeypatch):
    """A machine on which python3 is too old and python3.12 is not."""
    for name, code in (("python3", 1), ("python3.14", 1), ("python3.13", 1), ("python3.12", 0)):
        (tmp_path / name).write_text(f"#!/bin/bash\nexit {code}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.delenv("PYTHON", raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert script("python.sh").stdout == "python3.12\n"


ENDING = """#!{python}
import os, signal, sys, time
if sys.argv[1] == "-c":
    os.execv(sys.executable, sys.argv)

def heard(number, frame):
    with open("heard", "a") as file:
        file.write(signal.Signals(number).name + " ")

signal.signal(signal.SIGTERM, heard)
signal.signal(signal.SIGINT, heard)
with open("ready", "a") as file:
    file.write(".")
for _ in range(600):
    time.sleep(0.05)
    if os.path.exists("heard"):
        time.sleep(0.5)
        sys.exit(75)
"""


def test_ctrl_c_reaches_each_process_of_local_once(tmp_path):
    """A terminal sends SIGINT to the whole group in the foreground: to the script and what it started."""
    trainer = tmp_path / "trainer"
    trainer.write_text(ENDING.format(python=sys.executable))
    trainer.chmod(0o755)
    command = ["bash", LAUNCH / "local.sh", "1", "w", "--config=a"]
    environment = os.environ | {"PYTHON": str(trainer)}
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, start_new_session=True)
    while not (tmp_path / "ready").exists():
        assert process.poll() is None
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(timeout=60) == 75
    assert (tmp_path / "heard").read_text() == "SIGTERM "


SETTINGS = ("SPOT", "NAME", "ZONE", "TYPE", "RUNTIME", "PROJECT", "WORKDIR")
HOSTILE = ("arguments[$(touch run)]", "--flags-file=x", "x y")


@pytest.mark.parametrize(
    ("name", "value"),
    [*((name, value) for name in SETTINGS for value in HOSTILE), ("DIRECTORY", "--flags-file=x")],
)
def test_no_setting_of_the_slice_is_code_or_a_flag(fakes, monkeypatch, tmp_path, name, value):
    if name != "DIRECTORY":
        monkeypatch.setenv(name, value)
    done = script("tpu_vm.sh", "pull", value if name == "DIRECTORY" else "out")
    assert done.returncode == 2
    assert done.stderr.startswith(f"{name}=")
    assert done.stderr.count("\n") == 1
    assert fakes() == []
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["local.sh", "slurm.sbatch"])
def test_the_signal_before_the_limit_reaches_the_training(tmp_path, monkeypatch, name):
    """A stand-in for the training that saves and exits with 75 when it gets SIGTERM."""
    trainer = tmp_path / "trainer"
    trainer.write_text(
        "#!/bin/bash\n[[ $1 != -c ]] || exit 0\ntrap 'sleep 0.2; echo saved >> saved; exit 75' TERM\n"
        "echo ready >> ready\nwhile true; do sleep 0.05; done\n"
    )
    requeue = tmp_path / "scontrol"
    requeue.write_text("#!/bin/bash\necho $@ >> requeued\n")
    for program in (trainer, requeue):
        program.chmod(0o755)
    slurm = {"SLURM_ARRAY_TASK_ID": "0", "SLURM_ARRAY_TASK_COUNT": "1", "SLURM_ARRAY_JOB_ID": "5"}
    environment = os.environ | slurm | {"PYTHON": str(trainer), "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    command = ["bash", LAUNCH / name, "1", "w", "--config=a"]
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
