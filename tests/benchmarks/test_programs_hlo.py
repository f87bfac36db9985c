"""What the compiled programs of a sweep must not hold: checked in their text, so no accelerator is needed."""

import dataclasses
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from collapse_jax.engine import compile as programs
from collapse_jax.engine import packing
from collapse_jax.experiment.config import Grid, Packing

COLLECTIVES = (
    "all-gather",
    "all-reduce",
    "all-to-all",
    "collective-broadcast",
    "collective-permute",
    "ragged-all-to-all",
    "reduce-scatter",
)
TRANSFERS = ("infeed", "outfeed", "send", "recv")
PROGRAMS = ("advance_run", "measure_run", "snapshot_run")
LAYOUTS = [Packing(2, 1), Packing(2, 2)]


@dataclasses.dataclass
class Recorded:
    """A lifted program that keeps what it was lowered to."""

    program: jax.stages.Wrapped
    name: str
    kept: dict

    def __call__(self, *arguments):
        return self.program(*arguments)

    def lower(self, *arguments):
        self.kept[self.name] = self.program.lower(*arguments)
        return self.kept[self.name]

    def trace(self, *arguments):
        self.lower(*arguments)
        return self.program.trace(*arguments)


def lowered_programs(experiment, layout, monkeypatch):
    """Return what `compile_programs` lowers for an experiment, by the name of the lifted function."""
    kept = {}

    def recording(lift):
        return lambda layout, function: Recorded(lift(layout, function), function.func.__name__, kept)

    with monkeypatch.context() as patch:
        for name in ("over_runs", "over_runs_in_place"):
            patch.setattr(packing, name, recording(getattr(packing, name)))
        runs = len(programs.grid.grid_runs(experiment.grid))
        programs.compile_programs(experiment, packing.choose_layout(layout, runs))
    assert set(PROGRAMS) <= kept.keys()
    return kept


def six_runs(tiny, **changes):
    grid = Grid(weight_decay=(0.1, 0.01, 0.001), seed=(1, 2), init_scale=(1.0,))
    return tiny(**{"grid": grid, "measures": ("fit", "norms", "collapse")} | changes)


@pytest.fixture(scope="module", params=LAYOUTS, ids=str)
def lowered(request):
    from conftest import tiny_experiment

    experiment = six_runs(tiny_experiment)
    experiment.snapshots.content = ("train", "test", "head", "parameters")
    with pytest.MonkeyPatch.context() as monkeypatch:
        return lowered_programs(experiment, request.param, monkeypatch)


@pytest.fixture(scope="module")
def compiled(lowered):
    return {name: lowered[name].compile() for name in PROGRAMS}


def operations(text):
    """Return the kinds of operations in a compiled program; the halves of asynchronous ones lose their suffix."""
    kinds = set(re.findall(r"^\s+(?:ROOT )?%?\S+ = .*?[\]})] ([a-z][a-z0-9-]*)\(", text, re.MULTILINE))
    return {re.sub(r"-(start|done|update)$", "", kind) for kind in kinds}


def custom_calls(text):
    return set(re.findall(r'custom_call_target="([^"]+)"', text))


def states_of(compiled):
    return jax.tree.leaves(compiled["advance_run"].in_avals[0][0])


def bytes_of(leaves):
    return sum(leaf.size * leaf.dtype.itemsize for leaf in leaves)


@pytest.mark.parametrize("name", PROGRAMS)
def test_no_collective_operation(compiled, name):
    found = operations(compiled[name].as_text())
    assert {"dot", "fusion"} & found
    assert not found & set(COLLECTIVES)


@pytest.mark.parametrize("name", PROGRAMS)
def test_nothing_moves_between_host_and_device(compiled, name):
    text = compiled[name].as_text()
    assert not operations(text) & set(TRANSFERS)
    assert not [target for target in custom_calls(text) if "callback" in target or "host" in target.lower()]


def test_the_checks_see_what_they_look_for():
    layout = packing.Layout(2, 2, 1)

    def communicating(x):
        jax.debug.callback(lambda value: None, x.sum())
        return jax.lax.psum(x, "run") + jax.lax.ppermute(x, "run", [(0, 1), (1, 0)])

    lifted = jax.shard_map(communicating, mesh=layout.mesh, in_specs=packing.RUN, out_specs=packing.RUN)
    text = jax.jit(lifted).lower(jnp.zeros((2, 3))).compile().as_text()
    assert {"all-reduce", "collective-permute"} <= operations(text)
    assert [target for target in custom_calls(text) if "callback" in target]


def test_the_state_is_donated_whole(compiled):
    advance = compiled["advance_run"]
    per_device = bytes_of(states_of(compiled)) // 2
    analysis = advance.memory_analysis()
    assert "input_output_alias" in advance.as_text()
    assert analysis.alias_size_in_bytes == pytest.approx(per_device, rel=0.01)
    assert analysis.output_size_in_bytes == pytest.approx(per_device, rel=0.01)


def test_measuring_and_storing_leave_the_state_alone(compiled):
    for name in ("measure_run", "snapshot_run"):
        assert compiled[name].memory_analysis().alias_size_in_bytes == 0


def test_hyperparameters_are_arguments(tiny, monkeypatch):
    first = Grid(weight_decay=(0.1, 0.01), learning_rate=(1e-3,), init_scale=(1.0,), seed=(1, 2))
    second = Grid(weight_decay=(0.037, 0.0), learning_rate=(4e-5,), init_scale=(8.0,), seed=(77, 5))
    texts = [
        {
            name: lowered.as_text()
            for name, lowered in lowered_programs(tiny(grid=grid), Packing(2, 1), monkeypatch).items()
        }
        for grid in (first, second)
    ]
    assert texts[0] == texts[1]


def test_steps_are_arguments(lowered):
    start, stop = lowered["advance_run"].in_avals[0][3:]
    assert start.shape == stop.shape == ()
    assert start.dtype == stop.dtype == np.int32


def test_data_is_an_argument_and_no_constant(lowered):
    """100 x 784 training inputs would be a constant of 78,400 numbers."""
    for name in PROGRAMS:
        sizes = re.findall(r"stablehlo\.constant dense.*?tensor<([0-9x]*)x[a-z]", lowered[name].as_text())
        assert max((int(np.prod([int(n) for n in size.split("x")])) for size in sizes), default=0) < 78_400


def test_memory_grows_by_parameters_and_moments_per_run_and_one_gradient_per_tile(tiny, monkeypatch):
    runs, arguments, temporary = (4, 8, 16), [], []
    for count in runs:
        grid = Grid(weight_decay=(0.1,), seed=tuple(range(count)), init_scale=(1.0,))
        lowered = lowered_programs(tiny(grid=grid, measures=("norms",)), Packing(2, 1), monkeypatch)["advance_run"]
        analysis = lowered.compile().memory_analysis()
        arguments.append(analysis.argument_size_in_bytes)
        temporary.append(analysis.temp_size_in_bytes)
        parameters = sum(leaf.size for leaf in jax.tree.leaves(lowered.in_avals[0][0].params)) // count
    per_device = np.array(runs) // 2
    growth = np.diff(arguments) / np.diff(per_device)
    np.testing.assert_allclose(growth, 3 * 4 * parameters, rtol=0.01)
    one_run = 4 * 4 * parameters
    assert max(temporary) - min(temporary) <= one_run
    assert max(temporary) < 2 * one_run
