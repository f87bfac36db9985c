"""Make collapse_jax/conformance/cases.json: small inputs, and what each measure must say of them.

    python scripts/conformance/write.py [--target=FILE]

An implementation of its own, in float64 with numpy and scipy alone: it imports nothing of the package. Values are
written to 10 digits, so that the file is the same byte for byte wherever it is made.
"""

import argparse
import json
import pathlib
import textwrap
from typing import Any

import numpy as np
from case import Case
from cases import CASES
from inputs import FEATURES
from paired import PAIRED
from sequences import SEQUENCES

# What float64 leaves of an exact zero.
ROUNDED = 1e-14
INPUTS = {make.__name__: make for make in (*FEATURES, *PAIRED, *SEQUENCES)}
TARGET = pathlib.Path(__file__).parents[2] / "collapse_jax" / "conformance" / "cases.json"


def main() -> None:
    """Write the file and print how much it holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", type=pathlib.Path, default=TARGET)
    target = parser.parse_args().target
    used = {case.inputs for case in CASES}
    inputs = {name: {n: a.tolist() for n, a in make().items()} for name, make in INPUTS.items() if name in used}
    entries = [entry(case) for case in CASES]
    target.write_text(text({"inputs": inputs, "cases": entries}, depth=4) + "\n")
    print(f"{target}: {len(entries)} cases, {sum(len(entry['values']) for entry in entries)} values")


def entry(case: Case) -> dict[str, Any]:
    """The case as it is written."""
    arrays = INPUTS[case.inputs]()
    for name, array in arrays.items():
        if not np.array_equal(array.astype(np.float32), array):
            raise ValueError(f"{case.inputs}: {name} is not exact in float32")
    with np.errstate(divide="ignore"):
        values = case.right(arrays)
    kept = {name: values[name] for name in case.variables or values}
    return {
        "name": f"{case.measure}/{case.name}",
        "measure": case.measure,
        "about": case.about,
        "inputs": case.inputs,
        "options": case.options,
        "values": {name: {"right": written(value)} | tolerance(case, name) for name, value in kept.items()},
    }


def tolerance(case: Case, name: str) -> dict[str, float]:
    """What float32 may miss: relative, plus absolute for what is a difference of larger numbers."""
    cancels = any(part in name for part in ("gnc2", "nc2_e", "nc3", "margin", "superfluous", "mi_", "change"))
    return {"rtol": case.rtol, "atol": case.atol if case.atol is not None else 2e-5 if cancels else 1e-12}


def written(value: Any) -> Any:
    """A number to 10 digits, "inf" and "nan" as text, an array as nested lists."""
    if np.ndim(value):
        return [written(item) for item in value]
    number = 0.0 if abs(value) <= ROUNDED else float(f"{float(value):.10g}")
    return number if np.isfinite(number) else str(number)


def text(value: Any, depth: int) -> str:
    """JSON with a line for each entry down to `depth`, so that a change of one value is a change of one line."""
    if depth and isinstance(value, dict):
        items, ends = [f"{json.dumps(name)}: {text(item, depth - 1)}" for name, item in value.items()], "{}"
    elif depth and isinstance(value, list) and isinstance(value[0], dict | list):
        items, ends = [text(item, depth - 1) for item in value], "[]"
    else:
        return json.dumps(value, allow_nan=False)
    inside = textwrap.indent(",\n".join(items), " ")
    return f"{ends[0]}\n{inside}\n{ends[1]}"


if __name__ == "__main__":
    main()
