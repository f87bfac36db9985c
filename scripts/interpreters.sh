# For scripts that run tests in environments of their own, sourced by them: finds a Python of a version, on the PATH or
# below pyenv; $venvs is the folder of the environments, removed at the end unless VENVS names it; "$@" are the tests,
# by default a choice that takes minutes.
unset PYTHONPATH
venvs=${VENVS:-$(mktemp -d)}
[ -n "${VENVS:-}" ] || trap 'rm -rf "$venvs"' EXIT
[ $# -gt 0 ] || set -- tests/experiment tests/measures/test_arrays.py tests/engine/test_sweep.py tests/publishing

interpreter() {
  local found
  for found in "$(command -v "python$1" || true)" "$HOME"/.pyenv/versions/"$1".*/bin/python; do
    if [ -n "$found" ] && "$found" -c "" 2>/dev/null; then
      echo "$found"
      return
    fi
  done
  echo "no python$1 here" >&2
  return 1
}
