"""The rate of Theorem 4.1 on the networks of a sweep: variance gap against examples per class.

python scripts/variance_gap.py --workdir=runs/balancedness_mlp

For every run, from the parameters of the newest stored snapshot: features of the training set and of every other
test example, subsampled to n_c per class, against the within-class variance of the remaining test examples. (The
two halves of MNIST's test set come from different writers, so they are no samples of one population.)
"""

import argparse
import json
import pathlib

from collapse_jax.system import runtime

runtime.start(devices=1)

import jax  # noqa: E402
import numpy as np  # noqa: E402

from collapse_jax import models, tasks  # noqa: E402
from collapse_jax.analysis.variance_gap import variance_gap  # noqa: E402
from collapse_jax.experiment import config  # noqa: E402
from collapse_jax.workdir.results import open_results  # noqa: E402
from collapse_jax.workdir.trees import TreeStore  # noqa: E402

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--workdir", type=pathlib.Path, required=True)
workdir = parser.parse_args().workdir
results = open_results(workdir)
experiment = json.loads(results.attrs["experiment"])
data = tasks.load(config.Task(**experiment["task"] | {"test_size": 0}))
fields = experiment["model"] | {"hidden": tuple(experiment["model"]["hidden"])}
apply = jax.jit(models.make_model(config.Model(**fields), data.num_classes).apply)

snapshots = TreeStore(workdir / "snapshots")
step = snapshots.steps()[-1]
flat = snapshots.load(step)
decays = results["weight_decay"].broadcast_like(results["diverged_at"]).values.ravel()
labels = np.asarray(data.test_labels)
print(f"step {step}; gap |V_n - V| by n_c, mean over 50 subsamples, and its log-log slope (theory -0.5)")
for run, decay in enumerate(decays):
    params: dict = {}
    for name, leaf in flat.items():
        if name.startswith("parameters/"):
            _, layer, kind = name.split("/")
            params.setdefault(layer, {})[kind] = leaf[run]
    train, test = (np.asarray(apply({"params": params}, x)[1][-1]) for x in (data.train_inputs, data.test_inputs))
    population = test[1::2], labels[1::2]
    for kind, sample in (("held-out", (test[::2], labels[::2])), ("train", (train, data.train_labels))):
        curve = variance_gap(*sample, *population)
        gaps = " ".join(f"{n}: {g:.2e}" for n, g in zip(curve.class_size.values, curve.gap.values, strict=True))
        print(f"weight decay {decay:g} {kind:9} slope {float(curve.slope):+.2f}  {gaps}")
