"""Make tests/tasks/prepared: two small sets prepared by TFDS, so that reading them is tested without TensorFlow.

    python tests/tasks/make_prepared.py

Needs the extra `prepare`. Image i is [[3i, 3i+1], [3i+2, 255]] per pixel, its label i mod 3; text i is "word i".
"""

import pathlib
import shutil
import tempfile

import numpy as np
import tensorflow_datasets as tfds

from collapse_jax.tasks.prepare import keep_order

TARGET = pathlib.Path(__file__).parent / "prepared"
SIZES = {"train": 12, "test": 6}


class TinyImages(tfds.core.GeneratorBasedBuilder):
    """Twelve and six images of 2 x 2 pixels."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        features = {"image": tfds.features.Image(shape=(2, 2, 1)), "label": tfds.features.ClassLabel(num_classes=3)}
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager):
        return {split: self._generate_examples(size) for split, size in SIZES.items()}

    def _generate_examples(self, size):
        for i in range(size):
            image = np.array([3 * i, 3 * i + 1, 3 * i + 2, 255], np.uint8).reshape(2, 2, 1)
            # Keys that are no numbers sort differently from the order of the set.
            yield f"key {i}", {"image": image, "label": i % 3}


class TinyTexts(tfds.core.GeneratorBasedBuilder):
    """Twelve and six texts; those of the split "test" have no labels, as in GLUE."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        features = {"sentence": tfds.features.Text(), "label": tfds.features.ClassLabel(names=["no", "yes"])}
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager):
        return {split: self._generate_examples(split, size) for split, size in SIZES.items()}

    def _generate_examples(self, split, size):
        for i in range(size):
            yield f"key {i}", {"sentence": f"word {i}", "label": i % 2 if split == "train" else -1}


def main():
    """Prepare both in official order, and the images in TFDS order."""
    shutil.rmtree(TARGET, ignore_errors=True)
    for builder_class, orders in ((TinyImages, ("official", "tfds")), (TinyTexts, ("official",))):
        for order in orders:
            folder = TARGET / "official" if order == "official" else TARGET
            builder = builder_class(data_dir=folder, file_format="array_record")
            if order == "official":
                keep_order(builder)
            with tempfile.TemporaryDirectory() as downloads:
                builder.download_and_prepare(download_dir=downloads)


if __name__ == "__main__":
    main()
