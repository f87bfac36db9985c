"""What a program computes, counted before any compiler has seen it: the same on every device and version of XLA."""

import math
from collections.abc import Iterator
from typing import Any

import jax
from jax.extend import core


def of_products(program: core.Jaxpr) -> float:
    """Count the additions and multiplications of the matrix products and convolutions of a program.

    A product of [M, K] and [K, N] is 2 M N K of them. The body of a loop counts once, of the branches of a choice
    the one that has most; a program for several devices counts for one of them.
    """
    return sum(_of_equation(equation) for equation in program.eqns)


def _of_equation(equation: core.JaxprEqn) -> float:
    name, parts = equation.primitive.name, [of_products(part) for part in _inside(equation)]
    if name == "cond":
        return max(parts)
    if name in ("dot_general", "conv_general_dilated"):
        left, right, out = map(_shape, (*equation.invars, *equation.outvars))
        results = math.prod(out)
        if name == "dot_general":
            (contracted, _), _ = equation.params["dimension_numbers"]
            return 2 * results * math.prod(left[axis] for axis in contracted)
        features = right[equation.params["dimension_numbers"].rhs_spec[0]]
        return 2 * results * math.prod(right) / features
    return sum(parts)


def _shape(variable: Any) -> tuple[int, ...]:
    return variable.aval.shape


def _inside(equation: core.JaxprEqn) -> Iterator[core.Jaxpr]:
    """Yield the programs that an equation calls."""

    def is_program(value: Any) -> bool:
        return isinstance(value, core.Jaxpr | core.ClosedJaxpr)

    for value in jax.tree.leaves(equation.params, is_leaf=is_program):
        if is_program(value):
            yield value.jaxpr if isinstance(value, core.ClosedJaxpr) else value
