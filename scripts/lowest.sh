#!/usr/bin/env bash
# Run tests with the lowest version of every dependency that pyproject.toml allows, in an environment of its own.
#
#   scripts/lowest.sh                       # a choice that takes minutes
#   scripts/lowest.sh tests                 # all of them
#   PYTHON=3.12 VENVS=~/venvs scripts/lowest.sh tests/analysis          # the environment is kept in VENVS
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/interpreters.sh
venv=$venvs/lowest
[ -x "$venv/bin/python" ] || "$(interpreter "${PYTHON:-3.11}")" -m venv "$venv"
"$(interpreter 3.11)" scripts/lowest.py test > "$venv/lowest.txt"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check -c "$venv/lowest.txt" -e ".[test]"
echo "+ lowest versions: pytest $*"
"$venv/bin/python" -m pytest -n "${PROCESSES:-auto}" "$@"
