"""Numbers that follow from a formula, from a constant of the code, or from the right values of the conformance suite."""

import json
import math
import re

import jax
import numpy as np

from collapse_jax.experiment.config import Model
from collapse_jax.measures.estimators.class_geometry import ROUNDING
from collapse_jax.measures.estimators.copula import copula_correlation
from collapse_jax.measures.estimators.o_information import shared
from collapse_jax.measures.families.complexity import DEPTH, WIDTHS
from collapse_jax.models import make_model
from collapse_jax.publishing.claims import claims
from collapse_jax.publishing.wording import ends, number

MODULUS, SHARE = 113, 0.2  # configs/modular_complexity.py


@claims("collapse_jax/conformance/cases.json")
def conformance(path):
    """How many right values the suite holds."""
    cases = json.loads(path.read_text("utf-8"))["cases"]
    yield f"{len(cases)} cases, {sum(len(case['values']) for case in cases)} values, in float64"


@claims()
def rounding():
    """Down to where float32 resolves a direction."""
    floor = f"{ROUNDING * np.finfo(np.float32).eps:.1e}".replace("e-0", "e-")
    yield f"class means are read down to {floor} ({ROUNDING} times the float32 spacing) of the largest singular value"
    yield f"float32 resolves components down to {floor} of the largest"


@claims()
def sums():
    """Bytes of the labels of modular addition, and a bound of a compressed network."""
    examples = int(SHARE * MODULUS**2)
    told = examples * math.log2(MODULUS) / 8
    yield f"take n log2(K) / 8 bytes: {number(told / 1e3, 1)} kB for {examples:,} sums modulo {MODULUS}"
    bits = 23_000 * 8 * math.log(2)
    gap = math.sqrt((bits + 2 * math.log(bits) + math.log(1 / 0.05)) / (2 * examples))
    yield f"23 kB on {examples:,} examples give {number(gap, 0)}: above 1 a bound says nothing."


@claims()
def widths():
    """Bin widths that the search of complexity screens."""
    assert WIDTHS == 10
    yield f"Ten bin widths are screened (complexity.py), each {number(DEPTH ** (1 / (WIDTHS - 1)), 1)} times the one before"


@claims()
def positions():
    """Positions of the decoder that no example of modular addition has."""
    model = make_model(Model("decoder"), num_classes=MODULUS, vocabulary_size=MODULUS + 2)
    inputs = jax.ShapeDtypeStruct((1, 4), np.int32)
    found = jax.eval_shape(lambda x: model.init(jax.random.key(0), x), inputs)["params"]
    flat = {jax.tree_util.keystr(path): leaf.shape for path, leaf in jax.tree_util.tree_leaves_with_path(found)}
    rows, width = next(shape for name, shape in flat.items() if "position" in name)
    unused = rows - inputs.shape[1]
    share = unused * width / sum(math.prod(shape) for shape in flat.values())
    yield f"The paper's decoder has {unused} such rows of {rows} positions: never trained, {number(100 * share, 1)} % of its"


@claims()
def copulas():
    """What ties and finitely many examples add to the O-information of independent neurons."""
    rng = np.random.default_rng(0)
    zeros = np.maximum(rng.normal(size=(3763, 249)), 0)
    bits = []
    for ties in ("ordinal", "average"):
        r = copula_correlation(zeros, ties, rng)
        found = shared(np.linalg.slogdet(r)[1], np.log(np.diag(np.linalg.inv(r))).sum(), len(r), len(zeros))
        bits.append(number(found.total - found.dual, 1))
    yield (
        f"{zeros.shape[1]} independent neurons that are half zero have a redundancy of {bits[0]} bits by their order, of {bits[1]} "
        f"bits by mean ranks"
    )
    added = shared(0.0, 0.0, 250, len(zeros))  # what independent neurons have after the correction
    yield (
        f"takes away what finitely many examples add ({number(abs(added.total - added.dual), 2)} bits for 250 neurons and "
        f"{len(zeros)} examples)"
    )


@claims()
def floors():
    """Loss of tokens that are selected without fault."""
    right, wrong = (math.log1p(math.exp(sign / math.sqrt(2))) for sign in (-1, 1))
    yield (
        f"log(1 + exp(-1/sqrt 2)) = {number(right, 4)} for a right label, {number(wrong, 4)} for a wrong one, "
        f"{number(0.8 * right + 0.2 * wrong, 4)} for a fifth of wrong ones"
    )


@claims("benchmarks/results/phase_coverage.txt")
def phases(path):
    """How often intervals of cuts and of the AUROC hold in simulation."""
    text = path.read_text("utf-8")
    rows = np.array(re.findall(r"^ +(\d+) +[\d.]+ +([\d.]+) +([\d.]+) +[\d.]+$", text, re.MULTILINE), float)
    seeds, one, coverage = rows.T
    two, three, more = (ends(coverage[chosen], 2) for chosen in (seeds == 2, seeds == 3, seeds >= 5))
    yield (
        f"the 95 % interval holds the mean place in {two} of the cases with 2 seeds, {three} with 3, {more} with 5 and more; that "
        f"one cut alone is found in {ends(one, 2)}"
    )
    auroc = np.array(re.findall(r"^ +(0\.\d+) +(0\.\d+)$", text, re.MULTILINE), float)
    yield f"holds the true value in {ends(auroc[:, 1], 2)} (numbers)"


@claims("benchmarks/results/synergy_opponent.txt")
def opponent(path):
    """The search of sets against another package."""
    text = path.read_text("utf-8")
    ours, hoi, search = (
        float(re.search(rf"^{name} +([\d.]+)", text, re.MULTILINE)[1])
        for name in ("collapse_jax", r"hoi 0\.0\.7", "CPU time of the search")
    )
    apart = float(re.search(r"largest difference: (\S+) bits", text)[1])
    sets, variables = re.search(r"(\d+) sets of (\d+) variables", text).groups()
    yield (
        f"Against hoi 0.0.7 on {'ten' if variables == '10' else variables} variables ({sets} sets, 3763 examples): "
        f"{number(ours / 1e3, 3)} s against {number(hoi / 1e3, 1)} s ({number(hoi / ours, 0)} times) in turn on two cores, one of which "
        f"other jobs kept busy, equal to {apart:.0e} bits; the whole search of a layer of 250 neurons takes "
        f"{number(search / 1e3, 2)} s".replace("e-0", "e-")
    )


@claims("benchmarks/results/complexity.txt")
def optimiser(path):
    """Wall time of the Bayesian optimisation over that of the search."""
    text = path.read_text("utf-8")
    rows = re.findall(r"^ +(\d+) +[\d.]+ +[\d.]+ +[\d.]+ .*?(\d+)$", text, re.MULTILINE)
    then, today = rows[:3], rows[3:]
    old = [int(ratio) for _, ratio in then]
    yield (
        f"{' and '.join(ratio for _, ratio in today)} (epochs {' and '.join(epoch for epoch, _ in today)}, distortion 1; "
        f"complexity.txt); {', '.join(map(str, sorted(old)[:-1]))} and {max(old)} before half of the losses was saved"
    )
