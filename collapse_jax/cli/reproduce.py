"""The command `reproduce`."""

import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from collapse_jax.cli.base import Command, Flag, Options
from collapse_jax.errors import require, require_one_of
from collapse_jax.system import runtime
from collapse_jax.system.paths import local_path

if TYPE_CHECKING:
    from collapse_jax.publishing.claims import Verdict

FORMATS = ("text", "json")


def run(options: Options) -> None:
    """Compute the numbers of the documentation again from its results, or train one of its experiments again."""
    flags = options.flags
    require_one_of("--format", flags.format, FORMATS)
    require(not (flags.only and flags.train), "--only", flags.only, "goes without --train")
    require(bool(flags.train) or not flags.into, "--into", flags.into, "goes with --train only")
    root = local_path("--root", flags.root)
    (_train if flags.train else _recompute)(root, options)


def _recompute(root: pathlib.Path, options: Options) -> None:
    from collapse_jax.publishing import claims, coverage, pages  # these import xarray

    only, verdicts = options.flags.only, []
    for verdict in claims.check(root, only):
        verdicts.append(verdict)
        if options.flags.format == "text":
            print(_text(verdict), flush=True)
    texts = [verdict.claimed for verdict in verdicts]
    found = [] if only else [one for page in pages.pages_of(root) for one in coverage.numbers_of(page, texts)]
    bare = [one for one in found if one.kind == "bare"]
    different = [verdict for verdict in verdicts if not verdict.equal]
    if options.flags.format == "json":
        print(json.dumps([vars(verdict) | {"equal": verdict.equal} for verdict in verdicts], indent=1))
    else:
        for one in bare:
            print(f"BARE       {one.page}: ... {one.context} ...")
        print(f"\n{_equal(verdicts)}", *([_whence(coverage.count(found))] if found else []), sep="\n")
    if different or bare:
        raise claims.ClaimError(
            f"{len(different)} of {len(verdicts)} claims are not what the results say, "
            f"{len(bare)} numbers name nothing that makes them"
        )


def _text(verdict: "Verdict") -> str:
    if verdict.equal:
        return f"equal      {verdict.name} ({verdict.page}): {verdict.claimed}"
    said = f"claimed    {verdict.claimed}" if verdict.claimed else "claimed    no page says so"
    return f"DIFFERENT  {verdict.name} ({verdict.page or 'no page'})\n  {said}\n  recomputed {verdict.recomputed}"


def _equal(verdicts: Sequence["Verdict"]) -> str:
    equal = sum(verdict.equal for verdict in verdicts)
    return f"{equal} of {len(verdicts)} claims are equal to what the shipped results say."


def _whence(counted: Mapping[str, int]) -> str:
    return (
        f"Of {sum(counted.values())} numbers in README.md and docs {counted['derived']} stand in these, "
        f"{counted['setting']} are settings or what papers say, "
        f"{counted['named']} stand beside the command or file that makes them, {counted['bare']} beside nothing."
    )


def _train(root: pathlib.Path, options: Options) -> None:
    runtime.start(training=True)
    import tempfile

    from collapse_jax.publishing import claims, retrain  # these import jax

    with tempfile.TemporaryDirectory() as temporary:
        workdir = local_path("--into", options.flags.into or temporary)
        compared = retrain.retrain(root, options.flags.train, workdir)
    outside = [one for one in compared if not one.inside]
    if options.flags.format == "json":
        print(json.dumps([vars(one) | {"inside": one.inside} for one in compared], indent=1))
    else:
        for one in compared:
            setting = ", ".join(f"{name} {value}" for name, value in one.setting.items())
            found = f"shipped {one.shipped:.5g}, band {one.low:.5g} to {one.high:.5g}, again {one.again:.5g}"
            print(f"{'inside ' if one.inside else 'OUTSIDE'} {setting}: {one.quantity}: {found}")
        print(f"{len(compared) - len(outside)} of {len(compared)} means lie in the band of the shipped seeds")
    if outside:
        raise claims.ClaimError(
            f"{len(outside)} of {len(compared)} means lie outside the band of the shipped seeds"
        )


COMMAND = Command(
    run,
    "compute the numbers of README.md and docs again from the results that ship with them",
    "--only=mnist_mlp",
    needs_workdir=False,
    flags={
        "root": Flag("a checkout of the repository", "."),
        "only": Flag("claims of one file or function of docs/claims, FILE or FILE.FUNCTION; all"),
        "format": Flag("text or json", "text"),
        "train": Flag("train one shipped experiment again, such as theory_mlp, and compare within its band"),
        "into": Flag("with --train: the folder to train in, and to continue in; a temporary one"),
    },
)
