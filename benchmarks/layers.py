"""Where the time of a training step of ResNet18 goes: its pieces, ours and PyTorch's, in CPU time of one thread.

Command: python -m benchmarks.layers [--width=8] [--repeats=5]

A piece is forward pass and gradients of one layer, for the shapes of each stage at batch 100, times how often
ResNet18 has it: ours in a loop, as in training, whose turns feed each other; PyTorch in channels-last format.
"""

import argparse
import time
from collections.abc import Callable

from benchmarks import machine
from benchmarks.interleave import interleave

BATCH, LOOP = 100, 3


def pieces(width: int) -> dict[str, tuple[str, tuple[int, ...], int]]:
    """Name -> (kind, numbers of its shape, how many of them ResNet18 has)."""
    found: dict[str, tuple[str, tuple[int, ...], int]] = {"stem 3 x 3": ("conv", (32, 3, width, 3, 1), 1)}
    for stage in range(4):
        side, channels = 32 >> stage, width << stage
        found[f"stage {stage + 1} 3 x 3"] = ("conv", (side, channels, channels, 3, 1), 4 if stage == 0 else 3)
        if stage:
            found[f"stage {stage + 1} 3 x 3 stride 2"] = ("conv", (2 * side, channels // 2, channels, 3, 2), 1)
            found[f"stage {stage + 1} 1 x 1 stride 2"] = ("conv", (2 * side, channels // 2, channels, 1, 2), 1)
        found[f"stage {stage + 1} BatchNorm and ReLU"] = ("norm", (side, channels), 5)
    return found


def ours(kind: str, shape: tuple[int, ...]) -> Callable[[], None]:
    """One piece, `LOOP` times in a compiled loop."""
    import jax
    import jax.numpy as jnp

    from collapse_jax.models.batch_norm import normalise
    from collapse_jax.models.convolution import convolve

    if kind == "conv":
        side, inputs, outputs, size, stride = shape

        def forward(x, kernel):
            return convolve(x, kernel, stride)

        arrays = [(BATCH, side, side, inputs), (size, size, inputs, outputs)]
    else:
        side, inputs = shape

        def forward(x, gain):
            return jax.nn.relu(normalise(1e-5, x, gain, gain, None)[0])

        arrays = [(BATCH, side, side, inputs), (inputs,)]
    values = [jax.random.normal(jax.random.key(i), a) for i, a in enumerate(arrays)]
    out = jax.eval_shape(forward, *values)
    dy = jax.random.normal(jax.random.key(2), out.shape)

    def turn(_, carry):
        x, parameter, _, _ = carry
        y, back = jax.vjp(forward, x, parameter)
        dx, dparameter = back(dy)
        return x + 1e-6 * dx, parameter + 1e-6 * dparameter, y, dx

    @jax.jit
    def run(x, parameter):
        return jax.lax.fori_loop(0, LOOP, turn, (x, parameter, jnp.zeros(out.shape), x))

    return lambda: jax.block_until_ready(run(*values))


def theirs(kind: str, shape: tuple[int, ...]) -> Callable[[], None]:
    """The same piece in PyTorch, `LOOP` times."""
    import torch

    if kind == "conv":
        side, inputs, outputs, size, stride = shape
        layer = torch.nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False)
    else:
        side, inputs = shape
        layer = torch.nn.Sequential(torch.nn.BatchNorm2d(inputs), torch.nn.ReLU())
    layer = layer.to(memory_format=torch.channels_last)
    x = torch.randn(BATCH, inputs, side, side).to(memory_format=torch.channels_last).requires_grad_()
    dy = torch.randn_like(layer(x))

    def run() -> None:
        for _ in range(LOOP):
            layer(x).backward(dy)
            x.grad = None

    return run


def cpu_seconds(function: Callable[[], None]) -> float:
    """Call it and return the seconds of all threads."""
    began = time.process_time()
    function()
    return time.process_time() - began


def main() -> None:
    """Time, print, and write benchmarks/results/layers.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--width", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    import torch

    from collapse_jax.system import runtime

    torch.set_num_threads(1)
    runtime.start(training=True)
    found, totals = {}, {"ours": 0.0, "PyTorch": 0.0}
    for name, (kind, shape, number) in pieces(arguments.width).items():
        ways = {"ours": ours(kind, shape), "PyTorch": theirs(kind, shape)}
        timed = interleave(
            {way: lambda run=run: cpu_seconds(run) for way, run in ways.items()},
            arguments.repeats,
            dict.fromkeys(ways, LOOP),
        )
        found[name] = {"number": number} | {way: timed[way].best * number for way in ways}
        for way in ways:
            totals[way] += found[name][way]
        row = ", ".join(f"{way} {1e3 * found[name][way]:.2f} ms" for way in ways)
        print(f"{number} x {name}: {row}; ratio {found[name]['ours'] / found[name]['PyTorch']:.2f}", flush=True)
    print(f"all of them: {totals}")
    print(machine.write("layers", {"width": arguments.width, "pieces": found, "all": totals}))


if __name__ == "__main__":
    main()
