"""Published folders: what is in them, what is not, and reading them back by path and by URL."""

import contextlib
import functools
import getpass
import http.server
import json
import pathlib
import runpy
import shutil
import subprocess
import threading

import numpy as np
import pytest
import xarray as xr
from etils import epath

import collapse_jax
from collapse_jax.__main__ import main
from collapse_jax.errors import ConfigError, DamagedError, StoreError, WorkdirError
from collapse_jax.publishing.folder import without_folders
from collapse_jax.workdir.netcdf import write_dataset
from collapse_jax.workdir.record import read_experiment

SHIPPED = pathlib.Path(__file__).parents[2] / "docs/experiments/lottery_conv2"
SECRET = "/home/somebody/private"


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A published folder of a sweep whose config and attributes name folders of a machine."""
    base = tmp_path_factory.mktemp("publish")
    workdir = base / "runs of somebody"
    workdir.mkdir()
    results = xr.load_dataset(SHIPPED / "results.nc", engine="h5netcdf")
    experiment = json.loads(results.attrs["experiment"])
    experiment["task"] |= {"data_dir": SECRET, "dataset": f"{SECRET}/digits.npz", "vocabulary": "~/words.txt"}
    results.attrs["experiment"] = json.dumps(experiment)
    results.test_loss.attrs["measured"] = json.dumps({"measure": "own", "options": {"file": f"{SECRET}/own.py"}})
    write_dataset(results, epath.Path(workdir / "results.nc"))
    shutil.copy(SHIPPED / "experiment.json", workdir / "provenance_of_somebody.json")
    return collapse_jax.publish(workdir, base / "folder", names=["phases"], licence="cc-by-4.0")


def test_a_folder_has_all_parts_and_right_checksums(published):
    found = {path.relative_to(published).as_posix() for path in published.rglob("*") if path.is_file()}
    rest = {"results.nc", "config.py", "provenance.json", "README.md", "SHA256SUMS"}
    assert found == rest | {"figures/phases.png"}
    done = subprocess.run(
        ["sha256sum", "--strict", "-c", "SHA256SUMS"], cwd=published, capture_output=True, check=True
    )
    assert done.stdout.count(b": OK") == len(found) - 1


def test_results_are_the_same_numbers(published):
    there = collapse_jax.open_results(SHIPPED / "results.nc")
    again = collapse_jax.open_results(published)
    xr.testing.assert_equal(there, again)


def test_the_config_is_the_experiment_that_was_trained(published):
    module = runpy.run_path(str(published / "config.py"))  # leaves no bytecode there
    record = json.loads((published / "provenance.json").read_text())
    assert module["get_config"]() == read_experiment(record)
    assert record["experiment"]["task"]["dataset"] == "digits.npz"


def test_the_card_has_front_matter_settings_and_a_definition_of_every_variable(published):
    yaml = pytest.importorskip("yaml")
    _, front, card = (published / "README.md").read_text().split("---\n", 2)
    assert yaml.safe_load(front)["license"] == "cc-by-4.0"
    results = collapse_jax.open_results(published)
    for name, variable in results.data_vars.items():
        if name != "diverged_at":
            row = next(line for line in card.splitlines() if line.startswith(f"| {name} |"))
            assert variable.attrs["definition"] in row
            assert f" {variable.attrs['units']} |" in row
    assert 'title: "collapse_jax' in card
    assert "![phases](figures/phases.png)" in card
    settings = [line for line in card.splitlines() if line.startswith("| 0.0001 ")]
    means = results.test_accuracy.isel(step=-1).mean("seed").values.ravel()
    assert [float(line.split("|")[3].split()[0]) for line in settings] == pytest.approx(means, abs=1e-4)


def test_nothing_names_the_machine(published):
    for path in published.rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        for name in ("somebody", SECRET, str(published.parent), str(pathlib.Path.home()), f"/{getpass.getuser()}/"):
            assert name.encode() not in content, (path, name)


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("/data/mnist", "mnist"),
        ("~/x.npz", "x.npz"),
        ("C:\\data\\x.npz", "x.npz"),
        ("glue/sst2", "glue/sst2"),
        ("1/s", "1/s"),
        ("/a/b.py:MODEL", "b.py:MODEL"),
        ({"a": ["/b/c", 1.5, None]}, {"a": ["c", 1.5, None]}),
    ],
)
def test_folders_are_left_out(value, kept):
    assert without_folders(value) == kept


def test_what_is_refused(published, tmp_path, capsys):
    with pytest.raises(ConfigError, match="must not exist, or be an empty folder"):
        collapse_jax.publish(SHIPPED, published)
    command = ["publish", f"--workdir={SHIPPED}"]
    for flags, message in (
        ([], "--to"),
        ([f"--to={tmp_path / 'x'}", "--figures=phasen"], "did you mean 'phases'?"),
        ([f"--to={tmp_path / 'x'}", "--license=to do"], "must be an identifier"),
    ):
        assert main([*command, *flags]) == 2
        assert message in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


def test_unfinished_runs_are_refused_or_said(tmp_path):
    results = xr.load_dataset(SHIPPED / "results.nc", engine="h5netcdf")
    results["test_accuracy"] = results.test_accuracy.where(results.step < 1200)
    for name in results.data_vars:
        if "step" in results[name].dims:
            results[name] = results[name].where((results.step < 1200) | (results.seed == 0))
    (tmp_path / "w").mkdir()
    write_dataset(results, epath.Path(tmp_path / "w/results.nc"))
    with pytest.raises(WorkdirError, match=r"2 of 4 runs are unfinished; train on, or publish them with --partial"):
        collapse_jax.publish(tmp_path / "w", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["w"]
    (tmp_path / "out").mkdir()  # an empty folder is taken
    collapse_jax.publish(tmp_path / "w", tmp_path / "out", names=["phases"], partial=True)
    assert "4 runs, 2 of them unfinished" in (tmp_path / "out/README.md").read_text()


@contextlib.contextmanager
def served(folder):
    """Yield the address of a folder on this machine, and the paths that were asked for."""
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            asked.append(self.path)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=folder))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_url_is_read_once_and_then_from_the_cache(published, cache):
    with served(published) as (url, asked):
        first = collapse_jax.open_results(f"{url}/")
        second = collapse_jax.open_results(url)
        file = collapse_jax.open_results(f"{url}/results.nc")
    assert asked == ["/SHA256SUMS", "/results.nc", "/SHA256SUMS", "/results.nc"]
    for results in (first, second, file):
        xr.testing.assert_identical(results, collapse_jax.open_results(published))
    (kept,) = cache.rglob("results.nc")
    kept.write_bytes(kept.read_bytes()[:-1])  # a damaged cache is downloaded again
    with served(published) as (url, asked):
        xr.testing.assert_equal(collapse_jax.open_results(url), first)
    assert asked == ["/SHA256SUMS", "/results.nc"]


def test_show_reads_a_url(published, cache, capsys):
    assert main(["show", f"--workdir={published}"]) == 0
    told = capsys.readouterr().out
    with served(published) as (url, _):
        assert main(["show", f"--workdir={url}"]) == 0
        assert capsys.readouterr().out == told
        assert main(["show", f"--workdir={url}/nothing"]) == 2
        said = capsys.readouterr().err
        assert main(["plot", f"--workdir={url}"]) == 2
        refused = capsys.readouterr().err
    assert said == f"collapse-jax: {url}/nothing/SHA256SUMS: not there (404 File not found)\n"
    assert refused.startswith(f"collapse-jax: --workdir='{url}': must be on a disk or in an object store")


def test_a_wrong_file_is_told_and_not_kept(published, cache, tmp_path, rng):
    folder = shutil.copytree(published, tmp_path / "copy")
    content = bytearray((folder / "results.nc").read_bytes())
    content[rng.integers(len(content))] ^= 1
    (folder / "results.nc").write_bytes(content)
    with (
        served(folder) as (url, _),
        pytest.raises(DamagedError, match=r"results.nc is not the file that SHA256SUMS"),
    ):
        collapse_jax.open_results(url)
    (folder / "SHA256SUMS").write_text("nonsense\n")
    with served(folder) as (url, _), pytest.raises(DamagedError, match=r"SHA256SUMS is no file of checksums"):
        collapse_jax.open_results(url)
    assert list(cache.rglob("*.nc")) == []


def test_what_cannot_be_downloaded_is_one_line(cache, tmp_path, capsys):
    with served(tmp_path) as (url, _):
        assert main(["show", f"--workdir={url}/nowhere"]) == 2
        with pytest.raises(WorkdirError, match=r"SHA256SUMS: not there \(404"):
            collapse_jax.open_results(f"{url}/nowhere")
    with pytest.raises(StoreError, match="cannot be downloaded"):
        collapse_jax.open_results(url)
    assert capsys.readouterr().err.count("\n") == 1


def test_a_download_that_breaks_off_is_told(published, cache, monkeypatch):
    """The server promises more bytes than come."""

    def send_head(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        return (published / "SHA256SUMS").open("rb")

    monkeypatch.setattr(http.server.SimpleHTTPRequestHandler, "send_head", send_head)
    with served(published) as (url, _), pytest.raises(StoreError, match=r"cannot be downloaded: IncompleteRead"):
        collapse_jax.open_results(url)
    assert list(cache.rglob("*.nc")) == []


def test_numbers_survive_the_round_trip_bit_for_bit(published):
    for name, variable in collapse_jax.open_results(SHIPPED / "results.nc").data_vars.items():
        again = collapse_jax.open_results(published)[name]
        np.testing.assert_array_equal(again.values.view(np.uint8), variable.values.view(np.uint8))
