"""The command line: `collapse-jax train|measure|merge|plot|report|show|verify|bench|plan|prepare`, or as below.

    python -m collapse_jax train --config=configs/quickstart.py --workdir=runs/quickstart
    python -m collapse_jax measure --workdir=runs/quickstart --measures=nhsic,mutual_information
    python -m collapse_jax show --workdir=runs/quickstart
    python -m collapse_jax plot --workdir=runs/quickstart
    python -m collapse_jax report --workdir=runs/quickstart
    python -m collapse_jax verify --workdir=runs/quickstart
    python -m collapse_jax bench --config=configs/quickstart.py
    python -m collapse_jax plan --config=configs/quickstart.py --target=tpu-v5e:2x2
    python -m collapse_jax train --config=configs/quickstart.py --workdir=runs/parts --shard=0/4
    python -m collapse_jax merge --workdir=runs/parts
    python -m collapse_jax prepare --dataset=fashion_mnist

Exit codes: 0 done, 75 preempted and saved (the same command continues), 2 bad configuration or workdir, 3 storage
failed (the last checkpoint is good) or, for measure, a snapshot is damaged, 1 a bug; 128 + n stopped at once by
signal n.
"""

import errno
import os
import sys

from collapse_jax.cli.commands import COMMANDS
from collapse_jax.cli.parse import flags_help, parse
from collapse_jax.errors import CollapseError, StoreError, is_storage_error
from collapse_jax.system import signals

INTERRUPTED = 130
READER_GONE = 141


def main(argv: list[str] | None = None) -> int:
    """Run one command; errors that a user can cause are one line on stderr."""
    argv = sys.argv[1:] if argv is None else argv
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(__doc__.strip())
        return 0 if argv else 2
    try:
        if argv[0] in COMMANDS and any(word in ("-h", "--help") for word in argv[1:]):
            print(flags_help(argv[0]))
            return 0
        with signals.listening(owns_process=True):
            options = parse(argv)
            COMMANDS[argv[0]].function(options)
            sys.stdout.flush()
    except CollapseError as error:
        print(f"collapse-jax: {' '.join(str(error).split())}", file=sys.stderr)
        return error.code
    except BrokenPipeError:  # the reader of a pipe, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return READER_GONE
    except OSError as error:
        if not is_storage_error(error) and error.errno not in (errno.EROFS, errno.EACCES):
            raise
        print(f"collapse-jax: {error.filename or 'storage'}: {error.strerror}", file=sys.stderr)
        return StoreError.code
    except KeyboardInterrupt:
        print("collapse-jax: interrupted; the same command continues", file=sys.stderr)
        return INTERRUPTED
    return 0


if __name__ == "__main__":
    sys.exit(main())
