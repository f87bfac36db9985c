"""The result variables of `collapse`: which there are, and how each is labelled."""

from collapse_jax.measures.base import Variable

# Both tables: name -> (long name, units, definition). This one compares features with given class centres.
SPREAD = {
    "within_class_variance": (
        "Within-class variance",
        "feature^2",
        "Tr(Sigma_W): mean squared distance of a feature to the centre of its class",
    ),
    "between_class_variance": (
        "Between-class variance",
        "feature^2",
        "squared distance of class centres to their average, both weighted by class frequency",
    ),
    "rnc1": ("RNC1", "1", "Tr(Sigma_W) / B_g^2, B_g the largest feature norm of the measured set"),
    "rnc1_mean_norm": ("RNC1 (mean norm)", "1", "Tr(Sigma_W) / (mean feature norm)^2"),
    "rnc1_q95": ("RNC1 (quantile norm)", "1", "Tr(Sigma_W) / (95 % quantile of the feature norms)^2"),
    "nc1": ("NC1", "1", "Tr(Sigma_W) / Tr(Sigma_B): within-class over between-class variance"),
    "nc4_agreement": (
        "NC4 agreement",
        "1",
        "fraction of samples whose nearest class centre is the class the network predicts",
    ),
}
# This one describes the class means of the features themselves.
MEANS = {
    "nc1_pinv": ("NC1 (pseudo-inverse)", "1", "Tr(Sigma_W pinv(Sigma_B)) / K"),
    "class_mean_rank": (
        "Rank of the class means",
        "1",
        "directions that the centred class means span above rounding, at most K - 1: those that nc1_pinv reads",
    ),
    "nc2_condition": (
        "NC2 (condition number)",
        "1",
        "largest over smallest singular value of the uncentred K x D matrix of class means",
    ),
    "nc2_equinorm": (
        "NC2 (equinorm)",
        "1",
        "standard deviation over mean of the norms of centred class means",
    ),
    "nc2_etf_error": (
        "NC2 (equiangularity)",
        "1",
        "mean over pairs of |cosine of centred class means + 1/(K-1)|",
    ),
    "nc3_self_duality": (
        "NC3 (self-duality)",
        "1",
        "Frobenius distance of the last layer to the centred class means, both of unit Frobenius norm",
    ),
}
# suffix -> (which features, which centres, the tables that apply)
_KINDS = {
    "": ("train features", "their own class means", SPREAD | MEANS),
    "_test": ("test features", "their own class means", SPREAD | MEANS),
    "_test_around_train": ("test features", "the class means of the train features", SPREAD),
}
_TITLES = {"": "train", "_test": "test", "_test_around_train": "test around train means"}

VARIABLES = {
    name + suffix: Variable(f"{title}, {_TITLES[suffix]}", units, f"{text}; {features}, centres: {centres}")
    for suffix, (features, centres, table) in _KINDS.items()
    for name, (title, units, text) in table.items()
}
