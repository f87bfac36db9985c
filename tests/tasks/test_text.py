"""Texts against an independent WordPiece, written from its description, and against raw counts."""

import collections
import gzip
import json
import pathlib
import unicodedata

import numpy as np
import pytest
import shared_data

from collapse_jax import tasks
from collapse_jax.errors import ConfigError
from collapse_jax.experiment.config import Task
from collapse_jax.tasks import text_files

pytest.importorskip("tokenizers", reason="the extra `data` is not installed")

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "cat", "sat", "##s", "un", "##seen", ".", "a"]


@pytest.fixture
def small(tmp_path):
    """Write a vocabulary and two files of texts, and return their task."""
    (tmp_path / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    rows = [("The cat sat.", "b"), ("a CÁTS", "a"), ("the", "b")]
    train = "".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in rows)
    (tmp_path / "train.jsonl").write_text(train)
    (tmp_path / "test.csv").write_text('label,text\na,"unseen zebra, cat"\n')
    files = {"dataset": str(tmp_path / "train.jsonl"), "test_file": str(tmp_path / "test.csv")}
    return Task(**files, vocabulary=str(tmp_path / "vocab.txt"), train_size=2)


def test_tokens_by_hand(small):
    info, data = tasks.check_task(small), tasks.load(small)
    assert (info.kind, info.train_size, info.test_size, info.num_classes) == ("text", 3, 1, 2)
    # Of the whole training split: [UNK] 1, [CLS] 2, [SEP] 3, the 4, cat 5, sat 6, ##s 7, . 8, a 9; padding 0.
    assert data.vocabulary_size == 10
    assert data.train_inputs.tolist() == [[2, 4, 5, 6, 8, 3, 0, 0], [2, 9, 5, 7, 3, 0, 0, 0]]
    assert data.train_labels.tolist() == [1, 0]
    # un, ##seen and the comma never occur in the training split, zebra in no vocabulary.
    assert data.test_inputs.tolist() == [[2, 1, 1, 1, 1, 5, 3, 0]]
    assert data.train_inputs.dtype == np.int32


def test_texts_are_cut_with_their_last_token_kept(small):
    small.max_tokens = 4
    assert tasks.load(small).train_inputs[0].tolist()[:4] == [2, 4, 5, 3]


def wordpiece(text, vocabulary):
    """Lower case without accents, words and punctuation, then greedily the longest piece."""
    text = unicodedata.normalize("NFD", text.lower())
    text = "".join(c for c in text if unicodedata.category(c) not in ("Mn", "Cc", "Cf") or c in "\t\n\r")

    def punctuation(c):
        return unicodedata.category(c).startswith("P") or (c.isascii() and not c.isalnum() and not c.isspace())

    words = "".join(f" {c} " if punctuation(c) else c for c in text).split()
    tokens = ["[CLS]"]
    for word in words:
        pieces, start = [], 0
        while start < len(word):
            prefix = "##" if start else ""
            ends = (e for e in range(len(word), start, -1) if prefix + word[start:e] in vocabulary)
            end = next(ends, None)
            if end is None:
                pieces = ["[UNK]"]
                break
            pieces.append(prefix + word[start:end])
            start = end
        tokens += pieces
    return [*tokens[:127], "[SEP]"]


@shared_data.needs("text/train_5500.label", "text/TREC_10.label", "tokenizer")
def test_trec_equals_an_independent_tokenizer_and_count():
    files = {part: shared_data.FOLDER / "text" / f"{part}.label" for part in ("train_5500", "TREC_10")}
    task = Task(
        dataset=str(files["train_5500"]),
        test_file=str(files["TREC_10"]),
        vocabulary=str(shared_data.VOCABULARY),
        train_size=5452,
    )
    data, info = tasks.load(task), tasks.check_task(task)
    assert (info.train_size, info.test_size, info.num_classes) == (5452, 500, 6)
    known = {word: i for i, word in enumerate(shared_data.VOCABULARY.read_text("utf-8").split("\n"))}
    lines = [line.split(b" ", 1) for line in files["train_5500"].read_bytes().replace(b"\xf0", b" ").splitlines()]
    tokens = [wordpiece(text.decode(), known) for _, text in lines]
    used = sorted({known[token] for row in tokens for token in row} | {known["[UNK]"]})
    assert data.vocabulary_size == 1 + len(used) == 8495
    for row, expected in zip(data.train_inputs, tokens, strict=True):
        assert [used[i - 1] for i in row[row != 0]] == [known[token] for token in expected]
    classes = collections.Counter(label.split(b":")[0].decode() for label, _ in lines)
    assert np.bincount(data.train_labels).tolist() == [classes[name] for name in sorted(classes)]


@shared_data.needs("text/sst2_train.jsonl.gz", "text/ag_news_test.csv")
def test_rows_and_classes_of_the_other_sets():
    folder = shared_data.FOLDER / "text"
    task = Task(dataset=str(folder / "sst2_train.jsonl.gz"), test_file=str(folder / "sst2_dev.jsonl.gz"))
    train, test = text_files.read_splits(task)
    with gzip.open(folder / "sst2_train.jsonl.gz", "rt", encoding="utf-8") as file:
        positive = sum('"label": 1,' in line for line in file)
    assert (train.size, test.size) == (67349, 872)
    assert np.bincount(train.all_labels).tolist() == [67349 - positive, positive]
    name = str(folder / "ag_news_test.csv")
    news, _ = text_files.read_splits(Task(dataset=name, test_file=name))
    assert np.bincount(news.all_labels).tolist() == [1900] * 4
    assert news.all_inputs[0].startswith("Fears for T N pension after talks Unions representing")


PACKED = gzip.compress(b"text,label\n" + b"a,0\nb,1\n" * 9, mtime=0)
WRONG = [
    ("x.jsonl", b'{"text": "a"}\n', 'line 1: must be an object with "text" and "label"'),
    ("x.jsonl", b'{"text": "a", "label": 0}\nnot json\n', "line 2: must be an object"),
    ("x.jsonl", b'{"text": 3, "label": 0}\n', "line 1: text 3: must be a string"),
    ("x.jsonl", b'{"text": "a", "label": 0.5}\n', "line 1: label 0.5: must be an integer or a name"),
    ("x.jsonl", b'{"text": "a", "label": 0}\n{"text": "caf\xe9", "label": 1}\n', "line 2: not UTF-8 text"),
    ("x.jsonl", b'{"text": "a", "label": 0}\n', "one class only"),
    ("x.csv", b"text,label\na,1\nb,1\n", "one class only"),
    (
        "x.csv",
        b"text,label\na,1\nb,1700000000\n",
        "label 1700000000 among 2 training examples; must be 0",
    ),
    ("x.csv", b"text,label\na,0.0\nb,1.0\n", "line 2: label 0.0: must be an integer or a name"),
    ("x.csv", b"text,label\na,0\nb, 0.37\n", "line 3: label 0.37: must be an integer or a name"),
    ("x.csv", b"text,label\na,-1\nb,1\n", "label -1: must be 0 ... K - 1"),
    ("x.jsonl", b'{"text": "a", "label": 0}\n{"text": "a", "label": "b"}\n', "partly numbers and partly names"),
    ("x.jsonl", b'{"text": "a", "label": -1}\n{"text": "a", "label": 1}\n', "label -1: must be 0 ... K - 1"),
    ("x.jsonl", b'{"text": "a", "label": 0}\n{"text": "a \\ud83d", "label": 1}\n', "line 2: the text holds half"),
    ("x.label", b"A:a x\nB:b \xf0 caf\xe9\n", "line 2: not UTF-8 text"),
    ("x.jsonl", b"", "holds no examples"),
    ("x.csv", b"text,label\nonly\n", "line 2: 1 cells, the header has more"),
    ("x.csv", b"sentence,class\na,0\n", 'line 1: needs a header with "text" and "label"'),
    ("x.label", b"DESC what\n", 'line 1: must be "COARSE:fine text"'),
    ("x.csv.gz", b"no gzip", "not readable"),
    ("x.csv.gz", PACKED[:12] + b"\xff" + PACKED[13:], "not readable"),
]


@pytest.mark.parametrize(("name", "content", "message"), WRONG, ids=lambda value: str(value)[:40])
def test_wrong_files_are_refused(name, content, message, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError) as error:
        tasks.check_task(Task(dataset=str(tmp_path / name), test_file=str(tmp_path / name)))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_labels_of_a_csv_file_are_stripped(tmp_path):
    for cells, expected in ((("1", " 0", "0 "), [1, 0, 0]), (("10_20", " 0_10", "10_20"), [1, 0, 1])):
        name = str(tmp_path / f"{cells[0]}.csv")
        pathlib.Path(name).write_text("text,label\n" + "".join(f"a,{cell}\n" for cell in cells))
        train, _ = text_files.read_splits(Task(dataset=name, test_file=name))
        assert train.all_labels.tolist() == expected


def test_characters_beyond_the_basic_plane(tmp_path):
    """One byte of them is what the TREC questions hold alone, in the place of a space."""
    (tmp_path / "x.label").write_bytes("A:a what 😀 is\nB:b".encode() + b" who\xf0are\n")
    train, _ = text_files.read_splits(Task(dataset=str(tmp_path / "x.label"), test_file=str(tmp_path / "x.label")))
    assert train.all_inputs == ["what 😀 is", "who are"]
    (tmp_path / "x.jsonl").write_text('{"text": "\\ud83d\\ude00", "label": 0}\n{"text": "\\u00e9", "label": 1}\n')
    train, _ = text_files.read_splits(Task(dataset=str(tmp_path / "x.jsonl"), test_file=str(tmp_path / "x.jsonl")))
    assert train.all_inputs == ["😀", "é"]


def test_missing_files_and_vocabularies(small, tmp_path):
    for change, message in (
        ({"test_file": ""}, "task.test_file='': name the file of test examples"),
        ({"test_file": "none.csv"}, "task.test_file='none.csv': not readable"),
        ({"vocabulary": "none.txt"}, "python -m collapse_jax prepare --dataset=vocabulary"),
        ({"vocabulary": "~nobody_/vocab.txt"}, "task.vocabulary='~nobody_/vocab.txt': there is no home directory"),
        ({"vocabulary": small.dataset}, r"lacks \[PAD\], \[UNK\]"),
    ):
        task = Task(**{**vars(small), **change})
        with pytest.raises(ConfigError, match=message):
            tasks.load(task)
    (tmp_path / "other.jsonl").write_text('{"text": "a", "label": "c"}\n')
    with pytest.raises(ConfigError, match="label 'c' is none of the training labels"):
        tasks.check_task(Task(**{**vars(small), "test_file": str(tmp_path / "other.jsonl")}))
