"""What a user can find out without reading code: lists, fields, completion."""

import ast
import dataclasses
import pathlib
import re
import subprocess

import pytest

from collapse_jax.__main__ import main
from collapse_jax.analysis.events import EVENTS
from collapse_jax.cli.commands import COMMANDS
from collapse_jax.cli.listing import KINDS
from collapse_jax.cli.parse import parse
from collapse_jax.experiment import describe
from collapse_jax.experiment.axes import AXES, Grid
from collapse_jax.experiment.config import Experiment
from collapse_jax.experiment.typed import field_types
from collapse_jax.figures import FIGURES
from collapse_jax.measures import MEASURES
from collapse_jax.models import MODELS
from collapse_jax.models.losses import LOSSES
from collapse_jax.training.terms import TERMS

ROOT = pathlib.Path(__file__).parents[2]
TABLES = {
    "measures": MEASURES,
    "models": MODELS,
    "figures": FIGURES,
    "events": EVENTS,
    "losses": LOSSES,
    "terms": TERMS,
    "axes": AXES,
    "configs": [f"configs/{path.name}" for path in sorted((ROOT / "configs").glob("*.py"))],
}


def listed(capsys, *words):
    assert main([*words]) == 0
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("kind", KINDS)
def test_each_entry_of_a_table_is_a_line_with_words(kind, capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    lines = [line.split(maxsplit=1) for line in listed(capsys, "list", kind)]
    assert all(len(line) == 2 and len(line[1]) > 2 for line in lines), lines
    if kind in TABLES:
        assert [name for name, _ in lines] == [*TABLES[kind]]
    else:
        assert {"mnist", "modular", "token_selection", "cifar10", "FILE.npz"} <= {name for name, _ in lines}


def test_the_words_are_those_of_the_registries(capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    configs = dict(line.split(maxsplit=1) for line in listed(capsys, "list", "configs"))
    for path, text in configs.items():
        assert ast.get_docstring(ast.parse((ROOT / path).read_text())).replace("\n", " ").startswith(text)
    figures = dict(line.split(maxsplit=1) for line in listed(capsys, "list", "figures"))
    assert figures == {name: drawing.question for name, drawing in FIGURES.items()}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["list"], "list='': unknown kind; known: axes, configs"),
        (["list", "measure"], "list='measure': unknown kind; did you mean 'measures'?"),
        (["list", "measures", "models"], "argument='models': not understood"),
        (["list", "figures", "--format=json"], "--format='json': list takes no flags"),
        (
            ["completion", "--shell=fish"],
            "--shell='fish': unknown --shell; known: bash, tcsh, zsh",
        ),
    ],
)
def test_what_there_is_not_is_refused_in_one_line(words, said, capsys):
    assert main(words) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert said in err


def test_help_has_each_field_with_its_default_and_text(capsys):
    shown = dict(
        re.findall(r"^  --config\.([\w.]+)=(.*)$", "\n".join(listed(capsys, "train", "--help")), re.MULTILINE)
    )
    assert set(shown) == set(field_types(Experiment))
    for field in describe.fields():
        assert len(field.text) > 3, field
        default = field.default if field.default and isinstance(field.default, str) else repr(field.default)
        assert shown[field.name].startswith(f"{default}: {field.text[:10]}"), field
        if isinstance(field.default, int | float | tuple) and field.default:
            shown_as = str(field.default).strip("()").rstrip(",").replace("'", "")
            options = [
                "train",
                f"--config={ROOT}/configs/quickstart.py",
                f"--config.{field.name}={shown_as}",
                "--workdir=w",
            ]
            experiment = parse(options).experiment
            for name in field.name.split("."):
                experiment = getattr(experiment, name)
            assert experiment == field.default


def test_the_text_of_a_field_is_its_paragraph_in_the_docstring():
    texts = describe.attributes_of(Grid)
    assert set(texts) == {item.name for item in dataclasses.fields(Grid)}
    assert texts["seed"] == "of the initial parameters and of the order of the batches."
    assert texts["weight_decay"].endswith("(added to the gradient) for Adam, SGD and GD.")
    assert describe.first_sentence("It is e.g. this, of arXiv 2509.20829. And that.\n\nMore.") == (
        "It is e.g. this, of arXiv 2509.20829."
    )


def completed(script, *words):
    """Return what bash proposes for the last word."""
    line = " ".join(f"'{word}'" for word in words)
    ask = f"COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _shtab_collapse_jax; echo ${{COMPREPLY[@]}}"
    done = subprocess.run(["bash", "-c", f"source {script}; {ask}"], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_bash_completes_commands_flags_fields_and_kinds(tmp_path, capsys):
    pytest.importorskip("shtab")
    script = tmp_path / "completion.bash"
    script.write_text("\n".join(listed(capsys, "completion", "--shell=bash")))
    assert set(completed(script, "collapse-jax", "")) >= set(COMMANDS)
    assert completed(script, "collapse-jax", "tra") == ["train"]
    assert completed(script, "collapse-jax", "train", "--ext") == ["--extend"]
    assert completed(script, "collapse-jax", "train", "--config.grid.weight_d") == ["--config.grid.weight_decay"]
    assert completed(script, "collapse-jax", "list", "mea") == ["measures"]
