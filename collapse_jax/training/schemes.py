"""Training schemes: which loss trains which parameters. Models know nothing of them."""

import contextlib
import dataclasses
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from collapse_jax.models import HEAD, ModelInfo
from collapse_jax.training.losses import Loss


@dataclasses.dataclass(frozen=True)
class EndToEnd:
    """The loss of the logits trains all parameters."""

    def init(self, key: jax.Array, layers: Sequence[jax.ShapeDtypeStruct], num_classes: int) -> dict[str, Any]:
        """Return the parameters of local heads: none.

        Args:
          key: to draw them with.
          layers: shapes [N, ...] of the outputs of the hidden layers.
          num_classes: K.
        """
        return {}

    def gradients(self) -> contextlib.AbstractContextManager[None]:
        """Return the context in which the network is applied."""
        return contextlib.nullcontext()

    def objective(
        self,
        loss: Loss,
        heads: Any,
        outputs: tuple[jax.Array, Sequence[jax.Array]],
        labels: jax.Array,
        weights: Any,
    ) -> jax.Array:
        """Return what a step minimises; `heads` are as `init` made them, `outputs` the logits and the layers."""
        return loss.objective(outputs[0], labels, weights)


@dataclasses.dataclass(frozen=True)
class Layerwise(EndToEnd):
    """A linear head and a loss for the output of each hidden layer, beside the loss of the logits; all are summed.

    No gradient enters a block from above: the input of each submodule whose name matches `blocks`, and of the head,
    is cut. So the loss of a layer trains its block and its local head alone, and the loss of the logits the head
    (Belilovsky et al. 2020, arXiv:1901.08164).

    Attributes:
      blocks: regular expression, `ModelInfo.blocks`.
    """

    blocks: str

    def init(self, key: jax.Array, layers: Sequence[jax.ShapeDtypeStruct], num_classes: int) -> dict[str, Any]:
        """Return a head per layer, of its flattened output [N, D_l], begun as `torch.nn.Linear`."""
        heads = {}
        for i, layer in enumerate(layers):
            size = layer.size // layer.shape[0]
            shapes = {"kernel": (size, num_classes), "bias": (num_classes,)}
            heads[f"{HEAD}_{i}"] = {
                name: jax.random.uniform(part, shape, jnp.float32, -(size**-0.5), size**-0.5)
                for part, (name, shape) in zip(
                    jax.random.split(jax.random.fold_in(key, i)), shapes.items(), strict=True
                )
            }
        return heads

    @contextlib.contextmanager
    def gradients(self) -> Iterator[None]:
        """Cut the gradient at the input of every block and of the head."""

        def cut(call: Callable[..., Any], args: tuple, kwargs: dict[str, Any], context: Any) -> Any:
            name = context.module.name or ""
            if context.method_name == "__call__" and (name == HEAD or re.fullmatch(self.blocks, name)):
                args = (jax.lax.stop_gradient(args[0]), *args[1:])
            return call(*args, **kwargs)

        with nn.intercept_methods(cut):
            yield

    def objective(
        self,
        loss: Loss,
        heads: Any,
        outputs: tuple[jax.Array, Sequence[jax.Array]],
        labels: jax.Array,
        weights: Any,
    ) -> jax.Array:
        """Return the loss of the logits and of every layer's head, summed."""
        logits, layers = outputs
        total = loss.objective(logits, labels, weights)
        for i, layer in enumerate(layers):
            head = heads[f"{HEAD}_{i}"]
            local = layer.reshape(len(layer), -1) @ head["kernel"] + head["bias"].reshape(1, -1)
            total += loss.objective(local, labels, weights)
        return total


SCHEMES: dict[str, Callable[[ModelInfo], EndToEnd]] = {
    "end_to_end": lambda info: EndToEnd(),
    "layerwise": lambda info: Layerwise(info.blocks),
}
