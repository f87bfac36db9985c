"""Print the lowest allowed version of every dependency of pyproject.toml, as constraints for pip.

Command: python scripts/lowest.py test data > lowest.txt, of the package and of the extras that are named.
"""

import pathlib
import re
import sys
import tomllib

PROJECT = pathlib.Path(__file__).parents[1] / "pyproject.toml"


def lowest(requirements: list[str]) -> list[str]:
    """Turn "name[extra]>=1.2" into "name==1.2"; without a lower bound there is nothing to test."""
    found = [re.match(r"([\w.-]+)(?:\[[^]]*\])?>=([\w.]+)", text) for text in requirements]
    if None in found:
        raise SystemExit(f"no lower bound: {requirements[found.index(None)]}")
    return [f"{one[1]}=={one[2]}" for one in found if one]


if __name__ == "__main__":
    project = tomllib.loads(PROJECT.read_text("utf-8"))["project"]
    wanted = project["dependencies"] + [
        one for extra in sys.argv[1:] for one in project["optional-dependencies"][extra]
    ]
    print(*lowest(list(dict.fromkeys(wanted))), sep="\n")
