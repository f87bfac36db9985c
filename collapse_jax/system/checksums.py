"""SHA-256 of the files of a folder, in a file that `sha256sum -c` reads."""

import hashlib
import pathlib
import re

from collapse_jax.errors import DamagedError

SUMS = "SHA256SUMS"
_LINE = re.compile(r"([0-9a-f]{64})  (.+)")


def sha256(content: bytes) -> str:
    """Return the SHA-256 of some bytes in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def sums_of(folder: pathlib.Path) -> str:
    """Return a line for each file in a folder and below it, that of the sums themselves apart."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != SUMS)
    return "".join(f"{sha256(path.read_bytes())}  {path.relative_to(folder).as_posix()}\n" for path in files)


def read_sums(text: str, where: object) -> dict[str, str]:
    """Return the SHA-256 of each file that a file of sums names.

    Raises:
      DamagedError: it is none.
    """
    lines = [_LINE.fullmatch(line) for line in text.splitlines()]
    if not lines or None in lines:
        raise DamagedError(f"{where}: {SUMS} is no file of checksums")
    return {line[2]: line[1] for line in lines if line}


def verify(content: bytes, name: str, sums: dict[str, str], where: object) -> None:
    """Raise `DamagedError` unless some bytes have the sum of the file `name`."""
    if name not in sums:
        raise DamagedError(f"{where}: {SUMS} does not name {name}")
    if sha256(content) != sums[name]:
        raise DamagedError(f"{where}: {name} is not the file that {SUMS} names, its SHA-256 differs")
