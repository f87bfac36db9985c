"""A transformer on AG News (Figure 12 of arXiv 2509.20829): scales of the initial weights, no grokking.

    python -m collapse_jax prepare --dataset=ag_news_subset
    python -m collapse_jax train --config=configs/transformer_ag_news.py:cpu --workdir=runs/transformer_ag_news
    python -m collapse_jax train --config=configs/transformer_ag_news.py --workdir=runs/transformer_ag_news_full

Titles and descriptions of news in 4 classes, cut after 128 tokens; 7600 test items. The network, the loss, the
optimizer and the scales are those of configs/transformer_trec.py. Files of one's own instead of the prepared set:
--config.task.dataset=train.csv --config.task.test_file=test.csv --config.task.vocabulary=vocab.txt

The paper says of its Figure 12: the initial scale makes little difference, no grokking; RNC1 first peaks, then
decreases, and the decrease coincides with a gradual gain in test accuracy. It does not give scales, training size,
steps, batch and weight decay of this figure; they are chosen as for TREC-6. Measures of the inputs do not exist
for texts.
"""

from collapse_jax.experiment.config import Experiment, Grid, Model, Schedule, Snapshots, Task, Thresholds
from collapse_jax.experiment.sizes import reduced, require_argument, smoke


def get_config(arg: str = "") -> Experiment:
    """Return the experiment; `arg` is "", "cpu" (2 scales, 1500 steps, cut after 48 tokens) or "smoke"."""
    require_argument(arg)
    experiment = Experiment(
        name="Collapse of a transformer on AG News",
        grid=Grid(weight_decay=(0.01,), init_scale=(1.0, 2.0, 4.0, 8.0), seed=(42, 43, 44, 45, 46)),
        steps=100_000,
        task=Task("ag_news_subset", train_size=1000),
        model=Model("transformer"),
        snapshots=Snapshots(Schedule(rule="geometric", points=40), ("train", "test", "head"), test_size=500),
        thresholds=Thresholds(test_accuracy=0.75, rnc1=0.03),
    )
    if arg == "cpu":
        experiment.task.max_tokens = 48
        return reduced(experiment, steps=1500, test_examples=500, init_scale=(1.0, 8.0), seed=(42,))
    return smoke(experiment) if arg == "smoke" else experiment
