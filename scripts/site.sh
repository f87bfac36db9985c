#!/usr/bin/env bash
# Build the documentation site into build/site, warnings are errors: scripts/site.sh [--install] [further flags of mkdocs build]
set -euo pipefail
cd "$(dirname "$0")/.."
if [[ ${1:-} == --install ]]; then
  shift
  python -m pip install -q -e ".[docs]"
fi
export NO_MKDOCS_2_WARNING=1
python -m mkdocs build --quiet --strict "$@"
