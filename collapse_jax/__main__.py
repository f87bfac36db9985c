"""The command line: `collapse-jax COMMAND`, or `python -m collapse_jax COMMAND`; without one it lists them.

Exit codes: 0 done, 75 preempted and saved (the same command continues), 2 bad configuration or workdir, 3 storage
failed (the last checkpoint is good) or, for measure, a snapshot is damaged, 4 a measure misses its right value
(conformance), 1 a number of the documentation is not what its results say (reproduce), or a bug; 128 + n stopped at
once by signal n.
"""

import errno
import os
import sys

from collapse_jax.cli.commands import COMMANDS
from collapse_jax.cli.parse import flags_help, parse
from collapse_jax.errors import CollapseError, StoreError, is_storage_error
from collapse_jax.system import signals
from collapse_jax.system.progress import tell

INTERRUPTED = 130
READER_GONE = 141


def usage() -> str:
    """List the commands, a typical call of each, and the exit codes."""
    lines = [f"  {name:11}  {command.help}\n               {command.example}" for name, command in COMMANDS.items()]
    codes = (__doc__ or "").partition("\n\n")[2].strip()
    return "\n".join([f"collapse-jax {'|'.join(COMMANDS)}", "", *lines, "", codes])


def main(argv: list[str] | None = None) -> int:
    """Run one command; errors that a user can cause are one line on stderr."""
    _open_standard_streams()
    argv = sys.argv[1:] if argv is None else argv
    try:
        if not argv or argv[0] in ("-h", "--help", "help"):
            print(usage(), flush=True)
            return 0 if argv else 2
        if argv[0] in COMMANDS and any(word in ("-h", "--help") for word in argv[1:]):
            print(flags_help(argv[0]), flush=True)
            return 0
        with signals.listening(owns_process=True):
            options = parse(argv)
            COMMANDS[argv[0]].function(options)
            sys.stdout.flush()
    except CollapseError as error:
        tell(f"collapse-jax: {' '.join(str(error).split())}")
        return error.code
    except BrokenPipeError:  # the reader of a pipe, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return READER_GONE
    except OSError as error:
        if not is_storage_error(error) and error.errno not in (errno.EROFS, errno.EACCES):
            raise
        tell(f"collapse-jax: {error.filename or 'storage'}: {error.strerror}")
        return StoreError.code
    except KeyboardInterrupt:
        tell("collapse-jax: interrupted; the same command continues")
        return INTERRUPTED
    return 0


def _open_standard_streams() -> None:
    """Give closed standard streams a place: else the first file opened gets their number, and XLA's messages."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free


if __name__ == "__main__":
    sys.exit(main())
