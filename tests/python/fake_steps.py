"""The agent with steps made for tests in place of some of its own: `python fake_steps.py` is such an agent."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src" / "python" / "agent"))

from conbench_agent.agent import main
from conbench_agent.protocol import Failure, Job, StepJob
from conbench_agent.steps import Place
from conbench_agent.task import Done, Step, Verified


class Fake(Step):
    """Stands for `event`: its `round_trips` say what it does."""

    def __init__(self, number: int, job: Job, step_job: StepJob, place: Place) -> None:
        self._where = f"step {number} (fake)"
        self._deed = step_job.step["round_trips"]

    def blocking(self, index: int, item: object) -> Done:
        if self._deed == 1 and index == 3:
            raise Failure("task", "ValueError: bad item 3", self._where, ["  File ..", "    bad()"])
        if self._deed == 2:
            raise KeyError("unforeseen")
        if self._deed == 3:
            threading.Thread(target=time.sleep, args=(60,), name=f"stray-{index}").start()
        if self._deed == 4:
            time.sleep(0.0002)
        return index % 16, None


class Echo(Step):
    """Stands for `python`: hands each item back."""

    exchanges = True
    distinct = 5

    def __init__(self, *_: Any) -> None:
        pass

    def item(self, index: int) -> object:
        return index % self.distinct

    def blocking(self, index: int, item: object) -> Done:
        return 0, item

    def reference(self, index: int, item: object) -> int:
        return 0

    def verify(self, tasks: int, budget_ns: int) -> Verified:
        return Verified([100 + index for index in range(min(tasks, self.distinct))], [{"mutates": {"item": 3}}])

    def verified(self, index: int, item: object, result: object) -> int:
        assert item == result
        return 100 + index % self.distinct


if __name__ == "__main__":
    from conbench_agent import steps

    module: Any = type(sys)("conbench_agent.steps.fake")
    module.Fake, module.Echo = Fake, Echo
    sys.modules[module.__name__] = module
    steps._MAKERS.update(event="fake:Fake", python="fake:Echo")
    main(sys.argv[1:])
