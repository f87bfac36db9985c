"""O-information against the package hoi, on its own ground and in a layer of 250 neurons.

    python -m benchmarks.synergy_opponent > benchmarks/results/synergy_opponent.txt

Ten variables, orders 2 to 10 (1013 sets), 3763 examples, hoi with one compiled program per order, warm; in turn.
Then the whole search of one snapshot of 250 neurons: ranks, clusters, 1013 unions. hoi has no unions of clusters.
"""

import time

import numpy as np
from hoi.metrics import Oinfo
from threadpoolctl import threadpool_limits

from benchmarks.interleave import interleave
from collapse_jax.measures.estimators.copula import copula_correlation
from collapse_jax.measures.estimators.o_information import unions
from collapse_jax.measures.families.synergy_host import found

EXAMPLES, VARIABLES, NEURONS = 3763, 10, 250


def main() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(EXAMPLES, VARIABLES)) @ (np.eye(VARIABLES) + 0.3 * rng.normal(size=(VARIABLES, VARIABLES)))
    theirs = Oinfo(x, verbose=False)
    values: dict[str, np.ndarray] = {}

    def ours_once() -> None:
        r = copula_correlation(x, "ordinal", rng)
        values["ours"] = unions(r, np.arange(VARIABLES), examples=EXAMPLES).values

    def hoi_once() -> None:
        fitted = theirs.fit(minsize=2, maxsize=VARIABLES, method="gc", biascorrect=True)
        values["hoi"] = np.asarray(fitted).ravel()

    compared = interleave({"collapse_jax": ours_once, "hoi 0.0.7": hoi_once}, repeats=5)
    print(compared.table(f"{len(values['hoi'])} sets of {VARIABLES} variables"))
    print(f"largest difference: {np.abs(values['ours'] - values['hoi']).max():.1e} bits\n")
    activations = np.maximum(rng.normal(size=(EXAMPLES, NEURONS)) @ rng.normal(size=(NEURONS, NEURONS)) / 16, 0)

    def cpu_seconds() -> float:
        with threadpool_limits(1, "blas"):
            began = time.process_time()
            found({"activations": activations}, permutations=0)
            return time.process_time() - began

    searched = interleave({"CPU time of the search": cpu_seconds}, repeats=5)
    print(searched.table(f"1013 unions of {NEURONS} neurons"))


if __name__ == "__main__":
    main()
