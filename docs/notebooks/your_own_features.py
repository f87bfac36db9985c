# %% [markdown]
# # What can be said of features from a PyTorch model?
#
# `measure_arrays` takes features and labels as plain arrays: numpy, jax, or tensors of torch. Nothing has to be
# trained by this package. The network below is made in PyTorch where that is installed, and with numpy where it
# is not; both give the same features.

# %%
import numpy as np

import collapse_jax

try:
    import torch
except ModuleNotFoundError:
    torch = None

rng = np.random.default_rng(0)
centres = rng.normal(size=(3, 20))


def examples(number):
    """Return inputs [N, 20] around three centres, and labels [N]."""
    labels = np.arange(number) % 3
    return (centres[labels] + rng.normal(size=(number, 20))).astype(np.float32), labels


(train_inputs, train_labels), (test_inputs, test_labels) = examples(600), examples(300)
weight, bias = (rng.normal(size=(32, 20)) / 4).astype(np.float32), np.zeros(32, np.float32)

# %% [markdown]
# ## The features are what the last layer reads
#
# A forward hook keeps the input of the last layer, whatever comes before it.


# %%
def features_of(inputs):
    """Return the output of the hidden layer, [N, 32]."""
    if torch is None:
        return np.maximum(inputs @ weight.T + bias, 0)
    model = torch.nn.Sequential(torch.nn.Linear(20, 32), torch.nn.ReLU(), torch.nn.Linear(32, 3))
    with torch.no_grad():
        model[0].weight.copy_(torch.from_numpy(weight))
        model[0].bias.copy_(torch.from_numpy(bias))
        kept = []
        model[-1].register_forward_hook(lambda layer, read, logits: kept.append(read[0]))
        model(torch.from_numpy(inputs))
    return kept[0].numpy()


train, test = features_of(train_inputs), features_of(test_inputs)
kernel = np.linalg.lstsq(train, np.eye(3)[train_labels], rcond=None)[0]  # [32, 3]; of torch: linear.weight.T
print("features", train.shape, test.shape)

# %%
values = collapse_jax.measure_arrays(
    ["collapse", "geometry"],
    train_features=train,
    train_labels=train_labels,
    test_features=test,
    test_labels=test_labels,
    head_kernel=kernel,
)
for name in ("rnc1", "nc1", "nc1_test", "nc2_equinorm", "nc3_self_duality", "nc4_agreement", "cdnv"):
    print(f"{name:17}{float(values[name]):8.4f}")

# %% [markdown]
# ## Is it right? A closed form
#
# Move every feature towards the mean of its class, by the factor s. The covariance within classes becomes s² of
# what it was, the one between classes stays: NC1 must be s² of its first value.

# %%
means = np.stack([train[train_labels == k].mean(0) for k in range(3)])[train_labels]
for s in (1, 0.3, 0.1, 0.01):
    shrunk = means + s * (train - means)
    nc1 = collapse_jax.measure_arrays("collapse", train_features=shrunk, train_labels=train_labels)["nc1"]
    print(f"s {s:<5} NC1 over its first value {nc1 / values['nc1']:.6f}   s² {s**2:.6f}")

# %% [markdown]
# ## Read an estimate of dependence beside its null
#
# nHSIC of features with inputs (`zx`) and with labels (`zy`). From finitely many rows it is far from zero even
# where there is nothing to find: `_null` is the mean of the same estimate on permuted rows, and `_p` the chance
# of such a value there.

# %%
found = collapse_jax.measure_arrays(
    "nhsic",
    train_features=train,
    train_labels=train_labels,
    test_features=test,
    test_labels=test_labels,
    inputs=train_inputs,
)
for name in ("nhsic_zx", "nhsic_zy"):
    value, null, spread, p = (found[f"{name}{end}"] for end in ("", "_null", "_null_sd", "_p"))
    print(f"{name}: {value:.2f}, null {null:.2f} ± {spread:.2f}, p {p:.2g}")

# %% [markdown]
# **Limits.** Measures that run the network again (sharpness, complexity, bounds) need its parameters and are
# refused with one line here; they read sweeps of this package. All values are of one network: error bars over
# seeds need more of them. nHSIC is no amount of information: [what each estimator can and cannot
# say](../information.md).
