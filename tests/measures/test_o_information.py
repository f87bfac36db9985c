"""O-information against closed forms, its definition, the packages hoi and dit, and discrete distributions."""

import itertools

import dit
import numpy as np
import pytest
from dit.inference import differential_entropy_knn
from hoi.metrics import Oinfo

from collapse_jax.measures.estimators.copula import copula_correlation, ranks
from collapse_jax.measures.estimators.o_information import greedy, unions

BITS = np.log(2)


def correlation(rng, n, mix=0.6):
    covariance = np.cov(rng.normal(size=(n, 4 * n)) + mix * rng.normal(size=4 * n))
    return covariance / np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)))


def entropy(covariance):
    """Of Gaussian variables, in bits."""
    return (np.linalg.slogdet(2 * np.pi * np.e * covariance)[1]) / 2 / BITS


def by_definition(entropy_of, n):
    """TC, DTC and (n - 2) H + sum [H(X_j) - H(without j)], of the entropy of any subset."""
    every = tuple(range(n))
    whole, rest = entropy_of(every), [entropy_of(every[:j] + every[j + 1 :]) for j in every]
    single = [entropy_of((j,)) for j in every]
    total, dual = sum(single) - whole, sum(rest) - (n - 1) * whole
    return total, dual, (n - 2) * whole + sum(single) - sum(rest)


@pytest.mark.parametrize(
    ("n", "r", "right"), [(3, 0.5, 0.0849495183976987), (5, 0.3, 0.1130637410251674), (10, 0.2, 0.233494648844289)]
)
def test_equicorrelated_variables(n, r, right):
    """O = 1/2 ((k - 2) log D_k - k log D_{k-1}), D_m = (1 - r)^(m-1) (1 + (m - 1) r), in nats."""
    found = unions((1 - r) * np.eye(n) + r, np.arange(n)).found[-1]
    assert found.o_information * BITS == pytest.approx(right, abs=1e-11)


def test_a_sum_of_two_variables_and_noise_is_synergy():
    """x3 = x1 + x2 + e, all of variance 1: O = 1/2 log(1 - 1/4)."""
    covariance = np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0], [1.0, 1.0, 3.0]])
    scale = np.sqrt(np.diag(covariance))
    found = unions(covariance / np.outer(scale, scale), np.arange(3)).found[-1]
    assert found.o_information * BITS == pytest.approx(-0.143841036225890, abs=1e-11)


def test_every_union_is_what_the_definition_says(rng):
    r = correlation(rng, 9)
    labels = np.array([0, 1, 2, 0, 1, 2, 0, 0, 3])
    found = unions(r, labels)
    sets = [c for k in (2, 3, 4) for c in itertools.combinations(range(4), k)]
    assert len(found.found) == len(sets) == len({tuple(row) for row in found.members})
    for members, value in zip(found.members, found.found, strict=True):
        rows = np.flatnonzero(members)
        assert set(labels[rows]) in [set(s) for s in sets]
        assert (members == np.isin(labels, list(set(labels[rows])))).all()
        total, dual, o = by_definition(
            lambda s, rows=rows: entropy(r[np.ix_(rows[list(s)], rows[list(s)])]), len(rows)
        )
        assert [value.total, value.dual, value.o_information] == pytest.approx([total, dual, o], abs=1e-9)
        assert value.s_information == pytest.approx(total + dual, abs=1e-9)


def test_pairs_have_none_and_independent_blocks_add(rng):
    blocks = [correlation(rng, n) for n in (3, 4)]
    both = np.zeros((7, 7))
    both[:3, :3], both[3:, 3:] = blocks
    o = [unions(r, np.zeros(len(r), int), 1).values[-1] for r in (*blocks, both)]
    assert o[0] + o[1] == pytest.approx(o[2], abs=1e-12)
    pairs = unions(both, np.arange(7)).values[: 7 * 6 // 2]
    np.testing.assert_allclose(pairs, 0, atol=1e-12)


@pytest.mark.parametrize("corrected", [False, True])
def test_equals_hoi(rng, corrected):
    """Orders 2 to 6 of six variables without ties; its numbers are float32."""
    x = rng.normal(size=(400, 6)) @ (np.eye(6) + 0.2 * rng.normal(size=(6, 6)))
    theirs = Oinfo(np.exp(x), verbose=False)  # ranks do not see exp
    right = np.asarray(theirs.fit(minsize=2, maxsize=6, method="gc", biascorrect=corrected)).ravel()
    r = copula_correlation(x, "ordinal", rng)
    found = unions(r, np.arange(6), examples=400 if corrected else 0)
    np.testing.assert_allclose(found.values, right, rtol=2e-4, atol=1e-4)
    sets = [tuple(np.flatnonzero(row)) for row in found.members]
    assert sets == [c for k in range(2, 7) for c in itertools.combinations(range(6), k)]
    assert np.abs(found.values).max() > 1e-3


@pytest.mark.parametrize("kind", ["synergy", "redundancy"])
def test_the_sign_is_that_of_hois_triplets(kind):
    from hoi.simulation import simulate_hoi_gauss

    x = simulate_hoi_gauss(n_samples=3000, target=False, triplet_character=kind)
    o = unions(copula_correlation(np.asarray(x, float), "average", np.random.default_rng(0)), np.arange(3)).values[
        -1
    ]
    assert o < -0.1 if kind == "synergy" else o > 0.1


@pytest.mark.parametrize(("n", "kind", "right"), [(5, "giant", 3.0), (5, "parity", -3.0), (3, "parity", -1.0)])
def test_the_identities_hold_for_bits(n, kind, right):
    """O = TC - DTC of a giant bit is n - 2, of parity 2 - n: the definition that the Gaussian form is held to."""
    outcomes = [o for o in itertools.product((0, 1), repeat=n) if kind == "parity" or len(set(o)) == 1]
    outcomes = [o for o in outcomes if kind == "giant" or sum(o) % 2 == 0]

    def entropy_of(subset):
        counts = np.unique([[o[j] for j in subset] for o in outcomes], axis=0, return_counts=True)[1]
        return -np.sum(counts / len(outcomes) * np.log2(counts / len(outcomes)))

    total, dual, o = by_definition(entropy_of, n)
    assert o == pytest.approx(right) == pytest.approx(total - dual)


CLOSED = [
    ("giant_bit", 0, 3.0),
    ("giant_bit", 1, 0.0),
    ("n_mod_m", 0, -3.0),
    ("n_mod_m", 1, -2.0),
    ("n_mod_m", 2, -1.0),
]


@pytest.mark.parametrize(("kind", "given", "right"), CLOSED)
def test_dit_knows_the_closed_forms(kind, given, right):
    """Five bits, some of them given: the third implementation is what it says it is."""
    distribution = getattr(dit.example_dists, kind)(5, 2)
    rest = [[j] for j in range(given, 5)]
    assert dit.multivariate.o_information(distribution, rest, list(range(given))) == pytest.approx(right, abs=1e-12)


def test_the_definition_is_that_of_dit(rng):
    """Random distributions of three bits and a digit of three values."""
    outcomes = list(itertools.product("01", "01", "012", "01"))
    p = rng.dirichlet(np.full(len(outcomes), 0.3))
    table = p.reshape(2, 2, 3, 2)

    def entropy_of(subset):
        q = table.sum(axis=tuple(set(range(4)) - set(subset)))
        return -np.sum(q[q > 0] * np.log2(q[q > 0]))

    d = dit.Distribution(["".join(outcome) for outcome in outcomes], p)
    total, dual = dit.multivariate.total_correlation(d), dit.multivariate.dual_total_correlation(d)
    right = [total, dual, dit.multivariate.o_information(d)]
    assert by_definition(entropy_of, 4) == pytest.approx(right, abs=1e-9)
    assert right[2] == pytest.approx(total - dual, abs=1e-9)


SYNERGISTIC = np.array([[1, 0, 1], [0, 1, 1], [0, 0, 0.7]])
REDUNDANT = np.array([[1, 1, 1], [0.7, 0, 0], [0, 0.7, 0], [0, 0, 0.7]])


@pytest.mark.parametrize(("mixing", "sign"), [(SYNERGISTIC, -1), (REDUNDANT, 1)])
def test_gaussian_form_is_that_of_nearest_neighbours_of_dit(rng, mixing, sign):
    """Its entropies know nothing of Gaussians; within five of its standard deviations, which are 0.03 bits."""
    z = rng.normal(size=(6000, len(mixing))) @ mixing
    found = unions(np.corrcoef(z.T), np.arange(3), 3).values[-1]
    o = by_definition(lambda s: differential_entropy_knn(z, list(s), k=4), 3)[2]
    assert found == pytest.approx(o, abs=0.15)
    assert sign * found > 0.25


def test_greedy_search_is_exhaustive_for_few_variables(rng):
    """Of four variables there are four sets of three, and the whole: greedy sees the best of all."""
    for _ in range(5):
        r = correlation(rng, 4, mix=rng.normal())
        every = unions(r, np.arange(4), 3).values
        assert greedy(r, 1).values.max() == pytest.approx(every.max(), abs=1e-12)
        assert greedy(r, -1).values.min() == pytest.approx(every.min(), abs=1e-12)


def test_greedy_search_takes_the_best_next_variable(rng):
    r = correlation(rng, 7)
    for sign in (-1, 1):
        found = greedy(r, sign, largest=6)
        assert found.members.sum(axis=1).tolist() == [3, 4, 5, 6]
        value = {
            tuple(row): o
            for row, o in zip(*(lambda u: (u.members, u.values))(unions(r, np.arange(7), 3)), strict=True)
        }
        best = max((sign * o, s) for s, o in value.items() if sum(s) == 3)[1]
        for row, o in zip(found.members, found.values, strict=True):
            assert tuple(row) == best
            assert o == pytest.approx(value[best], abs=1e-12)
            wider = [
                tuple(s)
                for s in value
                if sum(s) == sum(best) + 1 and all(a >= b for a, b in zip(s, best, strict=True))
            ]
            best = max((sign * value[s], s) for s in wider)[1]


def test_what_is_singular_is_none_and_the_rest_is_as_without_it(rng):
    """Variable 3 repeats variable 0: sets that hold both have no O-information."""
    r = correlation(rng, 5)
    r = r[np.ix_([0, 1, 2, 0, 4], [0, 1, 2, 0, 4])]
    found = unions(r, np.arange(5))
    both = found.members[:, 0] & found.members[:, 3]
    assert len(found.values) == 26
    np.testing.assert_array_equal(np.isnan(found.values), both)
    kept = [0, 1, 2, 4]
    np.testing.assert_allclose(
        np.sort(found.values[~found.members[:, 3]]),
        np.sort(unions(r[np.ix_(kept, kept)], np.arange(4)).values),
        atol=1e-12,
    )
    ends = greedy(r, -1)
    assert not (ends.members[:, 0] & ends.members[:, 3]).any()


def test_ranks_of_ties():
    x = np.array([[2.0, 1.0], [0.0, 1.0], [0.0, 3.0], [0.0, 0.0]])
    rng = np.random.default_rng(0)
    np.testing.assert_array_equal(ranks(x, "average", rng), [[4, 2.5], [2, 2.5], [2, 4], [2, 1]])
    np.testing.assert_array_equal(ranks(x, "ordinal", rng), [[4, 2], [1, 3], [2, 4], [3, 1]])
    draws = np.array([ranks(x, "random", rng)[:, 0] for _ in range(200)])
    assert (np.sort(draws, axis=1) == [1, 2, 3, 4]).all()
    assert (draws[:, 0] == 4).all()
    assert {tuple(d) for d in draws[:, 1:]} == set(itertools.permutations([1, 2, 3]))


def test_mean_ranks_are_those_of_scipy(rng):
    from scipy.stats import rankdata

    x = rng.integers(0, 5, size=(60, 4)).astype(float)
    np.testing.assert_array_equal(ranks(x, "average", rng), rankdata(x, axis=0))
    np.testing.assert_array_equal(ranks(x, "ordinal", rng), rankdata(x, "ordinal", axis=0))
