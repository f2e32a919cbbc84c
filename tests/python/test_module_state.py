"""What a function's modules share between threads: found in its code, and by what changes while it runs."""

from __future__ import annotations

from typing import Any, Callable, List, Tuple

from conbench_agent.user.module_state import ModuleState
from user_support import FixtureCase, user_step


def step_of(name: str) -> Callable[..., Any]:
    function = user_step(function=f"sharing:{name}", items=[1, 2]).function
    assert function is not None
    return function


class Found(FixtureCase):
    def found(self, name: str) -> List[Tuple[object, object, object]]:
        function = step_of(name)
        state = ModuleState([function])
        for item in (1, 2):
            function(item)
        return sorted((each["name"], each["type"], each["changes"]) for each in state.found())

    def test_a_lock_that_the_code_names(self) -> None:
        expected = [("lock", "threading.Lock", False)]
        for name in ("guarded", "by_another", "decorated", "given"):
            self.assertEqual(self.found(name), expected, name)

    def test_what_calls_change(self) -> None:
        expected = [("count", "int", True), ("results", "list", True), ("seen", "dict", True)]
        self.assertEqual(self.found("collects"), expected)

    def test_what_calls_change_inside_of_containers(self) -> None:
        expected = [
            ("by_kind", "defaultdict", True),
            ("kept", "Kept", True),
            ("recent", "deque", True),
            ("seen_kinds", "Counter", True),
            ("slots", "list", True),
            ("stats", "dict", True),
        ]
        self.assertEqual(self.found("changes_contents"), expected)

    def test_what_is_only_read_is_no_change(self) -> None:
        self.assertEqual(self.found("reads_contents"), [])

    def test_what_is_loaded_at_the_first_need_is_no_state(self) -> None:
        self.assertEqual(self.found("loads_once"), [])

    def test_objects_and_classes_of_the_module(self) -> None:
        expected = [
            ("Store.gate", "threading.Semaphore", False),
            ("store.rows", "list", True),
        ]
        self.assertEqual(self.found("of_an_object"), expected)
        self.assertEqual(self.found("store.add"), [("Store.rows", "list", True)])

    def test_what_is_shared_is_found_where_it_is(self) -> None:
        self.assertEqual(self.found("counted"), [("made", "int", True)])
        self.assertEqual(self.found("adds"), [("total", "float", True)])
        expected = [("Keeper._guard", "threading.Lock", False), ("lock", "threading.Lock", False)]
        self.assertEqual(self.found("by_a_method"), expected)
        self.assertEqual(self.found("keeper.put"), expected)

    def test_a_proxy_is_let_sleep(self) -> None:
        self.assertEqual(self.found("has_a_proxy"), [])

    def test_names_of_two_modules_are_two(self) -> None:
        function = user_step(function="sharing_package.one:limited", items=[1]).function
        assert function is not None
        self.assertEqual(ModuleState([function]).found(), [])

    def test_a_queue(self) -> None:
        self.assertEqual(self.found("puts"), [("waiting", "queue.Queue", False)])

    def test_builtins_have_none(self) -> None:
        self.assertEqual(ModuleState([len, str.upper, dict]).found(), [])
