"""The benchmark of an accelerator runs as a whole on a CPU, without PyTorch, and finds what must hold there too."""

import json

import pytest

from benchmarks import accelerator

pytestmark = pytest.mark.slow


def test_everything_but_pytorch_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(accelerator, "opponents", lambda *_: [])
    monkeypatch.setattr("sys.argv", ["accelerator", "--tiny", f"--out={tmp_path}"])
    accelerator.main()
    found = json.loads((tmp_path / "accelerator.json").read_text())
    assert (tmp_path / "accelerator.png").stat().st_size > 10_000
    assert found["bits"]["again"]
    assert found["bits"]["resumed"]
    assert all(row["run_steps_per_second"] > 0 for name in ("runs", "tiles", "cnn") for row in found[name])
    # 6 times the parameters of 784-200-200-200-10 and a batch of 100 images, 4 bytes each.
    assert found["floor_bytes"] == 4 * (6 * (785 * 200 + 2 * 201 * 200 + 201 * 10) + 78_400)
