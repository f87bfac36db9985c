"""Temporary files: what a killed writer leaves goes, what a living one writes stays, on whatever machine."""

import os

import pytest

from collapse_jax.system import files
from collapse_jax.system.files import ABANDONED_SECONDS, remove_left_overs, replacing

DEAD = 2**22 + 1  # no process has this number


@pytest.fixture
def left_by(tmp_path, monkeypatch):
    """Leave a file half-written, as a process of that number on that host does that is killed."""

    def leave(pid, host=None, name="report.html"):
        with monkeypatch.context() as patch:
            patch.setattr(os, "getpid", lambda: pid)
            if host:
                patch.setattr(files, "this_host", lambda: host)
            with replacing(tmp_path / "elsewhere" / name) as path:
                pass_on = path.name
                path.parent.mkdir(exist_ok=True)
                path.write_text("whole")
        left = tmp_path / pass_on
        left.write_text("half")
        return left

    return leave


def age(path):
    os.utime(path, (os.stat(path).st_mtime - 2 * ABANDONED_SECONDS,) * 2)
    return path


@pytest.mark.parametrize(
    "clean",
    [
        remove_left_overs,
        lambda folder: write(folder / "report.html"),
    ],
)
def test_what_the_killed_left_goes_and_what_the_living_write_stays(tmp_path, left_by, clean):
    gone = [left_by(DEAD), left_by(os.getpid()), age(left_by(4, "another host")), left_by(DEAD)]
    kept = [left_by(os.getppid()), age(left_by(os.getppid())), left_by(DEAD, "another host")]
    clean(tmp_path)
    assert [path.exists() for path in gone] == [False] * 4
    assert [path.exists() for path in kept] == [True] * 3


def write(path):
    with replacing(path) as temporary:
        temporary.write_text("whole")
    assert path.read_text() == "whole"


def test_a_file_takes_away_its_own_left_overs_alone_and_not_what_this_process_writes(tmp_path, left_by):
    other = left_by(DEAD, name="report.html.gz")
    with replacing(tmp_path / "report.html") as first:
        first.write_text("first")
        write(tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text() == "first"
    assert other.exists()
