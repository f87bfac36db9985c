"""Two tasks of a real Slurm step find each other without being told.

Starts a single-node Slurm of its own. Needs root, and Debian's or Ubuntu's `slurm-wlm` and `munge`.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import time

import pytest

import collapse_jax

ROOT = pathlib.Path(__file__).parents[2]
PROGRAMS = ("munged", "slurmctld", "slurmd", "srun", "sinfo")
CONFIG = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
ReturnToService=2
SlurmctldPort=16817
SlurmdPort=16818
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmdSpoolDir={folder}/spool
StateSaveLocation={folder}/state
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} State=UNKNOWN
PartitionName=all Nodes={host} Default=YES MaxTime=INFINITE State=UP OverSubscribe=FORCE:4
"""


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """Start munged, slurmctld and slurmd on ports and files of their own."""
    missing = [name for name in PROGRAMS if not shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")]
    if missing:
        pytest.skip(f"Slurm is not installed: {', '.join(missing)} missing (apt-get install slurm-wlm munge)")
    if os.getuid():
        pytest.skip("the daemons of Slurm need root")
    monkeypatch.setenv("PATH", f"{os.environ['PATH']}:/usr/sbin:/sbin")
    host = os.uname().nodename.split(".")[0]
    # Not below /tmp/pytest-of-..., which only its owner may enter and whose paths are too long for a socket.
    folder = pathlib.Path(f"/tmp/slurm-test-{os.getpid()}")
    for part in ("state", "spool"):
        (folder / part).mkdir(parents=True)
    folder.chmod(0o755)
    (folder / "munge.key").write_bytes(os.urandom(128))
    (folder / "munge.key").chmod(0o400)
    text = CONFIG.format(host=host, folder=folder, cpus=os.cpu_count())
    (folder / "slurm.conf").write_text(text)
    monkeypatch.setenv("SLURM_CONF", str(folder / "slurm.conf"))
    files = [f"--{name}={folder}/munge.{name.split('-')[0]}" for name in ("key-file", "pid-file", "seed-file")]
    munged = [
        "munged",
        "--foreground",
        "--force",
        f"--socket={folder}/munge.socket",
        f"--log-file={folder}/munge.log",
    ]
    daemons = [subprocess.Popen([*munged, *files], stderr=subprocess.DEVNULL)]
    time.sleep(1)
    daemons += [
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for command in (["slurmctld", "-D"], ["slurmd", "-D", "-N", host])
    ]
    try:
        for _ in range(40):
            states = subprocess.run(["sinfo", "-h", "-o", "%t"], capture_output=True, text=True, check=False).stdout
            if states.strip() in ("idle", "mix", "alloc"):
                break
            time.sleep(0.5)
        else:
            logs = [(folder / name).read_text()[-800:] for name in ("slurmctld.log", "slurmd.log", "munge.log")]
            pytest.skip(f"Slurm does not run on this machine: {logs}")
        yield
    finally:
        for daemon in reversed(daemons):
            daemon.terminate()
            daemon.wait(timeout=20)
        shutil.rmtree(folder)


@pytest.mark.timeout(280)
def test_two_tasks_of_a_step_find_each_other(slurm, tmp_path):
    workdir = tmp_path / "sweep"
    overrides = [
        "steps=12",
        "task.test_size=100",
        "snapshots.test_size=50",
        "model.hidden=(8,6)",
        "packing.devices=1",
    ]
    command = [sys.executable, "-m", "collapse_jax", "train", "--distributed", f"--workdir={workdir}"]
    command += [f"--config={ROOT}/configs/quickstart.py:smoke", *(f"--config.{field}" for field in overrides)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("JAX_", "XLA_"))}
    done = subprocess.run(
        ["srun", "--ntasks=2", "--overcommit", "--kill-on-bad-exit=1", *command],
        env=environment | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert "shard 0/2: 3 of 6 runs" in done.stderr
    assert "shard 1/2: 3 of 6 runs" in done.stderr
    results = collapse_jax.open_results(workdir)
    assert results.sizes["weight_decay"] == 3
    assert results.train_loss.notnull().all()
