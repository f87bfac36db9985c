"""What attention selects, and what a network has memorised, written out in float64."""

import numpy as np
from geometry import Values, logits
from heads import losses
from inputs import Arrays

RELEVANT, OPPOSING = 0, 2


def attention(arrays: Arrays) -> Values:
    """Shares of attention, gaps between scores, losses that selection reaches."""
    count = arrays["inputs"].shape[1]
    wrong = arrays["train_labels"] != arrays["train_true_labels"]
    rows = [of_example(u, count) for u in arrays["train_layers/0"]]
    values: Values = {}
    for group, members in (("clean", ~wrong), ("noisy", wrong)):
        own = [row for row, member in zip(rows, members, strict=True) if member]
        values[f"attention_{group}"] = np.mean([shares for shares, _ in own], axis=0)
        values[f"attention_gap_{group}"] = np.mean([scores[RELEVANT] - scores for _, scores in own], axis=0)
        values[f"undecided_{group}"] = np.mean([shares[RELEVANT] * (1 - shares[RELEVANT]) for shares, _ in own])
        if group == "noisy":
            values["opposing_gap_noisy"] = np.mean([scores[OPPOSING] - scores for _, scores in own], axis=0)
    worth, sign = arrays["inputs"][..., -1], np.where(arrays["train_labels"] == 0, 1, -1)
    reached = np.log1p(np.exp(-sign[:, None] * worth))
    values["train_loss_selected"] = reached[:, RELEVANT].mean()
    values["train_loss_memorised"] = reached.min(axis=1).mean()
    values["attention_test"] = np.mean([of_example(u, count)[0] for u in arrays["test_layers/0"]], axis=0)
    return values


def of_example(u: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Shares and scores of the four kinds of tokens."""
    s = np.exp(u) / np.exp(u).sum()
    return np.array([*s[:3], s[3:count].sum()]), np.array([*u[:3], u[3:count].max()])


def memorisation(arrays: Arrays, loss: str) -> Values:
    """Accuracy and loss of examples with right and with wrong labels."""
    labels, true = arrays["train_labels"], arrays["train_true_labels"]
    outputs = logits(arrays, arrays["train_features"])
    assert outputs is not None
    predicted, lost, wrong = outputs.argmax(axis=1), losses(loss, outputs, labels), labels != true
    return {
        "noisy_share": wrong.mean(),
        "clean_accuracy": np.mean(predicted[~wrong] == labels[~wrong]),
        "noisy_accuracy": np.mean(predicted[wrong] == labels[wrong]),
        "noisy_true_accuracy": np.mean(predicted[wrong] == true[wrong]),
        "clean_loss": lost[~wrong].mean(),
        "noisy_loss": lost[wrong].mean(),
    }
