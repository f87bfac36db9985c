"""What the random numbers of a run are drawn for."""

import enum


class Purpose(enum.IntEnum):
    """Purpose of a random key of a run, `h.key(purpose)`.

    A purpose draws numbers of its own, so that one more of them leaves the others as they are. The values bind the
    bits of every sweep: never change one, append. From 100 on they belong to tasks outside the package.
    """

    INIT = 0
    BATCHES = 1
    LABELS = 2
    LOCAL_HEADS = 3
    WEIGHT_NOISE = 4
    SPLIT = 5
    AUGMENTATION = 6
    EXAMPLES = 7
    TEST_EXAMPLES = 8
    PRUNING = 9
    DRAW = 10
    DROPOUT = 11
