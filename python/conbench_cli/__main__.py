"""`python -m conbench_cli ..` is the program `conbench ..`: its output, its exit codes, its signals."""

from __future__ import annotations

import os
import signal
import sys

from .errors import ProgramNotFound
from .program import find


def main() -> None:
    """Becomes the program."""
    try:
        program = find()
        # What Python ignores, a program that is started by a shell does not.
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        os.execv(program, [program, *sys.argv[1:]])
    except (ProgramNotFound, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        # What a shell says of a program that is not there.
        sys.exit(127)


if __name__ == "__main__":
    main()
