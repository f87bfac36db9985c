#!/usr/bin/env bash
# Run tests with every Python that is supported, each in a virtual environment of its own, newest dependencies.
#
#   scripts/pythons.sh                      # a choice that takes minutes
#   scripts/pythons.sh tests                # all of them
#   PYTHONS="3.13" VENVS=~/venvs scripts/pythons.sh tests/analysis      # environments are kept in VENVS
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/interpreters.sh
unset PYTHONPATH
venvs=${VENVS:-$(mktemp -d)}
[ -n "${VENVS:-}" ] || trap 'rm -rf "$venvs"' EXIT
[ $# -gt 0 ] || set -- tests/experiment tests/measures/test_arrays.py tests/engine/test_sweep.py tests/publishing
for version in ${PYTHONS:-3.11 3.12 3.13}; do
  venv=$venvs/py$version
  [ -x "$venv/bin/python" ] || "$(interpreter "$version")" -m venv "$venv"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -e ".[test]"
  echo "+ Python $version: pytest $*"
  "$venv/bin/python" -m pytest -n "${PROCESSES:-auto}" "$@"
done
