"""What recording costs a task: a lane's `begin` and `end` (both read the clock) beside a loop without them.

Run with the agent's folder on `PYTHONPATH`; prints nanoseconds of CPU time a task, the median of many runs.
"""

from __future__ import annotations

from statistics import median
from time import monotonic_ns, thread_time_ns

from conbench_agent.sampler import LOG_CAPACITY, Sampler, Settings, Window

RUNS = 20
MINUTE_NS = 60_000_000_000
#: Enough for a log to be folded several times, as it is in a long block.
TASKS = 4 * LOG_CAPACITY


def recorded_ns() -> int:
    """The time of tasks that do nothing, recorded."""
    settings = Settings(Window(MINUTE_NS), first_index=0, slots=1, shards=1, task_timeout_ns=MINUTE_NS)
    lane = Sampler(settings, monotonic_ns()).lane(0)
    done = (1, None)
    start_ns = thread_time_ns()
    for index in range(TASKS):
        begin_ns = lane.begin()
        lane.end(index, begin_ns, begin_ns, monotonic_ns(), done)
    return thread_time_ns() - start_ns


def bare_ns() -> int:
    """The time of the loop alone."""
    start_ns = thread_time_ns()
    for _ in range(TASKS):
        pass
    return thread_time_ns() - start_ns


if __name__ == "__main__":
    print(median((recorded_ns() - bare_ns()) / TASKS for _ in range(RUNS)))  # noqa: T201
