"""How the user's exceptions are told."""

from __future__ import annotations

import builtins
import unittest
from typing import Any

from conbench_agent.user.traceback import MOST_LINES, describe, frames


class Mute(Exception):
    def __str__(self) -> str:
        raise ValueError


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as caught:
        return caught


class Described(unittest.TestCase):
    def test_in_one_line_as_python_names_it(self) -> None:
        for error, says in [
            (ValueError("bad item 3"), "ValueError: bad item 3"),
            (ValueError(), "ValueError"),
            (ValueError("two\n  lines"), "ValueError: two lines"),
            (Mute(), f"{__name__}.Mute: (it cannot say what)"),
        ]:
            self.assertEqual(describe(error), says)
        self.assertLessEqual(len(describe(ValueError("x" * 1000))), 320)

    def test_a_long_message_keeps_its_end_and_what_is_ours_goes(self) -> None:
        self.assertRegex(describe(ValueError("first " + "x" * 1000 + " last")), r"^ValueError: first x+ \.\. x+ last$")
        loops = "Task <Task coro=<ours() at /a.py:1> cb=[<b>]> got Future <Future x> attached to a different loop"
        says = "RuntimeError: a task got a future that is attached to a different loop"
        self.assertEqual(describe(RuntimeError(loops)), says)

    @unittest.skipUnless(hasattr(builtins, "ExceptionGroup"), "exception groups came with 3.11")
    def test_a_group_by_its_first(self) -> None:
        group: Any = vars(builtins)["ExceptionGroup"]
        error = raised(group("unhandled errors", [raised(ValueError("bad item 3")), KeyError("other")]))
        self.assertEqual(describe(error), "ExceptionGroup: unhandled errors (2 sub-exceptions): ValueError: bad item 3")
        self.assertIn("caused by ValueError: bad item 3", frames(error))


class Frames(unittest.TestCase):
    def test_causes_that_go_round(self) -> None:
        one, other = raised(ValueError("one")), raised(ValueError("other"))
        one.__cause__, other.__cause__ = other, one
        self.assertEqual(sum(line.startswith("caused by") for line in frames(one)), 1)

    def test_a_cause_that_was_suppressed(self) -> None:
        error = ValueError("one")
        error.__context__, error.__suppress_context__ = KeyError("other"), True
        self.assertFalse(any(line.startswith("caused by") for line in frames(raised(error))))

    def test_long_ones_are_cut_in_the_middle(self) -> None:
        error = raised(ValueError(0))
        for number in range(1, 30):
            error, error.__cause__ = raised(ValueError(number)), error
        lines = frames(error)
        self.assertEqual(len(lines), MOST_LINES)
        self.assertIn("more lines", lines[MOST_LINES // 2])

    def test_an_exception_that_was_never_raised_has_none(self) -> None:
        self.assertEqual(frames(ValueError("one")), [])


if __name__ == "__main__":
    unittest.main()
