"""The program as a process of its own: what it says while it runs, and Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from typing import Dict, List, NamedTuple, Sequence

_WARNING = "warning: "
_ERROR = "error: "
#: How long it may take to end its agents when it is told to.
_GRACE_S = 10.0


class Ended(NamedTuple):
    """How the program ended."""

    #: Its exit code; negative for a signal that killed it.
    code: int
    #: What it printed: the table.
    table: str
    #: What it warned of.
    warnings: List[str]
    #: Its errors, without the word.
    message: str
    #: Whether Ctrl-C ended it.
    is_interrupted: bool


def run(command: Sequence[str], environment: Dict[str, str], shows_progress: bool) -> Ended:
    """Runs the program to its end. The first Ctrl-C ends its session in order, with the best answer so far.

    The second one ends it at once, and is raised.
    """
    if shows_progress:
        command = [*command, "--progress=plain"]
    # A file takes what it prints, so that nobody has to read two pipes at once.
    with tempfile.TemporaryFile() as table:
        process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=table,
            stderr=subprocess.PIPE,
            # Ctrl-C at a terminal is for this process alone, which passes it on once.
            start_new_session=True,
        )
        listener = _Listener(process, shows_progress)
        try:
            listener.listen()
        finally:
            listener.end()
        table.seek(0)
        text = table.read().decode("utf-8", "replace")
    return Ended(process.returncode, text, listener.warnings, listener.message(), listener.is_interrupted)


class _Listener:
    """Reads what the program says on standard error."""

    def __init__(self, process: subprocess.Popen[bytes], shows_progress: bool) -> None:
        self._process = process
        self._line = _Line() if shows_progress else None
        self._rest = b""
        self._errors: List[str] = []
        self.warnings: List[str] = []
        self.is_interrupted = False

    def listen(self) -> None:
        """Until the program ends."""
        while True:
            try:
                while self._hear():
                    pass
                self._process.wait()
                return
            except KeyboardInterrupt:
                self._process.send_signal(signal.SIGINT)
                if self.is_interrupted:
                    raise
                self.is_interrupted = True

    def end(self) -> None:
        """Ends the program if it still runs, and takes the line of progress away."""
        if self._line is not None:
            self._line.clear()
        if self._process.poll() is None:
            # The second signal, if there was one before: it ends at once, and its guard sees to its agents.
            self._process.terminate()
            try:
                self._process.wait(_GRACE_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._process.stderr is not None:
            self._process.stderr.close()

    def message(self) -> str:
        """Its errors; without what it says of its own command line."""
        text = "\n".join(self._errors)
        return text.partition("\n\nUsage:")[0].partition("\n\nFor more information")[0].strip()

    def _hear(self) -> bool:
        """Takes what comes next; False at the end."""
        if self._process.stderr is None:
            return False
        data = os.read(self._process.stderr.fileno(), 1 << 16)
        *lines, self._rest = (self._rest + data).split(b"\n")
        if not data and self._rest:
            lines, self._rest = [self._rest], b""
        for line in lines:
            self._take(line.decode("utf-8", "replace"))
        return bool(data)

    def _take(self, line: str) -> None:
        if line.startswith(_WARNING):
            self.warnings.append(line[len(_WARNING) :])
        elif line.startswith(_ERROR):
            self._errors.append(line[len(_ERROR) :])
        elif self._errors or not self._line:
            # An error of several lines.
            self._errors.append(line)
        else:
            self._line.show(line)


class _Line:
    """One line on standard error, written over and over. A notebook's output knows the carriage return, too."""

    def __init__(self) -> None:
        self._stream = sys.stderr
        self._length = 0

    def show(self, text: str) -> None:
        """Shows this in the place of what is there."""
        text = text[: self._columns() - 1]
        self._write("\r" + text.ljust(self._length))
        self._length = len(text)

    def clear(self) -> None:
        """Takes it away."""
        if self._length:
            self._write("\r" + " " * self._length + "\r")
            self._length = 0

    def _columns(self) -> int:
        try:
            return max(os.get_terminal_size(self._stream.fileno()).columns, 20)
        except (OSError, ValueError, AttributeError):
            return 100

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError, AttributeError):
            # Nobody looks any more.
            self._length = 0
