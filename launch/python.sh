#!/usr/bin/env bash
# Prints the Python that is to be used: $PYTHON, or the first that is new enough; says what to do where there is none.
set -uo pipefail
needed='import sys; sys.exit(sys.version_info < (3, 11))'
if [[ -n ${PYTHON:-} ]]; then candidates=("$PYTHON"); else candidates=(python3 python3.{14..11}); fi
for python in "${candidates[@]}"; do
  if "$python" -c "$needed" 2>/dev/null; then printf '%s\n' "$python"; exit 0; fi
done
found=$("${candidates[0]}" --version 2>/dev/null || echo "not to be run")
echo "collapse_jax needs Python 3.11 or newer; ${candidates[0]} is: $found. Install one (Debian," \
  "Ubuntu: sudo apt-get install python3.11 python3.11-venv), load its module, or set PYTHON=/path/to/python" >&2
exit 2
