# Finds a Python of a version, on the PATH or below pyenv; sourced by the other scripts.
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
