"""Downloads data sets and prepares them through TFDS. Needs the extra `prepare`; training does not.

    python -m collapse_jax prepare --dataset=fashion_mnist [--manual_dir=DIR] [--data_dir=DIR] [--order=tfds]
    python -m collapse_jax prepare --dataset=vocabulary [--manual_dir=DIR]

Files at hand in `manual_dir` are recognised by their checksum, whatever their name, and not downloaded. The set
is written in array_record, which is read without TensorFlow, in the order of its own files or (`tfds`) shuffled as
TFDS does by default; see `tasks.tfds_source` for the folders. Texts also get the BERT vocabulary.
"""

import contextlib
import dataclasses
import hashlib
import itertools
import os
import pathlib
import shutil
import tempfile
import urllib.request
from collections.abc import Iterator
from typing import Any

from collapse_jax.errors import CollapseError, ConfigError, StoreError
from collapse_jax.experiment import config
from collapse_jax.system.files import make_folder, replacing, sync, sync_tree
from collapse_jax.system.paths import local_path
from collapse_jax.system.progress import say
from collapse_jax.tasks import catalogue, text, tfds_source

VOCABULARY_URL = "https://huggingface.co/google-bert/bert-base-uncased/resolve/main/vocab.txt"
VOCABULARY_SHA256 = "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"
TIMEOUT = 60


def run(values: Any) -> None:
    """Prepare what the flags of the command line name."""
    if not values.dataset:
        raise ConfigError("--dataset", values.dataset, "name a data set of TFDS, or vocabulary")
    manual_dir = local_path("--manual_dir", values.manual_dir) if values.manual_dir else None
    prepare(config.Task(dataset=values.dataset, order=values.order, data_dir=values.data_dir), manual_dir)


def prepare(task: config.Task, manual_dir: pathlib.Path | None = None) -> pathlib.Path:
    """Download and prepare what a task names, unless it is there already.

    Args:
      task: `dataset` (or "vocabulary"), `order` and `data_dir` are read.
      manual_dir: folder of files at hand.

    Returns:
      The folder of the prepared set, or the vocabulary.

    Raises:
      ConfigError: there is no such set, the extra is not installed, or a file at hand has a wrong checksum.
      StoreError: it could not be downloaded or written.
    """
    catalogue.require_order(task.order)
    if manual_dir is not None and not manual_dir.is_dir():
        raise ConfigError("--manual_dir", str(manual_dir), "no such folder")
    base = text.data_dir(task)
    if task.dataset == "vocabulary":
        return prepare_vocabulary(base, manual_dir)
    if catalogue.needs_no_preparation(task.dataset):
        raise ConfigError("--dataset", task.dataset, "needs no preparation; name it in task.dataset")
    tfds = _import_tfds()
    catalogue.require_known(task.dataset)
    folder = tfds_source.find(task.dataset, tfds_source.root(base, task.order))
    if folder is None:
        _make_folder(base)
        builder = tfds.builder(
            task.dataset, data_dir=tfds_source.root(base, task.order), file_format="array_record", try_gcs=False
        )
        if manual_dir is not None:
            recognise_files(builder, manual_dir)
        if task.order == "official":
            keep_order(builder)
        # TFDS names an extracted file after the packed one and takes one that is there for the same: MNIST and
        # Fashion-MNIST, whose files have the same names, would be mixed up. So each set gets a new folder.
        with _one_line(task.dataset), tempfile.TemporaryDirectory(dir=base, prefix=".extracted-") as extracted:
            downloads = tfds.download.DownloadConfig(manual_dir=manual_dir, extract_dir=extracted)
            builder.download_and_prepare(download_dir=base / "downloads", download_config=downloads)
        folder = tfds_source.find(task.dataset, tfds_source.root(base, task.order))
        assert folder is not None, "TFDS wrote elsewhere"
        with _one_line(task.dataset):
            sync_tree(folder)
            for above in itertools.takewhile(lambda parent: parent != base.parent, pathlib.Path(folder).parents):
                sync(above)
    info = tfds_source.describe(task)
    if info.kind == "text":
        prepare_vocabulary(base, manual_dir)
    say(f"{task.dataset}: {info.train_size} training and {info.test_size} test examples ({info.kind}) in {folder}")
    return folder


def prepare_vocabulary(base: pathlib.Path, manual_dir: pathlib.Path | None = None) -> pathlib.Path:
    """Put BERT's uncased WordPiece vocabulary into `base`, from a file at hand or by download; return its path."""
    target = base / text.VOCABULARY
    if target.exists() and sha256_of(target) == VOCABULARY_SHA256:
        return target
    _make_folder(base)
    at_hand = next((p for p in _files(manual_dir) if sha256_of(p) == VOCABULARY_SHA256), None)
    with _one_line("vocabulary"), replacing(target) as path:
        if at_hand is not None:
            shutil.copyfile(at_hand, path)
        else:
            say(f"downloading {VOCABULARY_URL}")
            with urllib.request.urlopen(VOCABULARY_URL, timeout=TIMEOUT) as answer:
                path.write_bytes(answer.read())
        found = sha256_of(path)
        if found != VOCABULARY_SHA256:
            raise StoreError(f"{VOCABULARY_URL}: sha256 {found} is not {VOCABULARY_SHA256}")
    say(f"vocabulary: {target}")
    return target


def recognise_files(builder: Any, manual_dir: pathlib.Path) -> None:
    """Let TFDS find those files in `manual_dir` whose checksum it knows; it looks for names, and knows few of them.

    Raises:
      ConfigError: a file has the name of one that is needed, but another checksum; or none of them is needed.
    """
    sizes = {path: path.stat().st_size for path in _files(manual_dir)}
    recognised = 0
    for url, known in builder.url_infos.items():
        name = known.filename or url.rpartition("/")[2]
        same = [p for p, size in sizes.items() if size == known.size and sha256_of(p) == known.checksum]
        if same:
            builder.url_infos[url] = dataclasses.replace(known, filename=same[0].name)
            recognised += 1
        elif (manual_dir / name).is_file():
            found = sha256_of(manual_dir / name)
            message = f"sha256 {found} is not {known.checksum}, the checksum that TFDS knows for {url}"
            raise ConfigError("--manual_dir", str(manual_dir / name), message)
    if builder.url_infos and not recognised:
        wanted = ", ".join(known.filename or url.rpartition("/")[2] for url, known in builder.url_infos.items())
        raise ConfigError("--manual_dir", str(manual_dir), f"holds none of the files of {builder.name}: {wanted}")


def keep_order(builder: Any) -> None:
    """Make TFDS write the examples in the order in which the builder reads them from the files of the data set."""
    builder.info.as_proto.disable_shuffling = True
    generate = builder._generate_examples

    def numbered(*arguments: Any, **named: Any) -> Iterator[tuple[int, Any]]:
        # TFDS sorts by key, so a key that is no number would sort otherwise.
        return ((number, example) for number, (_, example) in enumerate(generate(*arguments, **named)))

    builder._generate_examples = numbered


def sha256_of(path: pathlib.Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _files(folder: pathlib.Path | None) -> list[pathlib.Path]:
    return sorted(path for path in folder.iterdir() if path.is_file()) if folder else []


def _make_folder(base: pathlib.Path) -> None:
    try:
        make_folder(base)
    except OSError as error:
        raise ConfigError("--data_dir", str(base), f"cannot be made a folder: {error.strerror}") from None


def _import_tfds() -> Any:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        import importlib_resources  # noqa: F401
        import tensorflow  # noqa: F401
        import tensorflow_datasets as tfds
    except ImportError as error:
        message = f"needs {error.name}: pip install 'collapse-jax[prepare]'"
        raise ConfigError("command", "prepare", message) from None
    return tfds


@contextlib.contextmanager
def _one_line(name: str) -> Iterator[None]:
    """Translate whatever downloading and preparing raise."""
    try:
        yield
    except CollapseError:
        raise
    except Exception as error:  # TFDS raises errors of many libraries
        message = " ".join(str(error).split())[:400]
        raise StoreError(
            f"{name}: could not be prepared: {type(error).__name__}: {message}; files at hand: --manual_dir=DIR"
        ) from None
