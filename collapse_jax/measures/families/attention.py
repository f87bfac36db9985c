"""Which token attention selects, for examples with right and with wrong labels (arXiv:2409.17625)."""

import math

import jax
import jax.numpy as jnp

from collapse_jax.errors import ConfigError
from collapse_jax.measures.base import Measure, Probe, Scalars, Snapshot, Variable
from collapse_jax.tasks.token_selection import OPPOSING, RELEVANT, WEAK

TOKEN_KINDS = ("relevant", "weak", "opposing", "irrelevant")
_KIND = ("token_kind",)
_GROUPS = {"clean": "train examples with the right label", "noisy": "train examples with a wrong label"}
VARIABLES = (
    {
        f"attention_{group}": Variable(
            f"Attention, {group}", "1", f"mean share of attention on the tokens of each kind, over {who}", _KIND
        )
        for group, who in (_GROUPS | {"test": "test examples"}).items()
    }
    | {
        f"attention_gap_{group}": Variable(
            f"Attention gap Λ, {group}",
            "1",
            f"mean of u_relevant - u_kind over {who}; of the irrelevant tokens the one of the largest score u",
            _KIND,
        )
        for group, who in _GROUPS.items()
    }
    | {
        "opposing_gap_noisy": Variable(
            "Attention gap Γ, noisy",
            "1",
            f"mean of u_opposing - u_kind over {_GROUPS['noisy']}, scores u as in the gap Λ",
            _KIND,
        )
    }
    | {
        f"undecided_{group}": Variable(
            f"s (1 - s), {group}", "1", f"mean of s (1 - s) over {who}, s the attention on the relevant token"
        )
        for group, who in _GROUPS.items()
    }
    | {
        "train_loss_selected": Variable(
            "Train loss of relevant tokens",
            "nats",
            "mean logistic loss if every train example attended to its relevant token alone",
        ),
        "train_loss_memorised": Variable(
            "Train loss of best tokens",
            "nats",
            "mean logistic loss if every train example attended alone to the token that is worth most to its label",
        ),
    }
)


def attention(snapshot: Snapshot) -> Scalars:
    """Share of attention per kind of token, gaps between scores, and the losses that selection can reach.

    With scores u [N, T] and s = softmax(u), tokens being, in this order, relevant (of the true class), weak (of it,
    too), opposing (of the other class) and irrelevant (all others, whose share is their sum; scores beyond the T
    tokens, such as one of a class token, take part in s and belong to no kind):

    * `attention_{clean,noisy,test}` [4]: mean of s by kind.
    * `attention_gap_{clean,noisy}` [4]: mean of Lambda = u_relevant - u_kind; `opposing_gap_noisy`: mean of Gamma =
      u_opposing - u_kind. The largest of the irrelevant scores stands for all.
    * `undecided_{clean,noisy}`: mean of s_relevant (1 - s_relevant), which summed over the steps is the statistic S
      of the paper's first version (`analysis.cumulative`).
    * `train_loss_selected`, `train_loss_memorised`: mean of log(1 + exp(-y v)) of the worth v (the last number of a
      token) of the relevant token, and of that which is worth most to the label. Without noise in v the relevant
      one gives log(1 + exp(-1/sqrt 2)) = 0.4008 for a right label and 1.1079 for a wrong one (`selected_loss`).

    Means over no examples are nan. Gaps are our reading of the paper, whose definitions were not at hand.

    Args:
      snapshot: reads the first of `layers`, the scores, labels, and of the inputs [N, T, d + 1] the last column.

    Raises:
      ConfigError: inputs are no sequences of vectors, or the first layer has not one score for each token.
    """
    train = snapshot.train
    u = _scores(train)
    wrong = jnp.zeros(len(u), bool) if train.true_labels is None else train.labels != train.true_labels
    assert train.inputs is not None
    kinds, worth = _by_kind(u, _tokens(train)), train.inputs[..., -1]
    share = _share(u, _tokens(train))
    undecided = share[:, RELEVANT] * (1 - share[:, RELEVANT])
    values = {}
    for group, members in (("clean", ~wrong), ("noisy", wrong)):
        values[f"attention_{group}"] = _mean(share, members)
        values[f"attention_gap_{group}"] = _mean(kinds[:, RELEVANT, None] - kinds, members)
        values[f"undecided_{group}"] = _mean(undecided, members)
    values["opposing_gap_noisy"] = _mean(kinds[:, OPPOSING, None] - kinds, wrong)
    values["train_loss_selected"] = logistic(worth[:, RELEVANT], train.labels).mean()
    values["train_loss_memorised"] = jax.vmap(logistic, (1, None))(worth, train.labels).min(0).mean()
    test = snapshot.test
    if test is not None and test.layers is not None:
        values["attention_test"] = _share(test.layers[0], _tokens(train)).mean(0)
    return values


def logistic(f: jax.Array, labels: jax.Array) -> jax.Array:
    """Return log(1 + exp(-y f)) per example, y = 1 for class 0 and -1 for class 1."""
    return jax.nn.softplus(jnp.where(labels == 0, -f, f))


def selected_loss(noise: float) -> float:
    """Return the loss where all examples attend to their relevant token, whose worth is +-1/sqrt 2, without noise.

    Args:
      noise: share of wrong labels: 0 gives 0.4008, 0.2 gives 0.5423.
    """
    worth = 1 / math.sqrt(2)
    return (1 - noise) * math.log1p(math.exp(-worth)) + noise * math.log1p(math.exp(worth))


def _tokens(probe: Probe) -> int:
    assert probe.inputs is not None
    return probe.inputs.shape[1]


def _scores(train: Probe) -> jax.Array:
    """Return the scores of the tokens [N, >= T]."""
    assert train.layers is not None
    allowed = "needs inputs [N, T, d + 1] of T > 3 tokens, and of the model their scores as the first of its layers"
    if train.inputs is None or train.inputs.ndim != 3:
        shape = None if train.inputs is None else train.inputs.shape
        raise ConfigError("measures", "attention", f"{allowed}; the inputs are {shape}")
    scores, tokens = train.layers[0], train.inputs.shape[1]
    if not 3 <= tokens <= scores.shape[1] <= tokens + 1:
        raise ConfigError("measures", "attention", f"{allowed}; the first layer is {scores.shape}")
    return scores


def _share(u: jax.Array, tokens: int) -> jax.Array:
    """Return the attention on each kind [N, 4]."""
    s = jax.nn.softmax(u)[:, :tokens]
    return jnp.stack([s[:, RELEVANT], s[:, WEAK], s[:, OPPOSING], s[:, OPPOSING + 1 :].sum(1)], axis=1)


def _by_kind(u: jax.Array, tokens: int) -> jax.Array:
    """Return the scores [N, 4]; without irrelevant tokens that of them is -inf."""
    rest = u[:, OPPOSING + 1 : tokens].max(1, initial=-jnp.inf)
    return jnp.stack([u[:, RELEVANT], u[:, WEAK], u[:, OPPOSING], rest], axis=1)


def _mean(values: jax.Array, members: jax.Array) -> jax.Array:
    """Return the mean of values [N, ...] over the members [N]; nan over none."""
    weights = members.reshape(-1, *(1,) * (values.ndim - 1))
    return jnp.sum(jnp.where(weights, values, 0), axis=0) / jnp.sum(members)


def coordinates(snapshot: Snapshot) -> dict[str, tuple[str, ...]]:
    """Name the kinds of tokens."""
    return {"token_kind": TOKEN_KINDS}


ATTENTION = Measure("attention", attention, VARIABLES, needs=("train", "layers"), coords=coordinates)
