"""Coarse-graining: closed forms, independent implementations in numpy, and messages that can be read."""

import bz2
import pickle
import struct

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from collapse_jax.measures import Probe, Snapshot
from collapse_jax.measures.estimators import coarse_graining as coarse
from collapse_jax.measures.estimators import messages
from collapse_jax.measures.estimators.evaluation import evaluate, thinned
from collapse_jax.measures.estimators.unused_rows import used_rows
from collapse_jax.models.losses import cross_entropy


def random_params(rng):
    """A vector, two matrices (one of rank 3 and noise), a convolution."""
    low = rng.normal(size=(40, 3)) @ rng.normal(size=(3, 30))
    return {
        "b-low": {"kernel": jnp.asarray(low + 0.01 * rng.normal(size=low.shape), jnp.float32)},
        "b": {"bias": jnp.asarray(rng.normal(size=30), jnp.float32)},
        "conv": {"kernel": jnp.asarray(rng.normal(size=(3, 3, 2, 8)), jnp.float32)},
        "table": {"embedding": jnp.asarray(rng.normal(size=(20, 6)), jnp.float32)},
    }


def packed(tensors, params):
    return messages.unpacked({name: np.asarray(array) for name, array in messages.packed(tensors, params).items()})


def read(message, names):
    """Rebuild the parameters from a message as its definition says, with nothing else at hand than the names."""
    (width,), at = struct.unpack_from("<f", message), 4
    heads = []
    for name in names:
        (axes,), at = struct.unpack_from("<B", message, at), at + 1
        shape, at = struct.unpack_from(f"<{axes}I", message, at), at + 4 * axes
        rank, used = -1, np.ones(int(np.prod(shape[:-1])), bool)
        if axes >= 2:
            (rank, left_out), at = struct.unpack_from("<hB", message, at), at + 3
            if left_out:
                count = -(-len(used) // 8)
                used, at = np.unpackbits(np.frombuffer(message, np.uint8, count, at))[: len(used)] > 0, at + count
        heads.append((name, shape, rank, used))
    numbers = np.frombuffer(bz2.decompress(message[at:]), "<f4")
    found, at = {}, 0
    for name, shape, rank, used in heads:
        rows, n = used.sum(), shape[-1]
        if rank < 0:
            block, at = numbers[at : at + rows * n].reshape(rows, n), at + rows * n
        else:
            left, at = numbers[at : at + rows * rank].reshape(rows, rank), at + rows * rank
            right, at = numbers[at : at + rank * n].reshape(rank, n), at + rank * n
            block = left @ right
        whole = np.zeros((len(used), n), np.float32)
        whole[used] = block
        found[name] = whole.reshape(shape)
    assert at == len(numbers)
    return width, found


def test_truncated_factors_are_the_best_of_their_rank(rng):
    """Eckart and Young: the error of rank k is the norm of the singular values that are left out."""
    weights = rng.normal(size=(12, 50)).astype(np.float32)
    tensor = coarse.decompose({"w": jnp.asarray(weights)}, {})["w"]
    values = np.linalg.svd(weights.astype(np.float64), compute_uv=False)
    kept = tensor.left.shape[1]
    assert kept * (12 + 50) < 12 * 50 <= (kept + 1) * (12 + 50)
    for k in range(kept + 1):
        error = np.linalg.norm(weights - np.asarray(tensor.left[:, :k] @ tensor.right[:k], np.float64))
        assert error == pytest.approx(np.sqrt(np.sum(values[k:] ** 2)), rel=1e-4)


def test_quantising_twice_is_quantising_once(rng):
    weights = jnp.asarray(rng.normal(size=1000), jnp.float32)
    once = coarse.quantised(weights, 0.07)
    np.testing.assert_array_equal(coarse.quantised(once, 0.07), once)
    assert float(jnp.max(jnp.abs(once - weights))) <= 0.035 * 1.001
    assert not np.signbit(coarse.quantised(jnp.float32([-0.001]), 0.1)).any()


@pytest.mark.parametrize("threshold", [0.0, 0.03, 0.4, 0.7, 0.97, 1.0])
def test_rank_of_equation_13_and_of_the_authors_code(rng, threshold):
    """k = min{k: sum_{i <= k} s_i >= tau sum(s)}; searchsorted gives one less."""
    params = random_params(rng)
    tensors = coarse.decompose(params, {})
    for mode in coarse.MODES:
        found = coarse.ranks(tensors, jnp.float32(threshold), mode)
        for name, k in zip(tensors, found.tolist(), strict=True):
            leaf = np.asarray(coarse.named(params)[name], np.float64)
            if leaf.ndim < 2:
                assert k == coarse.RAW
                continue
            m, n = leaf.reshape(-1, leaf.shape[-1]).shape
            sums = np.cumsum(np.linalg.svd(leaf.reshape(m, n), compute_uv=False))
            searched = int(np.searchsorted(sums, threshold * sums[-1] * (1 - 1e-6)))
            right = searched if mode == "reference" else searched + 1
            assert k == (right if right * (m + n) < m * n else coarse.RAW), (mode, name)
    low = [coarse.ranks(tensors, jnp.float32(0.03), mode)[2] for mode in ("paper", "reference")]
    assert low == [1, 0]  # of the matrix of rank 3


@pytest.mark.slow
def test_entropy_is_that_of_the_codes(rng):
    params = random_params(rng)
    tensors = coarse.decompose(params, {"table/embedding": jnp.arange(20) < 7})
    kept = coarse.ranks(tensors, jnp.float32(0.8), "corrected")
    assert sorted(set(kept.tolist())) != [coarse.RAW]
    nats = 0.0
    for name, arrays in packed(tensors, params).items():
        k = kept[list(tensors).index(name)]
        used = arrays["used"]
        told = [arrays["weights"][used]] if k < 0 else [arrays["left"][used, :k], arrays["right"][:k]]
        for each in told:
            counts = np.unique(np.round(each / np.float32(0.3)), return_counts=True)[1]
            nats += each.size * stats.entropy(counts)
    found = coarse.entropy_bytes(tensors, kept, jnp.float32(0.3))
    assert float(found) == pytest.approx(nats / np.log(2) / 8, rel=1e-4)


@pytest.mark.parametrize("threshold", [0.5, 1.0])
def test_a_message_says_all_that_rebuilds_the_network(rng, threshold):
    """What is charged is enough: the coarse parameters come back from the bytes alone."""
    params = random_params(rng)
    tensors = coarse.decompose(params, {"table/embedding": jnp.arange(20) % 3 != 1})
    kept = coarse.ranks(tensors, jnp.float32(threshold), "corrected")
    told = messages.message(packed(tensors, params), np.asarray(kept), 0.11)
    width, found = read(told, list(tensors))
    assert width == np.float32(0.11)
    rebuilt = coarse.named(coarse.coarse(tensors, params, kept, jnp.float32(0.11)))
    for name, leaf in rebuilt.items():
        np.testing.assert_allclose(found[name], leaf, atol=1e-5)
    assert messages.size(packed(tensors, params), np.asarray(kept), 0.11, "corrected") == len(told)


def test_bytes_of_the_reference_are_those_of_the_formula(rng):
    """bz2 of the pickle of (leaves, treedef) of raveled jax arrays, factors as pairs, k by searchsorted."""
    params, tau, width = random_params(rng), 0.6, np.float32(0.2)

    def told(leaf):
        def q(array):
            return jnp.asarray((np.round(np.asarray(array) / width) * width + np.float32(0)).ravel())

        if leaf.ndim < 2:
            return q(leaf)
        matrix = leaf.reshape(-1, leaf.shape[-1])
        (m, n), (u, s, vt) = matrix.shape, jnp.linalg.svd(matrix, full_matrices=False)
        k = int(jnp.searchsorted(jnp.cumsum(s), tau * jnp.sum(s)))
        return (q(u[:, :k] * s[None, :k]), q(vt[:k])) if k * (m + n) < m * n else q(matrix)

    right = bz2.compress(pickle.dumps(jax.tree.flatten(jax.tree.map(told, params))))
    tensors = coarse.decompose(params, {})
    kept = np.asarray(coarse.ranks(tensors, jnp.float32(tau), "reference"))
    assert 1 <= np.sum(kept != coarse.RAW) < len(kept)
    assert messages._pickle(packed(tensors, params), kept, 0.2) == bz2.decompress(right)
    assert messages.size(packed(tensors, params), kept, 0.2, "reference") == len(right)


def lookup(params, stats, inputs):
    """Tokens and three positions, of tables that have more rows; a head."""
    hidden = params["tokens"]["embedding"][inputs] + params["positions"][:, : inputs.shape[1]]
    return hidden.mean(axis=1) @ params["head"]["kernel"], ()


def test_rows_that_no_example_looks_up(rng):
    params = {
        "tokens": {"embedding": jnp.zeros((8, 5))},  # zero weights have no gradient, and are used nevertheless
        "positions": jnp.zeros((1, 6, 5)),
        "head": {"kernel": jnp.zeros((5, 4)).at[0, 0].set(1.0)},  # kernels use all rows
    }
    inputs = jnp.array([[0, 3, 5], [5, 5, 2]])
    snapshot = Snapshot(
        train=Probe(jnp.zeros((2, 0)), jnp.array([0, 1]), examples=inputs), params=params, network=lookup
    )
    found = {name: used.tolist() for name, used in used_rows(snapshot).items()}
    assert found == {
        "tokens/embedding": [True, False, True, True, False, True, False, False],
        "positions": [True] * 3 + [False] * 3,
    }


@pytest.mark.parametrize("count", [3, 500, 507, 1000])
def test_evaluation_in_batches_is_that_of_all_examples(rng, count):
    inputs = rng.normal(size=(count, 4)).astype(np.float32)
    labels = rng.integers(0, 3, count)
    kernel = rng.normal(size=(4, 3)).astype(np.float32)
    probe = Probe(jnp.zeros((count, 0)), jnp.asarray(labels), examples=jnp.asarray(inputs))
    snapshot = Snapshot(train=probe, network=lambda w, stats, x: (x @ w, ()), loss=cross_entropy)
    logits = inputs.astype(np.float64) @ kernel
    nats = np.log(np.sum(np.exp(logits), axis=1)) - logits[np.arange(count), labels]
    right = [np.mean(nats), np.mean(nats), np.mean(logits.argmax(1) != labels)]
    for mode in ("corrected", "reference"):
        np.testing.assert_allclose(
            evaluate(snapshot, jnp.asarray(kernel), probe, mode), right, rtol=1e-4, atol=1e-6
        )
    assert len(thinned(probe, 500).labels) <= 500
