"""Further public implementations behind the interface of the conformance kit; see `adapters`."""

import math
import pathlib
import sys
import types
from collections.abc import Mapping
from typing import Any

import numpy as np
from adapters import Arrays, Values, folder, load, of_each_probe, tensors

from collapse_jax.conformance import Implementation


def tding1(clone: pathlib.Path) -> Implementation:
    """tding1/Neural-Collapse: NC1 with a pseudo-inverse. Class sizes of MNIST, which it holds, are replaced."""
    import scipy.linalg
    import torch

    with folder(clone, "torchvision", "torchvision.datasets", "torchvision.transforms"):
        for name in ("models", "models.res_adapt", "args", "datasets", "utils"):
            stub(name)
        module = load(clone / "validate_NC.py")

    def collapse(features: Any, labels: Any) -> Values:
        held = types.SimpleNamespace(outputs=[], clear=lambda: held.outputs.clear())

        def model(inputs: Any) -> Any:
            held.outputs.append((inputs.clone(),))
            return torch.zeros(len(inputs), 10)[None]

        module.MNIST_TRAIN_SAMPLES = tuple(torch.bincount(labels).tolist())
        args = types.SimpleNamespace(dataset="mnist", device="cpu")
        loader = [(features, labels)]
        centre, centres, _, _ = module.compute_info(args, model, held, loader)
        within = module.compute_Sigma_W(args, model, held, centres, loader)
        between = module.compute_Sigma_B(centres, centre)
        return {"nc1_pinv": np.trace(within @ scipy.linalg.pinv(between)) / len(centres)}

    def implementation(measure: str, arrays: Arrays, options: Mapping[str, Any]) -> Values:
        if measure != "collapse":
            raise NotImplementedError
        return of_each_probe(tensors(arrays), collapse)

    return implementation


def stub(name: str) -> None:
    """Put an empty module in the place of one that the functions do not use, or only to count accuracy."""
    import torch

    module = types.ModuleType(name)
    module.parse_eval_args = module.make_dataset = module.ResNet18_adapt = None
    module.torch, module.np, module.__all__ = torch, np, ["torch", "np", "AverageMeter", "compute_accuracy"]
    module.compute_accuracy = lambda *_, **__: (torch.tensor(0.0), torch.tensor(0.0))
    module.AverageMeter = lambda: types.SimpleNamespace(update=lambda *_: None, avg=0.0)
    sys.modules[name] = module


def ronho(clone: pathlib.Path) -> Implementation:
    """Ronho/privacy-and-grokking: RNC1, NC1 to NC4, nHSIC with the median bandwidth, norm of the weights."""
    import torch

    metrics = clone / "src/privacy_and_grokking/metrics"
    collapse_of, hsic, norms = (load(metrics / f"{name}.py") for name in ("neural_collapse", "nhsic", "norms"))

    def implementation(measure: str, arrays: Arrays, options: Mapping[str, Any]) -> Values:
        held = tensors(arrays)

        def collapse(features: Any, labels: Any) -> Values:
            means, centre, classes = collapse_of._class_means_and_global(features, labels)
            head = held["head_kernel"].T
            values = {
                "within_class_variance": collapse_of.compute_within_class_covariance_trace(
                    features, labels, means, classes
                ),
                "between_class_variance": collapse_of.compute_between_class_covariance_trace(means, centre),
                "rnc1": collapse_of.compute_rnc1(features, labels),
                "nc1": collapse_of.compute_nc1(features, labels),
                "nc2_condition": collapse_of.compute_nc2(features, labels),
                "nc2_equinorm": collapse_of.compute_nc2_papyan(features, labels)[0],
                "nc4_agreement": collapse_of.compute_nc4(features, labels, head, held.get("head_bias")),
            }
            return values | {"nc3_self_duality": collapse_of.compute_nc3_papyan(features, labels, head)}

        if measure == "collapse":
            return of_each_probe(held, collapse)
        if measure == "nhsic" and options["mode"] == "centred" and options["bandwidth"] == "median":
            z, x, labels = held["train_features"], held["inputs"], held["train_labels"]
            epsilon = options["epsilon"]
            zx = hsic.nhsic_features_vs_inputs(z, x, eps=epsilon)["nhsic_zx"]
            return {"nhsic_zx": zx, "nhsic_zy": hsic.nhsic_features_vs_labels(z, labels, eps=epsilon)["nhsic_zy"]}
        if measure == "norms":
            parameters = {n: torch.nn.Parameter(t) for n, t in held.items() if n.startswith("parameters/")}
            model = types.SimpleNamespace(named_parameters=parameters.items)
            return {"weight_norm": norms.compute_weight_norms(model)["weight_norm/total"]}
        raise NotImplementedError

    return implementation


def hoi(_: None) -> Implementation:
    """`hoi`: mutual information of two variables by KSG, in bits."""
    from hoi.core import get_mi

    def implementation(measure: str, arrays: Arrays, options: Mapping[str, Any]) -> Values:
        if measure != "mutual_information" or options["mode"] != "ksg":
            raise NotImplementedError
        z, x = (codes(arrays[name], options["dim"]).T for name in ("train_features", "inputs"))
        return {"mi_zx": float(get_mi("knn", k=options["k"])(z, x)) * math.log(2)}

    return implementation


def scikit_learn(_: None) -> Implementation:
    """`scikit-learn`: KSG and Ross for one feature, nearest centroids."""
    from sklearn.feature_selection import mutual_info_classif, mutual_info_regression
    from sklearn.neighbors import NearestCentroid

    def implementation(measure: str, arrays: Arrays, options: Mapping[str, Any]) -> Values:
        if measure == "mutual_information" and options["mode"] == "ksg" and options["dim"] == 1:
            z, x = (codes(arrays[name], 1) for name in ("train_features", "inputs"))
            k = options["k"]
            return {
                "mi_zx": mutual_info_regression(z, x[:, 0], n_neighbors=k, random_state=0)[0],
                "mi_zy": mutual_info_classif(z, arrays["train_labels"], n_neighbors=k, random_state=0)[0],
            }
        if measure == "collapse":

            def agreement(features: np.ndarray, labels: np.ndarray) -> Values:
                nearest = NearestCentroid().fit(features, labels).predict(features)
                logits = features @ arrays["head_kernel"] + arrays.get("head_bias", 0)
                return {"nc4_agreement": np.mean(nearest == logits.argmax(axis=1))}

            return of_each_probe(arrays, agreement)
        raise NotImplementedError

    return implementation


def codes(points: np.ndarray, dim: int) -> np.ndarray:
    """Principal components of unit variance."""
    from sklearn.decomposition import PCA

    parts = PCA(n_components=dim).fit_transform(points)
    return parts / parts.std(axis=0)
