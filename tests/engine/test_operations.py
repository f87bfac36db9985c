"""Operations counted in a program are those of the closed forms."""

import dataclasses

import jax
import jax.numpy as jnp
import pytest
from conftest import tiny_experiment

from benchmarks import engine
from collapse_jax import tasks
from collapse_jax.engine import compile as programs
from collapse_jax.engine.operations import of_products
from collapse_jax.engine.packing import Layout
from collapse_jax.experiment.config import Packing


def counted(function, *shapes):
    return of_products(jax.make_jaxpr(function)(*[jnp.zeros(shape) for shape in shapes]).jaxpr)


def test_products_and_convolutions():
    assert counted(jnp.matmul, (3, 5), (5, 7)) == 2 * 3 * 5 * 7
    assert counted(jax.vmap(jnp.matmul), (4, 3, 5), (4, 5, 7)) == 4 * 2 * 3 * 5 * 7

    def convolve(x, kernel):
        return jax.lax.conv_general_dilated(x, kernel, (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))

    assert counted(convolve, (2, 8, 8, 3), (3, 3, 3, 5)) == 2 * (2 * 4 * 4 * 5) * (3 * 3 * 3)


def test_loops_count_once_and_choices_their_larger_side():
    def program(a):
        a = jax.lax.fori_loop(0, 10, lambda _, x: x @ a, a)
        return jax.lax.cond(a.sum() > 0, lambda x: x @ x @ x, lambda x: x @ x, jax.jit(jnp.sin)(a))

    assert counted(program, (4, 4)) == 3 * 2 * 4**3


@pytest.mark.parametrize("tile", [1, 3])
def test_a_training_step_of_the_main_network(tile):
    experiment = tiny_experiment(packing=Packing(1, tile))
    experiment = dataclasses.replace(experiment, model=dataclasses.replace(experiment.model, hidden=(30, 20)))
    compiled = programs.compile_for(experiment, Layout(4, 1, tile), tasks.load(experiment.task))
    assert compiled.operations == engine.flops_per_run_step(experiment)
