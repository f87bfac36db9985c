"""The conformance kit: its file, what it admits, and this installation."""

import ast
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest

from collapse_jax.__main__ import main
from collapse_jax.conformance import Right, cases, check, kit, report, this_installation
from collapse_jax.errors import ConfigError
from collapse_jax.measures import MEASURES

SCRIPTS = pathlib.Path(__file__).parents[2] / "scripts" / "conformance"
# Those that compile in a second or two.
QUICK = ("balancedness", "collapse", "collapse_bounds", "distance", "mutual_information", "norms")


def test_the_script_makes_the_file_byte_for_byte(tmp_path):
    target = tmp_path / "cases.json"
    subprocess.run([sys.executable, SCRIPTS / "write.py", f"--target={target}"], check=True, capture_output=True)
    assert target.read_bytes() == kit.FILE.read_bytes()


def test_the_script_is_independent():
    """It imports numpy, scipy, the standard library and itself."""
    allowed = {"numpy", "scipy"} | set(sys.stdlib_module_names) | {file.stem for file in SCRIPTS.glob("*.py")}
    for file in SCRIPTS.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            assert {name.split(".")[0] for name in names} <= allowed, file.name


# What is drawn at random: nulls, errors, p-values, Monte Carlo estimates, Langevin chains, noise on the weights,
# posteriors that SGD has trained by such noise.
NOISY = r"llc.*|expected_sharpness.*|hessian_trace|posterior_risk.*|pac_bound.*|tolerated_sigma|trained_.*"
NULLS = r".*_(null|null_sd|p|(?<!etf_)(?<!train_)(?<!test_)error)(_sigma\d+)?"
DRAWN = re.compile(rf"(layer_)?noisy_z.*|{NOISY}|{NULLS}")
# What belongs to the candidate that a search finds; tests/measures/test_complexity.py computes it anew there.
FOUND = re.compile(r"complexity.*|coarse_te.*|coarse_train_error|description_length|generalisation_bound")


def test_every_variable_that_is_not_drawn_at_random_has_a_right_value():
    right = {(case.measure, name) for case in cases() for name in case.right}
    fixed = {(m.name, name) for m in MEASURES.values() for name in m.variables if not DRAWN.fullmatch(name)}
    fixed -= {(measure, name) for measure, name in fixed if measure == "complexity" and FOUND.fullmatch(name)}
    assert fixed <= right
    assert len(fixed) > 150


def test_every_case_is_of_a_family_and_said():
    assert len({case.name for case in cases()}) == len(cases())
    for case in cases():
        assert case.about
        assert case.right.keys() <= MEASURES[case.measure].variables.keys()
        for array in case.arrays.values():
            np.testing.assert_array_equal(array, array.astype(np.float32))


FAMILIES = tuple(dict.fromkeys(case.measure for case in cases()))


@pytest.mark.bits
@pytest.mark.parametrize(
    "measure", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in FAMILIES]
)
def test_this_installation(measure):
    verdicts = check(this_installation, measure)
    assert {verdict.outcome for verdict in verdicts} == {"pass"}, report(verdicts)


def test_a_wrong_value_is_told():
    """Tr(Sigma_W) with n - 1 in its denominator: 24/23 of the right value."""

    def wrong(measure, arrays, options):
        features, labels = arrays["train_features"], arrays["train_labels"]
        means = np.array([features[labels == c].mean(axis=0) for c in range(4)])
        return {"within_class_variance": np.sum((features - means[labels]) ** 2) / (len(features) - 1)}

    (verdict,) = [
        v
        for v in check(wrong, "collapse")
        if (v.case.name, v.variable) == ("collapse/general", "within_class_variance")
    ]
    right = verdict.case.right["within_class_variance"].value
    assert verdict.outcome == "fail"
    assert verdict.seen == pytest.approx(right * 24 / 23, rel=1e-9)
    assert verdict.difference == f"within_class_variance: {verdict.seen:.7g}, right {right:.7g}"


def test_what_an_implementation_lacks_is_not_given():
    def nothing(measure, arrays, options):
        raise NotImplementedError

    verdicts = check(nothing, "norms")
    assert {verdict.outcome for verdict in verdicts} == {"not given"}
    assert report(verdicts) == "norms/network  3 not given\nall            3 not given"


def test_an_error_of_an_implementation_is_told_once_for_its_case():
    def broken(measure, arrays, options):
        raise ValueError("no such thing")

    verdicts = check(broken, "norms")
    assert {verdict.outcome for verdict in verdicts} == {"error"}
    assert report(verdicts).splitlines()[:2] == ["norms/network  1 error", "  ValueError: no such thing"]


def test_names_that_nobody_knows_are_refused():
    with pytest.raises(ConfigError, match="did you mean 'weight_norm'"):
        check(lambda *_: {"weigth_norm": 1.0}, "norms")
    with pytest.raises(ConfigError, match="did you mean 'norms'"):
        check(this_installation, "norm")


@pytest.mark.parametrize(
    ("value", "seen", "admitted"),
    [
        (2.0, 2.0001, True),
        (2.0, 2.1, False),
        (2.0, [2.0], False),
        (2.0, np.nan, False),
        (np.inf, np.inf, True),
        (np.inf, 1e30, False),
        ([1.0, 2.0], [1.0, 2.0], True),
        ([1.0, 2.0], [1.0, 3.0], False),
    ],
)
def test_what_is_admitted(value, seen, admitted):
    assert Right(np.array(value), rtol=1e-3, atol=0.0).admits(seen) is admitted


def test_command_prints_a_line_for_each_case(capsys):
    assert main(["conformance", "--measure=norms"]) == 0
    assert capsys.readouterr().out.splitlines() == ["norms/network  3 pass", "all            3 pass"]


def test_command_tells_wrong_values_by_its_exit_code(capsys, monkeypatch):
    monkeypatch.setattr("collapse_jax.conformance.this_installation", lambda *_: {"weight_norm": 1.0})
    assert main(["conformance", "--measure=norms"]) == 4
    shown = capsys.readouterr()
    assert "weight_norm: 1, right 3.2" in shown.out
    assert shown.err.startswith("collapse-jax: 3 of 3 values")


def test_command_refuses_an_unknown_measure_in_one_line(capsys):
    assert main(["conformance", "--measure=colapse"]) == 2
    assert "did you mean 'collapse'" in capsys.readouterr().err


def test_the_adapter_of_the_documentation_runs_and_is_right(capsys):
    page = (SCRIPTS.parents[1] / "docs" / "conformance.md").read_text()
    exec(page.split("```python\n")[1].split("```")[0], {})
    total = capsys.readouterr().out.splitlines()[-1].split(None, 1)
    given = sum(1 for case in cases() if case.measure == "collapse" for name in case.right if name in GIVEN)
    assert total == ["all", f"{given} pass, {sum(len(case.right) for case in cases()) - given} not given"]


# The variables of that adapter.
GIVEN = ("within_class_variance", "rnc1")
