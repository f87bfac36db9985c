"""What the tests of the launch scripts share: programs that record how they were called."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

LAUNCH = pathlib.Path(__file__).parents[1] / "launch"
BUCKET = "gs://bucket/sweep"
RECORDER = """#!{python}
import json, os, sys
if sys.argv[1] == "-c":  # asked for its version
    os.execv(sys.executable, sys.argv)
with open(os.environ["RECORD"], "a") as record:
    record.write(json.dumps([os.path.basename(sys.argv[0]), *sys.argv[1:]]) + "\\n")
sys.exit(int(os.environ.get("FAKE_CODE", 0)))
"""


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
