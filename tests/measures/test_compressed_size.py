"""Size of compressed parameters: exact bytes, floor, entropy, and what a permutation destroys."""

import bz2

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from collapse_jax.errors import ConfigError
from collapse_jax.measures import MEASURES, Probe, Snapshot, measure_arrays
from collapse_jax.measures.families.compressed_size import compress, compressed_size, quantised

COUNT = 20_000


def sizes(params, **options):
    values = jax.jit(lambda p: compressed_size(Snapshot(params=p), **options))(params)
    return compress({name: np.asarray(value) for name, value in values.items()})


def test_exact_bytes_of_a_known_network():
    """The bytes of the documented form: tensors by name, float32, multiples of the bin width, no header."""
    kernel = np.float32([[0.26, -0.24], [-0.1, 0.0]])
    params = {"b": {"kernel": jnp.asarray(kernel)}, "a": {"bias": jnp.float32([1.1, -0.74])}}
    values = sizes(params, bin_width=0.5)
    coarse, exact = np.float32([1, -0.5, 0.5, 0, 0, 0]), np.float32([1.1, -0.74, 0.26, -0.24, -0.1, 0])
    assert values["compressed_size"] == len(bz2.compress(coarse.tobytes()))
    assert values["compressed_size_exact"] == len(bz2.compress(exact.tobytes()))
    assert "coarse_loss_change" not in values


def test_zeros_cost_next_to_nothing_and_minus_zero_is_zero():
    assert sizes(jnp.zeros(COUNT))["compressed_size"] < 60
    assert (
        sizes(jnp.full(COUNT, -0.001), bin_width=0.1)["compressed_size"]
        == sizes(jnp.zeros(COUNT))["compressed_size"]
    )
    assert not np.signbit(quantised(jnp.float32([-0.001]), 0.1)).any()


def test_noise_does_not_compress_below_its_entropy():
    """Independent weights on 64 equally likely multiples: 6 bits each, and bzip2 reaches it within a fifth."""
    levels = np.random.default_rng(0).integers(0, 64, COUNT).astype(np.float32)
    size = sizes(jnp.asarray(levels), bin_width=1.0)["compressed_size"]
    assert 6 * COUNT / 8 <= size < 1.2 * 6 * COUNT / 8


def test_null_a_permutation_destroys_order_and_keeps_the_histogram():
    ordered = np.repeat(np.arange(64, dtype=np.float32), COUNT // 64)
    mixed = np.random.default_rng(1).permutation(ordered)
    together, apart = (sizes(jnp.asarray(w), bin_width=1.0)["compressed_size"] for w in (ordered, mixed))
    assert 20 * together < apart


def test_a_wider_bin_costs_fewer_bytes():
    weights = jnp.asarray(np.random.default_rng(2).normal(size=COUNT), jnp.float32)
    found = [sizes(weights, bin_width=w)["compressed_size"] for w in (0.01, 0.1, 1.0)]
    assert found[0] > 1.3 * found[1] > 1.3**2 * found[2]


def test_loss_change_is_that_of_the_rounded_network():
    weights = jnp.float32([[0.3, -0.8]])
    inputs = jnp.float32([[1.0], [2.0]])
    probe = Probe(inputs, jnp.array([0, 1]), examples=inputs)
    snapshot = Snapshot(
        train=probe,
        params={"w": weights},
        network=lambda params, stats, x: (x @ params["w"], ()),
        loss=lambda logits, labels: logits[jnp.arange(2), labels],
    )
    value = compressed_size(snapshot, bin_width=0.5)["coarse_loss_change"]
    # Rounded to (0.5, -1): the two chosen logits move by 0.2 and by 2 (-0.2).
    assert float(value) == pytest.approx((0.2 - 0.4) / 2, rel=1e-5)


def test_arrays_have_no_parameters():
    with pytest.raises(
        ConfigError, match="measures='compressed_size': needs 'parameters'; which arrays do not have"
    ):
        measure_arrays("compressed_size", train_features=np.ones((2, 2)), train_labels=[0, 1])
    assert MEASURES["compressed_size"].finish is compress
