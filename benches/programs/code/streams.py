"""Items without an end, and tuples that are arguments."""
import time


def numbers():
    number = 0
    while True:
        number += 1
        yield number


def compute(number):
    total = 0
    for n in range(30_000):
        total += n * number % 7
    return total


def fetch(host, path):
    time.sleep(0.006)
    return len(host) + len(path)


pairs = [("a.example", f"/{n}") for n in range(50)]
