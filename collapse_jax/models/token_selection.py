"""Attention that selects tokens, after arXiv:2409.17625: f(X) = nu^T X^T softmax(X W p).

W in R^{d x d} and the query p are trained, p begins as zeros; or p alone, W being the identity (version 1 of the
paper). nu is fixed: inputs hold nu.x_t of every token (`tasks.token_selection`). Logits are (f/2, -f/2), of which
the cross-entropy is the logistic loss log(1 + exp(-y f)), y = 1 for class 0 and -1 for class 1. There is no head.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from collapse_jax.experiment import choices
from collapse_jax.models.base import Coordinates, Forward, ModelInfo
from collapse_jax.system import random

BOTH, QUERY = TRAINED = ("both", "query")
KERNEL, DIRECT = FORMS = ("kernel", "direct")


class TokenSelection(nn.Module):
    """x -> nu^T X^T softmax(X W p).

    Attributes:
      trained: "both" or "query", see `choices.TokenSelection`.
    """

    trained: str = BOTH

    @nn.compact
    def __call__(self, x: jax.Array) -> tuple[jax.Array, tuple[jax.Array, ...]]:
        """Map inputs [N, T, d + 1] to logits [N, 2], and scores X W p [N, T] and pooled tokens [N, d]."""
        d = x.shape[-1] - 1
        direction = self.param("query", nn.initializers.zeros, (d,))
        if self.trained == BOTH:
            # Its kernel is W^T.
            direction = nn.Dense(d, use_bias=False, kernel_init=begin, name="attention")(direction)
        return attend(direction, x)


def attend(direction: jax.Array, x: jax.Array) -> tuple[jax.Array, tuple[jax.Array, ...]]:
    """Return logits [N, 2], and scores [N, T] and pooled tokens [N, d] of inputs [N, T, d + 1] for W p [d]."""
    tokens = x[..., :-1]
    scores = tokens @ direction
    logits, share = select(scores, x[..., -1])
    return logits, (scores, jnp.sum(share[..., None] * tokens, axis=-2))


def begin(key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> jax.Array:
    """Return a matrix [d, d] uniform in +-1/sqrt d, as `torch.nn.Linear` begins."""
    bound = shape[0] ** -0.5
    return random.uniform(key, shape, -bound, bound).astype(dtype)


def select(scores: jax.Array, values: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return logits [N, 2] and the attention [N, T] of scores and values [N, T]."""
    share = jax.nn.softmax(scores)
    f = jnp.sum(share * values, axis=-1)
    return jnp.stack([f, -f], axis=-1) / 2, share


@dataclasses.dataclass(frozen=True)
class KernelForm:
    """The same gradient descent without d: on numbers of the m = N T tokens of the training set.

    With X [m, d], the initial W_0 and M = X W_0, the gradient g of the loss with respect to the scores u = X W p
    gives dL/dW = X^T g p^T and dL/dp = W^T X^T g. So W - c W_0 stays in the span of X^T (.) M, p in that of M^T:

        p = M^T a,   W = c W_0 - X^T B M,   u = (c I - K B) G a,   K = X X^T,   G = M M^T

    with a [m], B [m, m] and a scalar c, at first 0, 0 and 1. A step p <- p - eta (dL/dp + lambda p), and the
    same of W, is

        a <- a - eta ((c I - B^T K) g + lambda a),   B <- B - eta (-g a^T + lambda B),   c <- c - eta lambda c

    which is gradient descent on (a, B, c) with these as "gradients"; momentum, which is linear, stays what it is. A
    step takes O(m^2) instead of O(d^2); K and G, O(m d^2), are made once in each call of a program. With p alone
    W = I: M = X, and a is all there is.

    Attributes:
      trained: as of the model.
    """

    trained: str = BOTH

    def constants(self, initial: Any, inputs: jax.Array) -> dict[str, jax.Array]:
        """Return X, the worth of the tokens, K and G, and where W is trained W_0 and M."""
        x = inputs[..., :-1].reshape(-1, inputs.shape[-1] - 1)
        known = {"tokens": x, "values": inputs[..., -1], "gram": x @ x.T}
        if self.trained == QUERY:
            return known | {"keys": x, "key_gram": known["gram"]}
        weight = initial["attention"]["kernel"].T
        keys = x @ weight
        return known | {"weight": weight, "keys": keys, "key_gram": keys @ keys.T}

    def begin(self, inputs: jax.Array) -> dict[str, jax.Array]:
        """Return the coordinates of the initial parameters."""
        m, dtype = inputs.shape[0] * inputs.shape[1], inputs.dtype
        query = {"query": jnp.zeros(m, dtype)}
        if self.trained == QUERY:
            return query
        return query | {"attention": jnp.zeros((m, m), dtype), "kept": jnp.ones((), dtype)}

    def apply(self, coordinates: Any, constants: Any) -> tuple[jax.Array, tuple[jax.Array, ...]]:
        """Return logits and scores of the training set."""
        gram, key_gram = constants["gram"], constants["key_gram"]
        if self.trained == QUERY:
            scores = _scores_of_query(coordinates["query"], gram)
        else:
            c = coordinates
            scores = _scores(c["query"], c["attention"], c["kept"], gram, key_gram)
        scores = scores.reshape(constants["values"].shape)
        return select(scores, constants["values"])[0], (scores,)

    def parameters(self, coordinates: Any, constants: Any) -> dict[str, Any]:
        """Return p and W^T."""
        query = {"query": constants["keys"].T @ coordinates["query"]}
        if self.trained == QUERY:
            return query
        step = constants["tokens"].T @ (coordinates["attention"] @ constants["keys"])
        return query | {"attention": {"kernel": (coordinates["kept"] * constants["weight"] - step).T}}

    def network(self, coordinates: Any, initial: Any, inputs: jax.Array) -> Forward:
        """Return the network as a function of inputs; W p by matrices times vectors takes O(d^2), not O(m d^2).

        p = W_0^T X^T a and W p = c W_0 p - X^T B X W_0 p.
        """
        x = inputs[..., :-1].reshape(-1, inputs.shape[-1] - 1)
        direction = x.T @ coordinates["query"]
        if self.trained == BOTH:
            kernel = initial["attention"]["kernel"]
            lifted = (kernel @ direction) @ kernel
            direction = coordinates["kept"] * lifted - x.T @ (coordinates["attention"] @ (x @ lifted))
        return lambda inputs: attend(direction, inputs)


@jax.custom_vjp
def _scores_of_query(a: jax.Array, gram: jax.Array) -> jax.Array:
    """Return u = K a, of which the gradient g is handed to a: p = X^T a moves by X^T g."""
    return gram @ a


_scores_of_query.defvjp(lambda a, gram: (gram @ a, gram), lambda gram, g: (g, jnp.zeros_like(gram)))


@jax.custom_vjp
def _scores(a: jax.Array, b: jax.Array, c: jax.Array, gram: jax.Array, key_gram: jax.Array) -> jax.Array:
    """Return u = (c I - K B) G a, with the gradients of `KernelForm`."""
    return _forward(a, b, c, gram, key_gram)[0]


def _forward(a: jax.Array, b: jax.Array, c: jax.Array, gram: jax.Array, key_gram: jax.Array) -> Any:
    lifted = key_gram @ a
    return c * lifted - gram @ (b @ lifted), (a, b, c, gram, key_gram)


def _backward(saved: Any, g: jax.Array) -> Any:
    a, b, c, gram, key_gram = saved
    query = c * g - (gram @ g) @ b
    # No step of the data moves c; K and G are constants.
    return query, -jnp.outer(g, a), jnp.zeros_like(c), jnp.zeros_like(gram), jnp.zeros_like(key_gram)


_scores.defvjp(_forward, _backward)


def _make(options: choices.TokenSelection, num_classes: int, vocabulary_size: int) -> nn.Module:
    return TokenSelection(options.trained)


def _coordinates(options: choices.TokenSelection) -> Coordinates | None:
    return KernelForm(options.trained) if options.form == KERNEL else None


INFO = ModelInfo(_make, inputs=("sequence",), options=choices.TokenSelection, coordinates=_coordinates)
