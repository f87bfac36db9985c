"""Holds an implementation of the measures against the cases."""

import collections
import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from collapse_jax.conformance.kit import Case, cases
from collapse_jax.errors import first_line, require, require_one_of, unknown
from collapse_jax.measures import MEASURES

# (measure, arrays, options) -> {variable: value}, of those variables that it has.
Implementation = Callable[[str, Mapping[str, np.ndarray], Mapping[str, Any]], Mapping[str, Any]]
PASS, FAIL, ERROR, NOT_GIVEN = "pass", "fail", "error", "not given"


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What an implementation says of one variable of one case.

    Attributes:
      case: the case.
      variable: name of the variable.
      outcome: "pass", "fail", "not given", or "error" for every variable of a case in which it raised one.
      seen: the value that it gave, or the error; None where it gave none.
    """

    case: Case
    variable: str
    outcome: str
    seen: Any = None

    @property
    def difference(self) -> str:
        """One line for people: of an array, its first wrong entry."""
        right = self.case.right[self.variable]
        seen = np.asarray(self.seen, float)
        if seen.shape != right.value.shape:
            return f"{self.variable}: shape {seen.shape}, right {right.value.shape}"
        wrong = right.wrong(seen)
        index = tuple(int(i) for i in np.argwhere(wrong)[0]) if wrong.any() else (0,) * seen.ndim
        where = str(list(index)) if index else ""
        return f"{self.variable}{where}: {seen[index]:.7g}, right {right.value[index]:.7g}"


def check(implementation: Implementation, measure: str | None = None) -> list[Verdict]:
    """Compares what an implementation gives with the right values.

        verdicts = check(lambda measure, arrays, options: {"rnc1": mine(arrays["train_features"])}, "collapse")

    Args:
      implementation: called once for each case; variables that it does not return are "not given", as are all of a
        case where it raises `NotImplementedError`. Another exception is an error of the whole case.
      measure: the family to check; None: all.

    Returns:
      A verdict for each variable of each case.

    Raises:
      ConfigError: no case is of that family, or the implementation names a variable that the family does not have.
    """
    known = list(dict.fromkeys(case.measure for case in cases()))
    if measure is not None:
        require_one_of("measure", measure, known)
    chosen = [case for case in cases() if measure in (None, case.measure)]
    return [verdict for case in chosen for verdict in _verdicts(implementation, case)]


def report(verdicts: Iterable[Verdict]) -> str:
    """A line for each case, with how many values pass, below it those that do not; then the sum."""
    by_case: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        by_case.setdefault(verdict.case.name, []).append(verdict)
    width = max(map(len, by_case), default=0)
    lines = []
    for name, own in by_case.items():
        lines.append(f"{name:{width}}  {_counted(own)}")
        if own[0].outcome == ERROR:
            lines.append(f"  {type(own[0].seen).__name__}: {first_line(own[0].seen)}")
        lines += [f"  {verdict.difference}" for verdict in own if verdict.outcome == FAIL]
    return "\n".join([*lines, f"{'all':{width}}  {_counted([v for own in by_case.values() for v in own])}"])


def _counted(verdicts: list[Verdict]) -> str:
    counts = collections.Counter(verdict.outcome for verdict in verdicts)
    counts[ERROR] = len({verdict.case.name for verdict in verdicts if verdict.outcome == ERROR})
    return ", ".join(f"{counts[o]} {o}" for o in (PASS, FAIL, ERROR, NOT_GIVEN) if counts[o])


def _verdicts(implementation: Implementation, case: Case) -> Iterator[Verdict]:
    try:
        seen = implementation(case.measure, case.arrays, case.options)
    except NotImplementedError:
        seen = {}
    except Exception as error:  # whatever the code of others does
        yield from (Verdict(case, name, ERROR, error) for name in case.right)
        return
    known = MEASURES[case.measure].variables
    for name in seen:
        require(name in known, "variable", name, unknown("variable", name, known))
    for name, right in case.right.items():
        value = seen.get(name)
        if value is None:
            yield Verdict(case, name, NOT_GIVEN)
        else:
            yield Verdict(case, name, PASS if right.admits(value) else FAIL, value)
