"""Edges of the command line: a reader that is gone, empty values, names that are too long."""

import os
import pathlib
import subprocess
import sys

import pytest

from collapse_jax.__main__ import READER_GONE, main
from collapse_jax.errors import ConfigError
from collapse_jax.planning.chips import CHIPS, parse_target

ROOT = pathlib.Path(__file__).parents[2]
SMOKE = f"--config={ROOT}/configs/quickstart.py:smoke"
LONG = f"--workdir={'x' * 300}"
COMMANDS = (["train", SMOKE], ["show"], ["report"], ["plot"], ["verify"], ["merge"], ["measure", "--measures=fit"])


@pytest.mark.parametrize("words", [["--help"], ["train", "--help"]], ids=" ".join)
def test_help_ends_without_a_word_when_its_reader_is_gone(words):
    """As `collapse-jax --help | head -1`."""
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "collapse_jax", *words]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False, cwd=ROOT)
    os.close(writing)
    assert (done.returncode, done.stderr) == (READER_GONE, "")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["plan", SMOKE, "--target="], "--target='': needs a value"),
        (
            ["plan", SMOKE, "--target=tpu-v5e:1000x1000"],
            "is 1000000 chips; at most 256",
        ),
        (["merge", "--partial=maybe", "--workdir=w"], "--partial='maybe': must be True or False"),
        (["train", SMOKE, "--nofigures=3", "--workdir=w"], "--nofigures=3 does not take an argument"),
        (["measure", "--memory=", "--workdir=w"], "--memory='': must be a number"),
        (["train", SMOKE, "--shard=", "--workdir=w"], "--shard='': needs a value, or leave the flag out"),
        (["report", "--out=", "--workdir=w"], "--out='': needs a value"),
        (["conformance", "--measure="], "--measure='': needs a value"),
        (["measure", "--measures=fit", "--steps=", "--workdir=w"], "--steps='': needs a value"),
        *([[*command, LONG], "a name in it has more than 255 bytes"] for command in COMMANDS),
    ],
    ids=lambda value: " ".join(value)[-30:] if isinstance(value, list) else "",
)
def test_an_edge_is_one_line(words, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert said in line
    assert not list(tmp_path.iterdir())


def test_targets_are_pieces_that_can_be_had():
    assert parse_target(None).devices == 4
    assert parse_target("tpu-v5p:16x20x28").devices == CHIPS["tpu-v5p"].most
    for target in ("tpu-v5e:16x32", "tpu-v4:32x16x16", "h100:99999"):
        with pytest.raises(ConfigError, match=rf"^--target='{target}'"):
            parse_target(target)
