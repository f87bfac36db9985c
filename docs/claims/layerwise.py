"""Layer-wise training: docs/layerwise.md, and what README.md and docs/experiments.md say of it."""

import numpy as np
from scipy.special import stdtrit

from collapse_jax import timescales
from collapse_jax.analysis.nulls import null_name
from collapse_jax.publishing.claims import claims
from collapse_jax.publishing.wording import ends, listed, mean, mean_range, number, short

MLP, VGG = "docs/experiments/layerwise_mlp", "docs/experiments/layerwise_cifar10"
SCHEMES = ("end_to_end", "layerwise")


def last_of(results, variable):
    """A variable at the last step at which it was measured, [scheme, ...]."""
    return results[variable].squeeze("weight_decay").dropna("step", how="all").isel(step=-1)


def null_of(results, variable):
    """The null of a variable at the last step at which it was measured."""
    return last_of(results, null_name(results[variable]))


def pair(values, digits=3):
    """Two numbers: end to end, and layer by layer."""
    return " and ".join(short(mean(values.sel(scheme=scheme), digits)) for scheme in SCHEMES)


def t_interval(values):
    """Mean over seeds and its 95 % interval by Student's t."""
    found = np.ravel(values)
    half = stdtrit(len(found) - 1, 0.975) * found.std(ddof=1) / len(found) ** 0.5
    return found.mean(), found.mean() - half, found.mean() + half


def rise(results, variable, null=False):
    """[scheme, seed] by how much nHSIC rises from the first to the last layer, beyond its null if `null`."""
    values = last_of(results, variable) - (null_of(results, variable) if null else 0)
    return values.isel(layer=-1) - values.isel(layer=0)


def interval_text(values, digits=2):
    """Mean and interval: ".56 [.52, .62]"."""
    middle, low, high = t_interval(values)
    return short(f"{number(middle, digits)} [{number(low, digits)}, {number(high, digits)}]")


@claims(MLP, f"{VGG}/layers.nc", f"{VGG}/results.nc")
def accuracy(mlp, layers, vgg):
    """Test accuracy of the two schemes: mean and range over the seeds."""
    for results in (mlp, layers):
        found = last_of(results, "test_accuracy")
        yield " and ".join(short(mean_range(found.sel(scheme=scheme))) for scheme in SCHEMES)
    yield f"test accuracy {pair(last_of(mlp, 'test_accuracy'))}; nHSIC with labels rises with depth by"
    wide = last_of(vgg, "test_accuracy")
    one, other = (short(mean_range(wide.sel(scheme=scheme))) for scheme in SCHEMES)
    train = pair(last_of(vgg, "train_accuracy"))
    yield f"| {one} | {other} | reversed; training accuracy {train}: neither has fitted |"
    yield f"5000 images, width 32, 60 epochs, 3 seeds: test accuracy {pair(wide)}, the gap reversed"


@claims(f"{MLP}/depth_4000.nc", MLP, f"{MLP}/depth.nc")
def depth(deeper, six, small):
    """The gap by depth, and its slope seed by seed; depth 6 is that of the main sweep."""
    found = last_of(deeper, "test_accuracy").transpose("scheme", "depth", "seed").copy()
    found.loc[{"depth": 6}] = last_of(six, "test_accuracy").transpose("scheme", "seed").values
    gaps = found.sel(scheme="end_to_end") - found.sel(scheme="layerwise")
    slopes = np.polyfit(found.depth, gaps.transpose("depth", "seed").values, 1)[0]
    middle, low, high = t_interval(slopes)
    yield (
        f"2, 4, 6, 8, 12 layers: gaps {short(listed(gaps.mean('seed'), 3, ' '))}; slope, seed by seed, "
        f"{short(number(middle, 4))} a layer, 95 % [{short(number(low, 4))}, {short(number(high, 4))}]"
    )
    rows = [short(listed(found.sel(scheme=scheme).mean("seed"), 3, " ")) for scheme in SCHEMES]
    yield f"| depth 2, 4, 6, 8, 12, 5 seeds | {' | '.join(rows)} |"
    found = last_of(small, "test_accuracy").mean("seed")
    rows = [short(listed(found.sel(scheme=scheme), 3, " ")) for scheme in SCHEMES]
    yield f"| the same, 1000 images, 480 steps, 3 seeds | {' | '.join(rows)} |"


@claims(MLP, f"{VGG}/layers.nc")
def probes(mlp, vgg):
    """Accuracy of linear probes layer by layer."""
    for results, count, digits in ((mlp, 6, 3), (vgg, 10, 2)):
        found = last_of(results, "layer_probe_accuracy_test").mean("seed")
        rows = [short(listed(found.sel(scheme=scheme), digits, " ")) for scheme in SCHEMES]
        yield f"layers 1 to {count}: {'; '.join(rows)}"


@claims(MLP, f"{VGG}/layers.nc")
def labels(mlp, vgg):
    """By how much nHSIC with the labels rises with depth, by kernel, and beyond its null."""
    reference = rise(mlp, "layer_nhsic_zy")
    others = {
        kind: [short(mean(rise(mlp, f"layer_nhsic_zy_{kind}").sel(scheme=scheme), 2)) for scheme in SCHEMES]
        for kind in ("bottleneck", "centred", "rms")
    }
    one, other = (mean_range(reference.sel(scheme=scheme), 2) for scheme in SCHEMES)
    yield (
        f"authors' kernel {short(one)}, {short(other)}; bottleneck {', '.join(others['bottleneck'])}; centred, median "
        f"bandwidth {', '.join(others['centred'])}; rms features {', '.join(others['rms'])}"
    )
    beyond = [
        ", ".join(mean(rise(mlp, name, null=True).sel(scheme=scheme), 2) for scheme in SCHEMES)
        for name in ("layer_nhsic_zy", "layer_nhsic_zy_centred")
    ]
    yield f"| authors' kernel {beyond[0]}; centred {beyond[1]} |"
    reference, rms = (rise(vgg, name) for name in ("layer_nhsic_zy", "layer_nhsic_zy_rms"))
    one, other = (short(mean_range(reference.sel(scheme=scheme), 2)) for scheme in SCHEMES)
    yield f"authors' kernel {one}, {other}; rms features {', '.join(mean(rms.sel(scheme=s), 2) for s in SCHEMES)}"
    beyond = rise(vgg, "layer_nhsic_zy", null=True)
    yield ", ".join(short(mean_range(beyond.sel(scheme=scheme), 2)) for scheme in SCHEMES)
    first, second = (
        " and ".join(short(mean(rise(mlp, "layer_nhsic_zy", null).sel(scheme=s), digits)) for s in SCHEMES)
        for null, digits in ((False, 2), (True, 1))
    )
    yield f"nHSIC with labels rises with depth by {first}, beyond its null by {second}"


@claims(MLP, f"{VGG}/layers.nc")
def inputs(mlp, vgg):
    """How much more of the input later layers keep end to end."""

    def more(name, null=False):
        values = last_of(mlp, name) - (null_of(mlp, name) if null else 0)
        values = values.mean("seed").isel(layer=slice(2, None))
        ratio = values.sel(scheme="end_to_end") / values.sel(scheme="layerwise")
        return listed(100 * (ratio - 1), 0)

    reference, centred = "layer_nhsic_zx", "layer_nhsic_zx_centred"
    yield f"layers 3 to 6: {more(reference)} %; centred {more(centred)} %"
    yield f"| {more(reference, null=True)} %; centred {more(centred, null=True)} % |"
    rows = [last_of(vgg, name).mean("seed").isel(layer=slice(6, None)) for name in (reference, f"{reference}_rms")]
    texts = ["; ".join(listed(one.sel(scheme=scheme), 0, " ") for scheme in SCHEMES) for one in rows]
    yield f"layers 7 to 10: {texts[0]}; rms features {texts[1]}"
    beyond = (last_of(vgg, reference) - null_of(vgg, reference)).mean("seed").isel(layer=slice(6, None))
    yield "; ".join(short(listed(beyond.sel(scheme=scheme), 2, " ")) for scheme in SCHEMES)


@claims(MLP)
def last_layer(mlp):
    """Values of nHSIC of the last layer from epoch 5 on: the first snapshot since the fit."""
    runs = mlp.squeeze("weight_decay").isel(layer=-1)

    def values(name, scheme):
        found = runs[name].sel(scheme=scheme).mean("seed")
        return [float(found.sel(step=step)) for step in (160, 1920)]

    zx, zy = (values(f"layer_nhsic_z{of}", "end_to_end") for of in "xy")
    null = values("layer_nhsic_zx_null", "end_to_end")
    beyond = [a - b for a, b in zip(zx, null, strict=True)]
    yield (
        f"{listed(zx, 1, ' to ')} ({number(100 * (zx[1] / zx[0] - 1), 0)} %), {listed(zy, 2, ' to ')}; beyond the null "
        f"{listed(beyond, 2, ' to ')} ({number(100 * (beyond[1] / beyond[0] - 1), 0)} %)"
    )
    zx, zy = (values(f"layer_nhsic_z{of}", "layerwise") for of in "xy")
    yield f"layer by layer {listed(zx, 1, ' to ')} ({number(100 * (zx[1] / zx[0] - 1), 0)} %), {listed(zy, 2, ' to ')}"


@claims(MLP, f"{VGG}/layers.nc")
def collapse(mlp, vgg):
    """RNC1 by layer, and of unseen examples."""
    rnc1 = last_of(mlp, "layer_rnc1").mean("seed")
    unseen = last_of(mlp, "layer_rnc1_test").mean("seed").isel(layer=-1)
    rows = {scheme: short(listed(rnc1.sel(scheme=scheme), 3, " ")) for scheme in SCHEMES}
    yield f"RNC1 of layers 1 to 6 {rows['layerwise']}, end to end {rows['end_to_end']}."
    yield (
        f"RNC1 of test features of the last layer {short(number(unseen.sel(scheme='layerwise'), 3))}, end to end "
        f"{short(number(unseen.sel(scheme='end_to_end'), 3))}."
    )
    rnc1 = last_of(vgg, "layer_rnc1").mean("seed").isel(layer=slice(6, None))
    rows = {scheme: short(listed(rnc1.sel(scheme=scheme), 3, " ")) for scheme in SCHEMES}
    yield f"the last four layers {rows['layerwise']}, end to end {rows['end_to_end']}."


@claims(f"{MLP}/norm.nc", f"{MLP}/images.nc", f"{MLP}/depth_10000.nc", f"{VGG}/resnet18.nc")
def controls(norm, images, many, resnet):
    """Rows of the table of controls."""
    for kind, text in (("batch", "1000 images, 5 seeds"), ("none", "the same without BatchNorm")):
        found = last_of(norm.sel(norm=kind), "test_accuracy")
        yield f"| {text} | {pair(found).replace(' and ', ' | ')} |"
    slopes = rise(norm.sel(norm="batch"), "layer_nhsic_zy")
    yield f"slope of nHSIC(Y) {pair(slopes, 2)}: below the bar"
    zx = last_of(norm.sel(norm="none"), "layer_nhsic_zx").mean("seed").isel(layer=slice(1, None))
    yield f"layers 2 to 6 {listed(zx.sel(scheme='end_to_end'), 0, ' ')}, layer by layer {listed(zx.sel(scheme='layerwise'), 0, ' ')}"
    two = last_of(many.sel(depth=2), "test_accuracy")
    yield f"| 10,000 images, two layers, 7,900 steps | {pair(two).replace(' and ', ' | ')} |"
    found = images.test_accuracy.squeeze("weight_decay").sel(step=7281)
    yield f"| 60,000 images, step 7,281 | {pair(found).replace(' and ', ' | ')} |"
    whole = images.test_accuracy.squeeze("weight_decay").sel(scheme="end_to_end").isel(step=-1)
    yield f"end to end ends at {short(mean(whole))} at 14,070)"
    found, train = (last_of(resnet, f"{of}_accuracy") for of in ("test", "train"))
    yield f"(:cpu) | {pair(found).replace(' and ', ' | ')} | only begun: training accuracy {pair(train)} |"


@claims(f"{MLP}/grok.nc")
def grokking(results):
    """Layer-wise training does not grok late."""
    runs = results.squeeze("weight_decay")
    taus = timescales(runs, {"rnc1": 0.03})
    fit, grok, fall = (
        {scheme: listed(taus[name].sel(scheme=scheme), -1, " and ") for scheme in SCHEMES}
        for name in ("tau_fit", "tau_grok", "tau_collapse")
    )
    last = runs.test_accuracy.sel(scheme="layerwise").isel(step=-1)
    yield (
        f"it fits at step {fit['layerwise']} and passes test accuracy 0.8 at {grok['layerwise']}, then falls to "
        f"{short(mean(last, 2))}; end to end fits at {fit['end_to_end']} and passes it at {grok['end_to_end']}. RNC1 "
        f"meets 0.03 at {fall['layerwise']}, end to end at {fall['end_to_end']}."
    )


@claims(f"{MLP}/forward.nc", f"{MLP}/forward_control.nc")
def forward(results, control):
    """Forward-forward beside cross-entropy on the same network."""
    found, other = (last_of(one, "test_accuracy") for one in (results, control))

    def runs(values):
        return ", ".join(short(listed(values.sel(learning_rate=rate), 3, " ")) for rate in values.learning_rate)

    first = other.sel(seed=[0, 1])
    yield f"cross-entropy | {runs(first.sel(scheme='layerwise'))} | {runs(first.sel(scheme='end_to_end'))} |"
    yield f"forward-forward | {runs(found.sel(scheme='layerwise'))} | |"
    means = other.mean("seed")
    texts = [short(listed(means.sel(scheme=scheme), 3, " and ")) for scheme in ("layerwise", "end_to_end")]
    yield f"(cross-entropy over 5 seeds: {texts[0]}, {texts[1]})."


@claims(f"{MLP}/nhsic.nc", f"{MLP}/nhsic_stages.nc", f"{MLP}/nhsic_block.nc")
def penalty(results, stages, block):
    """The term with nHSIC in the loss."""

    def cells(values, digits):
        return [short(number(value, digits)) for value in values.mean("seed").squeeze().values]

    at_once, in_turn = (last_of(one, "test_accuracy") for one in (results, stages))
    yield f"| test accuracy, all blocks at once | {' | '.join(cells(at_once, 3))} |"
    yield f"| one after the other, 120 steps each | {' | '.join(cells(in_turn, 3))} |"
    value, null = (
        one.isel(layer=-1) for one in (last_of(results, "layer_nhsic_zx"), null_of(results, "layer_nhsic_zx"))
    )
    yield f"| nHSIC(X) of the last layer, all at once | {' | '.join(cells(value, 1))} |"
    yield f"| its null | {' | '.join(cells(null, 1))} |"
    yield f"what is beyond the null is {ends((value - null).mean('seed'), 1)} throughout"
    own = last_of(block, "test_accuracy").squeeze()
    same = at_once.sel(seed=0, nhsic=[-0.003, 0.003, 0.03]).squeeze()
    yield (
        f"(block, seed 0): {short(listed(own, 3))} at lambda -0.003, 0.003, 0.03; with the input "
        f"{short(listed(same, 3))} in that seed."
    )
    one, other = (values.sel(nhsic=0).squeeze() for values in (in_turn, at_once))
    yield (
        f"120 each (840 in all, batch 125) {short(listed(one, 3, ' and '))}, where all blocks at once reach "
        f"{short(listed(other, 3, ' and '))} in as many steps."
    )


@claims(MLP, f"{MLP}/images.nc", f"{VGG}/layers.nc", f"{VGG}/results.nc")
def in_the_table(mlp, images, vgg, wide):
    """The rows of the table of experiments."""
    slopes = rise(mlp, "layer_nhsic_zy")
    accuracy = images.test_accuracy.squeeze("weight_decay").sel(step=7281).mean("seed")
    gap = accuracy.sel(scheme="end_to_end") - accuracy.sel(scheme="layerwise")
    yield f"test accuracy {pair(last_of(mlp, 'test_accuracy'))}; nHSIC with labels rises with depth end to end alone ({pair(slopes, 2)})"
    yield f"and with all 60,000 images it is {short(number(gap, 3))}"
    yield f"1000 images, width 8, 2 seeds: {pair(last_of(vgg, 'test_accuracy'))}, nHSIC(X)"
    yield f"test accuracy {pair(last_of(wide, 'test_accuracy'))}: layer by layer ahead"
