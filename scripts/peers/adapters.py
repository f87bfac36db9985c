"""Public implementations behind the interface of the conformance kit; nothing of them is here, all is imported.

Each adapter is made from the folder of a clone (None where the package is installed) and gives the variables whose
name or formula the implementation claims. Tensors are float32, which the arrays of the cases fit in exactly.
"""

import contextlib
import importlib
import importlib.util
import math
import pathlib
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from collapse_jax.conformance import Implementation

Values = dict[str, Any]
Arrays = Mapping[str, np.ndarray]
COMPRESSION = {"method": "KL", "functional_params": {"k_neighbors": 5}}


def load(file: pathlib.Path) -> types.ModuleType:
    """Import one file of a clone."""
    spec = importlib.util.spec_from_file_location(f"peer_{file.stem}", file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@contextlib.contextmanager
def folder(path: pathlib.Path, *absent: str) -> Iterator[None]:
    """Import from the folder of a clone; modules `absent`, which the functions do not use, are empty."""
    for name in absent:
        sys.modules.setdefault(name, types.ModuleType(name))
    sys.path.insert(0, str(path))
    try:
        yield
    finally:
        sys.path.remove(str(path))


def tensors(arrays: Arrays) -> dict[str, Any]:
    """Arrays as torch takes them."""
    import torch

    return {n: torch.tensor(a, dtype=torch.long if "labels" in n else torch.float32) for n, a in arrays.items()}


def of_each_probe(arrays: Mapping[str, Any], measured: Callable[[Any, Any], Values]) -> Values:
    """Variables of the train features and, with `_test`, of the test features."""
    values = measured(arrays["train_features"], arrays["train_labels"])
    if "test_features" in arrays:
        test = measured(arrays["test_features"], arrays["test_labels"])
        values |= {f"{name}_test": value for name, value in test.items()}
    return values


def paper(clone: pathlib.Path) -> Implementation:
    """keitaroskmt/collapse-dynamics: neural collapse, nHSIC, noisy channel, entropies of nearest neighbours."""
    import torch

    with folder(clone):
        values_of = load(clone / "src/neural_collapse.py").calc_neural_collapse_values
        hsic = load(clone / "src/information_plane/nhsic.py").NormalizedHSIC(torch.device("cpu"))
        estimator = load(clone / "src/information_plane/compression/kl_estimator.py").MIEstimator
        channel = load(clone / "src/information_plane/mi_estimation.py")

    class Shown(torch.nn.Module):
        """A network whose representation is its input."""

        def forward(self, data, return_repr=False):
            return types.SimpleNamespace(representation=data)

    def neural_collapse(features: Any, labels: Any) -> Values:
        found = values_of(Shown(), [(features, labels)], int(labels.max()) + 1, torch.device("cpu"))
        return {
            "within_class_variance": found.within_class_variance,
            "between_class_variance": found.between_class_variance,
            "nc1": found.nc1_score,
            "nc2_condition": found.nc2_score,
            # As its notebook plots it.
            "rnc1_mean_norm": float(found.within_class_variance / (found.scale_means**2 + 1e-10)),
        }

    def information(z: np.ndarray, x: np.ndarray, labels: Any) -> Values:
        zx = estimator(entropy_estimator_params=COMPRESSION).fit_estimate(z, x)
        zy = estimator(y_is_discrete=True, entropy_estimator_params=COMPRESSION).fit_estimate(z, labels)
        return {"mi_zx": zx, "mi_zy": zy}

    def implementation(measure: str, arrays: Arrays, options: Mapping[str, Any]) -> Values:
        held = tensors(arrays)
        z, labels = held.get("train_features"), held["train_labels"]
        if measure == "collapse":
            return of_each_probe(held, neural_collapse)
        if measure == "nhsic" and options["mode"] == "reference":
            one_hot = torch.nn.functional.one_hot(labels).float()
            zy = hsic.calc_score(z, one_hot, y_kernel="linear").item()
            return {"nhsic_zx": hsic.calc_score(z, held["inputs"]).item(), "nhsic_zy": zy}
        if measure == "mutual_information" and options["mode"] == "reference":
            codes = [whitened(arrays[name], options["dim"]) for name in ("train_features", "inputs")]
            return information(*codes, labels)
        if measure == "noisy_channel":
            loader = [(z, labels)]
            zx = channel.estimate_mi_zx(Shown(), loader, torch.device("cpu"))
            given = channel.estimate_mi_zx_cond_y(Shown(), loader, int(labels.max()) + 1, torch.device("cpu"))
            # Its noise is 0.1 whatever the features are, which is far below the distances of `far_apart`.
            return {"noisy_zx_sigma003": zx, "noisy_zx_given_y_sigma003": given, "noisy_zy_sigma003": zx - given}
        raise NotImplementedError

    return implementation


def whitened(points: np.ndarray, dim: int) -> np.ndarray:
    """What it hands to its estimator: principal components, whitened with 1e-6 added to the covariance."""
    from sklearn.decomposition import PCA

    codes = PCA(n_components=dim).fit_transform(points)
    factor = np.linalg.cholesky(np.cov(codes.T) + 1e-6 * np.eye(dim))
    return np.linalg.solve(factor, (codes - codes.mean(axis=0)).T).T


def rhubarbwu(clone: pathlib.Path) -> Implementation:
    """rhubarbwu/neural-collapse, called as its examples/mnist.py does."""
    with folder(clone):
        names = ("accumulate", "kernels", "measure")
        accumulate, kernels, measured = (importlib.import_module(f"neural_collapse.{name}") for name in names)

    def statistics(features: Any, labels: Any) -> tuple[Any, ...]:
        size = (int(labels.max()) + 1, features.shape[1])
        means = accumulate.MeanAccumulator(*size)
        means.accumulate(features, labels)
        centres, centre = means.compute()
        norms = accumulate.VarNormAccumulator(*size, M=centres)
        covariance = accumulate.CovarAccumulator(*size, M=centres)
        norms.accumulate(features, labels, centres)
        covariance.accumulate(features, labels, centres)
        return centres, centre, norms.compute()[0], covariance.compute()

    def implementation(measure: str, arrays: Arrays, options: Mapping[str, Any]) -> Values:
        held = tensors(arrays)

        def collapse(features: Any, labels: Any) -> Values:
            centres, centre, _, covariance = statistics(features, labels)
            values = {
                "nc1": measured.covariance_ratio(covariance, centres, centre, "quotient"),
                "nc1_pinv": measured.covariance_ratio(covariance, centres, centre),
            }
            if "head_bias" not in held:  # its linear classifier has none
                head = held["head_kernel"].T.contiguous()
                agreement = accumulate.DecAccumulator(*centres.shape, M=centres, W=head)
                agreement.accumulate(features, labels, head, centres)
                values["nc4_agreement"] = measured.clf_ncc_agreement(agreement)
            return values

        def geometry(features: Any, labels: Any) -> Values:
            centres, centre, variances, _ = statistics(features, labels)
            mean, variance = kernels.kernel_stats(centres, centre, kernel=kernels.log_kernel)
            return {
                "cdnv": measured.variability_cdnv(variances, centres),
                "gnc2_log": mean,
                "gnc2_log_std": math.sqrt(variance),
            }

        if measure in ("collapse", "geometry"):
            return of_each_probe(held, collapse if measure == "collapse" else geometry)
        if measure == "ood":
            centres = statistics(held["train_features"], held["train_labels"])[0]
            foreign, inside = held["ood_features"].mean(dim=0), held["test_features"].mean(dim=0)
            return {
                "nc5_orthogonality": measured.orthogonality_deviation(centres, foreign),
                "nc5_orthogonality_test": measured.orthogonality_deviation(centres, inside),
            }
        raise NotImplementedError

    return implementation
