"""What is chosen by name, and the options that each choice has, with their defaults.

In a config an option that is None has the default of the choice; a choice has no other options than its own.
Imports no jax, so that a grid over models can be cut, and its workdir read, without it.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from collapse_jax.errors import Wrong, require
from collapse_jax.experiment.options import names_of, options
from collapse_jax.experiment.task_choices import counted, without_options


@dataclasses.dataclass(frozen=True)
class NoOptions:
    """Of a choice that leaves nothing to be chosen."""


@dataclasses.dataclass(frozen=True)
class MLP:
    """Options of the multilayer perceptron; `hidden` are the widths of its layers."""

    hidden: tuple[int, ...] = (200, 200, 200)
    activation: str = "relu"
    last_layer_act: bool = True
    norm: str = "none"
    head_bias: bool = True
    dropout: float = 0.0


@dataclasses.dataclass(frozen=True)
class CNN:
    """Options of the convolutional network; a width of None is 16 for grey and 32 for colour images."""

    width: int | None = None
    activation: str = "relu"
    last_layer_act: bool = True


@dataclasses.dataclass(frozen=True)
class Conv2:
    """Options of Conv-2."""

    width: int = 64


@dataclasses.dataclass(frozen=True)
class Transformer:
    """Options of the transformer."""

    width: int = 128
    depth: int = 1
    heads: int = 4
    patch_size: int = 4
    activation: str = "relu"


@dataclasses.dataclass(frozen=True)
class Decoder:
    """Options of the transformer of token sequences."""

    width: int = 128
    depth: int = 1
    heads: int = 4
    activation: str = "gelu_tanh"


@dataclasses.dataclass(frozen=True)
class EmbeddingMLP:
    """Options of the perceptron of embedded tokens; `width` is that of an embedding, `hidden` of the layers."""

    width: int = 128
    hidden: tuple[int, ...] = (512, 512, 512)
    activation: str = "relu"
    last_layer_act: bool = False


@dataclasses.dataclass(frozen=True)
class TokenSelection:
    """Options of attention that selects tokens; see `models.token_selection`."""

    trained: str = "both"
    form: str = "kernel"


@dataclasses.dataclass(frozen=True)
class TokenEncoder:
    """Options of the encoder of sequences of vectors; `width` is that of its hidden layer."""

    width: int = 2000
    activation: str = "gelu"


@dataclasses.dataclass(frozen=True)
class ResNet:
    """Options of the residual networks."""

    width: int = 64
    dropout: float = 0.0


@dataclasses.dataclass(frozen=True)
class ResNet20:
    """Options of the residual network of three stages."""

    width: int = 16


@dataclasses.dataclass(frozen=True)
class VGG:
    """Options of VGG11."""

    width: int = 64
    dropout: float = 0.0


@dataclasses.dataclass(frozen=True)
class AdamW:
    """Options of AdamW, and of Adam with the decay in the gradient."""

    b1: float = 0.9
    b2: float = 0.999
    eps: float = 1e-8
    decay: str = "all"


@dataclasses.dataclass(frozen=True)
class SGD:
    """Options of gradient descent, stochastic or not."""

    momentum: float = 0.0
    decay: str = "all"


@dataclasses.dataclass(frozen=True)
class Lion:
    """Options of Lion (arXiv 2302.06675)."""

    b1: float = 0.9
    b2: float = 0.99
    decay: str = "all"


@dataclasses.dataclass(frozen=True)
class Muon:
    """Options of Muon: orthogonalised momentum in hidden dense layers, Nesterov's AdamW elsewhere."""

    momentum: float = 0.95
    decay: str = "all"


# By the field of the experiment, and by the name that stands in it; a model or an optimizer may also be a
# file of the user's own.
CHOICES: Mapping[str, Mapping[str, type]] = {
    "model": {
        "mlp": MLP,
        "cnn": CNN,
        "conv2": Conv2,
        "transformer": Transformer,
        "decoder": Decoder,
        "embedding_mlp": EmbeddingMLP,
        "token_selection": TokenSelection,
        "token_encoder": TokenEncoder,
        "resnet20": ResNet20,
        **dict.fromkeys(("resnet18", "resnet34", "resnet50", "resnet101", "resnet152"), ResNet),
        "vgg11": VGG,
    },
    "optimizer": {"adamw": AdamW, "adam": AdamW, "sgd": SGD, "gd": SGD, "lion": Lion, "muon": Muon},
}


def filled(experiment: Any) -> Any:
    """Return an experiment with values for all options of its choices, but of one that is an axis of the grid."""
    for group, kinds in CHOICES.items():
        chosen = getattr(experiment, group)
        if chosen.name in kinds and not getattr(experiment.grid, group):
            chosen = dataclasses.replace(chosen, **vars(options(chosen, kinds[chosen.name])))
            experiment = dataclasses.replace(experiment, **{group: chosen})
    return dataclasses.replace(experiment, task=counted(experiment.task))


def own_only(experiment: Any) -> Any:
    """Return an experiment as `filled`, without the options of other choices, which version 0.1 recorded too.

    There a width or depth of 0 stood for the model's own.
    """
    sizes = {name: getattr(experiment.model, name) or None for name in ("width", "depth")}
    experiment = dataclasses.replace(experiment, model=dataclasses.replace(experiment.model, **sizes))
    task = without_options(experiment.task, (experiment.task.dataset, *experiment.grid.dataset))
    experiment = dataclasses.replace(experiment, task=task)
    for group in CHOICES:
        if not getattr(experiment.grid, group):
            experiment = chosen(experiment, group, getattr(experiment, group).name)
    return experiment


def chosen(experiment: Any, group: str, name: str) -> Any:
    """Return an experiment with another choice, whose own options stay or are filled in; others are dropped.

    Of a choice of the user's own it is not known which it has, and all stay.
    """
    before = getattr(experiment, group)
    kind, changed = CHOICES[group].get(name), dict[str, Any](name=name)
    if kind is not None:
        changed |= {item.name: None for item in dataclasses.fields(before) if item.default is None}
        changed |= vars(options(before, kind))
    return dataclasses.replace(experiment, **{group: dataclasses.replace(before, **changed)})


def require_own(group: str, fields: Any, kinds: Mapping[str, type]) -> None:
    """Raise `ConfigError` for options that are given though none of the choices has them.

    Args:
      group: field of the experiment.
      fields: the config of the choice.
      kinds: name of each choice that the grid has, and the class of its options.
    """
    own = dict.fromkeys(name for kind in kinds.values() for name in names_of(kind))
    common = [item.name for item in dataclasses.fields(fields) if item.default is not None and item.name != "name"]
    who, has = f"the {group} {' or '.join(map(repr, kinds))}", ", ".join([*own, *common])
    wrong = Wrong()
    for item in dataclasses.fields(fields):
        value = getattr(fields, item.name)
        idle = item.default is None and value is not None and item.name not in own
        with wrong.noted():
            require(not idle, f"{group}.{item.name}", value, f"{who} has no such field; it has {has}")
    wrong.tell()
