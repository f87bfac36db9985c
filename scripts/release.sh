#!/usr/bin/env bash
# Build sdist and wheel, check them, and run the quickstart's smoke with the wheel alone. Uploads nothing.
#
#   git tag v0.2.0 && scripts/release.sh     # the version is that of the tag; then: twine upload dist/*
#
# Needs the extra `release`; works in virtual environments of its own.
set -euo pipefail
cd "$(dirname "$0")/.."
unset PYTHONPATH
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python=${PYTHON:-python3}

step() {
  echo "+ $*"
  "$@"
}

rm -rf dist
step "$python" -m build --outdir dist .
step "$python" -m twine check --strict dist/*
wheel=$(echo dist/*.whl)
step "$python" - "$wheel" <<'CHECK'
import sys, zipfile

names = zipfile.ZipFile(sys.argv[1]).namelist()
strangers = [name for name in names if not name.startswith(("collapse_jax/", "collapse_jax-"))]
missing = [name for name in ("py.typed", "data/mnist_subset.npz", "data/CITATION.cff", "reporting/templates/page.html.j2",
                             "conformance/cases.json") if f"collapse_jax/{name}" not in names]
assert not strangers, f"in the wheel, and not of the package: {strangers[:5]}"
assert not missing, f"not in the wheel: {missing}"
print(f"{len(names)} files, all of the package")
CHECK
step "$python" -m venv "$work/venv"
step "$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check "$wheel"
cp configs/quickstart.py "$work/quickstart.py"
cd "$work"
collapse=$work/venv/bin/collapse-jax
step "$work/venv/bin/python" -c "import collapse_jax; print(collapse_jax.__version__, collapse_jax.__file__)"
step "$collapse" train --config=quickstart.py:smoke --workdir=runs/quickstart --figures=false
step "$collapse" show --workdir=runs/quickstart
step "$collapse" publish --workdir=runs/quickstart --to=published --figures=phases
(cd published && step sha256sum --quiet -c SHA256SUMS)
step "$work/venv/bin/python" -m pip check
echo "good: $wheel and the sdist beside it"
