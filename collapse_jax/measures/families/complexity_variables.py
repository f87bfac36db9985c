"""What `complexity` returns."""

from collapse_jax.measures.base import Variable

_BY_DISTORTION = {
    "complexity": (
        "Complexity",
        "byte",
        "bytes of the smallest coarse-grained network found whose train loss differs by less than the distortion",
    ),
    "complexity_threshold": (
        "Rank threshold of the smallest",
        "1",
        "tau at which it was found; 1: nothing factored",
    ),
    "complexity_bin_width": ("Bin width of the smallest", "1", "Delta at which it was found; 0: not quantised"),
    "complexity_distortion": (
        "Distortion reached",
        "loss",
        "mean train loss of the smallest coarse-grained network minus that of the network",
    ),
    "quantised_complexity": (
        "Complexity by quantisation alone",
        "byte",
        "bytes of the smallest network found within the distortion of which no matrix is factored",
    ),
    "coarse_train_loss": ("Train loss, coarse-grained", "loss", "mean train loss of the smallest coarse network"),
    "coarse_test_loss": ("Test loss, coarse-grained", "loss", "mean test loss of the smallest coarse network"),
    "coarse_train_error": (
        "Train error, coarse-grained",
        "1",
        "fraction of the train examples that the smallest coarse network gets wrong",
    ),
    "description_length": (
        "Description length",
        "byte",
        "complexity plus the bytes of the train labels told with the predictions of the coarse network",
    ),
    "complexity_gap": (
        "Bound on the generalisation gap",
        "1",
        "sqrt((K + 2 ln K + ln(1/delta)) / (2 n)), K the bits of the complexity (times ln 2 with unit nat)",
    ),
    "generalisation_bound": ("Bound on the error", "1", "train error of the coarse network plus complexity_gap"),
}
_BY_MATRIX = {
    "weight_effective_rank": (
        "Effective rank of weights, by matrix",
        "1",
        "exp of the entropy of the singular values as fractions of their sum",
    ),
    "weight_spectral_entropy": (
        "Spectral entropy of weights, by matrix",
        "nat",
        "entropy of the singular values as fractions of their sum",
    ),
}
VARIABLES = (
    {name: Variable(*text, dims=("distortion",)) for name, text in _BY_DISTORTION.items()}
    | {"naive_size": Variable("Naive size", "byte", "bytes of bzip2 of every tensor alone, not quantised, summed")}
    | {name: Variable(*text, dims=("matrix",)) for name, text in _BY_MATRIX.items()}
    | {
        "weight_effective_rank_mean": Variable(
            "Effective rank of weights, mean",
            "1",
            "effective ranks of the matrices times their numbers of entries, over the number of parameters",
        )
    }
)
