"""Where the cheat sheet's package and catalogue are, and processes of one session."""

from __future__ import annotations

import os
from pathlib import Path
from typing import List

_SOURCES = Path(__file__).resolve().parents[2] / "src"
PACKAGE = _SOURCES / "python" / "cheatsheet" / "conbench_cheatsheet"
CATALOGUE = _SOURCES / "cheatsheet" / "catalogue" / "python.toml"


def processes_of(session: int) -> List[str]:
    """The processes that are alive in a session, each with its name."""
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            text = Path(f"/proc/{entry}/stat").read_text(errors="replace")
        except OSError:
            continue  # It ended meanwhile.
        # "pid (name) state parent group session ..", where a name may hold anything.
        name, _, rest = text.partition("(")[2].rpartition(")")
        fields = rest.split()
        if int(fields[3]) == session and fields[0] != "Z":
            found.append(f"{entry} {name}")
    return found
