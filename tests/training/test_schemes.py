"""Layer by layer: the loss of a block reaches that block alone; the network and its measures know nothing of it."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import tiny_experiment
from runs import assert_same_bits, begin, distance, one, take, train

import collapse_jax
from collapse_jax.experiment.config import Grid, Model, Snapshots, Training
from collapse_jax.experiment.training import Local
from collapse_jax.models import HEAD, find_model, make_model
from collapse_jax.training import init_run, network_of, observe_probe
from collapse_jax.training.blocks import owners_of
from collapse_jax.training.run import update
from collapse_jax.training.schemes import Pass
from collapse_jax.training.trees import LOCAL_HEADS, own, transposed

LAYERWISE = Training(scheme="layerwise")
EXAMPLES = 20
# model -> the first names of the parameters of each block, in the order of the layers; the last block is the head
BLOCKS = {
    "mlp": (
        Model(hidden=(8, 7, 6), norm="batch"),
        [["hidden_0", "norm_0"], ["hidden_1", "norm_1"], ["hidden_2", "norm_2"]],
    ),
    "cnn": (Model("cnn", width=2), [["conv_0"], ["conv_1"], ["hidden"]]),
    "resnet18": (
        Model("resnet18", width=1),
        [["stem", "stem_norm"], *([f"stage_{stage}_block_{i}"] for stage in range(4) for i in range(2))],
    ),
    "resnet50": (
        Model("resnet50", width=1),
        [
            ["stem", "stem_norm"],
            *([f"stage_{stage}_block_{i}"] for stage, count in enumerate((3, 4, 6, 3)) for i in range(count)),
        ],
    ),
    "vgg11": (
        Model("vgg11", width=1),
        [
            *([f"conv_{i}", f"conv_norm_{i}"] for i in range(8)),
            *([f"dense_{i}", f"dense_norm_{i}"] for i in range(2)),
        ],
    ),
}


def losses(recipe, state, data, h):
    """Return params -> the loss of every block, and of the logits; and what the scheme makes of them."""
    labels = jnp.tile(data.train_labels[:EXAMPLES], recipe.scheme.views)
    inputs = jnp.tile(data.train_inputs[:EXAMPLES], (recipe.scheme.views, 1, 1, 1))

    def objectives(params):
        variables = {"params": own(params), "batch_stats": state.batch_stats}
        more = {"train": True, "mutable": ["batch_stats"]} if state.batch_stats else {}
        outputs, blocks = recipe.scheme.forward(lambda: recipe.model.apply(variables, inputs, **more))
        logits = (outputs[0] if state.batch_stats else outputs)[0]
        seen, heads = Pass(logits, blocks, inputs, labels, None), params.get(LOCAL_HEADS, {})
        local = [recipe.scheme._local(recipe.loss, heads, seen, h, i) for i in range(len(blocks))]
        each = jnp.stack([*local, recipe.loss.objective(logits, labels, None)])
        return each, recipe.scheme.objective(recipe.loss, heads, seen, h, 0)

    return objectives


def layerwise(name, local):
    """Return recipe, hyperparameters and data of a layer-wise run."""
    augment = ("crop",) if local.loss == "supervised_contrastive" else None
    training = Training(scheme="layerwise", local=local, augment=augment)
    weights = {"nhsic": (0.1,)} if local.nhsic else {}
    experiment = tiny_experiment(
        model=BLOCKS[name][0], training=training, batch_size=20, grid=Grid(init_scale=(1.0,), **weights)
    )
    return one(experiment)


KINDS = [
    ("mlp", Local()),
    ("cnn", Local("similarity")),
    ("mlp", Local("supervised_contrastive", "mlp")),
    ("mlp", Local(nhsic="block")),
    *(pytest.param(*rest, marks=pytest.mark.slow) for rest in (("cnn", Local()), ("resnet18", Local()))),
    pytest.param("mlp", Local("similarity", "identity"), marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("name", "local"), KINDS)
def test_the_loss_of_a_block_reaches_its_own_parameters_alone(name, local):
    blocks = BLOCKS[name][1]
    recipe, h, data = layerwise(name, local)
    state = begin(recipe, h, data)
    objectives = losses(recipe, state, data, h)
    both = jax.jit(jax.jacrev(lambda p: ((each := objectives(p))[0], each), has_aux=True))  # one program
    jacobian, (each, total) = both(state.params)
    np.testing.assert_allclose(total, each.sum(), rtol=1e-6)
    owners = [[*names, f"{LOCAL_HEADS}/head_{i}"] for i, names in enumerate(blocks)] + [[HEAD]]
    parts = {name: tree for name, tree in jacobian.items() if name != LOCAL_HEADS}
    parts |= {f"{LOCAL_HEADS}/{name}": tree for name, tree in jacobian[LOCAL_HEADS].items() if tree}
    assert {part for owned in owners for part in owned} >= {*parts}
    assert len(parts) == sum(map(len, owners)) - (len(blocks) if local.head == "identity" else 0)
    for part, tree in parts.items():
        for i, owned in enumerate(owners):
            largest = max(float(jnp.abs(leaf[i]).max()) for leaf in jax.tree.leaves(tree))
            assert (largest > 0) if part in owned else (largest == 0), (part, i)


def test_a_network_is_trained_layer_by_layer_and_its_loss_falls(tiny):
    model = Model(hidden=(16, 12), norm="batch")
    grid = Grid(weight_decay=(0.1,), learning_rate=(1e-2,), init_scale=(1.0,), seed=(1, 2))
    experiment = tiny(model=model, training=LAYERWISE, grid=grid)
    recipe, h, data = one(experiment)
    states = train(experiment)
    start, end = begin(recipe, h, data), take(states, 0)
    before, after = (jax.jit(losses(recipe, s, data, h))(s.params)[0] for s in (start, end))
    assert (after < 0.5 * before).all()
    assert_same_bits(states, train(experiment, cuts=(1, 20)))
    assert distance(own(end.params), take(train(tiny(model=model, grid=grid)), 0).params) > 1e-2


def test_both_schemes_begin_with_the_same_network(tiny):
    states = [train(tiny(steps=0, training=Training(scheme=scheme))) for scheme in ("end_to_end", "layerwise")]
    assert_same_bits(states[0].params, own(states[1].params))


def test_local_heads_are_no_part_of_the_network(tiny, tmp_path):
    """The norm is that of the network alone, in-line and later; a head is not scaled with the network."""
    snapshots = Snapshots(content=("parameters",), test_size=50)
    results = collapse_jax.train(
        tiny(training=LAYERWISE, snapshots=snapshots, grid=Grid(init_scale=(2.0,))), tmp_path / "w"
    )
    stored = collapse_jax.open_snapshots(tmp_path / "w")
    params = stored.snapshot(stored.steps[-1]).params
    stored.close()
    assert {*params} == {"hidden_0", "hidden_1", "head"}
    norm = np.sqrt(sum(np.sum(np.square(leaf)) for leaf in jax.tree.leaves(params)))
    np.testing.assert_allclose(results.weight_norm.isel(step=-1).item(), norm, rtol=1e-5)
    recipe, h, data = one(tiny(training=LAYERWISE, grid=Grid(init_scale=(2.0,))))
    state = begin(recipe, h, data)
    assert float(jnp.abs(state.params[LOCAL_HEADS]["head_0"]["kernel"]).max()) <= 16**-0.5
    assert LOCAL_HEADS not in network_of(recipe, state, h, data)


def test_schemes_are_a_static_axis(tiny, tmp_path):
    grid = Grid(scheme=("end_to_end", "layerwise"), weight_decay=(0.1,), init_scale=(1.0,), seed=(1,))
    results = collapse_jax.train(tiny(grid=grid, steps=20), tmp_path / "w")
    assert results.scheme.values.tolist() == ["end_to_end", "layerwise"]
    loss = results.train_loss.isel(step=-1).squeeze().values
    assert np.isfinite(loss).all()
    assert loss[0] != loss[1]


def test_forward_forward_trains_blocks_on_labels_in_pixels_and_the_classifier_without(tiny):
    """Where all first pixels are what no label makes of them, the third view, the classifier sees no label."""
    local = Training(scheme="layerwise", local=Local("forward_forward", "identity"))
    grid = Grid(weight_decay=(0.0,), learning_rate=(3e-3,), init_scale=(1.0,))
    experiment = tiny(model=Model(hidden=(60, 50), norm="length"), training=local, grid=grid, steps=150)
    recipe, h, data = one(experiment)
    start, end = begin(recipe, h, data), take(train(experiment), 0)

    def goodness(state, written):
        images = data.train_inputs.reshape(100, -1)
        if written is not None:
            code = jnp.where(jax.nn.one_hot(written, 10, dtype=bool), images.max(), images.min())
            images = images.at[:, :10].set(code)
        _, layers = recipe.model.apply({"params": own(state.params)}, images)
        return np.stack([np.mean(np.square(layer), axis=1) for layer in layers])

    for state, told in ((start, False), (end, True)):
        right, wrong = goodness(state, data.train_labels), goodness(state, (data.train_labels + 1) % 10)
        assert ((right > wrong).mean(1) > 0.7).all() == told
    network = network_of(recipe, end, h, data)
    probe = observe_probe(recipe, network, data.train_inputs, data.train_labels)
    assert np.mean(np.argmax(probe.logits, 1) == data.train_labels) > 0.8


def count(tree):
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


@pytest.mark.parametrize(
    ("name", "local", "expected"),
    [
        ("mlp", Local(), [10 * (d + 1) for d in (8, 7, 6)]),
        ("mlp", Local(head="mlp"), [d * (d + 1) + 10 * (d + 1) for d in (8, 7, 6)]),
        ("mlp", Local("similarity"), [128 * (d + 1) for d in (8, 7, 6)]),
        ("mlp", Local("similarity", "identity"), [0, 0, 0]),
        # 2 channels of 28 x 28 pixels are 1568 <= 2048, 4 of 14 x 14 are 784.
        ("cnn", Local(), [10 * (1568 + 1), 10 * (784 + 1), 10 * (128 + 1)]),
        ("resnet18", Local(), [10 * (784 + 1)] * 3),
        ("vgg11", Local(), [10 * (c * s * s + 1) for c, s in ((1, 14), (2, 7), (4, 7), (4, 3))]),
    ],
)
def test_local_heads_have_as_many_parameters_as_their_blocks_have_outputs(name, local, expected):
    recipe, *arguments = layerwise(name, local)
    heads = jax.eval_shape(functools.partial(init_run, recipe), *arguments).params[
        LOCAL_HEADS
    ]  # nothing is compiled
    assert [count(heads[f"head_{i}"]) for i in range(len(expected))] == expected
    assert len(heads) == len(BLOCKS[name][1])


def test_one_block_is_trained_as_end_to_end_to_the_last_bit(tiny):
    """The block and its local head are an end-to-end network whose head begins as the local head."""
    model = Model(hidden=(16,), norm="batch")
    recipe, h, data = one(tiny(model=model, training=LAYERWISE))
    alone, _, _ = one(tiny(model=model))
    state = transposed(begin(recipe, h, data))
    batch = (data.train_inputs[:30], data.train_labels[:30], None)
    plain = own(state.params) | {HEAD: state.params[LOCAL_HEADS]["head_0"]}
    whole = dataclasses.replace(state, params=plain, opt_state=alone.make_optimizer(h).init(plain))
    steps = {"layerwise": (recipe, state), "end_to_end": (alone, whole)}
    ends = {}
    for name, (own_recipe, own_state) in steps.items():
        step = jax.jit(functools.partial(update, own_recipe))
        for number in range(5):
            own_state = step(own_state, h, batch, jnp.int32(number))
        ends[name] = own_state
    heads = ends["layerwise"].params[LOCAL_HEADS]["head_0"]
    assert_same_bits(ends["end_to_end"].params, own(ends["layerwise"].params) | {HEAD: heads})
    assert_same_bits(ends["end_to_end"].batch_stats, ends["layerwise"].batch_stats)


@pytest.mark.parametrize("name", BLOCKS)
def test_every_parameter_belongs_to_its_block(name):
    """Also of networks whose gradients take long."""
    model, blocks = BLOCKS[name]
    network = make_model(model, 10)
    inputs = jax.ShapeDtypeStruct((2, 28, 28, 1), np.float32)
    shapes = jax.eval_shape(network.init, jax.random.key(0), inputs)
    variables = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)
    images = np.zeros(inputs.shape, inputs.dtype)
    found = owners_of(
        variables["params"],
        lambda p: network.apply({**variables, "params": p}, images),
        find_model(model.name).blocks,
    )
    expected = {part: number for number, names in enumerate([*blocks, [HEAD]]) for part in names}
    assert {part: set(jax.tree.leaves(tree)) for part, tree in found.items()} == {
        p: {n} for p, n in expected.items()
    }
