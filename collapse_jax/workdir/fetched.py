"""Published results behind an https URL: downloaded once, verified, kept in the cache folder."""

import http.client
import os
import pathlib
import urllib.error
import urllib.parse
import urllib.request

from collapse_jax.errors import StoreError, WorkdirError, first_line
from collapse_jax.system import checksums, runtime
from collapse_jax.system.files import make_folder, replacing

RESULTS = "results.nc"
TIMEOUT = 60.0  # seconds without any byte


def fetch(url: str) -> pathlib.Path:
    """Download published results, unless they are in the cache already, and return their file.

    Of a folder that `publish` wrote its checksums are downloaded each time, the results where no file with their
    sum is in the cache. A file of NetCDF has its own checksum, which reading it verifies.

    Args:
      url: of such a folder, or of a file that ends in .nc.

    Raises:
      WorkdirError: there is no such folder.
      StoreError: it cannot be downloaded.
      DamagedError: what came is not what the checksums say; nothing of it is kept.
    """
    if urllib.parse.urlsplit(url).path.endswith(".nc"):
        content = _download(url)
        return _kept(content, checksums.sha256(content))
    sums = checksums.read_sums(_download(_below(url, checksums.SUMS)).decode("utf-8", "replace"), url)
    known = _place(sums[RESULTS]) if RESULTS in sums else None
    if known and known.is_file() and checksums.sha256(known.read_bytes()) == sums[RESULTS]:
        return known
    content = _download(_below(url, RESULTS))
    checksums.verify(content, RESULTS, sums, url)
    return _kept(content, sums[RESULTS])


def _below(url: str, name: str) -> str:
    """Return the address of a file in a folder; what follows the path of an address stays behind it."""
    parts = urllib.parse.urlsplit(url)
    return urllib.parse.urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{name}"))


def _download(url: str) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT) as answer:
            return bytes(answer.read())
    except urllib.error.HTTPError as error:
        kind = WorkdirError if error.code in (404, 410) else StoreError
        raise kind(f"{url}: not there ({error.code} {error.reason})") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise StoreError(f"{url} cannot be downloaded: {first_line(_as_error(reason))}") from None


def _as_error(reason: object) -> BaseException:
    return reason if isinstance(reason, BaseException) else OSError(str(reason))


def _place(digest: str) -> pathlib.Path:
    # Beside the folders of compiled programs, which are named after the kind of machine: results are not.
    return runtime.cache_directory().parent / "published" / digest / RESULTS


def _kept(content: bytes, digest: str) -> pathlib.Path:
    path = _place(digest)
    make_folder(path.parent)
    with replacing(path) as temporary:
        temporary.write_bytes(content)
    return pathlib.Path(os.fspath(path))
