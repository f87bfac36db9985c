"""What is said of the progress without a terminal."""

import errno
import io
import sys
import types

import pytest
import tqdm

from collapse_jax.system import progress


@pytest.fixture
def clock(monkeypatch):
    """Give the progress a clock that stands still until the test moves it."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_without_a_terminal_a_line_comes_every_half_minute(clock, capsys):
    shown = progress.Progress(total=10_000, done=1_000)
    said = []
    for second in range(1, 91):
        clock[0] += 1
        shown.update(1_000 + 50 * second, "note" if second > 80 else "")
        said.append(capsys.readouterr().err)
    assert [second for second, line in enumerate(said, 1) if line] == [30, 60, 90]
    # 50 a second; what an earlier call has done counts as done, and not into the rate
    assert said[29] == "25% of 10,000 run-steps, 50 a second, 02:30 left\n"
    assert said[89] == "55% of 10,000 run-steps, 50 a second, 01:30 left, note\n"


def test_nothing_done_yet_has_no_time_left(clock, capsys):
    shown = progress.Progress(total=10, done=0, unit="measured runs")
    clock[0] += 30
    shown.add(0)
    assert capsys.readouterr().err == "0% of 10 measured runs, 0 a second, ? left\n"


def test_on_a_terminal_there_is_the_bar_alone(clock, capsys, monkeypatch):
    monkeypatch.setattr(progress.sys.stderr, "isatty", lambda: True)
    shown = progress.Progress(total=10, done=0)
    clock[0] += 100
    shown.update(5)
    shown.close()
    said = capsys.readouterr().err
    assert "5.00/10.0" in said
    assert "a second" not in said


class Broken:
    """A stderr whose disk is full, or whose reader has gone."""

    def write(self, text):
        raise OSError(errno.ENOSPC, "No space left on device")

    def flush(self):
        self.write("")

    def isatty(self):
        return False


@pytest.mark.parametrize("stderr", [None, Broken(), io.StringIO()], ids=["none", "full", "closed"])
def test_what_cannot_be_said_stops_nothing(monkeypatch, clock, stderr):
    if hasattr(stderr, "close"):
        stderr.close()
    monkeypatch.setattr(sys, "stderr", stderr)
    shown = progress.Progress(total=10_000, done=0)
    clock[0] += 100
    shown.update(50)
    progress.say("a line")
    progress.tell("a last line")
    shown.close()
    assert shown.rate == 0.5


class Shell:
    """What IPython says in the kernel of a notebook."""

    config = {"IPKernelApp": {}}  # noqa: RUF012


@pytest.mark.parametrize("widgets", [True, False], ids=["widgets", "none"])
def test_a_notebook_has_a_bar_whether_it_has_widgets_or_not(clock, capsys, monkeypatch, widgets):
    """Without ipywidgets that of a terminal, and no warning, which would be an error here."""
    made = []

    class Widget(progress.tqdm):
        def __init__(self, **options):
            made.append(options)
            super().__init__(**options | {"disable": True})

    notebook = types.SimpleNamespace(tqdm=Widget, IProgress=object if widgets else None)
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=Shell))
    monkeypatch.setitem(sys.modules, "tqdm.notebook", notebook)
    monkeypatch.setattr(tqdm, "notebook", notebook, raising=False)
    shown = progress.Progress(total=10, done=0)
    clock[0] += 100
    shown.update(5)
    shown.close()
    assert [options["disable"] for options in made] == [False] * widgets
    assert ("5.00/10.0" in capsys.readouterr().err) == (not widgets)
