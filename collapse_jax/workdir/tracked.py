"""The name of a workdir in tracking libraries: drawn once, and kept in it, so that it survives kills and moves."""

import json
import os
import secrets

from etils import epath

from collapse_jax.errors import WorkdirError
from collapse_jax.system.files import SUFFIX, is_remote, is_there, replacing, storing

FILE = "tracking.json"


def sweep_id(workdir: epath.Path) -> str:
    """Return the name of a workdir, 8 hexadecimal digits; of several processes that ask first, one draws it.

    Raises:
      WorkdirError: the file that holds it is damaged.
      StoreError: it cannot be written.
    """
    path = workdir / FILE
    if not is_there(path):
        _write_first(path, json.dumps({"sweep": secrets.token_hex(4)}) + "\n")
    with storing(path, "read"):
        content = path.read_text()
    try:
        return str(json.loads(content)["sweep"])
    except (ValueError, KeyError, TypeError):
        raise WorkdirError(f"workdir={workdir}: {FILE} is damaged; without it, records begin anew") from None


def _write_first(path: epath.Path, text: str) -> None:
    """Write a file, whole, unless another process is faster; an object store knows no such thing, the last wins."""
    if is_remote(path):
        with storing(path):
            path.write_text(text)
        return
    # Two machines may have processes of the same number. It is removed as other left-overs are.
    own = path.with_name(f".{FILE}.{secrets.token_hex(4)}.{os.getpid()}{SUFFIX}")
    with storing(path):
        own.write_text(text)
        try:
            os.link(own, path)
        except FileExistsError:
            pass
        except OSError:  # a file system without links
            with replacing(path) as temporary:
                temporary.write_text(text)
        finally:
            own.unlink(missing_ok=True)
