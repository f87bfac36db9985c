"""Which inputs, options and variables make a case."""

import geometry
import heads
import information
import selection
import synergy
from case import Case
from network_cases import BATCH, NETWORKS

GENERAL = "Classes of different sizes that overlap: weights of classes matter, no value is special."
BALANCED = "Classes of equal size, no bias: definitions that differ by the weights of classes agree."
SHIFTED = "1024 was added to every feature: what reads differences keeps its value, in float32 too."
COLLAPSED = "Classes contracted to 10^-5 of the features: sums of squares minus squared means lose all digits."
SIMPLEX = "Perfect collapse at a regular tetrahedron, head proportional to it: closed forms."
ORTHOGONAL = "Perfect collapse at orthogonal means of equal norm: NC2 as a condition number is 1."
ABSENT = "A class without a train example: it is left out, and K counts those that have one."
EQUAL = "All class means equal: nothing lies between the classes, ratios to it are infinite."
OUTLIER = "One row four times longer: RNC1 by the largest norm falls, by the quantile hardly."

_NO_SPREAD = ("within_class_variance", "between_class_variance", "nc1", "nc1_pinv", "class_mean_rank")
_RNC1 = ("within_class_variance", "rnc1", "rnc1_mean_norm", "rnc1_q95")
_SHARED = (*_NO_SPREAD, "nc2_equinorm", "nc2_etf_error")
_CONTRACTED = (*_SHARED, "rnc1", "rnc1_mean_norm", "rnc1_q95", "nc2_condition", "nc4_agreement")
COLLAPSE = [
    Case("general", "collapse", "general", GENERAL, geometry.collapse),
    Case("balanced", "collapse", "balanced", BALANCED, geometry.collapse),
    Case("collapsed", "collapse", "collapsed", COLLAPSED, geometry.collapse, variables=_CONTRACTED, rtol=1e-3),
    Case("shifted", "collapse", "shifted", SHIFTED, geometry.collapse, variables=_SHARED),
    Case("simplex", "collapse", "simplex", SIMPLEX, geometry.collapse),
    Case("orthogonal", "collapse", "orthogonal", ORTHOGONAL, geometry.collapse),
    Case("absent", "collapse", "absent", ABSENT, geometry.collapse),
    Case("equal_means", "collapse", "equal_means", EQUAL, geometry.collapse, variables=(*_RNC1, "nc1")),
    Case("outlier", "collapse", "outlier", OUTLIER, geometry.collapse, variables=_RNC1),
]
GEOMETRY = [
    Case("general", "geometry", "general", GENERAL, geometry.geometry),
    Case("collapsed", "geometry", "collapsed", COLLAPSED, geometry.geometry, rtol=1e-3),
    Case("shifted", "geometry", "shifted", SHIFTED, geometry.geometry),
    Case("simplex", "geometry", "simplex", SIMPLEX, geometry.geometry),
    Case("equal_means", "geometry", "equal_means", EQUAL, geometry.geometry, variables=("cdnv", "cdnv_max")),
]
ANGLES = [
    Case("general", "angles", "general", GENERAL, geometry.angles),
    Case("exponent", "angles", "general", "CDNV with p = 1.", lambda a: geometry.angles(a, 1.0), {"exponent": 1.0}),
    Case("absent", "angles", "absent", ABSENT, geometry.angles),
]
SPECTRUM = [
    Case("general", "spectrum", "general", GENERAL, geometry.spectrum),
    Case("shifted", "spectrum", "shifted", SHIFTED, geometry.spectrum),
    Case("simplex", "spectrum", "simplex", SIMPLEX + " Three equal directions.", geometry.spectrum),
]


def _of_fit(loss: str) -> Case:
    about = f"Loss {loss!r}, see `conformance.LOSSES`; mean over examples, logits with bias."
    return Case(loss, "fit", "general", about, lambda arrays: heads.fit(arrays, loss), {"loss": loss})


def _of_ood(scaling: str, about: str) -> Case:
    right = lambda arrays: heads.ood(arrays, scaling)  # noqa: E731
    return Case(scaling, "ood", "general", about, right, {"scaling": scaling})


_PAIRS = [[0, 1], [2, 3]]
_MARGINS = {"right": lambda arrays: heads.margins(arrays, _PAIRS), "options": {"pairs": _PAIRS}}
HEADS = [
    _of_fit("squared_error"),
    _of_fit("cross_entropy"),
    Case("general", "margins", "general", "With a bias, which moves the boundary by b_a - b_b.", **_MARGINS),
    Case("simplex", "margins", "simplex", SIMPLEX, **_MARGINS),
    _of_ood("none", "Equation 6 of NECO on the features as they are, K - 1 directions."),
    _of_ood("standard", "Features standardised by mean and standard deviation of the train features first."),
    Case("general", "generalisation", "general", GENERAL, heads.generalisation),
    Case("network", "generalisation", "network", "Inputs and parameters: spectral norms.", heads.generalisation),
]


# One batch of all examples, no null.


def _of_nhsic(name: str, about: str, mode: str, bandwidth: str, epsilon: float, sigma: float, rtol: float) -> Case:
    own = {"mode": mode, "bandwidth": bandwidth, "epsilon": epsilon, "sigma": sigma}
    right = lambda arrays: information.nhsic(arrays, **own)  # noqa: E731
    return Case(
        name,
        "nhsic",
        "pairs",
        about,
        right,
        own | BATCH,
        rtol=rtol,
    )


def _of_information(name: str, inputs: str, about: str, mode: str, k: int, dim: int) -> Case:
    own = {"mode": mode, "k": k, "dim": dim}
    right = lambda arrays: information.mutual_information(arrays, **own)  # noqa: E731
    options = own | {"permutations": 0, "partitions": 0, "split": "train"}
    return Case(name, "mutual_information", inputs, about, right, options, atol=1e-3)


def _of_layers(name: str, about: str, sigma: float | None) -> Case:
    own = {"k": 3, "dim": 2, "bins": 7, "sigma": sigma}
    right = lambda arrays: information.layers(arrays, **own)  # noqa: E731
    options = own | {"samples": None, "split": "train"}
    return Case(name, "layer_information", "layered", about, right, options, atol=1e-3)


_REPEATED = Case(
    "repeated",
    "mutual_information",
    "repeated",
    "Discrete variables, more than k equal rows everywhere: counts of equal rows in the place of neighbours.",
    information.discrete,
    {"mode": "ksg", "k": 3, "dim": 1, "permutations": 0, "partitions": 0, "split": "train"},
    atol=1e-3,
)
_CHANNEL = {"samples": None, "split": "train"}
_FAR = "Examples 30 standard deviations of the noise apart: log N, log n_c, and the difference, whatever is drawn."
INFORMATION = [
    _of_nhsic(
        "sup_norm", "Both kernels in units of the largest norm.", "centred", "sup_norm", 1e-3, 1.0, rtol=1e-3
    ),
    _of_nhsic("median", "Both kernels in units of the median distance.", "centred", "median", 1e-3, 1.0, rtol=1e-3),
    _of_nhsic(
        "small_epsilon",
        "The median bandwidth, epsilon 1e-5: nearly every direction counts.",
        "centred",
        "median",
        1e-5,
        1.0,
        rtol=5e-3,
    ),
    _of_nhsic(
        "reference",
        "As the code of arXiv:2509.20829: centred on one side, labels not centred, widths in sqrt(dim).",
        "reference",
        "sup_norm",
        1e-5,
        5.0,
        rtol=1e-2,
    ),
    _of_information("columns", "columns", "One feature, one input, no equal numbers.", "ksg", 3, 1),
    _of_information("components", "pairs", "Two principal components of unit variance each.", "ksg", 3, 2),
    _of_information(
        "reference",
        "pairs",
        "Differences of entropies of whitened components, nearest neighbour.",
        "reference",
        5,
        2,
    ),
    _REPEATED,
    Case(
        "bounds",
        "noisy_channel",
        "general",
        "The pairwise bounds and those of Theorem 3.4, which nothing random enters.",
        information.noisy_channel,
        _CHANNEL,
        atol=1e-5,
    ),
    Case(
        "sigma",
        "noisy_channel",
        "general",
        "One noise of 0.2 in the place of the three.",
        lambda arrays: information.noisy_channel(arrays, {"": 0.2}),
        _CHANNEL | {"sigma": 0.2},
        atol=1e-5,
    ),
    Case("far_apart", "noisy_channel", "far_apart", _FAR, information.separated, _CHANNEL, atol=1e-5),
    Case(
        "one_point",
        "noisy_channel",
        "one_point",
        "All features equal: zero.",
        information.silent,
        _CHANNEL,
        atol=1e-5,
    ),
    _of_layers("layers", "Two hidden layers: neighbours, bounds under three noises, patterns in bins.", None),
    _of_layers("sigma", "The same under one noise of 0.2.", 0.2),
]

_CLUSTERS = {"clusters": 3, "permutations": 0}
SYNERGY = [
    Case(
        "general",
        "synergy",
        "general",
        "Unions of Ward's clusters, ranks of ties by their mean.",
        lambda arrays: synergy.synergy(arrays, 3),
        _CLUSTERS,
    ),
    Case(
        "layers",
        "layer_synergy",
        "layered",
        "Two hidden layers.",
        lambda arrays: synergy.layer_synergy(arrays, 3),
        _CLUSTERS,
    ),
]

_SEQUENCES = "Scores of five tokens, the two last irrelevant; a quarter of the labels wrong."
SELECTION = [
    Case("sequences", "attention", "sequences", _SEQUENCES, selection.attention),
    Case(
        "class_token",
        "attention",
        "class_token",
        "A sixth score, of no token: it takes its share of the attention.",
        selection.attention,
    ),
    Case(
        "sequences",
        "memorisation",
        "sequences",
        _SEQUENCES + " Loss 'cross_entropy'.",
        lambda arrays: selection.memorisation(arrays, "cross_entropy"),
        {"loss": "cross_entropy"},
    ),
]

CASES: list[Case] = [
    *COLLAPSE,
    *GEOMETRY,
    *ANGLES,
    *SPECTRUM,
    *HEADS,
    *INFORMATION,
    *NETWORKS,
    *SYNERGY,
    *SELECTION,
]
