"""Workdirs that no training left, and what must hold for the report of any."""

import base64
import hashlib
import html.parser
import io
import itertools
import json
import zlib
from pathlib import Path

import pytest
import xarray as xr
from etils import epath
from PIL import Image
from synthetic_results import make_results

from collapse_jax.experiment import config
from collapse_jax.figures import registry
from collapse_jax.workdir.netcdf import write_dataset
from collapse_jax.workdir.record import attributes, write_record

VOID = ("br", "img", "meta", "wbr")
LAST = 3000
DECAYS, SEEDS = (0.3, 0.1), (1, 2)
THRESHOLDS = config.Thresholds(train_accuracy=0.99, test_accuracy=0.2, rnc1=0.05)


def experiment_of(**changes) -> config.Experiment:
    grid = config.Grid(weight_decay=DECAYS, seed=SEEDS)
    fields = {"name": "synthetic", "grid": grid, "steps": LAST, "thresholds": THRESHOLDS}
    return config.Experiment(**fields | changes)


def write(workdir: Path, results: xr.Dataset | None = None, experiment=None, manifest=True) -> Path:
    """Write a workdir as a sweep leaves it, without having trained."""
    experiment = experiment or experiment_of()
    workdir.mkdir(parents=True, exist_ok=True)
    if results is None:
        results = make_results(DECAYS, SEEDS, last=LAST)
    write_dataset(results.assign_attrs(attributes(experiment)), epath.Path(workdir / "results.nc"))
    if manifest:
        details = {
            "packing": {"runs": 4, "devices": 2, "runs_per_tile": 1, "backend": "cpu", "device_kind": "cpu"},
            "data": {"sha256": {"train_inputs": "ab12"}, "shapes": {"train_inputs": [100, 784]}},
            "versions": {"jax": "0.10.2"},
            "git_commit": "0123abc",
        }
        write_record(epath.Path(workdir), experiment, None, details)
    return workdir


@pytest.fixture(autouse=True)
def one_figure(monkeypatch, request):
    """Draw one figure, which is enough for all tests but the one that asks for all."""
    if "all_figures" not in request.fixturenames:
        few = {name: registry.FIGURES[name] for name in ("programs", "accuracy")}
        monkeypatch.setattr(registry, "FIGURES", few)


class Page(html.parser.HTMLParser):
    """Elements of a page, with a check that they are nested well."""

    def __init__(self, path):
        super().__init__()
        self.elements, self.texts, self.rows, self.scripts, self._open = [], [], [], [], []
        self.feed(Path(path).read_text(encoding="utf-8"))
        assert not self._open

    def handle_starttag(self, name, attrs):
        self.elements.append((name, dict(attrs)))
        if name == "tr":
            self.rows.append([])
        if name in ("th", "td"):
            self.rows[-1].append("")
        if name not in VOID:
            self._open.append(name)

    def handle_endtag(self, name):
        assert self._open.pop() == name

    def handle_data(self, text):
        if self._open[-1:] == ["script"]:
            self.scripts.append(text)
            return
        self.texts.append(text)
        if "td" in self._open or "th" in self._open:
            self.rows[-1][-1] += text

    def all(self, *names):
        return [attrs for name, attrs in self.elements if name in names]

    @property
    def plots(self):
        """What the scripts know of the figures."""
        return [json.loads(zlib.decompress(base64.b64decode(text))) for text in self.scripts[:-1]]

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())


def check(path) -> Page:
    """Read a page and check what holds for every one."""
    page = Page(path)
    assert page.all("html") == [{"lang": "en"}]
    assert any(meta.get("name") == "viewport" for meta in page.all("meta"))
    assert not page.all("link", "iframe", "object")
    *data, script = page.all("script")
    assert script == {}  # the one that runs stands in the page, and the policy names it alone
    assert all(attrs == {"type": "application/zlib"} for attrs in data)
    source = page.scripts[-1]
    assert all(plot["panels"] for plot in page.plots)
    (policy,) = (meta["content"] for meta in page.all("meta") if "http-equiv" in meta)
    digest = base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
    assert policy == (f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'")
    ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
    assert len(set(ids)) == len(ids)
    for name, attrs in page.elements:
        for key in ("src", "href", "srcset", "data", "action", "style"):
            if key in attrs:
                allowed = (name, key) == ("img", "src") or attrs[key].removeprefix("#") in ids
                assert allowed, (name, key)
        assert not any(key.startswith("on") for key in attrs)
    assert "url(" not in path.read_text().replace(source, "")  # there, of what is drawn in the page itself
    assert "@import" not in path.read_text()
    levels = [int(name[1]) for name, _ in page.elements if name in ("h1", "h2", "h3", "h4")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(below <= above + 1 for above, below in itertools.pairwise(levels))
    assert all(attrs.get("scope") in ("row", "col") for attrs in page.all("th"))
    for image in page.all("img"):
        head, _, data = image["src"].partition(",")
        assert head == "data:image/webp;base64"
        with Image.open(io.BytesIO(base64.b64decode(data, validate=True))) as drawn:
            drawn.load()  # whole
            width, height = drawn.size
        assert abs(width / height - int(image["width"]) / int(image["height"])) < 0.01
        assert width > 1.5 * int(image["width"])  # sharp where a pixel of the page is several of the screen
        assert len(image["alt"]) > 20
    return page
