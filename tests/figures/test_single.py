"""One figure by its name."""

import struct

import numpy as np
import pytest
from synthetic_results import make_results

import collapse_jax
from collapse_jax.errors import ConfigError, WorkdirError
from collapse_jax.experiment.config import Experiment
from collapse_jax.figures import NotDrawableError
from collapse_jax.workdir.record import attributes


@pytest.fixture(scope="module")
def results():
    own = make_results(weight_decay=(0.03, 0.3), seed=(0, 1), last=30_000)
    return own.assign_attrs(attributes(Experiment()))


def drawn(figure):
    """Return the y of all points and lines."""
    points = [path.get_offsets()[:, 1] for axes in figure.axes for path in axes.collections]
    return np.concatenate([*points, *(line.get_ydata() for axes in figure.axes for line in axes.lines)])


def test_the_levels_are_the_sweeps_own_or_those_given(results):
    for levels in (None, {"rnc1": 0.05}):
        figure = collapse_jax.figure(results, "timescales", levels)
        for other in (None, {"rnc1": 0.05}):
            times = collapse_jax.timescales(results, other).tau_collapse.values.ravel()
            assert np.isin(times.round(3), drawn(figure).astype(float).round(3)).all() == (levels == other)


def test_a_notebook_shows_it_though_pyplot_does_not_know_it(results, tmp_path):
    results.to_netcdf(tmp_path / "results.nc")
    figure = collapse_jax.figure(tmp_path, "accuracy")
    png = figure._repr_png_()
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", png[16:24])
    assert (width, height) == tuple((figure.get_size_inches() * figure.dpi).astype(int))


def test_what_is_asked_for_wrongly_is_one_line(results, tmp_path):
    wrong = [
        (lambda: collapse_jax.figure(results, "phase"), ConfigError, "did you mean 'phases'?"),
        (lambda: collapse_jax.figure(results, "violins"), ConfigError, "give the workdir"),
        (lambda: collapse_jax.figure(results, "phases", {"rnc": 0.1}), ConfigError, "did you mean 'rnc1'?"),
        (lambda: collapse_jax.figure(results, "information_plane"), NotDrawableError, "mi_zx"),
        (lambda: collapse_jax.figure(tmp_path / "nowhere", "phases"), WorkdirError, "no results here"),
    ]
    for call, error, message in wrong:
        with pytest.raises(error) as raised:
            call()
        assert message in str(raised.value)
        assert "\n" not in str(raised.value)
