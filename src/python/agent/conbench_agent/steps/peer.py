"""The peers: processes behind the queues and events of worker processes.

They consume the queues' items and answer the signals, as a thread or a task does where workers share a process.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Callable, Iterable, List, Sequence, Tuple

from ..protocol import Failure, Job

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.queues import Queue
    from multiprocessing.synchronize import Event


def consume(job_text: str, number: int, requests: Queue[Tuple[int, int]], replies: Sequence[Connection]) -> None:
    """The process of a queue's consumer: one item after another, each answered to its slot."""
    from . import label
    from .stage import make_stage

    job = Job.parse(job_text)
    step_job = job.steps[number - 1]
    stage = make_stage(number, step_job.step["stage"], job, step_job, label(number, step_job))

    def serve() -> None:
        prepared = False
        while True:
            slot, index = requests.get()
            try:
                answer: object = stage.blocking(index)
            except Exception as error:
                answer = Failure.of(error)
            replies[slot].send((index, answer))
            if not prepared:
                # After the first item, so that it is not the start-up that waits; the next one does, before any
                # block is measured.
                prepared = True
                stage.prepare(None)

    _while_the_agent_lives([serve])


def answer(pairs: List[Tuple[Event, Event]], living: Connection) -> None:
    """The process of an event's partners: a thread for each slot. `living` ends when the process does."""

    def partner(signal: Event, answered: Event) -> Callable[[], None]:
        def serve() -> None:
            while True:
                signal.wait()
                signal.clear()
                answered.set()

        return serve

    _while_the_agent_lives(partner(*pair) for pair in pairs)
    living.close()


def _while_the_agent_lives(services: Iterable[Callable[[], None]]) -> None:
    """Runs each on a thread of its own; an agent that is killed leaves no peer behind."""
    import multiprocessing

    for serve in services:
        threading.Thread(target=serve, daemon=True).start()
    agent = multiprocessing.parent_process()
    if agent is not None:
        agent.join()
