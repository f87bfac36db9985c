"""Texts to arrays of tokens: WordPiece, the vocabulary of the training split, static shapes."""

import os
import pathlib
from typing import Any

import numpy as np

from collapse_jax.errors import ConfigError
from collapse_jax.experiment import config
from collapse_jax.system.paths import local_path
from collapse_jax.tasks.base import Split

PAD = 0
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
VOCABULARY = "bert_base_uncased_vocab.txt"
# Padded lengths: few shapes, so that programs are shared, and at most a half more than is needed.
BUCKETS = (8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)
MAX_TOKENS = BUCKETS[-1]


def data_dir(task: config.Task) -> pathlib.Path:
    """Return the folder of prepared data."""
    chosen = task.data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    return local_path("task.data_dir", chosen)


def encode(
    task: config.Task, train: Split, test: Split, chosen: np.ndarray, tested: np.ndarray
) -> tuple[np.ndarray, np.ndarray, int]:
    """Return tokens [N, T] and [M, T] of the chosen texts in int32, and the size of their vocabulary.

    Each text becomes [CLS] tokens [SEP], cut to `max_tokens`. The vocabulary is what occurs in the *whole* training
    split, and [UNK], numbered from 1 in the order of the WordPiece vocabulary; 0 is padding. A test token
    outside it becomes [UNK]. T is the smallest of `BUCKETS` that holds the longest text chosen: one shape for
    both splits.

    Raises:
      ConfigError: no tokenizer, or no vocabulary.
    """
    tokenizer = load_tokenizer(task)
    everything = tokenise(tokenizer, train.inputs(np.arange(train.size)))
    unknown = tokenizer.token_to_id("[UNK]")
    known = np.union1d(np.concatenate(everything), [unknown])
    numbers = np.full(tokenizer.get_vocab_size(), 1 + np.searchsorted(known, unknown), np.int32)
    numbers[known] = np.arange(1, len(known) + 1)
    parts = [[everything[i] for i in chosen], tokenise(tokenizer, test.inputs(tested))]
    longest = max(len(tokens) for part in parts for tokens in part)
    length = next(bucket for bucket in BUCKETS if bucket >= longest)
    train_inputs, test_inputs = (_pad([numbers[tokens] for tokens in part], length) for part in parts)
    return train_inputs, test_inputs, len(known) + 1


def tokenise(tokenizer: Any, texts: list[str]) -> list[np.ndarray]:
    """Return the WordPiece numbers of each text."""
    return [np.asarray(encoding.ids, np.int32) for encoding in tokenizer.encode_batch(texts)]


def load_tokenizer(task: config.Task) -> Any:
    """Return BERT's uncased tokenizer (lower case, accents stripped) over the chosen vocabulary.

    Raises:
      ConfigError: the package `tokenizers` or the vocabulary is missing, or the vocabulary is none.
    """
    try:
        from tokenizers.implementations import BertWordPieceTokenizer
    except ImportError:
        message = "texts need the package tokenizers: pip install 'collapse-jax[data]'"
        raise ConfigError("task.dataset", task.dataset, message) from None
    path = local_path("task.vocabulary", task.vocabulary) if task.vocabulary else data_dir(task) / VOCABULARY
    tokens = _read_vocabulary(task, path)
    tokenizer = BertWordPieceTokenizer(tokens, lowercase=True)
    tokenizer.enable_truncation(task.max_tokens)
    return tokenizer


def _read_vocabulary(task: config.Task, path: pathlib.Path) -> dict[str, int]:
    try:
        lines = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    except FileNotFoundError:
        message = (
            f"no WordPiece vocabulary at {path}; name a vocab.txt, or get BERT's: "
            f"python -m collapse_jax prepare --dataset=vocabulary{directory_flag(task)}"
        )
        raise ConfigError("task.vocabulary", task.vocabulary, message) from None
    except (OSError, UnicodeDecodeError):
        raise ConfigError("task.vocabulary", task.vocabulary, f"{path} is not readable as UTF-8 text") from None
    tokens = {token: number for number, token in enumerate(lines)}
    missing = [token for token in SPECIAL if token not in tokens]
    if missing:
        raise ConfigError("task.vocabulary", task.vocabulary, f"{path} lacks {', '.join(missing)}; not WordPiece")
    return tokens


def directory_flag(task: config.Task) -> str:
    """Return the flag that makes `prepare` use the folder of this task."""
    return f" --data_dir={task.data_dir}" if task.data_dir else ""


def _pad(sequences: list[np.ndarray], length: int) -> np.ndarray:
    padded = np.full((len(sequences), length), PAD, np.int32)
    for row, tokens in zip(padded, sequences, strict=True):
        row[: len(tokens)] = tokens
    return padded
