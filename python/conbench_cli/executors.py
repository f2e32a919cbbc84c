"""The tools themselves, with the sizes of an answer: each is a context manager with `map`."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterable, Iterator, List, Optional, Tuple, Type, TypeVar

from .errors import BadInput, ConbenchError

if TYPE_CHECKING:
    from concurrent.futures import Executor
    from multiprocessing.connection import Connection

    from .answer import Answer, Asked

_Self = TypeVar("_Self", bound="Pool")
Function = Callable[..., Any]
#: One item of each iterable that `map` was given.
Arguments = Tuple[Any, ...]


class Pool:
    """A tool of an answer, ready to use. `with` it, and whatever it started is gone at the end."""

    def __init__(self, answer: Answer, asked: Asked) -> None:
        """Starts nothing yet."""
        #: The tool's name, as in `Answer.engine`.
        self.engine = answer.engine
        self._asked = asked
        self._workers = answer.workers or 1
        self._in_flight = answer.in_flight or 1
        self._chunk = answer.chunk or 1
        self._start_method = answer.start_method
        self._stack = ExitStack()

    def map(self, fn: Function, *iterables: Iterable[Any], chunksize: Optional[int] = None) -> Iterator[Any]:
        """Calls `fn` with each item, or with one item of each iterable, and gives the results in that order.

        Of the two forms that `recommend` was given, either stands for both. `chunksize` is the answer's unless it is
        given; tools without chunks pass over it. What a call raises is raised here, or where its result is taken.
        """
        raise NotImplementedError

    def __enter__(self: _Self) -> _Self:
        """Starts what is started once."""
        with ExitStack() as stack:
            self._start(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        """Ends it."""
        self._stack.__exit__(kind, error, trace)

    def _start(self, stack: ExitStack) -> None:
        """Starts what is ended with the stack. What runs tasks in this process sets it up."""
        if self._asked.setup is not None:
            self._asked.setup()
        if self._asked.teardown is not None:
            stack.callback(self._asked.teardown)

    def _blocking(self, fn: Function) -> Function:
        """The form of a function that is called, not awaited."""
        if fn is self._asked.async_function and self._asked.function is not None:
            return self._asked.function
        from inspect import iscoroutinefunction

        if iscoroutinefunction(fn):
            raise BadInput(f"`fn` is async, and {self.engine} calls it outside of a loop: give its blocking form")
        return fn


class Sequential(Pool):
    """A plain loop, which calls when a result is taken."""

    def map(self, fn: Function, *iterables: Iterable[Any], chunksize: Optional[int] = None) -> Iterator[Any]:
        """See `Pool.map`."""
        return map(self._blocking(fn), *iterables)


class Threads(Pool):
    """`ThreadPoolExecutor`."""

    def map(self, fn: Function, *iterables: Iterable[Any], chunksize: Optional[int] = None) -> Iterator[Any]:
        """See `Pool.map`."""
        return self._executor.map(self._blocking(fn), *iterables)

    def _start(self, stack: ExitStack) -> None:
        from concurrent.futures import ThreadPoolExecutor

        super()._start(stack)
        self._executor = stack.enter_context(ThreadPoolExecutor(self._workers))


class ThreadPerTask(Pool):
    """`Thread`: one for each task, so many at once."""

    def map(self, fn: Function, *iterables: Iterable[Any], chunksize: Optional[int] = None) -> Iterator[Any]:
        """See `Pool.map`."""
        from threading import Semaphore, Thread

        call = self._blocking(fn)
        results: Dict[int, Any] = {}
        errors: Dict[int, BaseException] = {}
        free = Semaphore(self._in_flight)

        def run(index: int, arguments: Arguments) -> None:
            try:
                results[index] = call(*arguments)
            except BaseException as error:
                errors[index] = error
            finally:
                free.release()

        threads: List[Thread] = []
        for index, arguments in enumerate(zip(*iterables)):
            free.acquire()
            if errors:
                break
            threads.append(Thread(target=run, args=(index, arguments)))
            threads[-1].start()
        for thread in threads:
            thread.join()
        if errors:
            raise errors[min(errors)]
        return iter([results[index] for index in range(len(threads))])


class _WithProcesses(Pool):
    """Tools whose tasks run in processes of their own, which are set up there."""

    def _start(self, stack: ExitStack) -> None:
        from multiprocessing import get_context

        self._context: Any = get_context(self._start_method)


class Processes(_WithProcesses):
    """`ProcessPoolExecutor`."""

    def map(self, fn: Function, *iterables: Iterable[Any], chunksize: Optional[int] = None) -> Iterator[Any]:
        """See `Pool.map`."""
        return self._executor.map(self._blocking(fn), *iterables, chunksize=chunksize or self._chunk)

    def _start(self, stack: ExitStack) -> None:
        from concurrent.futures import ProcessPoolExecutor

        super()._start(stack)
        pool = ProcessPoolExecutor(self._workers, mp_context=self._context, initializer=self._asked.setup)
        self._executor = stack.enter_context(pool)


class MultiprocessingPool(_WithProcesses):
    """`multiprocessing.Pool`."""

    def map(self, fn: Function, *iterables: Iterable[Any], chunksize: Optional[int] = None) -> Iterator[Any]:
        """See `Pool.map`."""
        call, chunk = self._blocking(fn), chunksize or self._chunk
        if len(iterables) == 1:
            return iter(self._pool.map(call, iterables[0], chunk))
        return iter(self._pool.starmap(call, zip(*iterables), chunk))

    def _start(self, stack: ExitStack) -> None:
        super()._start(stack)
        self._pool: Any = stack.enter_context(self._context.Pool(self._workers, self._asked.setup))


class _OnLoops(Pool):
    """Tools with several loops, and so many tasks in flight on all of them."""

    def map(self, fn: Function, *iterables: Iterable[Any], chunksize: Optional[int] = None) -> Iterator[Any]:
        """See `Pool.map`."""
        if fn is self._asked.function and self._asked.async_function is not None:
            fn = self._asked.async_function
        each = list(zip(*iterables))
        shards = min(self._workers, self._in_flight)
        share, rest = divmod(self._in_flight, shards)
        parts = [(fn, each[number::shards], share + (number < rest)) for number in range(shards)]
        results: List[Any] = [None] * len(each)
        for number, shard in enumerate(self._run_shards(parts)):
            results[number::shards] = shard
        return iter(results)

    def _run_shards(self, parts: List[Tuple[Function, List[Arguments], int]]) -> Iterable[List[Any]]:
        """What `_run_shard` gives for each of these."""
        raise NotImplementedError


class Shards(_OnLoops, MultiprocessingPool):
    """`sharded-asyncio`: processes with a loop each."""

    def _run_shards(self, parts: List[Tuple[Function, List[Arguments], int]]) -> Iterable[List[Any]]:
        found: List[List[Any]] = self._pool.starmap(_run_shard, parts, 1)
        return found


class Loops(_OnLoops, Threads):
    """`threaded-asyncio`: threads with a loop each."""

    def _run_shards(self, parts: List[Tuple[Function, List[Arguments], int]]) -> Iterable[List[Any]]:
        return self._executor.map(_run_shard, *zip(*parts))


class ProcessPerTask(_WithProcesses):
    """`Process`: one for each task, so many at once."""

    def map(self, fn: Function, *iterables: Iterable[Any], chunksize: Optional[int] = None) -> Iterator[Any]:
        """See `Pool.map`."""
        call = self._blocking(fn)
        results: Dict[int, Any] = {}
        alive: Dict[Any, Tuple[int, Any]] = {}
        try:
            for index, arguments in enumerate(zip(*iterables)):
                if len(alive) >= self._in_flight:
                    self._take(alive, results)
                reader, writer = self._context.Pipe(duplex=False)
                process = self._context.Process(target=_run, args=(writer, self._asked.setup, call, arguments))
                process.start()
                writer.close()
                alive[reader] = index, process
            while alive:
                self._take(alive, results)
        finally:
            for _, process in alive.values():
                process.kill()
                process.join()
        return iter([results[index] for index in range(len(results))])

    def _take(self, alive: Dict[Any, Tuple[int, Any]], results: Dict[int, Any]) -> None:
        """Takes the results that are there, or waits for one."""
        from multiprocessing.connection import wait

        for each in wait(list(alive)):
            reader: Any = each
            try:
                is_result, found = reader.recv()
            except EOFError:
                _, process = alive.pop(reader)
                process.join()
                raise ConbenchError(f"a worker process ended with status {process.exitcode}") from None
            index, process = alive.pop(reader)
            process.join()
            if not is_result:
                raise found
            results[index] = found


class Interpreters(Pool):
    """`InterpreterPoolExecutor`."""

    def map(self, fn: Function, *iterables: Iterable[Any], chunksize: Optional[int] = None) -> Iterator[Any]:
        """See `Pool.map`."""
        return self._executor.map(self._blocking(fn), *iterables)

    def _start(self, stack: ExitStack) -> None:
        import concurrent.futures

        # It came with CPython 3.14: on an older one no answer names it.
        make: Any = getattr(concurrent.futures, "InterpreterPoolExecutor")  # noqa: B009
        self._executor: Executor = stack.enter_context(make(self._workers, initializer=self._asked.setup))


class EventLoop(Pool):
    """`asyncio`, on its own loop: all tasks at once, behind a semaphore."""

    def map(self, fn: Function, *iterables: Iterable[Any], chunksize: Optional[int] = None) -> Iterator[Any]:
        """See `Pool.map`."""
        if fn is self._asked.function and self._asked.async_function is not None:
            fn = self._asked.async_function
        return self._mapped(fn, iterables)

    def _mapped(self, fn: Function, iterables: Tuple[Iterable[Any], ...]) -> Iterator[Any]:
        return iter(_apart(lambda: self._run(self._all(fn, list(zip(*iterables))))))

    def _run(self, work: Any) -> List[Any]:
        import asyncio

        results: List[Any] = asyncio.run(work)
        return results

    async def _all(self, fn: Function, each: List[Arguments]) -> List[Any]:
        import asyncio

        free = asyncio.Semaphore(self._in_flight)

        async def bounded(arguments: Arguments) -> Any:
            async with free:
                return await self._one(fn, arguments)

        return await self._gathered([bounded(arguments) for arguments in each])

    async def _one(self, fn: Function, arguments: Arguments) -> Any:
        # A function that blocks stops the loop, as it did when it was measured.
        found = fn(*arguments)
        return await found if hasattr(found, "__await__") else found

    async def _gathered(self, work: List[Any]) -> List[Any]:
        import asyncio

        return await asyncio.gather(*work)


class TaskGroup(EventLoop):
    """`asyncio.TaskGroup`."""

    async def _gathered(self, work: List[Any]) -> List[Any]:
        import asyncio

        # It came with CPython 3.11: on an older one no answer names it.
        make: Any = getattr(asyncio, "TaskGroup")  # noqa: B009
        try:
            async with make() as group:
                tasks = [group.create_task(each) for each in work]
        except BaseException as error:
            raise getattr(error, "exceptions", [error])[0] from None
        return [task.result() for task in tasks]


class Uvloop(EventLoop):
    """`asyncio` on uvloop's loop."""

    def _run(self, work: Any) -> List[Any]:
        import asyncio
        from importlib import import_module

        loop = import_module("uvloop").new_event_loop()
        try:
            asyncio.set_event_loop(loop)
            results: List[Any] = loop.run_until_complete(work)
            return results
        finally:
            asyncio.set_event_loop(None)
            loop.close()


class LoopAndPool(EventLoop):
    """`asyncio`, which has the function run in the threads or processes of a pool."""

    def __init__(self, answer: Answer, asked: Asked, tool: Type[Pool]) -> None:
        """Of the pool that is this tool."""
        super().__init__(answer, asked)
        self._tool: Any = tool(answer, asked)

    def map(self, fn: Function, *iterables: Iterable[Any], chunksize: Optional[int] = None) -> Iterator[Any]:
        """See `Pool.map`."""
        return self._mapped(self._blocking(fn), iterables)

    def _start(self, stack: ExitStack) -> None:
        stack.enter_context(self._tool)

    async def _one(self, fn: Function, arguments: Arguments) -> Any:
        import asyncio

        return await asyncio.get_running_loop().run_in_executor(self._tool._executor, fn, *arguments)


_TOOLS: Dict[str, Type[Pool]] = {
    "sequential": Sequential,
    "ThreadPoolExecutor": Threads,
    "Thread": ThreadPerTask,
    "ProcessPoolExecutor": Processes,
    "multiprocessing.Pool": MultiprocessingPool,
    "Process": ProcessPerTask,
    "threaded-asyncio": Loops,
    "sharded-asyncio": Shards,
    "InterpreterPoolExecutor": Interpreters,
    "asyncio": EventLoop,
    "TaskGroup": TaskGroup,
    "uvloop": Uvloop,
}
_POOLS: Dict[str, Type[Pool]] = {"asyncio+ThreadPoolExecutor": Threads, "asyncio+ProcessPoolExecutor": Processes}


class Own(Pool):
    """What a factory of the user's builds: `submit` and `shutdown`."""

    def __init__(self, answer: Answer, asked: Asked) -> None:
        """Starts nothing yet."""
        super().__init__(answer, asked)
        self._has_processes = answer.model == "processes"

    def map(self, fn: Function, *iterables: Iterable[Any], chunksize: Optional[int] = None) -> Iterator[Any]:
        """See `Pool.map`."""
        call, setup = self._blocking(fn), self._asked.setup if self._has_processes else None
        if setup is None:
            calls = [self._executor.submit(call, *arguments) for arguments in zip(*iterables)]
        else:
            calls = [self._executor.submit(call_set_up, setup, call, arguments) for arguments in zip(*iterables)]
        return (each.result() for each in calls)

    def _start(self, stack: ExitStack) -> None:
        if not self._has_processes:
            super()._start(stack)
        self._executor: Executor = _factory(self.engine)(self._workers)
        stack.callback(self._executor.shutdown)


def _factory(name: str) -> Function:
    """The factory of this name: `module:name`, or `file.py:name`."""
    from importlib import import_module

    place, _, path = name.rpartition(":")
    if place.endswith(".py"):
        # As a module that can be imported: its own functions are found by that name in worker processes.
        folder, file = os.path.split(os.path.abspath(place))
        if folder not in sys.path:
            sys.path.insert(0, folder)
        found: Any = import_module(file[: -len(".py")])
        if not os.path.samefile(str(getattr(found, "__file__", folder)), os.path.join(folder, file)):
            raise BadInput(f"`{place}`: another module of that name is imported: {found.__name__}")
    else:
        found = import_module(place)
    for attribute in path.split("."):
        found = getattr(found, attribute)
    made: Function = found
    return made


#: The set-ups that were called in this process.
_called: List[Function] = []


def call_set_up(setup: Function, fn: Function, arguments: Arguments) -> Any:
    """Calls `fn` in a worker process, which is set up before its first call."""
    if setup not in _called:
        setup()
        _called.append(setup)
    return fn(*arguments)


def pool(answer: Answer, asked: Asked) -> Pool:
    """The tool that an answer names."""
    if ":" in answer.engine:
        return Own(answer, asked)
    beside = _POOLS.get(answer.engine)
    if beside is not None:
        return LoopAndPool(answer, asked, beside)
    from .package_executors import TOOLS

    tool = _TOOLS.get(answer.engine) or TOOLS.get(answer.engine)
    if tool is None:
        raise ConbenchError(f"this package does not know the engine {answer.engine}: `answer.code` has the code")
    return tool(answer, asked)


def _run(writer: Connection, setup: Optional[Callable[[], object]], fn: Function, arguments: Arguments) -> None:
    """The life of a process of one task."""
    told: Tuple[bool, Any]
    try:
        if setup is not None:
            setup()
        told = True, fn(*arguments)
    except BaseException as error:
        told = False, error
    try:
        writer.send(told)
    except Exception as error:
        writer.send((False, ConbenchError(f"a worker cannot hand back {told[1]!r:.200}: {error}")))


def _run_shard(fn: Function, each: List[Arguments], in_flight: int) -> List[Any]:
    """Calls `fn` for one part of the items, on a loop of this process."""
    import asyncio

    async def call_all() -> List[Any]:
        free = asyncio.Semaphore(in_flight)

        async def bounded(arguments: Arguments) -> Any:
            async with free:
                found = fn(*arguments)
                return await found if hasattr(found, "__await__") else found

        return await asyncio.gather(*(bounded(arguments) for arguments in each))

    return asyncio.run(call_all())


def _apart(work: Callable[[], List[Any]]) -> List[Any]:
    """Does something that runs a loop: in a thread of its own where this one runs a loop, as a notebook's does."""
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return work()
    from concurrent.futures import ThreadPoolExecutor
    from contextvars import copy_context

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(copy_context().run, work).result()
