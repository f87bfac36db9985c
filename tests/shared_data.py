"""Where the raw files of real data sets are, for tests that skip when they are not."""

import os
import pathlib

import pytest

BESIDE = [parent / "shared" / "data" for parent in pathlib.Path(__file__).parents[2:4]]
HERE = next((folder for folder in BESIDE if folder.exists()), BESIDE[0])
FOLDER = pathlib.Path(os.environ.get("COLLAPSE_JAX_DATA", HERE))
VOCABULARY = FOLDER / "tokenizer" / "bert_base_uncased_vocab.txt"


def needs(*names):
    """Skip a test unless these files or folders are there."""
    missing = [name for name in names if not (FOLDER / name).exists()]
    return pytest.mark.skipif(bool(missing), reason=f"{', '.join(missing)} not in {FOLDER} (COLLAPSE_JAX_DATA)")
