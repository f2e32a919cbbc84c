"""Steps of the fixtures' code, as an agent makes them."""

from __future__ import annotations

import json
import sys
import unittest
from pathlib import Path
from typing import Any, Callable, Iterator, Optional, Set

from conbench_agent.protocol import Failure, Job
from conbench_agent.steps import Place
from conbench_agent.steps.user import UserStep
from support import job

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "python"
WHERE = "step 1 (python)"


def user_step(place: Optional[Place] = None, **fields: Any) -> UserStep:
    """A step of the user's code; `items` is a name or a list."""
    items = fields.pop("items", None)
    if items is not None:
        fields["items"] = {"named": items} if isinstance(items, str) else {"listed": items}
    copies = fields.pop("copies", False)
    known, tasks = fields.pop("known", None), fields.pop("tasks", None)
    description = {"kind": "python", "path": str(FIXTURES), "check": "results", **fields}
    load = {"mode": "closed"} if tasks is None else {"mode": "batch", "tasks": tasks}
    parsed = Job.parse(json.dumps(job([description], load={**load, "max_in_flight": 64})))
    parsed = parsed._replace(copies_items=copies, steps=[parsed.steps[0]._replace(items=known)])
    return UserStep(1, parsed, parsed.steps[0], place or Place.agent())


class FixtureCase(unittest.TestCase):
    """Forgets what a test imported, so that each starts anew."""

    def setUp(self) -> None:
        self._path, self._modules = list(sys.path), set(sys.modules)

    def tearDown(self) -> None:
        sys.path[:] = self._path
        for name in _users_modules(self._modules):
            del sys.modules[name]

    def failure(self, run: Callable[[], object], kind: str) -> Failure:
        """The failure that this ends with, which is of that kind and names the step."""
        with self.assertRaises(Failure) as caught:
            run()
        failure = caught.exception
        self.assertEqual((failure.kind, failure.where), (kind, WHERE), failure)
        self.assertFalse(failure.message.endswith("."), failure)
        return failure


def _users_modules(known: Set[str]) -> Iterator[str]:
    for name, module in list(sys.modules.items()):
        if name not in known and str(getattr(module, "__file__", None) or FIXTURES).startswith(str(FIXTURES)):
            yield name
