"""What an executor of the user's is, told by what it does: where it runs tasks, and how many at once."""

from __future__ import annotations

import threading
from concurrent.futures import Executor, Future
from typing import Any, Callable, Dict, List, Optional, Sequence, Set

from ..bounded import at_most
from ..protocol import Failure, Probe
from .gathering import Gathering, Seen, attend, failure_of, here, look
from .own_factory import Factory

#: How long a task may take to begin and to come back, and an executor to shut down.
PATIENCE_S = 10.0
#: How long a factory may take: it may start what its workers are on.
BUILD_S = 30.0
#: After as many tasks as there should be, further ones are looked for so long.
_MORE_S = 0.2
#: An executor that runs so many tasks at once where it was asked for fewer has no bound.
_MOST = 32


def probe(request: Probe) -> Dict[str, object]:
    """The body of `probed`. Failure says what is wrong with the factory, or with what it builds."""
    factory = Factory(request.factory, request.path)
    gathering = Gathering()
    try:
        of_one = _Trial(factory, gathering, 1)
        of_one.look()
        body: Dict[str, object] = {"is_context": of_one.is_context}
        if of_one.host is not None:
            of_one.end()
            return {**body, "model": "processes", "host": of_one.host}
        alone = of_one.count()
        of_one.end()
        of_two = _Trial(factory, gathering, 2)
        both = of_two.count()
        of_two.end()
    finally:
        gathering.close()
    body["model"] = _model(factory.name, of_one.pids | of_two.pids)
    if (alone, both) != (1, 2):
        body["fixed_workers"] = _fixed(factory.name, alone, both)
    return body


class _Trial:
    """An executor that was asked for so many workers."""

    def __init__(self, factory: Factory, gathering: Gathering, workers: int) -> None:
        """Builds it."""
        self._name = factory.name
        self._gathering = gathering
        self._workers = workers
        self._executor: Executor = _build(factory, workers)
        self.pids: Set[int] = set()
        #: Where it runs tasks, if not on this host.
        self.host: Optional[str] = None
        self.is_context = hasattr(self._executor, "__enter__") and hasattr(self._executor, "__exit__")

    def look(self) -> None:
        """Has it run one task."""
        submitter: List[Seen] = []

        def submit() -> Sequence[Future[Any]]:
            submitter.append(here())
            return [self._executor.submit(look)]

        [future] = self._within("submit", submit)
        _check_future(self._name, future)
        try:
            told = future.result(PATIENCE_S)
        except BaseException as error:
            if isinstance(error, TimeoutError) or type(error).__name__ == "TimeoutError":
                self._fail(f"did not hand back a task within {PATIENCE_S:g} s: it hangs, or loses what it is given")
            raise failure_of(self._name, error) from error
        if not isinstance(told, (tuple, list)) or len(told) != len(Seen._fields):
            self._fail(f"gave an executor whose futures give {type(told).__name__}, not what the task returned")
        seen = Seen(*told)
        if seen == submitter[0]:
            self._fail("runs a task within `submit`: that is a plain loop, which is measured as `sequential`")
        self.pids.add(seen.pid)
        if seen.host != submitter[0].host:
            self.host = seen.host

    def count(self) -> int:
        """How many tasks it runs at once."""
        at_once = self._hold(self._workers + 1, self._workers)
        return at_once if at_once <= self._workers else self._hold(_MOST + 1, _MOST + 1)

    def end(self) -> None:
        """Shuts it down."""
        self._within("shutdown", self._executor.shutdown)

    def _hold(self, calls: int, expected: int) -> int:
        def submit() -> Sequence[Future[Any]]:
            return [self._executor.submit(attend, self._gathering.address) for _ in range(calls)]

        try:
            places = self._gathering.hold(self._within("submit", submit), expected, _MORE_S, PATIENCE_S)
        except Failure:
            raise
        except BaseException as error:
            raise failure_of(self._name, error) from error
        if not places:
            self._fail(f"did not run a task within {PATIENCE_S:g} s: it hangs, or loses what it is given")
        self.pids |= {pid for pid, _ in places}
        return len(places)

    def _within(self, method: str, call: Callable[[], Any]) -> Any:
        """Calls a method in a thread of its own, which need not come back."""
        returned: List[Any] = []
        raised: List[BaseException] = []

        def do() -> None:
            try:
                returned.append(call())
            except BaseException as error:
                raised.append(error)

        thread = threading.Thread(target=do, name="conbench-probe", daemon=True)
        thread.start()
        thread.join(PATIENCE_S)
        if raised:
            error = raised[0]
            if isinstance(error, Failure):
                raise error
            self._fail(f"gave an executor whose `{method}` raised {type(error).__name__}: {error}")
        if not returned:
            self._fail(f"gave an executor whose `{method}` does not come back within {PATIENCE_S:g} s")
        return returned[0]

    def _fail(self, what: str) -> None:
        raise Failure("setup", f"`{self._name}` {what}") from None


def _build(factory: Factory, workers: int) -> Executor:
    """Builds an executor in this thread, in which candidates have it built, too; Failure if that takes too long."""
    late = f"`{factory.name}` did not give an executor within {BUILD_S:g} s: it hangs, or waits for what is not there"
    with at_most(BUILD_S, Failure("setup", late)):
        return factory.build(workers)


def _check_future(name: str, future: object) -> None:
    methods = ("result", "done", "add_done_callback")
    missing = [method for method in methods if not callable(getattr(future, method, None))]
    if missing:
        raise Failure(
            "setup",
            f"`{name}` gave an executor whose `submit` returns a value of type {type(future).__name__}, which has no "
            f"`{missing[0]}`: let it return what `concurrent.futures.Future` is like",
        )


def _model(name: str, pids: Set[int]) -> str:
    here_pid = here().pid
    if here_pid not in pids:
        return "processes"
    if len(pids) > 1:
        raise Failure("setup", f"`{name}` runs some tasks in its own process and some in others: one model is measured")
    return "threads"


def _fixed(name: str, alone: int, both: int) -> int:
    """The tasks that an executor runs at once whatever it is asked for; Failure if it is no one number."""
    if alone == both and alone <= _MOST:
        return alone
    if alone > _MOST:
        raise Failure("setup", f"`{name}` has no bound: asked for 1 worker, it runs {alone} tasks at once, and more")
    raise Failure(
        "setup",
        f"`{name}` does not heed the number of workers: asked for 1 it runs {_tasks(alone)} at once, asked for 2 it "
        f"runs {_tasks(both)}; let it run as many as it is asked for",
    )


def _tasks(count: int) -> str:
    return "1 task" if count == 1 else f"{count} tasks"
