"""The agent with steps made for tests in place of some of its own: `python fake_steps.py` is such an agent."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Callable, List, Optional

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src" / "python" / "agent"))

from conbench_agent.agent import main
from conbench_agent.protocol import Failure, Job, StepJob
from conbench_agent.steps import Place
from conbench_agent.task import Done, Step, Verified


class Fake(Step):
    """Stands for `event`: its `round_trips` say what it does."""

    def __init__(self, number: int, job: Job, step_job: StepJob, place: Place) -> None:
        self._where = f"step {number} (fake)"
        self._deed = _DEEDS[step_job.step["round_trips"]]

    def blocking(self, index: int, item: object) -> Done:
        self._deed(self, index)
        return index % 16, None

    def _nothing(self, index: int) -> None:
        pass

    def _fail(self, index: int) -> None:
        if index == 3:
            raise Failure("task", "ValueError: bad item 3", self._where, ["  File ..", "    bad()"])

    def _raise(self, index: int) -> None:
        raise KeyError("unforeseen")

    def _leave_thread(self, index: int) -> None:
        threading.Thread(target=time.sleep, args=(60,), name=f"stray-{index}").start()

    def _exit(self, index: int) -> None:
        raise SystemExit("out")

    def _leave_child(self, index: int) -> None:
        _CHILDREN.append(subprocess.Popen(["sleep", "60"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))

    def _print(self, index: int) -> None:
        print('{"failed":{}}')  # noqa: T201

    def _close_descriptors(self, index: int) -> None:
        os.closerange(3, 256)

    def _take_descriptors(self, index: int) -> None:
        os.closerange(3, 256)
        while os.open(os.devnull, os.O_RDWR) < 4:
            pass


_DEEDS = [
    Fake._nothing,
    Fake._fail,
    Fake._raise,
    Fake._leave_thread,
    Fake._exit,
    Fake._leave_child,
    Fake._print,
    Fake._close_descriptors,
    Fake._take_descriptors,
]
_CHILDREN: List[subprocess.Popen[bytes]] = []


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

    def verify(
        self,
        tasks: int,
        budget_ns: int,
        most_calls: Optional[int] = None,
        pace: Optional[Callable[[], None]] = None,
    ) -> Verified:
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
