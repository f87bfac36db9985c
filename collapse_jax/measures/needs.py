"""What a snapshot holds, against what a measure needs."""

from collections.abc import Collection

from collapse_jax.measures.base import NEEDS, Measure, Snapshot


def held(snapshot: Snapshot) -> tuple[str, ...]:
    """Return the parts, of `NEEDS`, that a snapshot of arrays or of their shapes holds."""
    probes, head, parameters = snapshot.probes, snapshot.head_kernel is not None, snapshot.params is not None
    there = {
        "probe": bool(probes),
        "train": "train" in probes,
        "test": "test" in probes,
        "head": head,
        "parameters": parameters,
        "weights": head or parameters,
        "layers": any(probe.layers is not None for probe in probes.values()),
        "ood": snapshot.ood is not None,
    }
    return tuple(part for part in NEEDS if there[part])


def lacking(measure: Measure, there: Collection[str], split: str | None = None) -> str | None:
    """Return the first part that a measure (of the probe `split`, if that is one) needs and that is not there."""
    probe = split if split in ("train", "test") else "probe"
    needs = (probe if part == "probe" else part for part in measure.needs)
    return next((part for part in needs if part not in there), None)


def why_not_in_line(measure: Measure, dtype: str) -> str | None:
    """Say why a measure cannot be taken while a sweep of type `dtype` trains; None if it can."""
    later = "take it of stored snapshots, with `measure"
    if "ood" in measure.needs:
        return f"needs examples from outside the distribution; {later} --ood=FILE.npz`"
    if measure.finish:
        return f"ends on the host, which training does not wait for; {later}`"
    if measure.dtype not in ("", dtype):
        return f"is taken in {measure.dtype}, the sweep is {dtype}; {later}`"
    return None
