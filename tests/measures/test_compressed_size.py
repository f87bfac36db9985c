"""Size of compressed parameters at one point: exact bytes, floor, entropy, and what a permutation destroys."""

import bz2

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from collapse_jax.errors import ConfigError
from collapse_jax.measures import MEASURES, Probe, Snapshot, measure_arrays
from collapse_jax.measures.families.compressed_size import compress, compressed_size

COUNT = 20_000


def sizes(params, bin_width=0.01, **options):
    params = params if isinstance(params, dict) else {"w": params}
    options = {"mode": "paper"} | options
    values = jax.jit(lambda p: compressed_size(Snapshot(params=p), bin_width=bin_width, **options))(params)
    on_host = {name: np.asarray(value) for name, value in values.items()}
    return compress(on_host, bin_width=bin_width, mode=options["mode"])


def test_exact_bytes_of_a_known_network():
    """The bytes of the documented form: tensors by name, float32, multiples of the bin width, no header."""
    kernel = np.float32([[0.26, -0.24], [-0.1, 0.0]])
    params = {"b": {"kernel": jnp.asarray(kernel)}, "a": {"bias": jnp.float32([1.1, -0.74])}}
    values = sizes(params, bin_width=0.5)
    coarse, exact = np.float32([1, -0.5, 0.5, 0, 0, 0]), np.float32([1.1, -0.74, 0.26, -0.24, -0.1, 0])
    assert values["compressed_size"] == len(bz2.compress(coarse.tobytes()))
    assert values["compressed_size_exact"] == len(bz2.compress(exact.tobytes()))
    assert "coarse_loss_change" not in values
    told = sizes(params, bin_width=0.5, mode="corrected")
    # The bin width; one axis and its length; two axes, their lengths, rank, rows left out.
    assert told["compressed_size"] == values["compressed_size"] + 4 + (1 + 4) + (1 + 8 + 3)


def test_a_rank_threshold_factors_what_pays(rng):
    """A matrix of rank 1 of 200 x 100 is told by 300 numbers; at the threshold 1 by all."""
    low = jnp.asarray(np.outer(rng.normal(size=200), rng.normal(size=100)), jnp.float32)
    whole, factored = (sizes(low, 0.01, rank_threshold=tau)["compressed_size"] for tau in (1.0, 0.9))
    assert 10 * factored < whole
    assert factored > 300  # bytes: about one per number


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bin_width": 0.0}, "bin_width=0.0: must be > 0"),
        ({"rank_threshold": 1.5}, "rank_threshold=1.5: must be in 0 ... 1"),
        ({"mode": "raw"}, "mode='raw': "),
    ],
)
def test_wrong_options_are_one_line(options, message):
    with pytest.raises(ConfigError, match=message):
        jax.eval_shape(lambda p: compressed_size(Snapshot(params=p), **options), {"w": jnp.zeros(3)})


def test_zeros_cost_next_to_nothing_and_minus_zero_is_zero():
    assert sizes(jnp.zeros(COUNT))["compressed_size"] < 60
    below = sizes(jnp.full(COUNT, -0.001), bin_width=0.1)["compressed_size"]
    assert below == sizes(jnp.zeros(COUNT))["compressed_size"]


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
        params={"kernel": weights},
        network=lambda params, stats, x: (x @ params["kernel"], ()),
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
