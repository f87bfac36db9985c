"""The terms of a step beyond loss and optimizer, in one table.

A step is a chain: perturb -> forward -> outputs -> loss + penalties -> gradient (-> ascend -> gradient there)
-> filter -> optimizer -> project. Whether a
term is in it is static (its axis has values, or `training.terms` names it), its strength is traced. To add one,
write its function and name it in `TERMS`; one with a strength has an axis of the same name in `experiment.axes`.
"""

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from collapse_jax.experiment import config
from collapse_jax.experiment.axes import AXES, traced_axes
from collapse_jax.experiment.keys import Purpose
from collapse_jax.models.losses import Loss
from collapse_jax.training.hyperparameters import Hyperparameters
from collapse_jax.training.spectral import spectral_entropy
from collapse_jax.training.trees import kernels, map_kernels, own

Params = Any


@dataclasses.dataclass(frozen=True)
class Perturb:
    """Changes the parameters at which loss, penalties and gradient are taken; the step is taken from the others.

    Attributes:
      function: (params, strength, key) -> params.
      purpose: of the key, which is another one in each step.
      factorises: whether it factorises matrices, see `engine.packing.require_one_by_one`.
    """

    function: Callable[[Params, jax.Array, jax.Array], Params]
    purpose: Purpose
    factorises: bool = False


@dataclasses.dataclass(frozen=True)
class Output:
    """Changes the outputs that the training loss sees, those of local heads too; measures see the network's own.

    Attributes:
      function: (logits, strength) -> logits.
      factorises: as above.
    """

    function: Callable[[jax.Array, jax.Array], jax.Array]
    factorises: bool = False


@dataclasses.dataclass(frozen=True)
class Penalty:
    """Is added to the objective.

    Attributes:
      function: (params, strength) -> scalar.
      factorises: as above.
    """

    function: Callable[[Params, jax.Array], jax.Array]
    factorises: bool = False


@dataclasses.dataclass(frozen=True)
class Ascend:
    """Says where the gradient is taken once more, which then is the one of the step.

    Attributes:
      function: (params, gradient there, strength) -> params.
      factorises: as above.
    """

    function: Callable[[Params, Params, jax.Array], Params]
    factorises: bool = False


@dataclasses.dataclass(frozen=True)
class Filter:
    """Changes the gradient before the optimizer sees it.

    Attributes:
      function: strength, None for one that is only switched on -> optax transformation of gradients.
      factorises: as above.
    """

    function: Callable[[Any], optax.GradientTransformation]
    factorises: bool = False


@dataclasses.dataclass(frozen=True)
class Project:
    """Changes the parameters after the optimizer's step.

    Attributes:
      function: (params, anchor, strength) -> params; strength is None for one that is only switched on.
      anchor: theta_0 -> what is to be held, computed again in each call of the training program and never stored;
        theta_0 is scaled, but its head is not zeroed yet (`InitialScale`).
      factorises: as above.
    """

    function: Callable[[Params, Any, Any], Params]
    anchor: Callable[[Params], Any]
    factorises: bool = False


Term = Perturb | Output | Penalty | Ascend | Filter | Project
SLOW = 0.98  # of the running mean of Grokfast, its paper's choice


def weight_noise(params: Params, strength: jax.Array, key: jax.Array) -> Params:
    """Return theta + delta N(0, 1), independent for every parameter (complexity dynamics, equation 10)."""
    leaves, tree = jax.tree.flatten(params)
    noisy = [
        leaf + strength * jax.random.normal(jax.random.fold_in(key, i), leaf.shape, leaf.dtype)
        for i, leaf in enumerate(leaves)
    ]
    return jax.tree.unflatten(tree, noisy)


def l1(params: Params, strength: jax.Array) -> jax.Array:
    """Return c sum |theta| over all parameters of the network (Tibshirani 1996)."""
    return strength * sum(jnp.sum(jnp.abs(leaf)) for leaf in jax.tree.leaves(own(params)))


def norm_cutoff(params: Params, strength: jax.Array) -> jax.Array:
    """Return the sum over arrays of parameters of (a - c)^2 where a = |w| / size of w > c (code of 2412.09810)."""

    def beyond(leaf: jax.Array) -> jax.Array:
        square = jnp.sum(jnp.square(leaf))
        norm = jnp.sqrt(jnp.where(square == 0, 1, square))  # the root of 0 has no slope
        return jnp.where(square == 0, 0, jnp.square(jnp.maximum(norm / leaf.size - strength, 0)))

    return jnp.asarray(sum(beyond(leaf) for leaf in jax.tree.leaves(own(params))))


def sharpest(params: Params, gradient: Params, strength: jax.Array) -> Params:
    """Return theta + rho g / |g|, where the loss is highest within rho to first order (SAM, 2010.01412)."""
    length = optax.tree.norm(gradient)
    factor = jnp.where(length > 0, strength / jnp.where(length > 0, length, 1), 0)
    return jax.tree.map(lambda leaf, g: leaf + factor * g, params, gradient)


class Slow(NamedTuple):
    """State of `grokfast`: steps taken, and the running mean of the gradient."""

    steps: jax.Array
    mean: Params


def grokfast(strength: jax.Array) -> optax.GradientTransformation:
    """Return g + c m, with the running mean m <- .98 m + .02 g that begins as g (2405.20233, its EMA filter)."""

    def init(params: Params) -> Slow:
        return Slow(jnp.zeros([], jnp.int32), jax.tree.map(jnp.zeros_like, params))

    def update(gradient: Params, state: Slow, params: Params | None = None) -> tuple[Params, Slow]:
        kept = jnp.where(state.steps == 0, 0.0, SLOW)
        mean = jax.tree.map(lambda m, g: (kept * m + (1 - kept) * g).astype(g.dtype), state.mean, gradient)
        return jax.tree.map(lambda g, m: g + strength * m, gradient, mean), Slow(state.steps + 1, mean)

    return optax.GradientTransformation(init, update)


def orthogonal_gradient(_: None = None) -> optax.GradientTransformation:
    """Return of each array of parameters w the part of its gradient orthogonal to w, as long as the gradient was.

    g' = u |g| / |u| with u = g - (w.g / w.w) w: no step scales the weights, and with them the logits (2501.04697;
    its equation takes all parameters as one vector and leaves the length, its code is as here).
    """
    tiny = 1e-30

    def orthogonal(g: jax.Array, w: jax.Array) -> jax.Array:
        u = g - jnp.vdot(w, g) / (jnp.vdot(w, w) + tiny) * w
        return u * (jnp.linalg.norm(jnp.ravel(g)) / (jnp.linalg.norm(jnp.ravel(u)) + tiny))

    return optax.stateless(lambda gradient, params: jax.tree.map(orthogonal, gradient, params))


def kernel_norm(params: Params) -> jax.Array:
    """Return the Euclidean norm of all kernels of the network together."""
    return jnp.sqrt(sum(jnp.sum(jnp.square(kernel)) for kernel in kernels(params)))


def fixed_norm(params: Params, norm: jax.Array, multiple: jax.Array | None = None) -> Params:
    """Multiply all kernels by one factor, so that `kernel_norm` is the given one (Liu et al. 2022, 2210.01117).

    With a `multiple`, that many times the given one.
    """
    factor = (norm if multiple is None else multiple * norm) / kernel_norm(params)
    return map_kernels(lambda kernel: kernel * factor, params)


def tempered(logits: jax.Array, temperature: jax.Array) -> jax.Array:
    """Return f / T: how sharp the outputs are to the loss, whatever the norm of the weights."""
    return logits / temperature


TERMS: dict[str, Term] = {
    "weight_noise": Perturb(weight_noise, Purpose.WEIGHT_NOISE),
    "temperature": Output(tempered),
    "l1": Penalty(l1),
    "spectral_entropy": Penalty(spectral_entropy, factorises=True),
    "norm_cutoff": Penalty(norm_cutoff),
    "sam_radius": Ascend(sharpest),
    "grokfast": Filter(grokfast),
    "orthogonal_gradient": Filter(orthogonal_gradient),
    "fixed_norm": Project(fixed_norm, anchor=kernel_norm),
    "norm_clamp": Project(fixed_norm, anchor=kernel_norm),
}
SWITCHED = tuple(name for name in TERMS if name not in AXES)


def terms_of(experiment: config.Experiment) -> tuple[str, ...]:
    """Return the names of the terms of an experiment's step: of those switched on, and of those with values."""
    with_values = traced_axes(experiment.grid)
    return tuple(name for name in TERMS if name in experiment.training.terms or name in with_values)


def factorising(names: Iterable[str]) -> tuple[str, ...]:
    """Return those of the terms that factorise matrices."""
    return tuple(name for name in names if TERMS[name].factorises)


def _of_kind(names: Iterable[str], kind: type) -> dict[str, Any]:
    return {name: TERMS[name] for name in names if isinstance(TERMS[name], kind)}


def perturbed(names: Iterable[str], params: Params, h: Hyperparameters, step: jax.Array) -> Params:
    """Return the parameters at which the gradient of a step is taken."""
    for name, term in _of_kind(names, Perturb).items():
        params = term.function(params, h.values[name], jax.random.fold_in(h.key(term.purpose), step))
    return params


def seen_by_loss(names: Iterable[str], loss: Loss, h: Hyperparameters) -> Loss:
    """Return the loss of the outputs as the terms change them."""
    terms = _of_kind(names, Output)

    def per_example(logits: jax.Array, labels: jax.Array) -> jax.Array:
        for name, term in terms.items():
            logits = term.function(logits, h.values[name])
        return loss.per_example(logits, labels)

    return dataclasses.replace(loss, per_example=per_example) if terms else loss


def penalised(names: Iterable[str], value: jax.Array, params: Params, h: Hyperparameters) -> jax.Array:
    """Return the objective with its penalties."""
    for name, term in _of_kind(names, Penalty).items():
        value = value + term.function(params, h.values[name])
    return value


def ascended(names: Iterable[str], params: Params, gradient: Params, h: Hyperparameters) -> Params | None:
    """Return where the gradient of the step is taken, given that at `params`; None where it is that one."""
    ascending = _of_kind(names, Ascend)
    for name, term in ascending.items():
        params = term.function(params, gradient, h.values[name])
    return params if ascending else None


def filtered(
    names: Iterable[str], make: Callable[[Hyperparameters], optax.GradientTransformation]
) -> Callable[[Hyperparameters], optax.GradientTransformation]:
    """Return what makes the optimizer with the filters before it; without any, the same."""
    filters = _of_kind(names, Filter)
    if not filters:
        return make
    return lambda h: optax.chain(*(term.function(h.get(name, None)) for name, term in filters.items()), make(h))


def anchors_of(names: Iterable[str], begin: Callable[[], Params]) -> dict[str, Any]:
    """Return what the projections hold; `begin` returns theta_0 and is called only where there is one."""
    projections = _of_kind(names, Project)
    params = begin() if projections else None
    return {name: term.anchor(params) for name, term in projections.items()}


def projected(params: Params, anchors: dict[str, Any], h: Hyperparameters) -> Params:
    """Return the parameters after the projections of a step."""
    for name, anchor in anchors.items():
        term = TERMS[name]
        assert isinstance(term, Project)
        params = term.function(params, anchor, h.get(name, None))
    return params
