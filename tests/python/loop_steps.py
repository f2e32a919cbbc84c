"""Steps for engines with an event loop, and blocks of them without an agent."""

from __future__ import annotations

import asyncio
import threading
from time import monotonic_ns
from typing import Any, Awaitable, Callable, Dict, List, Optional

from conbench_agent import engines
from conbench_agent.engines.base import Engine
from conbench_agent.meter import Usage
from conbench_agent.protocol import Candidate, Job, Load, Payload, Sizes
from conbench_agent.sampler import Batch, Sampler, Settings, Window
from conbench_agent.task import Done, Step, Task

NO_TIMEOUT_NS = 1 << 60


class Awaits(Step):
    """Awaits what it is told to, and counts how many are in it at once."""

    is_async = True
    exchanges = True

    def __init__(self, body: Callable[[int], Awaitable[object]] = lambda index: asyncio.sleep(0)) -> None:
        self._body = body
        self.inside = 0
        self.most_inside = 0
        self.threads: List[str] = []

    def item(self, index: int) -> object:
        return index

    async def asynchronous(self, index: int, item: object) -> Done:
        assert item == index
        self.threads.append(threading.current_thread().name)
        self.inside += 1
        self.most_inside = max(self.most_inside, self.inside)
        result = await self._body(index)
        self.inside -= 1
        return index % 16, result


class Blocks(Step):
    """Has no async form."""

    exchanges = True

    def __init__(self, body: Callable[[int], object] = lambda index: None) -> None:
        self._body = body
        self.threads: List[str] = []

    def item(self, index: int) -> object:
        return index

    def blocking(self, index: int, item: object) -> Done:
        assert item == index
        self.threads.append(threading.current_thread().name)
        return index % 16 * 1000, self._body(index)


def make(
    name: str, steps: List[Step], in_flight: int = 4, workers: Optional[int] = None, payload: Optional[Payload] = None
) -> Engine:
    """An engine of these steps."""
    payload = payload or Payload(0, 0)
    candidate = Candidate("python", name, Sizes(workers=workers, in_flight=in_flight))
    job = Job(candidate, Load("closed", in_flight), payload, [], seed=1, task_timeout_ns=NO_TIMEOUT_NS)
    return engines.build(job, Task(steps, payload, seed=1))


def run(
    engine: Engine,
    batch: Optional[int] = None,
    most_tasks: Optional[int] = None,
    kind: str = "timed",
    first_index: int = 0,
    keep: int = 0,
) -> Sampler:
    """One block: a batch, or a closed load that ends after `most_tasks` tasks or else after 2 ms."""
    settings = Settings(
        arrival=Batch(batch) if batch is not None else Window(NO_TIMEOUT_NS if most_tasks is not None else 2_000_000),
        first_index=first_index,
        slots=engine.slots,
        shards=engine.shards,
        task_timeout_ns=NO_TIMEOUT_NS,
        heartbeat=kind == "memory",
        most_tasks=most_tasks,
        keep=keep,
    )
    sampler = Sampler(settings, monotonic_ns())
    engine.run(sampler)
    return sampler


def figures(sampler: Sampler) -> Dict[str, Any]:
    """The figures of a block that was run."""
    return sampler.finish(1, "timed", Usage())
