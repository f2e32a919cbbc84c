"""The user's function as a step: what it is called with, what it gives, how it fails, what a reference run finds."""

from __future__ import annotations

import asyncio
import os
import pickle
import sys
import threading
import unittest
from typing import Any, Callable, Coroutine, Dict, List, cast

from conbench_agent.protocol import Failure
from conbench_agent.steps import Place
from conbench_agent.steps.user import UserStep
from conbench_agent.task import Done
from conbench_agent.user.values import digest
from user_support import FIXTURES, WHERE, FixtureCase, user_step

SECOND_NS = 1_000_000_000


def run(coroutine: Coroutine[Any, Any, Done]) -> Done:
    return asyncio.run(coroutine)


class Calls(FixtureCase):
    def test_with_an_item_and_without(self) -> None:
        step = user_step(function="unpicklable:task", items=["a", "b"])
        self.assertEqual([step.blocking(index, step.item(index)) for index in range(3)], [(0, "a"), (0, "b"), (0, "a")])
        alone = user_step(function="unpicklable:shadowed")
        self.assertEqual((alone.item(5), alone.blocking(5, None), alone.distinct), (None, (0, 2), 1))

    def test_async_and_blocking_forms(self) -> None:
        both = user_step(function="shop.scrape:fetch_and_parse", async_function="shop.scrape:afetch", items=[3])
        self.assertTrue(both.is_async)
        self.assertEqual(both.blocking(0, 3), run(both.asynchronous(0, 3)))
        self.assertEqual(len(both.blocking(0, 3)[1]), 20)  # type: ignore[arg-type]

    def test_a_blocking_function_on_the_loop_is_just_called(self) -> None:
        step = user_step(function="wrong_async:not_async", items=[3])
        self.assertFalse(step.is_async)
        self.assertEqual(run(step.asynchronous(0, 3)), (0, 3))

    def test_what_awaits_in_its_own_way(self) -> None:
        for name in ("client", "decorated", "afetch"):
            step = user_step(async_function=f"wrong_async:{name}", items=[4])
            self.assertEqual(run(step.asynchronous(0, 4)), (0, 4))
        self.assertEqual(run(user_step(async_function="wrong_async:a_partial").asynchronous(0, None)), (0, 3))

    def test_a_worker_is_given_its_items(self) -> None:
        step = user_step(Place.worker(0, None), function="unpicklable:task", items="faults:raises")
        self.assertEqual(step.blocking(9, "given"), (0, "given"))


class SetUp(FixtureCase):
    def test_once_for_each_interpreter_whoever_asks(self) -> None:
        step = user_step(function="state:times_set_up", setup="state:setup")
        self.assertEqual(sys.modules["state"]._set_up, [], "the agent of a process pool sets nothing up")
        results: List[Done] = []
        threads = [threading.Thread(target=lambda: results.append(step.blocking(0, None))) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        step.prepare(None)
        self.assertEqual(results, [(0, 1)] * 8)

    def test_a_setup_that_raises(self) -> None:
        step = user_step(function="state:times_set_up", setup="faults:raises")
        for _ in range(2):
            failure = self.failure(lambda: step.prepare(0), "setup")
            self.assertEqual(failure.message, "`setup` raised ValueError: bad item 3")
            self.assertIn("_refuse", "".join(failure.traceback or []))


class Repeated(FixtureCase):
    def test_a_task_that_cannot_be_repeated_is_told_so(self) -> None:
        step = user_step(function="once:insert", items="once:items")
        failure = self.failure(lambda: step.verify(16, SECOND_NS), "task")
        self.assertTrue(failure.message.startswith("ValueError: key 0 is there; the first call on this item worked: "))
        again = user_step(function="once:insert", items="once:items")
        failure = self.failure(lambda: again.verify(16, SECOND_NS), "task")
        self.assertEqual(failure.message, "ValueError: key 0 is there", "a first call is no second one")

    def test_what_another_loop_has_is_told_with_what_to_do(self) -> None:
        step = user_step(async_function="once:fetch", items="once:items")
        failure = self.failure(lambda: run(step.asynchronous(0, 0)), "task")
        says = "RuntimeError: a task got a future that is attached to a different loop: what belongs to a loop "
        self.assertTrue(failure.message.startswith(says), failure.message)
        self.assertIn("`async_setup`", failure.message)


class Fails(FixtureCase):
    def task_failure(self, name: str, kind: str = "task", **fields: Any) -> Failure:
        step = user_step(function=name, **fields)
        failure = self.failure(lambda: step.blocking(0, step.item(0)), kind)
        again = pickle.loads(pickle.dumps(failure))
        self.assertEqual(again.to_frame(), failure.to_frame())
        return failure

    def test_with_the_users_frames_alone(self) -> None:
        failure = self.task_failure("faults:raises", items=[5])
        self.assertEqual(failure.message, "ValueError: bad item 5")
        lines = [line for line in failure.traceback or [] if "~" not in line and "^" not in line]
        place = f'  File "{FIXTURES / "faults.py"}"'
        self.assertEqual(
            [line.partition(", line")[0] for line in lines],
            [place, "    _refuse(item)", place, '    raise ValueError(f"bad item {item}")'],
        )
        self.assertEqual(failure.to_frame()["failed"]["where"], WHERE)  # type: ignore[index]

    def test_what_caused_it_is_told_too(self) -> None:
        failure = self.task_failure("faults:raises_from")
        self.assertEqual(failure.message, "KeyError: 'no such order'")
        self.assertIn("caused by ValueError: bad item 3", failure.traceback or [])

    def test_long_tracebacks_are_cut_in_the_middle(self) -> None:
        failure = self.task_failure("faults:recurses")
        self.assertTrue(failure.message.startswith("RecursionError: "), failure.message)
        self.assertLessEqual(len(failure.traceback or []), 20)

    def test_what_ends_programs(self) -> None:
        self.assertEqual(self.task_failure("faults:ends_program").message, "SystemExit: 7 (it would end the program)")
        self.assertEqual(self.task_failure("faults:interrupts").message, "KeyboardInterrupt")

    def test_exceptions_that_cannot_cross_to_another_process(self) -> None:
        self.assertEqual(self.task_failure("unpicklable:raises_refused").message, "unpicklable.Refused: 503: busy")
        self.assertIn("ValueError: ('locked', <unlocked", self.task_failure("unpicklable:raises_with_a_lock").message)

    def test_the_wrong_number_of_arguments(self) -> None:
        message = self.task_failure("unpicklable:task").message
        self.assertTrue(message.endswith("(it is called with no argument, as there are no `items`)"), message)
        message = self.task_failure("work:sha256", items=["a"]).message
        self.assertTrue(message.endswith("(it is called with one item, 'a')"), message)
        message = self.task_failure("work:sha256", items=["a"], setup="badbye:setup").message
        self.assertTrue(message.endswith("(it is called with one item, 'a')"), message)
        message = self.task_failure("unpicklable:task", setup="badbye:setup").message
        self.assertIn("; `pass_state` (`--pass-state`) puts what `setup` returned before that)", message)

    def test_a_coroutine_that_nobody_awaits(self) -> None:
        self.assertEqual(
            self.task_failure("wrong_async:gives_a_coroutine", "setup").message,
            "`function` wrong_async:gives_a_coroutine gave a coroutine, which nobody awaits: name it in "
            "`async_function`",
        )

    def test_no_blocking_form(self) -> None:
        step = user_step(async_function="wrong_async:afetch")
        self.assertIn("only an `async_function`", self.failure(lambda: step.blocking(0, None), "setup").message)

    def test_no_form_at_all(self) -> None:
        self.failure(lambda: user_step(setup="state:setup"), "setup")

    def test_async_functions(self) -> None:
        step = user_step(async_function="faults:araises", items=[6])
        failure = self.failure(lambda: run(step.asynchronous(0, 6)), "task")
        self.assertEqual(failure.message, "ValueError: bad item 6")
        self.assertTrue(all("asyncio" not in line for line in failure.traceback or ["asyncio"]))
        step = user_step(async_function="wrong_async:made_blocking", items=[6])
        failure = self.failure(lambda: in_thread(lambda: call_awaited(step)), "setup")
        self.assertEqual(
            failure.message,
            "`async_function` gave a value of type int, which cannot be awaited: name it in `function`",
        )

    @unittest.skipUnless(hasattr(asyncio.Task, "cancelling"), "before 3.11 a task cannot tell who cancels it")
    def test_a_function_that_says_it_was_cancelled(self) -> None:
        step = user_step(async_function="faults:acancels")
        message = self.failure(lambda: run(step.asynchronous(0, None)), "task").message
        self.assertEqual(message, "asyncio.exceptions.CancelledError")

    def test_an_engine_that_cancels(self) -> None:
        step = user_step(async_function="work:apause", items=[60.0])

        async def cancel() -> None:
            task = asyncio.ensure_future(step.asynchronous(0, 60.0))
            await asyncio.sleep(0)
            task.cancel()
            await task

        with self.assertRaises(asyncio.CancelledError):
            asyncio.run(cancel())

    def test_a_coroutine_that_is_dropped(self) -> None:
        step = user_step(async_function="work:apause", items=[60.0])
        coroutine = step.asynchronous(0, 60.0)

        async def begin() -> None:
            coroutine.send(None)

        asyncio.run(begin())
        coroutine.close()


def in_thread(function: Callable[[], object]) -> None:
    """Runs a function where no event loop runs, and raises what it raises."""
    raised: List[BaseException] = []

    def catch() -> None:
        try:
            function()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=catch)
    thread.start()
    thread.join()
    if raised:
        raise raised[0]


def call_awaited(step: UserStep) -> None:
    # Driven by hand: the function wants to run a loop of its own.
    step.asynchronous(0, 6).send(None)


class Verify(FixtureCase):
    def notes(self, budget_ns: int = 10 * SECOND_NS, **fields: Any) -> Dict[str, Any]:
        notes = user_step(**fields).verify(16, budget_ns).notes
        self.assertTrue(all(len(note) == 1 for note in notes))
        named = {name: body for note in notes for name, body in note.items()}
        self.assertEqual(len(named), len(notes), "of each kind, one is told")
        return named

    def test_digests_are_those_of_the_results(self) -> None:
        found = user_step(function="unpicklable:task", items=["a", "b", "c"]).verify(16, SECOND_NS)
        self.assertEqual(found.digests, [digest("a"), digest("b"), digest("c")])
        self.assertEqual(found.notes, [])
        found = user_step(function="unpicklable:task", items=list(range(40))).verify(16, SECOND_NS)
        self.assertEqual(found.digests, [digest(number * 27 % 40) for number in range(16)])
        self.assertEqual(user_step(function="unpicklable:shadowed").verify(16, 0).digests, [digest(2)])

    def test_many_items_are_taken_in_an_order_that_is_spread_over_all(self) -> None:
        step = user_step(function="unpicklable:task", items=list(range(1000)))
        taken = [cast(int, step.item(index)) for index in range(1000)]
        self.assertEqual(sorted(taken), list(range(1000)), "each has its turn")
        self.assertEqual([step.place(index) for index in range(1000)], taken)
        # Any twenty in a row have some of each quarter, wherever they begin.
        for begin in range(0, 980, 7):
            quarters = {item // 250 for item in taken[begin : begin + 20]}
            self.assertEqual(quarters, {0, 1, 2, 3})
        few = user_step(function="unpicklable:task", items=list(range(16)))
        self.assertEqual([few.item(index) for index in range(16)], list(range(16)))

    def test_async_functions_give_the_same(self) -> None:
        step = user_step(function="shop.scrape:fetch_and_parse", items="shop.scrape:items")
        other = user_step(async_function="shop.scrape:afetch", items="shop.scrape:items")
        self.assertEqual(step.verify(4, SECOND_NS).digests, other.verify(4, SECOND_NS).digests)

    def test_setup_comes_first(self) -> None:
        found = user_step(function="state:times_set_up", setup="state:setup").verify(16, SECOND_NS)
        self.assertEqual(found.digests, [digest(1)])

    def test_the_budget_is_kept_and_one_task_runs_whatever_it_is(self) -> None:
        found = user_step(function="unpicklable:task", items=[1, 2]).verify(16, 0)
        self.assertEqual((found.digests, found.calls), ([digest(1)], 1))

    def test_no_more_calls_are_made_than_may_be(self) -> None:
        for most, results, calls in (0, 1, 1), (2, 2, 2), (3, 3, 3), (5, 3, 5), (9, 3, 6), (None, 3, 6):
            with self.subTest(most=most):
                found = user_step(function="unpicklable:task", items=[1, 2, 3]).verify(16, SECOND_NS, most)
                self.assertEqual((len(found.digests), found.calls), (results, calls))

    def test_a_function_that_changes_its_items(self) -> None:
        self.assertEqual(self.notes(function="state:pays", items="state:orders"), {"mutates": {"item": 0}})

    def test_copies_are_what_a_call_may_change(self) -> None:
        step = user_step(function="state:takes_apart", items="state:letters", copies=True)
        for _ in range(3):
            self.assertEqual([step.blocking(index, step.fresh(index))[1] for index in range(6)], list(range(6)))
        # Six items may be in one message twice.
        self.assertIsNot(step.sent(0), step.item(0))
        many = user_step(function="unpicklable:task", items=[[number] for number in range(64)], copies=True)
        self.assertIs(many.sent(0), many.item(0))

    def test_what_cannot_be_copied_is_handed_out_itself(self) -> None:
        step = user_step(function="unpicklable:task", items="unpicklable:items", copies=True)
        self.assertIs(step.fresh(2), step.item(2))

    def test_a_function_that_remembers(self) -> None:
        notes = self.notes(function="state:remembers", items="state:numbers")
        self.assertEqual(list(notes), ["second_pass_faster"])
        self.assertGreaterEqual(notes["second_pass_faster"]["first_ns"], 2 * notes["second_pass_faster"]["second_ns"])

    def test_a_function_that_disagrees_with_itself(self) -> None:
        notes = self.notes(function="state:changes_its_mind", items="state:numbers")
        self.assertEqual(notes["unstable"], {"item": 0})
        self.assertEqual(self.notes(function="state:changes_its_mind", check="none"), {})

    def test_results_that_have_no_value(self) -> None:
        self.assertEqual(
            self.notes(function="unpicklable:gives_a_session"),
            {
                "incomparable": {
                    "item": 0,
                    "type": "_thread.lock",
                    "reason": "result._lock: cannot pickle '_thread.lock' object",
                }
            },
        )

    def test_items_that_have_no_value(self) -> None:
        # Whether they change cannot be told; their results can be compared.
        self.assertEqual(list(self.notes(function="builtins:id", items="unpicklable:items")), [])

    def test_a_function_that_fails(self) -> None:
        step = user_step(function="faults:raises", items=[1])
        self.assertEqual(self.failure(lambda: step.verify(16, SECOND_NS), "task").message, "ValueError: bad item 1")
        step = user_step(async_function="faults:araises", items=[1])
        self.assertEqual(self.failure(lambda: step.verify(16, SECOND_NS), "task").message, "ValueError: bad item 1")

    def test_tasks_that_are_left_on_the_loop_end_with_it(self) -> None:
        step = user_step(async_function="faults:leaves_task", items=[1])
        self.assertEqual(step.verify(16, SECOND_NS).digests, [digest(1)])
        self.assertTrue(all(task.done() for task in sys.modules["faults"]._kept))


class Checks(FixtureCase):
    def test_results_by_value(self) -> None:
        step = user_step(function="unpicklable:task", items=[1])
        self.assertEqual(step.verified(0, 1, [1.5]), digest([1.5]))
        self.assertEqual(step.verified(0, 1, threading.Lock()), 0)

    def test_not_at_all(self) -> None:
        self.assertEqual(user_step(function="unpicklable:task", check="none").verified(0, None, "any"), 0)

    def test_by_a_function_of_the_users(self) -> None:
        step = user_step(function="state:remembers", items=[0, 1, 2], check={"function": "state:refuses_odd"})
        self.assertEqual(step.verified(2, 2, 4), 0)
        message = self.failure(lambda: step.verified(4, 1, 2), "checksum").message
        self.assertEqual(message, "`check` refuses the result of item 1, 2")
        message = self.failure(lambda: step.verify(16, SECOND_NS), "checksum").message
        self.assertEqual(message, "`check` refuses the result of item 1, 2")

    def test_by_a_function_that_raises_and_says_nothing_else(self) -> None:
        step = user_step(function="state:remembers", items=[0, 1, 2], check={"function": "state:asserts"})
        self.assertEqual(step.verified(2, 2, 4), 0)
        failure = self.failure(lambda: step.verified(2, 2, 5), "checksum")
        self.assertEqual(failure.message, "`check` raised AssertionError: 5 is not twice 2, on the result of item 2, 5")
        self.assertTrue(failure.traceback)
        self.assertEqual(step.verify(16, SECOND_NS).digests, [0, 0, 0])

    def test_by_a_function_that_takes_no_item(self) -> None:
        step = user_step(function="unpicklable:shadowed", check={"function": "state:refuses"})
        message = self.failure(lambda: step.verified(2, None, 2), "checksum").message
        self.assertEqual(message, "`check` refuses the result, 2")

    def test_the_readmes_example(self) -> None:
        step = user_step(
            function="shop.scrape:fetch_and_parse",
            async_function="shop.scrape:afetch",
            setup="shop.scrape:setup",
            items="shop.scrape:items",
            check={"function": "shop.scrape:check"},
        )
        found = step.verify(4, 10 * SECOND_NS)
        self.assertEqual((found.digests, found.notes), ([0] * 4, []))


if __name__ == "__main__":
    os.environ.setdefault("PYTHONHASHSEED", "0")
    unittest.main()
