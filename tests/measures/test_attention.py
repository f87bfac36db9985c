"""What attention selects: closed forms, nulls, and one small sweep in line and from its store."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import runs
import xarray as xr

import collapse_jax
from collapse_jax import tasks
from collapse_jax.analysis.cumulative import cumulative
from collapse_jax.engine.compile import compile_for
from collapse_jax.engine.packing import Layout
from collapse_jax.engine.validate import validate
from collapse_jax.errors import ConfigError
from collapse_jax.experiment.config import Experiment, Grid, Model, Optimizer, Schedule, Snapshots, Task
from collapse_jax.experiment.grid import grid_runs
from collapse_jax.measures import Probe, Snapshot
from collapse_jax.measures.families.attention import TOKEN_KINDS, attention, logistic, selected_loss
from collapse_jax.measures.families.collapse import collapse
from collapse_jax.measures.families.memorisation import memorisation
from collapse_jax.models.losses import cross_entropy
from collapse_jax.training import forward_of, make_recipe, network_of, observe_run
from collapse_jax.training.hyperparameters import stack_hyperparameters

N, T, D, M = 10, 6, 40, 50
STEPS = 60


def grid(rate, norm):
    return Grid(weight_decay=(0.0,), learning_rate=(rate,), init_scale=(1.0,), signal_norm=(norm,), seed=(0, 1))


def small(**changes):
    fields = {
        "name": "small",
        "grid": Grid(
            weight_decay=(0.0,), learning_rate=(0.05,), init_scale=(1.0,), signal_norm=(8.0,), seed=(0, 1)
        ),
        "steps": STEPS,
        "batch_size": 0,
        "loss": "cross_entropy",
        "task": Task("token_selection", train_size=N, test_size=M, tokens=T, dimension=D, label_noise=0.2),
        "model": Model("token_selection"),
        "optimizer": Optimizer("gd"),
        "measures": ("fit", "attention", "memorisation"),
        "log": Schedule("explicit", at=tuple(range(STEPS))),
        "snapshots": Snapshots(Schedule("explicit", at=(0, STEPS)), ("parameters",)),
    }
    return Experiment(**fields | changes)


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """Train two runs, logged at every step."""
    workdir = tmp_path_factory.mktemp("selection") / "sweep"
    return workdir, collapse_jax.train(small(), workdir)


def test_floors_are_those_of_the_paper_s_scores():
    """log(1 + exp(-+1/sqrt 2)) and their mixture, to 6 digits from a table of logarithms."""
    found = [selected_loss(noise) for noise in (0.0, 1.0, 0.2)]
    np.testing.assert_allclose(found, [0.400833, 1.107940, 0.542254], atol=1e-6)
    f = jnp.array([0.3, -2.0])
    np.testing.assert_allclose(logistic(f, jnp.array([0, 1])), np.log1p(np.exp([-0.3, -2.0])), rtol=1e-6)
    logits = jnp.stack([f, -f], 1) / 2
    np.testing.assert_allclose(cross_entropy(logits, jnp.array([0, 1])), logistic(f, jnp.array([0, 1])), rtol=1e-6)


def selecting(token, noise=0.0):
    """A snapshot of 10 noise-free examples, 2 of them with a wrong label, all attention on one token."""
    true = np.arange(N) % 2
    labels = np.where(np.arange(N) < 2, 1 - true, true)
    worth = np.zeros((N, T))
    worth[:, 0] = np.where(true == 0, 1, -1) / np.sqrt(2)
    worth[:, 1:3] = 0.1 * worth[:, :1] * np.array([1, -1])
    inputs = np.concatenate([np.zeros((N, T, 3)), worth[..., None]], -1)
    scores = np.full((N, T), -40.0)
    scores[:, token] = 0.0
    f = worth[:, token]
    arrays = (np.zeros((N, 3)), labels, np.stack([f, -f], 1) / 2, inputs, (scores,), None, true)
    return Snapshot(train=Probe(*jax.tree.map(jnp.asarray, arrays)), num_classes=2)


@pytest.mark.parametrize("token", [0, 1, 2, 5])
def test_attention_on_one_token_is_told(token):
    snapshot = selecting(token)
    found = attention(snapshot)
    for group in ("clean", "noisy"):
        np.testing.assert_allclose(found[f"attention_{group}"], np.eye(4)[min(token, 3)], atol=1e-6)
        assert float(found[f"undecided_{group}"]) < 1e-6
    gap = np.where(np.arange(4) == min(token, 3), 0, 40)
    np.testing.assert_allclose(found["opposing_gap_noisy"], (gap - gap[2]), atol=1e-4)
    # All on the relevant token: the loss is the floor, 0.5424 at a share of 0.2 of wrong labels.
    np.testing.assert_allclose(found["train_loss_selected"], selected_loss(0.2), rtol=1e-6)
    best = 0.8 * np.log1p(np.exp(-(0.5**0.5))) + 0.2 * np.log1p(np.exp(-0.1 * 0.5**0.5))
    np.testing.assert_allclose(found["train_loss_memorised"], best, rtol=1e-6)
    split = memorisation(snapshot, loss=cross_entropy)
    expected = {0: (1, 0, 1), 1: (1, 0, 1), 2: (0, 1, 0)}.get(token)
    if expected:
        assert (
            tuple(float(split[n]) for n in ("clean_accuracy", "noisy_accuracy", "noisy_true_accuracy")) == expected
        )
    np.testing.assert_allclose(split["noisy_share"], 0.2, rtol=1e-6)
    if token == 0:
        np.testing.assert_allclose([split["clean_loss"], split["noisy_loss"]], [0.400833, 1.107940], atol=2e-6)


def test_without_wrong_labels_what_is_of_them_is_nan():
    snapshot = selecting(0)
    snapshot = dataclasses.replace(snapshot, train=dataclasses.replace(snapshot.train, true_labels=None))
    found = attention(snapshot) | memorisation(snapshot, loss=cross_entropy)
    assert all(np.isnan(found[name]).all() for name in found if "noisy" in name and name != "noisy_share")
    assert not any(np.isnan(found[name]).any() for name in found if "clean" in name)
    assert float(found["noisy_share"]) == 0


def test_scores_that_are_none_are_refused(tiny, rng):
    e = validate(tiny(measures=("fit", "attention")))
    with pytest.raises(ConfigError, match=r"measures='attention': needs inputs \[N, T, d.*\(100, 28, 28, 1\)"):
        compile_for(e, Layout(1, 1, 1), tasks.load(e.task, e.dtype))
    features, labels = rng.normal(size=(N, 3)), np.arange(N) % 2
    arrays = {"train_features": features, "train_labels": labels, "inputs": rng.normal(size=(N, T, 4))}
    with pytest.raises(ConfigError, match=r"measures='attention': needs .*the first layer is \(10, 3\)"):
        collapse_jax.measure_arrays("attention", **arrays, train_layers=[features])
    with pytest.raises(
        ValueError, match=r"train_true_labels: shape \(3,\); it must be one label per row of train_l"
    ):
        collapse_jax.measure_arrays("attention", **arrays, train_true_labels=[0, 1, 0], train_layers=[features])


@pytest.mark.slow  # trains a sweep and measures it twice
def test_a_sweep_measures_the_same_in_line_and_from_its_store(swept):
    workdir, results = swept
    assert results.token_kind.values.tolist() == list(TOKEN_KINDS)
    for group in ("clean", "noisy", "test"):
        np.testing.assert_allclose(results[f"attention_{group}"].sum("token_kind"), 1, atol=1e-5)
    np.testing.assert_allclose(results.noisy_share, 0.2, rtol=1e-6)
    both = 0.8 * results.clean_loss + 0.2 * results.noisy_loss
    np.testing.assert_allclose(both, results.train_loss, rtol=1e-5)
    assert (results.train_loss.isel(step=-1) < results.train_loss.isel(step=0) - 0.03).all()
    stored = collapse_jax.open_snapshots(workdir)
    for seed in (0, 1):
        snapshot = stored.snapshot(STEPS, {"seed": seed})
        for name, value in attention(snapshot).items():
            np.testing.assert_allclose(results[name].sel(seed=seed).isel(step=-1).squeeze(), value, atol=2e-5)
        assert snapshot.params["attention"]["kernel"].shape == (D, D)
        assert float(jnp.abs(snapshot.initial["query"]).max()) == 0
    stored.close()


def test_the_sum_over_the_steps_is_exact_where_all_are_logged(swept):
    """And within a few per cent from every fourth of them."""
    values = swept[1].undecided_clean
    exact = values.cumsum("step")
    np.testing.assert_allclose(cumulative(values), exact, rtol=1e-6)
    rare = cumulative(values.isel(step=slice(0, None, 4)))
    np.testing.assert_allclose(rare, exact.isel(step=slice(0, None, 4)), rtol=0.02)
    line = xr.DataArray([1.0, 4.0], dims="step", coords={"step": [0, 3]})
    assert cumulative(line).values.tolist() == [1, 1 + 2 + 3 + 4]


def test_a_permutation_of_irrelevant_tokens_changes_no_network(swept):
    """Tokens 4 to T in another order: the same training, up to the order of sums."""
    e = small()
    data, order = tasks.load(e.task, e.dtype), jnp.array([0, 1, 2, 5, 3, 4])

    def permuted(h, d):
        own = data.of(h)
        return dataclasses.replace(own, train_inputs=own.train_inputs[:, order], test_inputs=own.test_inputs)

    ours, theirs = (runs.train(e, data=d) for d in (data, dataclasses.replace(data, sample=permuted)))
    tokens = np.arange(N * T).reshape(N, T)[:, order].ravel()
    np.testing.assert_allclose(theirs.params["query"], ours.params["query"][:, tokens], atol=1e-5)


def test_collapse_is_that_of_the_pooled_vector():
    """RNC1 and NC1 of X^T softmax(X W p), both written out in float64, by the labels trained on."""
    e = small()
    states, recipe = runs.train(e), make_recipe(e, data := tasks.load(e.task, e.dtype))
    state, h = runs.take(states, 1), runs.take(stack_hyperparameters(grid_runs(e.grid)), 1)

    @jax.jit
    def seen(state, h):
        own = data.of(h)
        network = network_of(recipe, state, h, own)
        snapshot = observe_run(recipe, network, h, own, forward=forward_of(recipe, state, h, own))
        return collapse(snapshot), network, own.train_inputs, own.train_labels

    values, network, inputs, labels = jax.tree.map(np.asarray, seen(state, h))
    x, p = inputs[..., :-1].astype(float), network["query"].astype(float)
    s = np.exp(x @ (network["attention"]["kernel"].T.astype(float) @ p))
    pooled = np.einsum("nt,ntd->nd", s / s.sum(1, keepdims=True), x)
    means = np.stack([pooled[labels == c].mean(0) for c in (0, 1)])
    within = np.sum((pooled - means[labels]) ** 2) / N
    between = np.sum((means[labels] - pooled.mean(0)) ** 2) / N
    np.testing.assert_allclose(values["rnc1"], within / np.max(np.sum(pooled**2, 1)), rtol=1e-4)
    np.testing.assert_allclose(values["nc1"], within / between, rtol=1e-4)
    assert "nc3_self_duality" not in values  # there is no head


def test_without_a_signal_a_run_is_at_chance():
    """A signal of a hundredth of the noise: what is learnt says nothing of other examples."""
    task = Task("token_selection", train_size=N, test_size=1000, tokens=T, dimension=D, label_noise=0.2)
    e = small(grid=grid(1e-4, 0.01), task=task)
    states, recipe = runs.train(e), make_recipe(e, data := tasks.load(e.task, e.dtype))

    @jax.jit
    def accuracy(state, h):
        own = data.of(h)
        logits = recipe.model.apply({"params": network_of(recipe, state, h, own)}, own.test_inputs)[0]
        return jnp.mean(jnp.argmax(logits, 1) == own.test_labels), jnp.abs(logits).max()

    h = stack_hyperparameters(grid_runs(e.grid))
    found = [accuracy(runs.take(states, i), runs.take(h, i)) for i in range(2)]
    assert all(largest > 1 for _, largest in found)
    assert abs(np.mean([share for share, _ in found]) - 0.5) < 4 * 0.5 / np.sqrt(2 * 1000)
