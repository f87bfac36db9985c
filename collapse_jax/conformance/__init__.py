"""Right values of every measure on small arrays, and a check of any implementation against them.

The values are those of `cases.json`, which scripts/conformance writes with numpy and scipy alone.
"""

from collapse_jax.conformance.installation import LOSSES, this_installation
from collapse_jax.conformance.kit import Case, Right, cases
from collapse_jax.conformance.verdicts import Implementation, Verdict, check, report

__all__ = ["LOSSES", "Case", "Implementation", "Right", "Verdict", "cases", "check", "report", "this_installation"]
