"""The Python agent of conbench: `python3 main.py`. See `conbench_agent/agent.py`."""

import os
import sys

# This file must stay readable by interpreters as old as Python 2.7, so that they say why they are refused.
if __name__ == "__main__":
    if sys.version_info < (3, 9):
        sys.stderr.write("conbench needs CPython 3.9 or later, this is %d.%d.%d\n" % sys.version_info[:3])
        sys.exit(3)
    # Python puts this folder there by itself, unless PYTHONSAFEPATH forbids it.
    if os.path.dirname(os.path.abspath(__file__)) not in sys.path:
        sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    from conbench_agent.agent import main

    main(sys.argv[1:])
elif __name__ == "__mp_main__" and os.environ.get("CONBENCH_NEEDS"):
    # A worker that a program spawns has the program's own names here, before it is handed anything.
    globals().update(__import__("conbench_callers_main").NAMES)
