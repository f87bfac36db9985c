"""Benign overfitting in token selection: docs/token_selection.md, and what README.md and docs/experiments.md say."""

import numpy as np

from collapse_jax.analysis.cumulative import cumulative
from collapse_jax.publishing.claims import claims
from collapse_jax.publishing.wording import ends, listed, mean, mean_range, number

E = "docs/experiments/token_selection"
CELLS = (f"{E}/harmful", f"{E}/benign", f"{E}/large_signal")


def last_of(results, name, kind=None):
    """A variable at the last step, [seed]; of a kind of token."""
    values = results[name].isel(step=-1)
    return (values.sel(token_kind=kind) if kind else values).squeeze()


@claims(*CELLS)
def cells(*sweeps):
    """The table of the three regimes."""
    names = ("train_accuracy", "train_loss", "test_accuracy", "test_loss")
    for sweep in sweeps:
        texts = [mean_range(last_of(sweep, name)) for name in names]
        texts += [mean_range(last_of(sweep, "attention_clean", "relevant"))]
        texts += [
            mean_range(last_of(sweep, "attention_noisy", kind)) for kind in ("relevant", "opposing", "irrelevant")
        ]
        summed = [cumulative(sweep[f"undecided_{of}"]).isel(step=-1) for of in ("clean", "noisy")]
        texts += [mean_range(one, 1) for one in summed]
        texts += [mean_range(last_of(sweep, name)) for name in ("rnc1", "rnc1_test")]
        cell = f"{sweep.dimension.values[0]}, {float(sweep.signal_norm):g}"
        yield f"| {cell} | {sweep.sizes['seed']} | " + " | ".join(texts) + " |"
    test, train = ([mean(last_of(sweep, f"{of}_accuracy")) for sweep in sweeps] for of in ("test", "train"))
    yield f"test accuracy {', '.join(test)} and training accuracy {', '.join(train)} (paper"
    yield f"| train 1.0, test 0.867 | train {train[0]}, test {test[0]} |"
    opposing, irrelevant = (
        mean(last_of(sweeps[1], "attention_noisy", kind), 2) for kind in ("opposing", "irrelevant")
    )
    yield f"train {train[1]}, test {test[1]}; opposing {opposing}, irrelevant {irrelevant}: which of them differs by seed"


@claims(*CELLS)
def regimes(harmful, benign, large):
    """What the text says of the three cells."""
    clean, noisy = (float(cumulative(harmful[f"undecided_{of}"]).isel(step=-1).mean()) for of in ("clean", "noisy"))
    yield f"S of the clean examples is {number(clean / noisy, 1)} times that of the noisy ones in the harmful cell"
    rnc1 = harmful.rnc1.mean("seed").squeeze()
    lowest = int(rnc1.step[rnc1.argmin("step")])
    yield (
        f"falls from {number(rnc1[0], 3)} to {number(rnc1.min(), 3)} at step {lowest}, while attention still averages "
        f"tokens, and rises to {number(rnc1[-1], 3)}"
    )
    unseen, seen = (mean(last_of(large, name)) for name in ("rnc1_test", "rnc1"))
    yield f"RNC1 of the test examples ends at {unseen} (noise over signal squared is 0.039), that of the training set at {seen}:"
    yield f"(2000, 20) collapse ({mean(last_of(benign, 'rnc1_test'))} on the test set)"
    loss = np.sort(last_of(large, "train_loss").values)
    yield (
        f"is {number(loss[1], 3)} to {number(loss[-1], 3)} in 19 of 20 runs, median {number(np.median(loss), 3)}, where "
        f"all examples select their relevant token; seed {int(last_of(large, 'train_loss').argmin('seed'))} has "
        f"{number(loss[0], 3)}."
    )


@claims(f"{E}/leak")
def leak(results):
    """Test noise shared with the training set."""
    found = last_of(results, "test_accuracy")
    yield (
        f'with task.test_noise="training" and seed 42 the test accuracy is {number(found.sel(seed=42), 3)} '
        f"({ends(found)} in six seeds, results)"
    )


@claims(f"{E}/map")
def over_dimensions(results):
    """The map over dimension and signal: means of two seeds."""
    cells_ = results.isel(step=-1).mean("seed").squeeze()
    accuracy, loss, test = cells_.test_accuracy, cells_.train_loss, cells_.test_loss
    low = accuracy < 0.95
    assert int(low.sel(signal_norm=7.5).sum()) == 2
    assert not low.sel(signal_norm=slice(10, None)).any()
    assert low.sel(signal_norm=5).all()
    weakest = accuracy.sel(signal_norm=5)
    yield (
        f"Test accuracy is below 0.95 at signal 5, at every dimension ({number(weakest.min(), 3)} to "
        f"{number(weakest.max(), 2)}), and at 7.5 in two cells."
    )
    corner = {
        int(dimension): float(loss.signal_norm[(loss.sel(dimension=dimension) > 0.53).argmax("signal_norm")])
        for dimension in loss.dimension
        if (loss.sel(dimension=dimension) > 0.53).any()
    }
    spots = [
        f"{signal:g} at {'d = ' if first == 0 else ''}{dimension}"
        for first, (dimension, signal) in enumerate(corner.items())
    ]
    yield f"No overfitting, train loss above 0.53, is the corner from signal {', '.join(spots[:-1])} and {spots[-1]}; no dimension above has it."
    row = test.sel(signal_norm=10)
    yield f"{number(row.min(), 3)} to {number(row.max(), 2)} at 10."


@claims(f"{E}/decay")
def decay(results):
    """Weight decay turns benign overfitting into none."""
    means = results.isel(step=-1).mean("seed").squeeze()
    first = means.noisy_accuracy.sel(weight_decay=0, signal_norm=slice(20, None))
    five = means.test_accuracy.sel(signal_norm=5)
    left = means.noisy_accuracy.sel(signal_norm=5, weight_decay=0.7)
    yield f"the accuracy on wrong labels falls from {ends(first, 2)} without to 0"
    yield (
        f"{number(left, 2)} is left at 0.7, and the test accuracy hardly moves ({number(five.sel(weight_decay=0), 3)}, "
        f"{number(five.sel(weight_decay=0.3), 3)} at 0.3, {number(five.sel(weight_decay=1), 3)} at 1)."
    )


@claims(f"{E}/noise")
def noise(results):
    """Shares of wrong labels."""
    means = results.isel(step=-1).mean("seed").squeeze()
    accuracy = means.test_accuracy
    five, seven = (accuracy.sel(signal_norm=signal) for signal in (5, 7.5))
    span = [f"{number(one.max(), 3)} to {number(one.min(), 3)}" for one in (five, seven)]
    yield (
        f"from 0 to 0.5 the mean training accuracy stays at {number(means.train_accuracy.min(), 3)} to "
        f"{number(means.train_accuracy.max(), 0)}."
    )
    yield f"falls with the share at 5 ({span[0]}) and 7.5 ({span[1]})"
    wrong = means.noisy_accuracy.sel(flip_rate=0.1)
    yield (
        f"accuracy on the wrong labels {number(wrong.sel(signal_norm=80), 2)} at 80, "
        f"{number(wrong.sel(signal_norm=100), 2)} at 100 ({number(means.noisy_accuracy.sel(flip_rate=0.2, signal_norm=100), 3)} "
        "at a share of 0.2)."
    )


@claims(f"{E}/long")
def long_training(results):
    """Long training: the test loss falls with the logarithm of the step."""
    run = results.mean("seed").squeeze()
    steps = (511, 2154, 9085, 38_312)
    losses = run.test_loss.sel(signal_norm=10).sel(step=list(steps))
    yield f"(signal 10: {listed(losses)} at steps {', '.join(f'{step:,}' for step in steps)})."


@claims(f"{E}/encoder", f"{E}/encoder_100")
def encoder(large, small):
    """The one-layer encoder."""
    one = last_of(large, "test_accuracy").sel(signal_norm=[5, 15, 25, 35])
    other = last_of(small, "test_accuracy").sel(signal_norm=[5, 10, 15, 20, 30])
    yield f"the test accuracy is {listed(one, 2)} at signals 5, 15, 25, 35;"
    yield f"at d = 100 (CPU, 200 test examples) {listed(other, 2)} at 5, 10, 15, 20, 30 and no more beyond"


@claims(*CELLS, f"{E}/leak", f"{E}/map")
def in_one_paragraph(harmful, benign, large, leak_, map_):
    """The paragraph on top of the page."""
    test, train = (
        [mean(last_of(one, f"{of}_accuracy")) for one in (harmful, benign, large)] for of in ("test", "train")
    )
    shared = number(last_of(leak_, "test_accuracy").sel(seed=42), 3)
    yield (
        f"test accuracy {test[0]} at (d, signal) = (4500, 5), where all is memorised (paper 0.867), {test[1]} at (2000, 20) "
        f"with training accuracy {train[1]} (paper 0.996 and 1.0; the 0.996 comes from test noise shared with the training "
        f"set, and is {shared} here with it), {test[2]} at (250, 80), where no wrong label is learnt (training accuracy "
        f"{train[2]} in each run)."
    )
    yield f"| train 0.8, test 1.0 (its own cell was not at hand) | train {train[2]} in each of 20 runs, test {test[2]} |"
    means = map_.isel(step=-1).mean("seed").squeeze()
    rises = means.test_loss.diff("signal_norm").max()
    middle = means.test_loss.sel(signal_norm=slice(10, 20)).diff("dimension").min()
    yield (
        f"(rises between neighbours are at most {number(rises, 3)}) and, at signals 10 to 20, grows with the dimension "
        f"(falls are at most {number(-middle, 3)})"
    )
    wrong = means.noisy_accuracy.sel(dimension=slice(1500, None))
    yield f"From d = 1500 on {number(100 * (wrong == 1).mean(), 0)} % of the cells have learnt all wrong labels"


@claims(f"{E}/encoder", f"{E}/encoder_100", f"{E}/decay", f"{E}/large_signal")
def more(encoder_, small, decay_, large):
    """Further numbers of the encoder, weight decay, and of two seeds without overfitting."""
    losses = np.concatenate([last_of(one, "train_loss").values for one in (encoder_, small)])
    yield f"everything is memorised, train loss {ends(losses, 3)} at both dimensions."
    loss = decay_.isel(step=-1).mean("seed").squeeze().train_loss.sel(weight_decay=1)
    yield (
        f"(train loss {mean(loss.sel(signal_norm=slice(None, 20)), 2)}), at 0.7 up to 10; from 40 on the train loss at 1 "
        f"is {mean(loss.sel(signal_norm=slice(40, None)), 2)}"
    )
    attention = large.attention_noisy.sel(token_kind="relevant").squeeze()
    seed = attention.sel(seed=14)
    yield (
        f"(attention on it {number(seed.sel(step=588), 2)} at step 588, {number(seed[-1], 2)} at step 1000), which seed 11 "
        f"does too ({number(attention.sel(seed=11)[-1], 2)})."
    )
