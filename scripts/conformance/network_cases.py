"""Cases of what reads the parameters of a network, or the outputs of its layers."""

import minima
import networks
import spectra
from case import Case

BATCH = {"batch_size": 100, "permutations": 0, "split": "train"}
_BINS = {"bin_width": 0.125, "loss": "squared_error", "mode": "paper"}
_TOLD = _BINS | {"mode": "corrected"}
_NETWORK = "Dense layers 5-4-3-3 with biases and ReLU after each hidden one."
NETWORKS = [
    Case("network", "norms", "network", _NETWORK, networks.norms),
    Case("network", "distance", "network", "Pruned weights count as 0 in both vectors.", networks.distance),
    Case("network", "balancedness", "network", _NETWORK, networks.balancedness, rtol=1e-3),
    Case("network", "collapse_bounds", "network", _NETWORK, networks.collapse_bounds, rtol=1e-3),
    Case(
        "network",
        "compressed_size",
        "network",
        "Bytes of bzip2, level 9, of float32 in the order of names; the loss is that of the same network.",
        lambda arrays: networks.compressed_size(arrays, **_BINS),
        _BINS,
    ),
    Case(
        "header",
        "compressed_size",
        "network",
        "The same with all that a receiver needs: bin width, shapes, ranks.",
        lambda arrays: networks.compressed_size(arrays, **_TOLD),
        _TOLD,
    ),
    Case(
        "zeros",
        "complexity",
        "network",
        "A distortion that the network of zeros meets; what does not depend on a search.",
        lambda arrays: networks.complexity(arrays, "squared_error"),
        {"distortions": [1e6], "loss": "squared_error"},
    ),
    Case(
        "network",
        "layerwise",
        "network",
        "Both hidden layers; the first is wider than the second.",
        lambda arrays: networks.layerwise(arrays, "median"),
        {"bandwidth": "median"} | BATCH,
        rtol=1e-3,
    ),
    Case(
        "network",
        "layer_probe",
        "network",
        "Both hidden layers.",
        lambda arrays: networks.layer_probe(arrays, 0.01),
        {"ridge": 0.01, "permutations": 0},
        atol=1e-6,
    ),
    Case(
        "network",
        "cka",
        "network",
        "Both hidden layers, one with the other and with itself at theta_0, of which the mask takes nothing.",
        networks.cka,
        {"permutations": 0},
        atol=1e-5,
    ),
    Case(
        "network",
        "flatness",
        "network",
        "Of the squared error; extreme eigenvalues of the Hessian among what was not pruned.",
        lambda arrays: minima.flatness(arrays, "squared_error"),
        {"loss": "squared_error", "draws": 2, "probes": 2, "lanczos": 60},
        rtol=1e-3,
    ),
    Case(
        "network",
        "pac_bayes",
        "network",
        "What the mask and the move of the parameters cost in nats.",
        lambda arrays: minima.pac_bayes(arrays, (0.01, 0.1)),
        {"sigmas": [0.01, 0.1], "draws": 2},
    ),
    Case(
        "wide",
        "heavy_tails",
        "wide",
        "Clauset's fit for kernels of 16, 9 and 3 eigenvalues; of the last there is none.",
        spectra.heavy_tails,
        {"permutations": 0},
    ),
]
