"""The measure of synergy: clusters, nulls, ties, invariances, wrong options."""

import numpy as np
import pytest
from sklearn.cluster import AgglomerativeClustering
from sklearn.metrics import adjusted_rand_score

from collapse_jax import measure_arrays
from collapse_jax.errors import ConfigError
from collapse_jax.measures.families.synergy import LAYER_VARIABLES, VARIABLES
from collapse_jax.measures.families.synergy_host import ward


def activations(rng, examples=300, neurons=16, threshold=-0.3):
    x = rng.normal(size=(examples, neurons)) @ (np.eye(neurons) + 0.4 * rng.normal(size=(neurons, neurons)))
    return np.maximum(x - threshold, 0)


def synergy(features, **options):
    labels = np.arange(len(features)) % 3
    given = {"clusters": 5, "permutations": 0} | options
    return measure_arrays("synergy", train_features=features, train_labels=labels, **given)


def test_clusters_are_those_of_scikit_learn(rng):
    x = activations(rng, neurons=40)
    right = AgglomerativeClustering(n_clusters=10, linkage="ward").fit_predict(x.T)
    assert adjusted_rand_score(right, ward(x.T, 10)) == 1.0


def test_extremes_are_those_of_all_unions_by_the_definition(rng):
    """Every union anew, by determinants: nothing of the search."""
    x = activations(rng, threshold=-9.0).astype(np.float32).astype(float)  # no zeros, as they are measured
    values = synergy(x)
    labels = AgglomerativeClustering(n_clusters=5, linkage="ward").fit_predict(x.T)
    from scipy.stats import norm, rankdata

    r = np.corrcoef(norm.ppf(rankdata(x, axis=0) / (len(x) + 1)).T)

    def log_det(rows):
        return np.linalg.slogdet(r[np.ix_(rows, rows)])[1] if len(rows) else 0.0

    found = {}
    for code in range(1, 2**5):
        chosen = [c for c in range(5) if code >> c & 1]
        rows = np.flatnonzero(np.isin(labels, chosen))
        rest = [log_det(np.delete(rows, j)) for j in range(len(rows))]
        found[code] = ((len(rows) - 2) * log_det(rows) - sum(rest)) / 2 / np.log(2), rows
    several = {code: v for code, v in found.items() if code.bit_count() > 1}
    low, members = min(several.values(), key=lambda v: v[0])
    high, most = max(several.values(), key=lambda v: v[0])
    assert [values["synergy"], values["redundancy"]] == pytest.approx([-low, high], abs=1e-9)
    assert [values["synergy_size"], values["redundancy_size"]] == [len(members), len(most)]
    np.testing.assert_array_equal(np.flatnonzero(values["synergy_members"]), members)
    assert values["o_information"] == pytest.approx(found[31][0], abs=1e-9)
    assert values["total_correlation"] == pytest.approx(-log_det(np.arange(16)) / 2 / np.log(2), abs=1e-9)
    assert values["dual_total_correlation"] == pytest.approx(values["total_correlation"] - values["o_information"])
    assert values["s_information"] == pytest.approx(2 * values["total_correlation"] - values["o_information"])


def test_neurons_and_examples_in_another_order_are_the_same(rng):
    x = activations(rng)
    values = synergy(x)
    moved = synergy(x[rng.permutation(300)][:, (order := rng.permutation(16))])
    np.testing.assert_array_equal(moved.pop("synergy_members"), values.pop("synergy_members")[order])
    assert moved == pytest.approx(values, abs=1e-9)


def test_a_rising_function_of_every_neuron_changes_no_sum_over_all(rng):
    """Ranks do not see it; the clusters do, so that the extremes may change."""
    x = activations(rng)
    values, moved = (synergy(y) for y in (x, np.sinh(3 * x) + 7))
    for name in ("o_information", "s_information", "total_correlation", "dual_total_correlation"):
        assert moved[name] == pytest.approx(values[name], abs=1e-6)


def test_constant_neurons_are_left_out(rng):
    x = activations(rng)
    with_dead = np.insert(x, [2, 9], [0.0, 4.5], axis=1)
    values, more = synergy(x), synergy(with_dead)
    assert (more.pop("copula_neurons"), values.pop("copula_neurons")) == (16, 16)
    assert more["synergy_members"][[2, 10]].tolist() == [0, 0]
    np.testing.assert_array_equal(np.delete(more.pop("synergy_members"), [2, 10]), values.pop("synergy_members"))
    assert more == pytest.approx(values)


def test_ties_by_their_order_are_redundancy_of_independent_neurons_and_the_null_says_so(rng):
    """Independent units that are 80 % zero: mean ranks share next to nothing, ranks by order bits."""
    x = np.maximum(rng.normal(size=(600, 12)) - 0.84, 0)
    mean, order = (synergy(x, ties=ties, permutations=10) for ties in ("average", "ordinal"))
    assert abs(mean["redundancy"]) < 0.1 < 1 < order["redundancy"]
    assert order["redundancy_null"] == pytest.approx(order["redundancy"], rel=0.3)
    assert order["redundancy_p"] > 1e-3
    assert synergy(x, ties="random")["redundancy"] < 0.1


def test_neurons_that_share_are_beyond_the_null_of_neurons_that_do_not(rng):
    x = rng.normal(size=(400, 12)) + rng.normal(size=(400, 1))
    values = synergy(x, permutations=10)
    assert values["redundancy_p"] < 1e-4
    assert values["redundancy_null"] < 0.2 < values["redundancy"]
    assert values.keys() == VARIABLES.keys()


def test_the_spectrum_null_is_blind_to_axes_that_are_random_already(rng):
    """Directions drawn at random: the same as the null, which any rotation is."""
    spectrum = np.geomspace(1, 0.05, 12)
    x = rng.normal(size=(2000, 12)) * np.sqrt(spectrum) @ np.linalg.qr(rng.normal(size=(12, 12)))[0]
    values = synergy(x, permutations=20)
    assert values["redundancy_spectrum_p"] > 1e-3
    assert values["synergy_spectrum_p"] > 1e-3


def test_means_of_clusters_are_variables_of_their_own(rng):
    x = activations(rng)
    values = synergy(x, mode="cluster_mean")
    labels = AgglomerativeClustering(n_clusters=5, linkage="ward").fit_predict(x.T)
    means = np.stack([x[:, labels == c].mean(axis=1) for c in range(5)], axis=1)
    alone = synergy(means, clusters=5)
    for name in ("synergy", "redundancy", "o_information", "total_correlation"):
        assert values[name] == pytest.approx(alone[name], abs=1e-9)
    groups = {frozenset(np.flatnonzero(labels == c)) for c in range(5)}
    members = np.flatnonzero(values["synergy_members"])
    assert values["synergy_size"] == len(members) == sum(len(g) for g in groups if g <= set(members)) > 1


def test_copies_are_flagged_and_not_zero(rng):
    x = activations(rng)
    x[:, 5] = 2 * x[:, 4]
    values = synergy(x)
    assert 0 < values["copula_singular"] < 1
    assert np.isnan(values["o_information"])
    assert np.isfinite(values["synergy"])


@pytest.mark.parametrize("bad", [0.0, np.nan])
def test_nothing_to_measure_is_nan(bad):
    values = synergy(np.full((30, 6), bad), permutations=2)
    assert np.isnan(values["synergy"])
    assert np.isnan(values["synergy_p"])
    assert values["copula_neurons"] == 0 if bad == 0 else np.isnan(values["copula_neurons"])
    assert values.keys() == VARIABLES.keys()


def test_the_last_layer_is_the_features(rng):
    layers = [activations(rng, neurons=9), activations(rng)]
    labels = np.arange(300) % 3
    given = {"train_labels": labels, "clusters": 5, "permutations": 2}
    every = measure_arrays("layer_synergy", train_features=layers[1], train_layers=layers, **given)
    assert every.keys() == LAYER_VARIABLES.keys()
    for index, layer in enumerate(layers):
        one = measure_arrays("synergy", train_features=layer, **given)
        for name in LAYER_VARIABLES:
            assert every[name][index] == pytest.approx(one[name.removeprefix("layer_")], nan_ok=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"clusters": 17}, r"clusters=17: must be in 2 \.\.\. 16 for 16 neurons"),
        ({"clusters": 1}, "clusters=1: must be an integer of at least 2"),
        ({"order": 1}, "order=1: must be an integer of at least 2"),
        ({"order": 6}, r"order=6: must be in 2 \.\.\. clusters=5"),
        ({"mode": "union"}, "mode='union'"),
        ({"search": "annealing"}, "search='annealing'"),
        ({"search": "greedy", "mode": "cluster_mean"}, "mode='cluster_mean': search='greedy' takes neurons"),
        ({"largest": 2}, r"largest=2: must be 0 \(all\) or in 3 \.\.\. 16"),
        ({"ties": "min"}, "ties='min'"),
        ({"bias_correction": 1}, "bias_correction=1: must be true or false"),
        ({"permutations": -1}, "permutations=-1"),
        ({"split": "test"}, "split='test': the snapshot has no test probe"),
    ],
)
def test_wrong_options_are_refused(rng, options, message):
    with pytest.raises(ConfigError, match=message):
        synergy(activations(rng), **options)


def test_fewer_examples_than_neurons_are_refused(rng):
    with pytest.raises(ConfigError, match="16 examples of 16 neurons have a singular correlation"):
        synergy(activations(rng, examples=16))
