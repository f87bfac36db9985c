"""A transformer on TREC-6 (Figure 11 of arXiv 2509.20829): scales of the initial weights, no grokking.

    python -m collapse_jax prepare --dataset=trec
    python -m collapse_jax train --config=configs/transformer_trec.py:cpu --workdir=runs/transformer_trec
    python -m collapse_jax train --config=configs/transformer_trec.py --workdir=runs/transformer_trec_full

Questions in 6 coarse classes (BERT's WordPiece, vocabulary of the training split, at most 128 tokens) behind a CLS
token, learned positions, one post-LayerNorm encoder layer (width 128, 4 heads, feed-forward 256), head on CLS; the
initial weights and biases of the feed-forward block and of the head times 1, 2, 4 or 8; squared error summed over
batch and classes, AdamW at 1e-3. The 500 test questions. Files of one's own instead of the prepared set:
--config.task.dataset=train_5500.label --config.task.test_file=TREC_10.label --config.task.vocabulary=vocab.txt

The paper says of its Figure 11: the initial scale makes little difference, no grokking; RNC1 first peaks, then
decreases. It does not give scales, training size, steps, batch and weight decay of this figure. Chosen here: the
powers of two up to the scale of its MLP, and that MLP's 1000 training examples, batch 100 and weight decay 0.01.
Measures of the inputs (mutual information and nHSIC with X) do not exist for texts.
"""

from collapse_jax.experiment.config import Experiment, Grid, Model, Schedule, Snapshots, Task, Thresholds
from collapse_jax.experiment.sizes import reduced, require_argument, smoke


def get_config(arg: str = "") -> Experiment:
    """Return the experiment; `arg` is "", "cpu" (one seed, 1000 steps) or "smoke"."""
    require_argument(arg)
    experiment = Experiment(
        name="Collapse of a transformer on TREC-6",
        grid=Grid(weight_decay=(0.01,), init_scale=(1.0, 2.0, 4.0, 8.0), seed=(42, 43, 44, 45, 46)),
        steps=100_000,
        task=Task("trec", train_size=1000),
        model=Model("transformer"),
        snapshots=Snapshots(Schedule(rule="geometric", points=40), ("train", "test", "head"), test_size=500),
        thresholds=Thresholds(test_accuracy=0.7, rnc1=0.03),
    )
    if arg == "cpu":
        return reduced(experiment, steps=1000, seed=(42,))
    return smoke(experiment) if arg == "smoke" else experiment
