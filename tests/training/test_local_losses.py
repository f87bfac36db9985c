"""Losses and heads of single blocks against plain numpy in float64, PyTorch and closed forms; changes of images."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from collapse_jax.measures import Probe, Snapshot
from collapse_jax.measures.families.nhsic import nhsic
from collapse_jax.training.augment import crop, flip, marked, views_of
from collapse_jax.training.local_heads import apply_head, init_head, rows_of
from collapse_jax.training.local_losses import EMBEDDINGS, batch_nhsic

TEMPERATURE, BASE = 0.1, 0.07


def plain_similarity(rows, labels):
    """One pair of examples after the other."""
    total = 0.0
    centred = [row - row.mean() for row in rows]
    for a, y in zip(centred, labels, strict=True):
        for b, z in zip(centred, labels, strict=True):
            cosine = a @ b / np.sqrt((a @ a + 1e-12) * (b @ b + 1e-12))
            total += (np.clip(cosine, -1, 1) - float(y == z)) ** 2
    return total / len(rows) ** 2


def plain_contrastive(rows, labels):
    """One anchor after the other."""
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    losses = []
    for i in range(len(rows)):
        others = [k for k in range(len(rows)) if k != i]
        scores = {k: np.exp(unit[i] @ unit[k] / TEMPERATURE) for k in others}
        same = [k for k in others if labels[k] == labels[i]]
        if same:
            losses.append(-TEMPERATURE / BASE * np.mean([np.log(scores[k] / sum(scores.values())) for k in same]))
    return np.mean(losses)


PLAIN = {"similarity": plain_similarity, "supervised_contrastive": plain_contrastive}


def drawn(rng, count=14, width=6):
    return rng.normal(size=(count, width)), np.r_[np.arange(count - 1) % 3, 3]  # the last has no other of its class


@pytest.mark.parametrize("name", PLAIN)
def test_embedding_losses_are_those_of_plain_numpy(name, rng):
    rows, labels = drawn(rng)
    with jax.enable_x64(True):
        value = EMBEDDINGS[name].function(jnp.asarray(rows), jnp.asarray(labels), None)
    assert float(value) == pytest.approx(PLAIN[name](rows, labels), rel=1e-9)
    rounded = EMBEDDINGS[name].function(jnp.asarray(rows, jnp.float32), jnp.asarray(labels), None)
    assert float(rounded) == pytest.approx(PLAIN[name](rows, labels), rel=1e-4)


@pytest.mark.parametrize("name", PLAIN)
def test_padding_does_not_count(name, rng):
    rows, labels = drawn(rng)
    padded = np.concatenate([rows, rng.normal(size=(5, 6))]), np.concatenate([labels, np.arange(5) % 3])
    weights = np.r_[np.ones(14), np.zeros(5)]
    with jax.enable_x64(True):
        found = EMBEDDINGS[name].function(*map(jnp.asarray, (*padded, weights)))
        alone = EMBEDDINGS[name].function(jnp.asarray(rows), jnp.asarray(labels), None)
    assert float(found) == pytest.approx(float(alone), rel=1e-12)


@pytest.mark.parametrize("name", PLAIN)
def test_gradients_are_differences_and_finite_for_equal_rows(name, rng):
    rows, labels = drawn(rng)
    direction = rng.normal(size=rows.shape)
    with jax.enable_x64(True):
        function = lambda r: EMBEDDINGS[name].function(r, jnp.asarray(labels), None)  # noqa: E731
        slope = jnp.vdot(jax.grad(function)(jnp.asarray(rows)), direction)
        step = 1e-6 * direction
        difference = (function(jnp.asarray(rows + step)) - function(jnp.asarray(rows - step))) / 2e-6
        assert float(slope) == pytest.approx(float(difference), rel=1e-5, abs=1e-8)
        assert np.isfinite(jax.grad(function)(jnp.zeros_like(rows))).all()


def test_losses_and_gradients_are_those_of_torch(rng):
    torch = pytest.importorskip("torch", reason="the oracle is PyTorch: pip install 'collapse-jax[torch]'")
    rows, labels = drawn(rng)
    features = torch.tensor(rows, requires_grad=True)
    same = torch.tensor(labels[:, None] == labels[None])
    centred = torch.nn.functional.normalize(features - features.mean(1, keepdim=True), dim=1)
    unit = torch.nn.functional.normalize(features, dim=1)
    scores = (unit @ unit.T / TEMPERATURE).masked_fill(torch.eye(14, dtype=torch.bool), -torch.inf)
    mask = same & ~torch.eye(14, dtype=torch.bool)
    chances = torch.log_softmax(scores, dim=1).masked_fill(~mask, 0).sum(1)
    found = mask.sum(1)
    losses = {
        "similarity": torch.nn.functional.mse_loss((centred @ centred.T).clip(-1, 1), same.double()),
        "supervised_contrastive": -(TEMPERATURE / BASE) * (chances[found > 0] / found[found > 0]).mean(),
    }
    for name, loss in losses.items():
        (gradient,) = torch.autograd.grad(loss, features, retain_graph=True)
        with jax.enable_x64(True):
            value, slope = jax.value_and_grad(EMBEDDINGS[name].function)(
                jnp.asarray(rows), jnp.asarray(labels), None
            )
        assert float(value) == pytest.approx(loss.item(), rel=1e-9)
        np.testing.assert_allclose(slope, gradient, rtol=1e-6, atol=1e-9)


def test_perfect_embeddings_have_the_least_similarity_loss():
    """Classes at the corners of a simplex: cosines 1 and -1/(K - 1), by which (K - 1)/K of the pairs miss."""
    labels = jnp.arange(12) % 3
    value = EMBEDDINGS["similarity"].function(jax.nn.one_hot(labels, 3), labels, None)
    assert float(value) == pytest.approx(2 / 3 / 4, rel=1e-5)


@pytest.mark.slow  # compiles a large measure
def test_nhsic_of_a_batch_is_that_of_the_measure(rng):
    features, inputs = rng.normal(size=(20, 5)), rng.normal(size=(20, 7))
    with jax.enable_x64(True):
        probe = Probe(jnp.asarray(features), jnp.zeros(20, int), inputs=jnp.asarray(inputs))
        expected = nhsic(Snapshot(probe, num_classes=2), mode="reference", permutations=0)["nhsic_zx"]
        function = lambda f: batch_nhsic(f, jnp.asarray(inputs))  # noqa: E731
        assert float(function(jnp.asarray(features))) == pytest.approx(float(expected), rel=1e-9)
        direction = rng.normal(size=features.shape)
        gradient = jax.grad(function)(jnp.asarray(features))
        ends = [function(jnp.asarray(features + sign * 1e-5 * direction)) for sign in (1, -1)]
        # Slopes of either sign may all but cancel; the difference is off by a share of the whole gradient.
        scale = jnp.linalg.norm(gradient) * np.linalg.norm(direction)
        assert float(jnp.vdot(gradient, direction)) == pytest.approx(
            float(ends[0] - ends[1]) / 2e-5, rel=0, abs=1e-5 * float(scale)
        )


@pytest.mark.parametrize(
    ("shape", "width"),
    [
        ((28, 28, 1), 784),
        ((28, 28, 16), 16 * 7 * 14),  # 14 x 28 and 14 x 14 are too many
        ((32, 32, 64), 64 * 4 * 8),
        ((7, 7, 512), 512 * 1 * 3),
        ((3, 3, 4096), 4096),
        ((5, 9), 9),
        ((9,), 9),
    ],
)
def test_outputs_are_averaged_until_they_are_2048_at_most(shape, width, rng):
    block = jnp.asarray(rng.normal(size=(2, *shape)), jnp.float32)
    rows = rows_of(block)
    assert rows.shape == (2, width)
    assert width <= 2048 or shape[2] > 2048


def test_windows_are_averaged(rng):
    block = rng.normal(size=(3, 8, 8, 40)).astype(np.float32)
    expected = block.reshape(3, 4, 2, 8, 40).mean(2)  # 4 x 8 x 40 = 1280
    np.testing.assert_allclose(rows_of(jnp.asarray(block)), expected.reshape(3, -1), rtol=1e-5, atol=1e-6)


def test_a_head_with_a_hidden_layer(rng):
    head = jax.tree.map(np.asarray, init_head(jax.random.key(0), "mlp", 5, 3))
    rows = rng.normal(size=(4, 5)).astype(np.float32)
    hidden = np.maximum(rows @ head["hidden"]["kernel"] + head["hidden"]["bias"], 0)
    expected = hidden @ head["out"]["kernel"] + head["out"]["bias"]
    np.testing.assert_allclose(apply_head(head, jnp.asarray(rows)), expected, rtol=1e-4, atol=1e-6)
    assert max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(head)) <= 5**-0.5


def test_flips_mirror_half_of_the_images(rng):
    images = jnp.asarray(rng.normal(size=(200, 4, 3, 2)), jnp.float32)
    flipped = np.asarray(flip(jax.random.key(1), images))
    same = [np.array_equal(a, b) for a, b in zip(flipped, images, strict=True)]
    mirrored = [np.array_equal(a, b[:, ::-1]) for a, b in zip(flipped, images, strict=True)]
    assert all(a != b for a, b in zip(same, mirrored, strict=True))
    assert 70 < sum(same) < 130


def test_crops_move_images_by_an_eighth_at_most(rng):
    images = rng.uniform(1, 2, size=(60, 16, 8, 1)).astype(np.float32)
    images[0, 0, 0, 0] = -0.5  # the darkest
    found = np.asarray(crop(jax.random.key(2), jnp.asarray(images)))
    moves = set()
    for moved, image in zip(found, images, strict=True):
        padded = np.pad(image, ((2, 2), (1, 1), (0, 0)), constant_values=-0.5)
        fits = [
            (i, j)
            for i in range(5)
            for j in range(3)
            if np.allclose(moved, padded[i : i + 16, j : j + 8], atol=1e-6)
        ]
        assert fits
        moves.add(fits[0])
    assert len(moves) > 8


def test_views_are_drawn_for_themselves_and_anew_for_each_key(rng):
    images = jnp.asarray(rng.normal(size=(30, 8, 8, 1)), jnp.float32)
    first, second = np.split(np.asarray(views_of(jax.random.key(0), ("flip", "crop"), images, 2)), 2)
    other = np.asarray(views_of(jax.random.key(1), ("flip", "crop"), images, 1))
    assert (first != second).any()
    assert (first != other).any()
    np.testing.assert_array_equal(views_of(jax.random.key(0), (), images, 1), images)


def test_forward_forward_is_that_of_plain_numpy(rng):
    """Goodness of right and wrong views in a row; the third view and padding have no part."""
    rows, weights = rng.normal(size=(15, 6)) * 2, np.tile([1.0, 1, 1, 1, 0], 3)
    goodness = (rows**2).mean(1)
    expected = np.mean(
        [np.log1p(np.exp(2 - goodness[i])) + np.log1p(np.exp(goodness[5 + i] - 2)) for i in range(4)]
    )
    with jax.enable_x64(True):
        found = EMBEDDINGS["forward_forward"].function(jnp.asarray(rows), jnp.zeros(15, int), jnp.asarray(weights))
    assert float(found) == pytest.approx(expected, rel=1e-12)


def test_labels_are_written_into_the_first_two_views_right_and_wrong(rng):
    images, labels = rng.uniform(-1, 2, size=(3 * 500, 4, 5, 1)).astype(np.float32), rng.integers(0, 7, 500)
    found = np.asarray(marked(jax.random.key(3), jnp.asarray(images), jnp.asarray(labels), 7, 3)).reshape(
        3, 500, 20
    )
    plain = images.reshape(3, 500, 20)
    np.testing.assert_array_equal(found[:, :, 7:], plain[:, :, 7:])
    np.testing.assert_array_equal(found[2], plain[2])
    written = found[:2, :, :7]
    assert set(np.unique(written)) == {images.min(), images.max()}
    np.testing.assert_array_equal((written == images.max()).sum(2), 1)
    right, wrong = written.argmax(2)
    np.testing.assert_array_equal(right, labels)
    assert (wrong != labels).all()
    others = np.bincount((wrong - labels) % 7, minlength=7)[1:]
    assert (abs(others - 500 / 6) < 5 * np.sqrt(500 / 6)).all()


def test_similarity_without_a_head_takes_the_spread_of_each_channel(rng):
    """As `torch.std` over the pixels has it; a channel without spread has a slope, one pixel is taken as it is."""
    images = rng.normal(size=(5, 3, 4, 6))
    with jax.enable_x64(True):
        spread = EMBEDDINGS["similarity"].bare(jnp.asarray(images))
        np.testing.assert_allclose(spread, images.reshape(5, 12, 6).std(axis=1, ddof=1), rtol=1e-9)
        slope = jax.grad(lambda x: EMBEDDINGS["similarity"].bare(x).sum())(jnp.zeros((2, 3, 3, 2)))
        assert np.isfinite(slope).all()
    for plain in (images[:, :1, :1], images[:, 0, 0]):
        np.testing.assert_allclose(
            EMBEDDINGS["similarity"].bare(jnp.asarray(plain)), plain.reshape(5, 6), rtol=1e-6
        )
