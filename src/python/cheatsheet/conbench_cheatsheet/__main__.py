"""Started as `python3 <this folder> measure --seed N --items id,id` (`command.py`) or `start NAME` (`starting.py`)."""

import os
import sys

# This file must stay readable by interpreters as old as Python 2.7, so that they say why they are refused.
if __name__ == "__main__":
    if sys.version_info < (3, 9):
        sys.stderr.write("conbench needs CPython 3.9 or later, this is %d.%d.%d\n" % sys.version_info[:3])
        sys.exit(3)
    here = os.path.dirname(os.path.abspath(__file__))
    # Python puts this folder itself there, where no module of a program should be found; children get the same path.
    sys.path[:] = [os.path.dirname(here)] + [entry for entry in sys.path if os.path.abspath(entry) != here]
    if sys.argv[1:2] == ["start"]:
        # It imports as little as it can.
        from conbench_cheatsheet import children, starting

        try:
            sys.exit(starting.main(sys.argv[2]))
        finally:
            children.stop_helpers()
    from conbench_cheatsheet.command import main

    sys.exit(main(sys.argv[1:]))
