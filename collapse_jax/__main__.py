"""The command line: `python -m collapse_jax train|plot|show|bench|prepare`, or `collapse-jax`.

    python -m collapse_jax train --config=configs/quickstart.py --workdir=runs/quickstart
    python -m collapse_jax show --workdir=runs/quickstart
    python -m collapse_jax plot --workdir=runs/quickstart
    python -m collapse_jax bench --config=configs/quickstart.py
    python -m collapse_jax prepare --dataset=fashion_mnist

Exit codes: 0 done, 2 bad configuration or workdir, 3 storage failed, 1 a bug.
"""

import sys

from collapse_jax.cli import COMMANDS, parse
from collapse_jax.errors import CollapseError

INTERRUPTED = 130


def main(argv: list[str] | None = None) -> int:
    """Run one command; errors that a user can cause are one line on stderr."""
    argv = sys.argv[1:] if argv is None else argv
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(__doc__.strip())
        return 0 if argv else 2
    try:
        options = parse(argv)
        COMMANDS[argv[0]].function(options)
    except CollapseError as error:
        print(f"collapse-jax: {' '.join(str(error).split())}", file=sys.stderr)
        return error.code
    except KeyboardInterrupt:
        print("collapse-jax: interrupted; the same command continues", file=sys.stderr)
        return INTERRUPTED
    return 0


if __name__ == "__main__":
    sys.exit(main())
