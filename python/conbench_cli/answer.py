"""An answer: what to use, what it may cost, why, the code to paste, and the tool itself, ready to use."""

from __future__ import annotations

import html
import json
import os
import subprocess
import tempfile
from typing import TYPE_CHECKING, Any, Awaitable, Callable, Dict, NamedTuple, Optional, Tuple, cast

from .errors import NoAnswer, ProgramFailed

if TYPE_CHECKING:
    from .executors import Pool
    from .running import Ended

#: How high a notebook shows the page, in pixels.
_PAGE_HEIGHT = 560


class Asked(NamedTuple):
    """What was asked for, as the caller's process has it."""

    function: Optional[Callable[..., object]]
    async_function: Optional[Callable[..., Awaitable[object]]]
    setup: Optional[Callable[[], object]]
    teardown: Optional[Callable[[], object]]
    #: The program that answered.
    program: str
    #: How many items were drawn.
    items: int


class Answer:
    """What `recommend` gives. `print` shows what a terminal shows of it, and a notebook shows the page."""

    def __init__(self, record: Dict[str, Any], table: str, warnings: Tuple[str, ...], asked: Asked) -> None:
        """`recommend` makes it; `record` must hold an answer."""
        #: The record with its verdict, as its schema describes it: `conbench schema record`.
        self.record = record
        #: What the program warned of.
        self.warnings = warnings
        #: How many items were drawn and measured; 0 if the function takes none.
        self.items = asked.items
        self._asked = asked
        self._table = table
        self._only = record["records"][0]
        self._group = _answered(record)
        self._answer: Dict[str, Any] = self._group["answer"]
        runtime = self._group["runtime"]
        self._said: Dict[str, Any] = next(said for said in self._only["said"] if said["runtime"] == runtime)

    @classmethod
    def of(cls, record: Dict[str, Any], ended: Ended, asked: Asked) -> Optional[Answer]:
        """The answer of a record; None if it holds none."""
        if _answered(record) is None:
            return None
        return cls(record, ended.table.strip("\n"), tuple(ended.warnings), asked)

    @property
    def model(self) -> str:
        """The model: "sequential", "threads", "async", "processes", "interpreters", or a mix, "async+threads"."""
        return cast(str, self._answer["model"])

    @property
    def engine(self) -> str:
        """The tool: "ThreadPoolExecutor", "multiprocessing.Pool", "asyncio", "sequential", or a factory of yours .."""
        engine = self._answer["engine"]
        return cast(str, engine["own"]["factory"] if isinstance(engine, dict) else engine)

    @property
    def workers(self) -> Optional[int]:
        """Worker threads or processes; None for a tool without."""
        return cast(Optional[int], self._answer.get("workers"))

    @property
    def in_flight(self) -> Optional[int]:
        """Tasks in flight; None for a tool whose tasks in flight are its workers."""
        return cast(Optional[int], self._answer.get("in_flight"))

    @property
    def chunk(self) -> Optional[int]:
        """Tasks handed to a worker at once; None for a tool without chunks."""
        return cast(Optional[int], self._answer.get("chunk"))

    @property
    def start_method(self) -> Optional[str]:
        """How worker processes begin, "fork", "spawn" or "forkserver"; None for a tool without processes."""
        return cast(Optional[str], self._answer.get("start_method"))

    @property
    def may_cost(self) -> float:
        """Nothing that was tried is better by more than this ratio, with `confidence`: 0.03 is 3 %."""
        return float(self._answer["may_cost"])

    @property
    def confidence(self) -> float:
        """The confidence of `may_cost`: 0.95."""
        return float(self._answer["confidence"])

    @property
    def sureness(self) -> str:
        """In a word: "sure" if `may_cost` is within the tolerance, "likely" up to three times of it, else "rough"."""
        return cast(str, self._said["sureness"])

    @property
    def tried(self) -> int:
        """How many candidates were measured."""
        return int(self._answer["tried"])

    @property
    def why(self) -> str:
        """Why it is best: what was measured of the task and of the host."""
        return cast(str, self._said["why"])

    @property
    def conditions(self) -> Tuple[str, ...]:
        """What the answer depends on, or what would make it surer."""
        return tuple(self._said["conditions"])

    @property
    def code(self) -> str:
        """The code to paste."""
        return cast(str, self._said["code"])

    @property
    def environment(self) -> Dict[str, str]:
        """Variables to set before libraries are imported whose own threads would compete: OPENBLAS_NUM_THREADS .."""
        threads = self._answer.get("library_threads")
        return {} if threads is None else {name: str(threads) for name in self._answer.get("library_variables", [])}

    @property
    def is_interrupted(self) -> bool:
        """Whether Ctrl-C ended the session: then it is the best answer until then."""
        return bool(self._only["ending"] == "interrupted")

    @property
    def is_disturbed(self) -> bool:
        """Whether others took much of this host's CPU time meanwhile."""
        return bool(self._only["verdict"]["is_disturbed"])

    def executor(self) -> Pool:
        """The tool with its sizes: a context manager with `map(fn, items)`, whatever the tool is."""
        from .executors import pool

        return pool(self, self._asked)

    def html(self) -> str:
        """The page with charts: one HTML file that loads nothing and runs nothing, without the record in it."""
        with tempfile.TemporaryDirectory(prefix="conbench-py-") as directory:
            path = os.path.join(directory, "page.html")
            self._report("--as", "recommend", "--html", path, "--no-record")
            with open(path, encoding="utf-8") as file:
                return file.read()

    def __str__(self) -> str:
        return self._table

    def __repr__(self) -> str:
        sizes = [
            f"{name}={value!r}"
            for name in ("workers", "in_flight", "chunk", "start_method")
            if (value := getattr(self, name)) is not None
        ]
        return f"<Answer {', '.join([self.engine, *sizes, f'may_cost={self.may_cost:.3f}'])}>"

    def _repr_html_(self) -> str:
        page = html.escape(self.html(), quote=True)
        # Without rights: it needs none.
        return f'<iframe sandbox srcdoc="{page}" style="width: 100%; height: {_PAGE_HEIGHT}px; border: 0"></iframe>'

    def _report(self, *options: str) -> str:
        """What the program says of the record."""
        with tempfile.TemporaryDirectory(prefix="conbench-py-") as directory:
            path = os.path.join(directory, "record.json")
            with open(path, "x", encoding="utf-8") as file:
                json.dump(self.record, file)
            command = [self._asked.program, "report", path, *options]
            try:
                ran = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
            except OSError as error:
                raise ProgramFailed(f"the program that answered cannot be started any more: {error}") from None
        if ran.returncode != 0:
            raise ProgramFailed(ran.stderr.decode("utf-8", "replace").strip())
        return ran.stdout.decode("utf-8")


def no_answer(record: Optional[Dict[str, Any]], ended: Ended, asked: Asked) -> NoAnswer:
    """Why there is none, in the program's words: the failures, each once; else what it warned of."""
    table = ended.table.strip("\n") or None
    # cloudpickle leaves the place of what it pickles by value out.
    code = getattr(asked.function or asked.async_function, "__code__", None)
    reasons = [ended.message] if ended.message else []
    for candidate in [] if record is None else record["records"][0]["candidates"]:
        failed = candidate["failure"]
        if failed is not None:
            place = f"{failed['where']}: " if failed["where"] else ""
            reasons.append("\n".join([place + failed["message"], *failed.get("traceback", [])]))
    if not reasons and record is not None and record["records"][0]["ending"] == "budget_spent":
        reasons.append("the budget was spent before anything could be compared")
    if not reasons:
        reasons = ended.warnings
    text = "\n".join(dict.fromkeys(reasons)) or "nothing could be compared"
    if code is not None:
        text = text.replace("<dynamic-code>", code.co_filename)
    return NoAnswer(f"no answer: {text}", table)


def _answered(record: Dict[str, Any]) -> Any:
    """The group of the record's one runtime, if it has an answer."""
    groups = record["records"][0].get("verdict", {}).get("groups", []) if record["records"] else []
    return next((group for group in groups if group["answer"] is not None), None)
