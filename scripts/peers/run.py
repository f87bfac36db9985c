"""Hold public implementations against the conformance kit, for the table of docs/conformance.md.

    python scripts/peers/run.py --clones=DIR [--only=NAME]

DIR holds a clone of each repository under OWNER+NAME, at the commit of the table; torch, scikit-learn and hoi are
installed. Prints a report for each.
"""

import argparse
import pathlib

from collapse_jax.system import runtime

runtime.start(devices=1)

from adapters import paper, rhubarbwu  # noqa: E402
from more import hoi, ronho, scikit_learn, tding1  # noqa: E402

from collapse_jax.conformance import check, report  # noqa: E402

PEERS = {
    "keitaroskmt+collapse-dynamics": paper,
    "rhubarbwu+neural-collapse": rhubarbwu,
    "tding1+Neural-Collapse": tding1,
    "Ronho+privacy-and-grokking": ronho,
    "hoi": hoi,
    "scikit-learn": scikit_learn,
}

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--clones", type=pathlib.Path, required=True)
parser.add_argument("--only", default="")
arguments = parser.parse_args()
for name, make in PEERS.items():
    if arguments.only in ("", name):
        verdicts = check(make(arguments.clones / name if "+" in name else None))
        print(f"\n## {name}\n\n{report([verdict for verdict in verdicts if verdict.outcome != 'not given'])}")
