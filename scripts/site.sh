#!/usr/bin/env bash
# Build the documentation site into build/site, warnings are errors (with mkdocs' own --quiet they would not be seen):
# pip install -e ".[docs]" && scripts/site.sh [flags of mkdocs build]
# Its pages can be read from the disk; searching them needs a server: python -m http.server -d build/site
set -euo pipefail
cd "$(dirname "$0")/.."
export NO_MKDOCS_2_WARNING=1
python -m mkdocs build --strict "$@"
