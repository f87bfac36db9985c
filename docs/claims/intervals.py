"""How often errors, intervals and tests hold in simulation: docs/information.md, docs/measures.md, docs/reliability.md.

Read from the text files that `python -m benchmarks.calibration`, `coverage`, `phase_coverage` and `threads` print.
"""

import re

import numpy as np

from collapse_jax.publishing.claims import claims
from collapse_jax.publishing.wording import ends, number

DATA = ("independent", "clusters of width 0.5", "clusters of width 0.001", "inputs determine the features")


def ratios(path):
    """Reported over true error by family and variable: [8], four kinds of data with 500 examples, four with 200."""
    found, family = {}, ""
    for line in path.read_text("utf-8").split("\n"):
        cells = line.split()
        if len(cells) == 9:
            found.setdefault(family, {})[cells[0]] = np.array([float(c) if c != "-" else np.nan for c in cells[1:]])
        elif line and not line.startswith(" "):
            family = line
    return found


@claims("benchmarks/results/calibration.txt")
def errors(path):
    """The reported error over the true one."""
    found = ratios(path)
    known = re.search(r"of (\d+) samples, which know the latter to (\d+)%", path.read_text("utf-8"))
    yield f"over {known[1]} fresh samples, which know it to {known[2]} %"
    near, channel, binned = found["mutual information, KSG"], found["noisy channel"], found["binned"]
    columns = [near["mi_zx"], near["mi_zy"], near["superfluous_information"]]
    columns += [channel["noisy_zx_sigma010"], channel["noisy_zy_sigma010"], found["nHSIC"]["nhsic_zx"]]
    for at, data in enumerate(DATA):
        cells = [f"{number(column[at], 2)} ({number(column[at + 4], 2)})" for column in columns]
        yield f"| {data} | {' | '.join(cells)} |"
    others = np.concatenate(
        [binned["layer_binned_zx"], binned["layer_binned_zy"], binned["layer_binned_zx_given_y"]]
    )
    collapsed = np.isin(np.arange(others.size), [18, 22])  # I(T;X|Y) of collapsed classes, 500 and 200 examples
    assert others[~collapsed].max() < others[collapsed].min()
    reference = np.concatenate(list(found["mutual information, reference"].values()))
    yield (
        f"over all variables of noisy_channel, bounds included, {ends(np.concatenate(list(channel.values())), 2)}; of "
        f'mode="reference" {ends(reference, 2)}. Where sigma separates all examples (0.03) what is left is the entropy of the '
        f"labels, whose error is up to {number(channel['noisy_zy_sigma003'].max(), 1)} times too large."
    )
    yield (
        f"Bins: {ends(others[~collapsed], 2)}, but for I(T;X|Y) of collapsed classes ({ends(others[collapsed], 1)})"
    )


@claims("benchmarks/results/coverage.txt")
def slopes(path):
    """Intervals of slopes, tests of their line, and tests of settings that do not differ."""
    rows = np.array(
        [
            (float(seeds), float(coverage), float(rejected), kind == "independent")
            for kind, seeds, coverage, rejected in re.findall(
                r"^ +\d+ +(independent|levels|slopes) +\d+% +(\d+) +([\d.]+) +[\d.]+ +[\d.]+ +([\d.]+)$",
                path.read_text("utf-8"),
                re.MULTILINE,
            )
        ]
    )
    seeds, coverage, rejected, independent = rows.T
    few = seeds == 2
    assert rejected[independent == 0].max() < rejected[independent == 1].max()
    yield (
        f"In simulation over 3 to {seeds.max():.0f} seeds with 0 to 40 % of the runs censored it holds in "
        f"{ends(100 * coverage[~few], 0)} % of sweeps (2 seeds: {ends(100 * coverage[few], 0)} %, where it can be given); lack of "
        f"fit rejects a true line in at most {number(100 * rejected.max(), 0)} %"
    )


@claims("benchmarks/results/threads.txt")
def threads(path):
    """Which seeds grok with other threads, devices and tiles."""
    rows = re.findall(
        r"^ +(\d+) +(\d+) +\d+(?: set)? +\d+ +(\d+) +(\d+) +(\d+) +(\d+) +(\d+) +(\S+) ",
        path.read_text("utf-8"),
        re.M,
    )
    seeds = int(re.search(r"(\d+) seeds", path.read_text("utf-8"))[1])
    texts = ("1 device", "1 device on 1 core", "1 thread forced upon XLA, as it takes on 1 core by itself")
    texts += ("4 threads forced upon XLA, as it takes on 4 cores by itself", "10 runs per tile")
    for text, (*_, flips, tau, bits, norms) in zip(texts, rows[1:], strict=True):
        norm = f"{number(100 * float(norms), 1)} %" if float(norms) else "0"
        yield f"| {text} | {flips} | {tau} | {bits} | {norm} |"
    grokked = [int(row[3]) for row in rows]
    yield f"Here {seeds} seeds of modular addition mod 23, of which {grokked[0]} have grokked by the last of 350 steps"
    yield f"({min(grokked)} to {max(grokked)} of {seeds}): last bits decide who"
    flips = [int(row[4]) for row in rows[1:] if int(row[4])]
    yield (
        f"Of {seeds} seeds of a small grokking task none changes its outcome between 1 and 2 devices or cores, while "
        f"{min(flips)} to {max(flips)} do with another number"
    )
