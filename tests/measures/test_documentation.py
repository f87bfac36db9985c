"""Every family has its row in docs/measures.md, and every variable says what it is."""

import pathlib

import pytest

from collapse_jax.measures import MEASURES

TABLE = (pathlib.Path(__file__).parents[2] / "docs" / "measures.md").read_text()


@pytest.mark.parametrize("name", MEASURES)
def test_every_family_is_in_the_table(name):
    rows = [line for line in TABLE.splitlines() if line.startswith(f"| [`{name}`](")]
    assert len(rows) == 1, f"docs/measures.md needs one row for the family {name!r}"
    assert all(cell.strip() for cell in rows[0].strip("|").split("|"))


@pytest.mark.parametrize("name", MEASURES)
def test_every_variable_is_described(name):
    measure = MEASURES[name]
    assert measure.needs
    for variable, described in measure.variables.items():
        assert all((described.long_name, described.units, described.definition)), variable
