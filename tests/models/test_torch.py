"""Each model against PyTorch: initial distributions, forward passes, and a training step, BatchNorm included."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the oracle is PyTorch: pip install 'collapse-jax[torch]'")

import torch_models  # noqa: E402

from collapse_jax import models, tasks  # noqa: E402
from collapse_jax.experiment import config  # noqa: E402
from collapse_jax.models.resnet import DEPTHS, ResNet  # noqa: E402
from collapse_jax.models.transformer import Transformer  # noqa: E402
from collapse_jax.models.vgg import VGG11  # noqa: E402
from collapse_jax.training import LOSSES, Recipe, init_run, network_of, observe_probe  # noqa: E402
from collapse_jax.training.hyperparameters import Hyperparameters  # noqa: E402
from collapse_jax.training.optimizers import OPTIMIZERS  # noqa: E402
from collapse_jax.training.run import transposed, update  # noqa: E402

CLASSES, EXAMPLES, VOCABULARY = 3, 6, 11
DEPTHS[-1] = ((1, 1, 1, 1), True)  # a small bottleneck network
MLP = functools.partial(models.MLP, (9, 7), CLASSES)
TORCH_MLP = functools.partial(torch_models.TorchMLP, (48, 9, 7, CLASSES))

# name -> (ours, PyTorch's, shape of an input; None for texts)
CASES = {
    "mlp": (MLP(), lambda: TORCH_MLP(torch.relu, "none"), (48,)),
    "mlp_gelu": (MLP("gelu"), lambda: TORCH_MLP(torch.nn.functional.gelu, "none"), (48,)),
    "mlp_layer": (MLP(norm="layer"), lambda: TORCH_MLP(torch.relu, "layer"), (48,)),
    "mlp_batch": (MLP(norm="batch"), lambda: TORCH_MLP(torch.relu, "batch"), (48,)),
    "cnn": (
        models.make_model(config.Model("cnn", width=4), CLASSES),
        lambda: torch_models.TorchCNN(1, 4, 6, 128, CLASSES),
        (6, 6, 1),
    ),
    "conv2": (
        models.make_model(config.Model("conv2", width=3), CLASSES),
        lambda: torch_models.TorchConv2(2, 3, 6, CLASSES),
        (6, 6, 2),
    ),
    "resnet20": (
        models.make_model(config.Model("resnet20", width=3), CLASSES),
        lambda: torch_models.TorchResNet(*DEPTHS[20], 3, 3, CLASSES),
        (8, 8, 3),
    ),
    "transformer": (
        Transformer(CLASSES, width=8, depth=2, heads=2),
        lambda: torch_models.TorchTransformer(8, 2, 2, CLASSES, channels=3),
        (9, 8, 3),
    ),
    "transformer_text": (
        Transformer(CLASSES, VOCABULARY, width=8, heads=2),
        lambda: torch_models.TorchTransformer(8, 1, 2, CLASSES, vocabulary=VOCABULARY),
        None,
    ),
    "resnet": (
        ResNet(CLASSES, 18, width=4),
        lambda: torch_models.TorchResNet(*DEPTHS[18], 3, 4, CLASSES),
        (8, 8, 3),
    ),
    "vgg11": (
        models.make_model(config.Model("vgg11", width=4), CLASSES),
        lambda: torch_models.TorchVGG11(3, 4, 32, CLASSES),
        (8, 8, 3),
    ),
    "resnet_bottleneck": (
        ResNet(CLASSES, -1, width=4),
        lambda: torch_models.TorchResNet(*DEPTHS[-1], 3, 4, CLASSES),
        (8, 8, 3),
    ),
}


def examples(shape, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, EXAMPLES).astype(np.int32)
    if shape is not None:
        return rng.normal(size=(EXAMPLES, *shape)).astype(np.float32), labels
    inputs = rng.integers(1, VOCABULARY, (EXAMPLES, 5)).astype(np.int32)
    inputs[0, 2:] = inputs[1, 1:] = 0
    return inputs, labels


def for_torch(inputs):
    array = torch.from_numpy(np.array(inputs))
    return array.permute(0, 3, 1, 2) if array.ndim == 4 else array.long() if inputs.dtype == np.int32 else array


@pytest.fixture(scope="module", params=CASES)
def case(request):
    """Train our network for three steps of SGD with momentum, the last one on a short batch."""
    model, make_torch, shape = CASES[request.param]
    sgd = OPTIMIZERS["sgd"](config.Optimizer("sgd", momentum=0.9, decay="all"))
    recipe = Recipe(model, LOSSES["squared_error_sum"], sgd, EXAMPLES)
    h = Hyperparameters(
        {
            "weight_decay": jnp.float32(0.1),
            "learning_rate": jnp.float32(1e-3),
            "init_scale": jnp.float32(1),
            "seed": jnp.uint32(0),
        }
    )
    inputs, labels = examples(shape)
    data = tasks.Dataset(inputs, labels, inputs, labels, CLASSES)
    state = jax.jit(lambda: init_run(recipe, h, data))()
    step = jax.jit(lambda s, batch: transposed(update(recipe, transposed(s), h, batch, jnp.int32(0))))
    after = state
    for seed in range(3):
        weights = np.float32([1] * EXAMPLES if seed < 2 else [1] * 4 + [0] * (EXAMPLES - 4))
        after = step(after, (*examples(shape, seed), weights))
    return recipe, make_torch, shape, state, after


def torch_copy(make_torch, state):
    network = make_torch()
    network.copy(state.params, state.batch_stats)
    return network


def test_both_begin_with_the_same_distributions(case):
    """Constants are equal; random tensors have the same standard deviation and, if uniform, the same bound.

    Of small ones the largest entry is compared too: it tells them from zeros and from another scale.
    """
    _, make_torch, _, state, _ = case
    torch.manual_seed(0)
    theirs, ours = make_torch().state_dict(), torch_copy(make_torch, state).state_dict()
    for name, tensor in theirs.items():
        a, b = tensor.double().flatten(), ours[name].double().flatten()
        if a.numel() < 2 or a.std() == 0:
            assert torch.equal(a, b), name
            continue
        n = a.numel()
        if n < 100:  # the standard deviation of so few may be anything, and zeros would pass
            assert 0.125 < b.abs().max() / a.abs().max() < 4, name
        if n < 20:
            continue
        assert b.std() / a.std() == pytest.approx(1, abs=5 / n**0.5), name
        if n > 200 and "embed.weight" not in name and "cls" not in name:
            assert b.abs().max() / a.abs().max() == pytest.approx(1, abs=0.03), name


def test_parameters_are_as_many(case):
    _, make_torch, _, state, _ = case
    ours = sum(leaf.size for leaf in jax.tree.leaves(state.params))
    assert ours == sum(parameter.numel() for parameter in make_torch().parameters())


def test_evaluation_is_equal(case):
    """After training, so that running statistics and every parameter have moved."""
    recipe, make_torch, shape, _, after = case
    inputs, labels = examples(shape, seed=9)
    probe = jax.jit(lambda x, y: observe_probe(recipe, network_of(recipe, after, None, None), x, y, layers=True))(
        inputs, labels
    )
    with torch.no_grad():
        logits, features = torch_copy(make_torch, after).eval()(for_torch(inputs))
    np.testing.assert_allclose(probe.logits, logits, atol=2e-5)
    assert probe.layers is not None
    np.testing.assert_allclose(probe.layers[-1], probe.features)
    np.testing.assert_allclose(np.sort(probe.features), np.sort(features), atol=2e-5)
    head = after.params["head"]
    ours = np.asarray(probe.features) @ np.asarray(head["kernel"]) + np.asarray(head["bias"])
    np.testing.assert_allclose(probe.logits, ours, atol=1e-5)


def test_three_training_steps_are_equal(case):
    """Gradients of every parameter, and the running statistics; the padding of the short batch counts nowhere."""
    _, make_torch, shape, state, after = case
    if isinstance(case[0].model, VGG11 | ResNet):
        pytest.skip("many BatchNorms of six examples: rounding grows by 1e4 in three steps; gradients are below")
    network = torch_copy(make_torch, state).train()
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-3, momentum=0.9, weight_decay=0.1)
    for seed in range(3):
        inputs, labels = (array[: EXAMPLES if seed < 2 else 4] for array in examples(shape, seed))
        one_hot = torch.nn.functional.one_hot(torch.from_numpy(labels).long(), CLASSES)
        optimizer.zero_grad()
        ((network(for_torch(inputs))[0] - one_hot) ** 2).sum().backward()
        optimizer.step()
    before = torch_copy(make_torch, state).state_dict()
    expected, found = network.state_dict(), torch_copy(make_torch, after).state_dict()
    for name, tensor in expected.items():
        if name.endswith("num_batches_tracked"):
            continue
        moved = (tensor - before[name]).abs().max()
        assert moved > 1e-5, f"{name} does not move"
        np.testing.assert_allclose(found[name], tensor, atol=float(1e-3 * moved) + 1e-6, err_msg=name)


@pytest.mark.parametrize("name", ["vgg11", "resnet", "resnet20", "resnet_bottleneck"])
def test_gradients_of_many_batch_norms_are_equal_in_float64(name):
    model, make_torch, shape = CASES[name]
    inputs, labels = examples(shape)
    variables = jax.jit(model.init)(jax.random.key(0), jnp.asarray(inputs[:1]))
    with jax.enable_x64(True):
        params, stats = (jax.tree.map(lambda a: a.astype(float), variables[k]) for k in ("params", "batch_stats"))

        def loss(params):
            both = {"params": params, "batch_stats": stats}
            (logits, _), _ = model.apply(both, jnp.asarray(inputs, float), train=True, mutable=["batch_stats"])
            return jnp.sum((logits - jax.nn.one_hot(labels, CLASSES, dtype=float)) ** 2)

        ours = jax.jit(jax.grad(loss))(params)
    network = make_torch().double()
    network.copy(params, stats)
    one_hot = torch.nn.functional.one_hot(torch.from_numpy(labels).long(), CLASSES)
    ((network.train()(for_torch(inputs).double())[0] - one_hot) ** 2).sum().backward()
    theirs = dict(network.named_parameters())
    network.copy(ours, stats)  # gradients in the places of parameters
    for name, parameter in network.named_parameters():
        gradient = theirs[name].grad
        np.testing.assert_allclose(
            parameter.detach(), gradient, atol=1e-9 + 1e-9 * gradient.abs().max(), err_msg=name
        )


@pytest.mark.parametrize("layers", [18, 20, 34, 50, 101, 152])
def test_resnets_have_as_many_parameters_and_statistics(layers):
    shapes = jax.eval_shape(ResNet(10, layers).init, jax.random.key(0), jnp.zeros((1, 8, 8, 3)))
    with torch.device("meta"):
        network = torch_models.TorchResNet(*DEPTHS[layers], 3, 64, 10)
    sizes = {name: sum(leaf.size for leaf in jax.tree.leaves(tree)) for name, tree in shapes.items()}
    assert sizes["params"] == sum(parameter.numel() for parameter in network.parameters())
    buffers = [buffer.numel() for name, buffer in network.named_buffers() if "running" in name]
    assert sizes["batch_stats"] == sum(buffers)
