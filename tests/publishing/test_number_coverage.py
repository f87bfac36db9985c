"""Where numbers of pages come from: one rule, on pages written for it."""

import pytest

from collapse_jax.__main__ import main
from collapse_jax.publishing import coverage, pages


def kinds(markdown, *sentences):
    """Kind of each number of a page, in order."""
    page = pages.page("page.md", markdown)
    return [one.kind for one in coverage.numbers_of(page, sentences)]


@pytest.mark.parametrize(
    ("markdown", "expected"),
    [
        ("It ends at 0.91.", ["bare"]),
        ("It ends at 0.91 (`python -m benchmarks.speed`).", ["named"]),
        ("It ends at 0.91 ([numbers](results.json)).", ["named"]),
        ("By hand it took 12 s.", ["named"]),
        ("It ends at 0.91.\n\nAs `plot` shows.", ["named"]),
        ("It ends at 0.91.\n\n```bash\npython -m collapse_jax show\n```", ["named"]),
        ("## A\n\nSee `show`.\n\nWords.\n\nIt ends at 0.91.", ["named"]),
        ("## A\n\nSee `show`.\n\n## B\n\nIt ends at 0.91.", ["bare"]),
        ("## A\n\nWords.\n\nSee `show`.\n\nWords.\n\nIt ends at 0.91.", ["bare"]),
        ("* See `show`.\n* Words.\n  More of them.\n* It ends at 0.91.", ["named"]),
        ("Words.\n\n* See `show`.\n* Words.\n* It ends at 0.91.", ["bare"]),
    ],
)
def test_a_command_or_file_names_its_block_the_next_ones_and_a_section_that_it_begins(markdown, expected):
    assert kinds(markdown) == expected


@pytest.mark.parametrize(
    "markdown",
    [
        "`steps=30`",
        "### 3.2",
        "With seeds 0, 1 and 2.",
        "With 5 seeds, 2 quiet cores, at step 3,000.",
        "At d = 500, jax 0.10.",
        "sqrt(n) / 2, log 10, N(0, 1), [0, 1]",
        "The paper has 0.99.",
        "arXiv 2509.20829",
        "1. Words.",
    ],
)
def test_settings_formulas_and_what_papers_say(markdown):
    found = kinds(markdown)
    assert found
    assert set(found) == {"setting"}


@pytest.mark.parametrize(
    "markdown", ["It ends at 60 run-steps/s.", "p = 0.03", "It took 12 s.", "twice 0.5", "NC1 is 0.2 at the end"]
)
def test_what_is_found_is_no_setting(markdown):
    assert kinds(markdown) == ["bare"]


def test_columns_of_papers_heads_and_first_cells_are_settings():
    table = (
        "| rate | ours, 30 | asked | paper |\n|-|-|-|-|\n| 0.1 | 0.2 | 0.3 | 0.4 |\n| 0.5 | 0.6 \\| 0.7 | | 0.8 |"
    )
    expected = ["setting", "setting", "bare", "setting", "setting", "setting", "bare", "bare", "setting"]
    assert kinds(table) == expected


def test_numbers_of_a_claim_are_derived_wherever_it_stands_and_however_it_is_marked():
    markdown = (
        "First 0.5. It *is* **[0.25](v1/2)**,\n`x` then 0.75, and 0.5.\n\n```\n0.25\n```\n<!-- 9 -->NC1, ResNet18"
    )
    assert kinds(markdown, "0.25, x then 0.75,", "") == ["bare", "derived", "derived", "bare"]


def test_marks_before_a_claim_do_not_move_it():
    markdown = "`a` `b`\n\n| `c` | **1.5** |\n|---|---|\n| `d` | 2.5 |\n\n* `e`, 3.5"
    assert kinds(markdown, "| d | 2.5 |") == ["setting", "derived", "bare"]


def test_reproduce_fails_on_a_bare_number_and_names_it(tmp_path, capsys):
    (tmp_path / "docs/claims").mkdir(parents=True)
    (tmp_path / "docs/claims/one.py").write_text(
        "from collapse_jax.publishing.claims import claims\n\n@claims()\ndef one():\n    yield 'It is 0.25.'\n"
    )
    (tmp_path / "README.md").write_text("It is 0.25. Then 0.75.")
    assert main(["reproduce", f"--root={tmp_path}"]) == 1
    printed = capsys.readouterr()
    assert "BARE       README.md: ... It is 0.25. Then 0.75. ..." in printed.out
    assert "Of 2 numbers in README.md and docs 1 stand in these, 0 are settings" in printed.out
    assert "1 numbers name nothing" in printed.err
    assert main(["reproduce", f"--root={tmp_path}", "--only=one"]) == 0
    assert capsys.readouterr().out.endswith("\n1 of 1 claims are equal to what the shipped results say.\n")
