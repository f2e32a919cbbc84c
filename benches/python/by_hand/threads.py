"""A thread for each task, and a semaphore that bounds how many there are."""

from threading import Semaphore, Thread

from tasks import work
from told import SIZE, serve

room = Semaphore(SIZE)


def work_and_leave(index: int) -> None:
    """Does a task, and makes room for the next one."""
    try:
        work(index)
    finally:
        room.release()


def run(tasks: int) -> None:
    """Runs them."""
    threads = []
    for index in range(tasks):
        room.acquire()
        thread = Thread(target=work_and_leave, args=(index,))
        thread.start()
        threads.append(thread)
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    serve(run)
