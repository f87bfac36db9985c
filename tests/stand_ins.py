"""Small generated data sets in the place of those that must be prepared, so that every config runs everywhere."""

import dataclasses
import json

import numpy as np

from collapse_jax.tasks.catalogue import MADE

WORDS = {0: ["good", "fine", "warm", "calm"], 1: ["bad", "dull", "cold", "loud"], 2: ["the", "a", "of", "it", "so"]}
CLASSES = 2


def write_stand_ins(folder):
    """Write images of 4 x 4 x 3 pixels and texts of five words, of which the first two tell the class."""
    draw = np.random.default_rng(0)
    arrays = {}
    for part, size in (("train", 50_000), ("test", 2000)):
        labels = np.arange(size) % CLASSES
        pixels = draw.integers(0, 128, (size, 4, 4, 3)) + 100 * labels[:, None, None, None]
        arrays |= {f"{part}_inputs": pixels.astype(np.uint8), f"{part}_labels": labels}
    np.savez(folder / "images.npz", **arrays)
    for part, size in (("train", 1000), ("test", 600)):
        labels = np.arange(size) % CLASSES
        texts = [" ".join([*draw.choice(WORDS[label], 2), *draw.choice(WORDS[2], 3)]) for label in labels]
        lines = [json.dumps({"text": t, "label": int(y)}) + "\n" for t, y in zip(texts, labels, strict=True)]
        (folder / f"{part}.jsonl").write_text("".join(lines))
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *(word for group in WORDS.values() for word in group)]
    (folder / "vocab.txt").write_text("\n".join(words) + "\n")


def use_stand_ins(experiment, folder):
    """Return the experiment on the generated set of its kind, where its own has to be prepared."""
    task = experiment.task
    if task.dataset in MADE or (task.dataset == "mnist" and task.train_size <= 1000):
        return experiment
    if task.dataset in ("mnist", "fashion_mnist", "cifar10"):
        files = {"dataset": str(folder / "images.npz")}
    else:
        files = {
            name: str(folder / f"{part}.jsonl") for name, part in (("dataset", "train"), ("test_file", "test"))
        }
        files["vocabulary"] = str(folder / "vocab.txt")
    return dataclasses.replace(experiment, task=dataclasses.replace(task, **files))
