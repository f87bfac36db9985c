"""A workdir in an object store, against an emulator of Google Cloud Storage: the same bits as on a disk."""

import importlib.util
import pathlib
import subprocess
import sys

import pytest

NEEDED = ("gcsfs", "gcp_storage_emulator")


@pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in NEEDED), reason=f"needs {' and '.join(NEEDED)}"
)
def test_everything_in_a_bucket(tmp_path):
    worker = pathlib.Path(__file__).with_name("store_gcs_worker.py")
    command = [sys.executable, worker, tmp_path / "reference"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = [line for line in done.stderr.splitlines() if line.startswith(("collapse-jax", "Assertion", "gs:"))]
    assert done.returncode == 0, "\n".join([*said, done.stderr[-3000:]])
    assert done.stdout.splitlines()[-1] == "same"
