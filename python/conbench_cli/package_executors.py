"""The tools of packages, with the sizes of an answer. An answer names one only where its package is there."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from importlib import import_module
from typing import Any, Awaitable, Callable, Dict, Iterable, Iterator, List, Optional, Type

from .executors import Arguments, EventLoop, Function, Pool, call_set_up


class PoolOfThreads(Pool):
    """`multiprocessing.pool.ThreadPool`."""

    def map(self, fn: Function, *iterables: Iterable[Any], chunksize: Optional[int] = None) -> Iterator[Any]:
        """See `Pool.map`."""
        return iter(self._pool.starmap(self._blocking(fn), zip(*iterables), chunksize or 1))

    def _start(self, stack: ExitStack) -> None:
        from multiprocessing.pool import ThreadPool

        super()._start(stack)
        self._pool: Any = stack.enter_context(ThreadPool(self._workers))


class JoblibThreads(Pool):
    """`joblib` with threads."""

    def map(self, fn: Function, *iterables: Iterable[Any], chunksize: Optional[int] = None) -> Iterator[Any]:
        """See `Pool.map`."""
        joblib: Any = import_module("joblib")
        call = joblib.delayed(self._blocking(fn))
        parallel = joblib.Parallel(n_jobs=self._workers, backend="threading")
        return iter(parallel(call(*arguments) for arguments in zip(*iterables)))


class JoblibProcesses(Pool):
    """`joblib` with its pool of processes."""

    def map(self, fn: Function, *iterables: Iterable[Any], chunksize: Optional[int] = None) -> Iterator[Any]:
        """See `Pool.map`."""
        joblib: Any = import_module("joblib")
        call = joblib.delayed(_set_up_first(self._asked.setup, self._blocking(fn)))
        parallel = joblib.Parallel(n_jobs=self._workers, **self._batches(chunksize))
        return iter(parallel(call(*arguments) for arguments in zip(*iterables)))

    def _batches(self, chunksize: Optional[int]) -> Dict[str, Any]:
        """How many tasks cross at once."""
        chunk = chunksize or self._chunk
        return {"batch_size": chunk, "pre_dispatch": 2 * self._workers * chunk}

    def _start(self, stack: ExitStack) -> None:
        # Set-ups are called in the workers.
        pass


class JoblibAuto(JoblibProcesses):
    """The same with batches that `joblib` sizes by itself."""

    def _batches(self, chunksize: Optional[int]) -> Dict[str, Any]:
        return {} if chunksize is None else super()._batches(chunksize)


class Loky(Pool):
    """`loky`."""

    def map(self, fn: Function, *iterables: Iterable[Any], chunksize: Optional[int] = None) -> Iterator[Any]:
        """See `Pool.map`."""
        found: Iterator[Any] = self._pool.map(self._blocking(fn), *iterables, chunksize=chunksize or self._chunk)
        return found

    def _start(self, stack: ExitStack) -> None:
        loky: Any = import_module("loky")
        pool = loky.ProcessPoolExecutor(max_workers=self._workers, initializer=self._asked.setup)
        self._pool: Any = stack.enter_context(pool)


class _Grouped(EventLoop):
    """Loops of packages whose tasks begin in a group, which ends with the last of them."""

    #: The package, whose `run` runs a loop.
    package: str
    #: What makes a group of tasks in it.
    group: str

    def _call(self, fn: Function) -> Callable[[Arguments], Awaitable[Any]]:
        """What awaits one call; made on the loop."""
        raise NotImplementedError

    async def _all(self, fn: Function, each: List[Arguments]) -> List[Any]:
        call = self._call(fn)
        results: List[Any] = [None] * len(each)

        async def run(index: int, arguments: Arguments) -> None:
            results[index] = await call(arguments)

        try:
            async with getattr(import_module(self.package), self.group)() as group:
                for index, arguments in enumerate(each):
                    group.start_soon(run, index, arguments)
        except BaseException as error:
            raise _first_of(error) from None
        return results

    def _run(self, work: Any) -> List[Any]:
        async def main() -> List[Any]:
            results: List[Any] = await work
            return results

        results: List[Any] = import_module(self.package).run(main)
        return results


class AnyioThreads(_Grouped):
    """`anyio`, which has the function run in its threads."""

    package, group = "anyio", "create_task_group"

    def map(self, fn: Function, *iterables: Iterable[Any], chunksize: Optional[int] = None) -> Iterator[Any]:
        """See `Pool.map`."""
        return self._mapped(self._blocking(fn), iterables)

    def _call(self, fn: Function) -> Callable[[Arguments], Awaitable[Any]]:
        limiter = import_module("anyio").CapacityLimiter(self._workers)
        run_sync = import_module("anyio.to_thread").run_sync

        async def call(arguments: Arguments) -> Any:
            return await run_sync(partial(fn, *arguments), limiter=limiter)

        return call


class Trio(_Grouped):
    """`trio`: all tasks at once, behind a limiter."""

    package, group = "trio", "open_nursery"

    def _call(self, fn: Function) -> Callable[[Arguments], Awaitable[Any]]:
        limiter = import_module("trio").CapacityLimiter(self._in_flight)

        async def call(arguments: Arguments) -> Any:
            async with limiter:
                return await self._one(fn, arguments)

        return call


class Gevent(Pool):
    """A pool of `gevent`'s greenlets. What is to wait beside another must be patched by the program itself."""

    def map(self, fn: Function, *iterables: Iterable[Any], chunksize: Optional[int] = None) -> Iterator[Any]:
        """See `Pool.map`."""
        call = self._blocking(fn)
        found: Iterator[Any] = self._pool.imap(lambda arguments: call(*arguments), zip(*iterables))
        return found

    def _start(self, stack: ExitStack) -> None:
        super()._start(stack)
        self._pool: Any = import_module("gevent.pool").Pool(self._in_flight)
        stack.callback(self._pool.kill)


def _set_up_first(setup: Optional[Function], fn: Function) -> Function:
    """The function, before whose first call in a worker process that one is set up."""
    return fn if setup is None else partial(_call, setup, fn)


def _call(setup: Function, fn: Function, *arguments: Any) -> Any:
    return call_set_up(setup, fn, arguments)


def _first_of(error: BaseException) -> BaseException:
    """The first error of a group."""
    while getattr(error, "exceptions", None):
        error = error.exceptions[0]  # type: ignore[attr-defined]
    return error


#: By the engines' names.
TOOLS: Dict[str, Type[Pool]] = {
    "multiprocessing.pool.ThreadPool": PoolOfThreads,
    "joblib+threading": JoblibThreads,
    "joblib+loky": JoblibProcesses,
    "joblib+loky+auto": JoblibAuto,
    "loky": Loky,
    "anyio": AnyioThreads,
    "gevent": Gevent,
    "trio": Trio,
}
