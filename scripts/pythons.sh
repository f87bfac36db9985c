#!/usr/bin/env bash
# Run tests with every Python that is supported, each in a virtual environment of its own, newest dependencies.
#
#   scripts/pythons.sh                      # a choice that takes minutes
#   scripts/pythons.sh tests                # all of them
#   PYTHONS="3.13" VENVS=~/venvs scripts/pythons.sh tests/analysis      # environments are kept in VENVS
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/interpreters.sh
for version in ${PYTHONS:-3.11 3.12 3.13}; do
  venv=$venvs/py$version
  [ -x "$venv/bin/python" ] || "$(interpreter "$version")" -m venv "$venv"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -e ".[test]"
  echo "+ Python $version: pytest $*"
  "$venv/bin/python" -m pytest -n "${PROCESSES:-auto}" "$@"
done
