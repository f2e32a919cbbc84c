"""`python`: the user's own function, on items of the user's own.

What is wrong with the user's code becomes a Failure that says what to do, with the user's own frames. The timed
path adds to a call no more than the `try` that this takes.
"""

from __future__ import annotations

import signal
import sys
from types import CoroutineType, TracebackType
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple, Type, cast

from .. import standing
from ..protocol import Failure, Job, StepJob
from ..task import Done, Step, Verified
from ..user.items import Items, Reading
from ..user.loading import Loader, has_name
from ..user.setups import SetUps
from ..user.structure import brief
from ..user.traceback import describe, frames
from . import Place, label

if TYPE_CHECKING:
    import asyncio

#: So many tasks may cross to workers in one message, where nothing says how many.
PACKED = 64

NO_BLOCKING_FORM = "it has only an `async_function`, which needs an event loop: give a blocking `function` as well"

#: What to do about what was made on another event loop.
ELSEWHERE = (
    ": what belongs to a loop (the loop itself, a lock, a session) is made where tasks run: take or make it in"
    " `async_setup`, or in the task"
)


class UserStep(Step):
    """The user's function, loaded and ready."""

    exchanges = True

    def __init__(self, number: int, job: Job, step_job: StepJob, place: Place) -> None:
        """Imports what the step names. Items are made in the agent alone; workers are given them."""
        description = step_job.step
        self.where = label(number, step_job)
        loader = Loader(description["path"], self.where)
        #: The blocking function and its name, or None.
        self.function_name: Optional[str] = description.get("function")
        if self.function_name is not None:
            self.function = loader.function(self.function_name, "function")
        async_name = description.get("async_function")
        if async_name is not None:
            self.async_function = loader.async_function(async_name, "async_function")
        if self.function is None and self.async_function is None:
            raise Failure("setup", "it names neither a `function` nor an `async_function`", self.where)
        self.is_async = self.async_function is not None
        items = description.get("items")
        self._has_items = items is not None
        self._items: Optional[Items] = None
        self._read: List[object] = [None]
        if items is not None and not place.is_worker:
            reading = Reading(step_job.items, job.load.tasks)
            if "named" in items:
                self._items = loader.items(items["named"], reading)
            elif "expression" in items:
                beside = self.function_name or async_name or ""
                self._items = loader.evaluated(items["expression"], beside, reading)
            else:
                self._items = loader.listed(items["listed"])
            self._read, self.items_read = self._items.read, self._items.told
            self.items_are_called = self._items.are_called
            self.items_names = self._items.names
        self.distinct, self.stride = self._counted()
        self.copies_items = job.copies_items and self._items is not None
        if self.copies_items:
            from ..user.copies import copied

            self._copied = copied
        #: The most tasks that cross in one message: pickle writes an item that they share once.
        self._packed = job.candidate.sizes.chunk or max(PACKED, job.load.tasks or 0)
        #: For the user's check, the items that were handed out last, as calls left them.
        self._changed: Dict[int, object] = {}
        check = description["check"]
        self._compares = check == "results"
        self._check = loader.function(check["function"], "check") if isinstance(check, dict) else None
        self._setups = SetUps(description, loader, self.where, job.skips_teardown)
        self._version = None
        if description.get("version"):
            from ..user.version import Version

            self._version = Version(description["version"], self.function_name or async_name or "", self.where)
        self.tears_down = self._setups.has_teardown
        self._is_unready = self._setups.has_process
        self._passes_state = bool(description.get("pass_state"))
        self._spreads = bool(description.get("star"))
        self.items_are_mappings = self._spreads and bool(self._read) and isinstance(self._read[0], dict)
        self._tolerates_errors = job.tolerates_errors
        self.carries = self.function is not None and not has_name(self.function)
        self._is_carried = self.carries and place.is_worker
        #: What a task calls, with what it is given or without.
        self._call, self._takes_given = self.function, self._has_items
        self._async_call, self._async_takes_item = self.async_function, self._has_items
        if self._passes_state or self._spreads or self._setups.has_thread:
            self._async_call, self._async_takes_item = self._call_async_in_place, True
            self._call, self._takes_given = None if self.function is None else self._call_in_place, True
        elif self._is_carried:
            self._call, self._takes_given = self._call_carried, True
        self._in_worker = place.is_worker
        #: What was found of errors that a worker hands back, by their class.
        self._refused: Dict[type, Optional[Dict[str, object]]] = {}

    def item(self, index: int) -> object:
        """The item of task `index`: they are used in turns."""
        try:
            return self._read[index * self.stride % self.distinct]
        except IndexError:
            return self._read_item(index)

    def fresh(self, index: int) -> object:
        """The item of task `index`; a copy of it, where calls change their items."""
        item = self.item(index)
        if not self.copies_items:
            return item
        item = self._copied(item)
        if self._check is not None:
            self._changed[self.place(index)] = item
        return item

    def sent(self, index: int) -> object:
        """The item itself, which crossing copies, unless its message has it twice."""
        if self.copies_items and self.distinct < self._packed:
            return self._copied(self.item(index))
        return self.item(index)

    def place(self, index: int) -> int:
        """Where the item of task `index` stands among the user's."""
        return index * self.stride % self.distinct

    def read_items(self) -> None:
        """Reads all items that tasks will use."""
        if self._items is not None:
            self._items.read_all()
            self.distinct, self.stride = self._counted()

    def carried(self, item: object) -> object:
        """The item, and before it the user's callable where that is pickled whole: once in what crosses together."""
        return (self.function, item) if self.carries else item

    def blocking(self, index: int, item: object) -> Done:
        """Calls the function. Results have no checksum: they are compared by value, outside the timed blocks."""
        if self._is_unready:
            self.prepare(None)
        call = self._call
        if call is None:
            raise Failure("setup", NO_BLOCKING_FORM, self.where)
        try:
            result = call(item) if self._takes_given else call()
        except BaseException as error:
            if isinstance(error, Failure):
                raise
            raise self._failed(error, item) from None
        if type(result) is CoroutineType:
            raise self._is_a_coroutine(result)
        return 0, result

    async def asynchronous(self, index: int, item: object) -> Done:
        """Awaits the coroutine function; where there is none, calls the function, which blocks the loop."""
        if self.async_function is None:
            return self.blocking(index, item)
        if self._is_unready:
            self.prepare(None)
        call = cast(Callable[..., Any], self._async_call)
        own: Any = item
        if self._is_carried:
            _, own = own
        try:
            begun = call(own) if self._async_takes_item else call()
            if not hasattr(begun, "__await__"):
                raise self._is_not_async(begun)
            return 0, await begun
        except BaseException as error:
            if isinstance(error, Failure) or _is_cancellation(error):
                raise
            raise self._failed(error, item) from None

    def reference(self, index: int, item: object) -> int:
        """Nothing: what the function does is seen by `verify`."""
        return 0

    def prepare(self, index: Optional[int]) -> None:
        """Calls `setup`, once for each interpreter that runs tasks: the agent's, or each worker's."""
        self._setups.enter()
        self._is_unready = False

    def enter_thread(self) -> None:
        """Calls `setup_thread`, once in each thread that runs tasks."""
        if self._setups.has_thread:
            self._setups.enter_thread()

    async def enter_loop(self) -> None:
        """Calls `async_setup`, once on the loop that runs tasks."""
        if self._setups.has_loop:
            await self._setups.enter_loop()

    def leave(self) -> Optional[Failure]:
        """Calls `teardown` where `setup` was called, or would have been."""
        return self._setups.leave()

    def leave_thread(self) -> Optional[Failure]:
        """Calls `teardown_thread` where the thread was set up."""
        return self._setups.leave_thread() if self._setups.has_thread else None

    async def leave_loop(self) -> Optional[Failure]:
        """Calls `async_teardown` where the loop was set up."""
        return await self._setups.leave_loop()

    def verified(self, index: int, item: object, result: object) -> int:
        """The digest of what task `index` handed back, 0 if it is not compared; Failure if the check refuses it."""
        if self._check is not None:
            self._judge(index, self._changed.get(self.place(index), item), result)
        if not self._compares:
            return 0
        from ..user.values import Incomparable, digest

        try:
            return digest(result)
        except Incomparable:
            # The reference says so in a note.
            return 0

    def verify(
        self,
        tasks: int,
        budget_ns: int,
        most_calls: Optional[int] = None,
        pace: Optional[Callable[[], None]] = None,
    ) -> Verified:
        """Runs the first tasks, one after the other, and then once more, as far as the budget and the calls last.

        Task 0 runs whatever they are, and no task begins after their end. So the function is called once or twice for
        each of the first `tasks` items, or of all items if they are fewer.
        """
        # Only the reference agent needs it, and its imports are not to be measured as the start-up of candidates.
        from ..user.reference import observe

        if self._version is not None:
            self._version.check()
        at = standing.Item()
        standing.tell_when_asked_at(at)
        with _Caller(self) as call:
            self.prepare(None)
            found = observe(
                call,
                [self.item(index) for index in range(min(max(tasks, 1), self.distinct))],
                budget_ns,
                judge=self._judge if self._check is not None else None,
                compares=self._compares,
                most_calls=most_calls,
                tolerates_errors=self._tolerates_errors,
                pace=pace,
                begins=lambda index: setattr(at, "place", self.place(index)),
            )
        if self._version is not None:
            # Tasks import, too.
            self._version.check()
        for note in found.notes:
            for told in note.values():
                # What was looked at are tasks; whom it is told looks among the items.
                if "item" in cast(Dict[str, object], told):
                    cast(Dict[str, int], told)["item"] = self.place(cast(Dict[str, int], told)["item"])
        if self._items is not None and self._items.may_have_more:
            found.notes.append({"items_repeat": {"items": self._items.count}})
        if signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:
            # The kernel reaps children then, and adds their CPU time to nobody's.
            found.notes.append({"children_uncounted": {}})
        return found

    def _read_item(self, index: int) -> object:
        items = cast(Items, self._items)
        item = items[index]
        # At the end of an iterable it is known how many there are.
        self.distinct, self.stride = self._counted()
        return item

    def _counted(self) -> Tuple[int, int]:
        return (self._items.count, self._items.stride) if self._items else (1, 1)

    def _call_carried(self, carried: Tuple[Callable[..., object], object]) -> object:
        """Calls what crossed, as a pool's worker does: what it finds under the same name here is another object."""
        function, item = carried
        return function(item) if self._has_items else function()

    def _call_in_place(self, given: Any) -> object:
        """Calls the function in a thread that is set up, with its state and parts of the item, as the step says."""
        function, item = given if self._is_carried else (cast(Callable[..., object], self.function), given)
        self.enter_thread()
        arguments, named = self._arguments(item)
        if self._passes_state:
            return function(self._setups.state(), *arguments, **named)
        return function(*arguments, **named)

    def _call_async_in_place(self, item: object) -> object:
        """The same of the coroutine function."""
        function = cast(Callable[..., object], self.async_function)
        self.enter_thread()
        arguments, named = self._arguments(item)
        if self._passes_state:
            return function(self._setups.loop_state(), *arguments, **named)
        return function(*arguments, **named)

    def _arguments(self, item: Any) -> Tuple[Sequence[object], Mapping[str, object]]:
        """What a call gets of an item: nothing where there are none, and with `star` its parts."""
        if not self._has_items:
            return (), {}
        if self._spreads and isinstance(item, (tuple, list)):
            return item, {}
        if self._spreads and isinstance(item, dict):
            return (), item
        return (item,), {}

    def _judge(self, index: int, item: object, result: object) -> None:
        """Asks the user's check, which is called as the function was, and with the result after that."""
        check = cast(Callable[..., object], self._check)
        which = f"the result of item {self.place(index)}" if self._has_items else "the result"
        try:
            verdict = check(item, result) if self._has_items else check(result)
            is_wrong = verdict is not None and not verdict
        except BaseException as error:
            message = f"`check` raised {describe(error)}, on {which}, {brief(result)}"
            raise self._failure("checksum", message, error) from None
        if is_wrong:
            raise Failure("checksum", f"`check` refuses {which}, {brief(result)}", self.where)

    def _failed(self, error: BaseException, item: Any) -> Failure:
        if self._is_carried:
            _, item = item
        failure = self._failure("task", describe(error), error)
        if _is_of_another_loop(error):
            failure.message += ELSEWHERE
        elif isinstance(error, TypeError) and not failure.traceback:
            called = f"one item, {brief(item)}" if self._has_items else "no argument, as there are no `items`"
            if self._has_items and self._spreads:
                called = f"the parts of {brief(item)}"
            if self._passes_state:
                called = f"the state, and {called}"
            elif self._setups.given and "missing" in str(error):
                called += f"; `pass_state` (`--pass-state`) puts what `{self._setups.given}` returned before that"
            failure = Failure("task", f"{failure.message} (it is called with {called})", self.where)
        elif isinstance(error, SystemExit):
            failure = self._failure("task", f"{failure.message} (it would end the program)", error)
        if self._in_worker and isinstance(error, Exception):
            failure.note = self._note_of(error)
            if failure.note is not None and not self._tolerates_errors:
                failure.message += f"; {_refusal(error, failure.note)}"
        return failure

    def _note_of(self, error: Exception) -> Optional[Dict[str, object]]:
        """What comes of it where a pool hands this error back as it is, tried once a class: here its words go back."""
        kind = type(error)
        if kind not in self._refused:
            from ..user.pickling import refused

            self._refused[kind] = refused(error)
        return self._refused[kind]

    def _failure(self, kind: str, message: str, error: BaseException) -> Failure:
        return Failure(kind, message, self.where, frames(error) or None)

    def _is_a_coroutine(self, result: Any) -> Failure:
        result.close()
        message = f"`function` {self.function_name} gave a coroutine, which nobody awaits: name it in `async_function`"
        return Failure("setup", message, self.where)

    def _is_not_async(self, result: object) -> Failure:
        kind = type(result).__name__
        message = f"`async_function` gave a value of type {kind}, which cannot be awaited: name it in `function`"
        return Failure("setup", message, self.where)


class _Caller:
    """Calls the function of a step, or the coroutine function on an event loop of its own, and gives the result."""

    def __init__(self, step: UserStep) -> None:
        self._step = step
        self._loop: Optional[asyncio.AbstractEventLoop] = None

    def __enter__(self) -> Callable[[object], object]:
        if self._step.function is not None:
            return lambda item: self._step.blocking(0, item)[1]
        import asyncio

        self._loop = loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        loop.run_until_complete(self._step.enter_loop())
        return lambda item: loop.run_until_complete(self._step.asynchronous(0, item))[1]

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        if self._loop is None:
            return
        import asyncio

        if error is None:
            # What it says of a failure is told by the candidates.
            self._loop.run_until_complete(self._step.leave_loop())
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        # What was cancelled gets its turn to end, and no more than that: it may not want to.
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        asyncio.set_event_loop(None)
        self._loop.close()


def _refusal(error: Exception, note: Dict[str, Any]) -> str:
    """What the note about an error means, and what to do."""
    name, found = type(error).__name__, note["error_cannot_cross"]
    if not found["breaks_pool"]:
        return f"a real pool hands back a pickling error in the place of `{name}` ({found['reason']})"
    return (
        f"the first `{name}` ends (ProcessPoolExecutor) or hangs (multiprocessing.Pool) a real pool: pickle cannot "
        "make it again; define `__reduce__`, or pass all arguments to `super().__init__`"
    )


def _is_of_another_loop(error: BaseException) -> bool:
    """Whether asyncio says so; which words it has depends on what it is."""
    return isinstance(error, RuntimeError) and str(error).endswith(("a different loop", "a different event loop"))


def _is_cancellation(error: BaseException) -> bool:
    """Whether somebody else ends this task: its engine, or whoever drops a coroutine that has begun."""
    if isinstance(error, GeneratorExit):
        return True
    asyncio: Any = sys.modules.get("asyncio")
    if asyncio is None or not isinstance(error, asyncio.CancelledError):
        return False
    # Before 3.11 a task cannot tell; its engine sees a cancelled task then.
    asked = getattr(asyncio.current_task(), "cancelling", None)
    return asked is None or asked() > 0
