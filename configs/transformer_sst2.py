"""A transformer on SST-2 (Figure 10 of arXiv 2509.20829): scales of the initial weights, no grokking.

    python -m collapse_jax prepare --dataset=glue/sst2
    python -m collapse_jax train --config=configs/transformer_sst2.py:cpu --workdir=runs/transformer_sst2
    python -m collapse_jax train --config=configs/transformer_sst2.py --workdir=runs/transformer_sst2_full

Phrases of film reviews in 2 classes, tested on the 872 validation sentences (the test labels are not public). The
network, the loss, the optimizer and the scales are those of configs/transformer_trec.py. Files of one's own instead
of the prepared set: --config.task.dataset=train.jsonl --config.task.test_file=dev.jsonl
--config.task.vocabulary=vocab.txt

The paper says of its Figure 10: the initial scale makes little difference, no grokking; RNC1 first peaks, then
decreases, and the decrease coincides with a gradual gain in test accuracy. It does not give scales, training size,
steps, batch and weight decay of this figure; they are chosen as for TREC-6. Most training items of SST-2 are
phrases of a few words: the first 1000 hold less than 1000 sentences would. Measures of the inputs do not exist for
texts.
"""

from collapse_jax.experiment.config import Experiment, Grid, Model, Schedule, Snapshots, Task, Thresholds
from collapse_jax.experiment.sizes import reduced, require_argument, smoke


def get_config(arg: str = "") -> Experiment:
    """Return the experiment; `arg` is "", "cpu" (2 scales, one seed, 1500 steps) or "smoke"."""
    require_argument(arg)
    experiment = Experiment(
        name="Collapse of a transformer on SST-2",
        grid=Grid(weight_decay=(0.01,), init_scale=(1.0, 2.0, 4.0, 8.0), seed=(42, 43, 44, 45, 46)),
        steps=100_000,
        task=Task("glue/sst2", train_size=1000),
        model=Model("transformer"),
        snapshots=Snapshots(Schedule(rule="geometric", points=40), ("train", "test", "head"), test_size=300),
        thresholds=Thresholds(test_accuracy=0.6, rnc1=0.03),
    )
    if arg == "cpu":
        return reduced(experiment, steps=1500, test_examples=300, init_scale=(1.0, 8.0), seed=(42,))
    return smoke(experiment) if arg == "smoke" else experiment
