"""Claims of the documentation: what is compared, and that pages, results and code agree."""

import json
import pathlib
import re

import numpy as np
import pytest

from collapse_jax.__main__ import main
from collapse_jax.errors import ConfigError
from collapse_jax.publishing import claims, coverage, pages, wording

ROOT = pathlib.Path(__file__).parents[2]
CLAIM = """
from collapse_jax.publishing.claims import claims

@claims("docs/numbers.txt")
def numbers(path):
    first, second = path.read_text().split()
    yield f"The mean is {float(first):.2f}, the last {float(second):.1f}."
    yield f"| a | {float(first):.2f} |"
"""
PAGE = """# Title

The mean is [1.25](numbers.txt), **the
last 3.5**.

| a | 1.25 |

```
The mean is 9.99, the last 9.9.
```
"""


@pytest.fixture
def checkout(tmp_path):
    """A repository with one page, one file of numbers, and one function of two claims."""
    (tmp_path / "docs/claims").mkdir(parents=True)
    (tmp_path / "docs/claims/small.py").write_text(CLAIM)
    (tmp_path / "docs/numbers.txt").write_text("1.25 3.5")
    (tmp_path / "README.md").write_text(PAGE)
    return tmp_path


def test_a_sentence_is_found_across_links_emphasis_and_lines(checkout):
    found = list(claims.check(checkout))
    assert [verdict.equal for verdict in found] == [True, True]
    assert {(verdict.name, verdict.page) for verdict in found} == {("small.numbers", "README.md")}


def test_a_sentence_may_move_to_another_page(checkout):
    (checkout / "README.md").rename(checkout / "docs/elsewhere.md")
    assert {verdict.page for verdict in claims.check(checkout)} == {"docs/elsewhere.md"}


def test_any_other_digit_is_a_difference(checkout, rng, capsys):
    digits = [match.start() for match in re.finditer(r"\d", PAGE.split("```")[0])]
    for at in rng.choice(digits, size=4, replace=False):
        other = str((int(PAGE[at]) + int(rng.integers(1, 10))) % 10)
        (checkout / "README.md").write_text(PAGE[:at] + other + PAGE[at + 1 :])
        different = [verdict for verdict in claims.check(checkout) if not verdict.equal]
        in_table = at > PAGE.index("| a")
        in_address = PAGE[at - 1] == "("
        assert len(different) == (0 if in_address else 1)
        assert different[0].recomputed.startswith("| a |" if in_table else "The mean")
        assert different[0].claimed.count("|") == different[0].recomputed.count("|")
        assert main(["reproduce", f"--root={checkout}"]) == 1
        printed = capsys.readouterr()
        assert f"claimed    {different[0].claimed}" in printed.out
        assert "1 of 2 claims are not what the results say" in printed.err


def test_other_results_are_a_difference(checkout):
    (checkout / "docs/numbers.txt").write_text("1.25 3.6")
    assert [verdict.equal for verdict in claims.check(checkout)] == [False, True]


def test_a_sentence_that_no_page_has_is_a_difference(checkout):
    (checkout / "README.md").write_text("# Nothing\n")
    assert [(verdict.equal, verdict.claimed) for verdict in claims.check(checkout)] == [(False, "")] * 2


def test_json_has_every_claim(checkout, capsys):
    assert main(["reproduce", f"--root={checkout}", "--format=json", "--only=small.numbers"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(one["name"], one["equal"]) for one in found] == [("small.numbers", True)] * 2


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--only=smal"], "did you mean 'small'?"),
        (["--format=xml"], "known: json, text"),
        (["--train=thory"], "--train='thory': unknown"),
        (["--only=small", "--train=x"], "--only='small': goes without --train"),
        (["--into=x"], "--into='x': goes with --train only"),
        (["--root=nowhere"], "--root='nowhere': must be a checkout"),
    ],
)
def test_wrong_flags_are_one_line(checkout, flags, message, capsys):
    assert main(["reproduce", f"--root={checkout}", *flags]) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.err.count("\n") == 1


def test_a_missing_file_of_results_is_named(checkout):
    (checkout / "docs/numbers.txt").unlink()
    with pytest.raises(ConfigError, match=r"docs/numbers.txt.*no such file"):
        list(claims.check(checkout))


def test_numbers_are_written_as_by_hand(rng):
    assert wording.number(np.float32(0.9125)) == "0.913"  # float32 holds 0.91249996
    assert wording.number(13475.49, 0) == "13,475"
    assert wording.number(9475.1, -2) == "9,500"
    assert wording.number(-0.0004, 3) == "0.000"
    assert wording.number(np.inf) == "∞"
    assert wording.ends([0.1, 0.1004]) == "0.100"
    assert wording.mean_range([1, 2, 6], 1) == "3.0 [1.0, 6.0]"
    assert wording.short("0.912 [0.903, 10.5], -0.1") == ".912 [.903, 10.5], -.1"
    for value in rng.uniform(-1e4, 1e4, 50):  # a closest number with one digit; 7 digits of a value are to 5e-4
        text = wording.number(value, 1)
        assert re.fullmatch(r"-?\d{1,3}(,\d{3})?\.\d", text)
        assert abs(float(text.replace(",", "")) - value) <= 0.05 + 1e-3
    found = rng.normal(size=7)
    written = [float(one) for one in wording.mean_error(found, 4).split(" +- ")]
    assert written == pytest.approx([found.mean(), found.std(ddof=1) / 7**0.5], abs=5.1e-5)


@pytest.fixture(scope="module")
def verdicts():
    """All claims of the documentation, computed again."""
    return list(claims.check(ROOT))


def test_the_documentation_says_what_its_results_say(verdicts):
    assert [verdict for verdict in verdicts if not verdict.equal] == []
    assert len(verdicts) > 400


def test_every_number_of_the_documentation_comes_from_somewhere(verdicts):
    sentences = [verdict.claimed for verdict in verdicts]
    found = [one for page in pages.pages_of(ROOT) for one in coverage.numbers_of(page, sentences)]
    assert [one for one in found if one.kind == "bare"] == []
    assert coverage.count(found)["derived"] > 2500


def test_tables_of_experiments_and_benchmarks_name_their_commands():
    text = "".join(page.read_text() for page in sorted((ROOT / "docs").rglob("*.md")))
    rows = re.findall(r"^\| [^|\n]+ \| (`configs/[^|]*) \| ([^|]*) \|", text, re.MULTILINE)
    assert len(rows) > 20
    for config, command in rows:
        assert all((ROOT / name).is_file() for name in re.findall(r"configs/\w+\.py", config)), config
        assert re.search(r"`?(train|measure|plot)\b", command), (config, command)
    sections = re.split(r"^## ", (ROOT / "docs/performance.md").read_text(), flags=re.MULTILINE)[1:]
    timed = [one for one in sections if re.search(r"^\|---", one, re.MULTILINE)]
    assert len(timed) > 5
    for section in timed:
        assert re.search(r"python -m (benchmarks|collapse_jax|pytest)|`train`", section), section.splitlines()[0]
