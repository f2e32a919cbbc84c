"""A partial that holds a large table, and a lambda."""
import functools, time


def _score(table, start):
    total = 0
    for n in range(start, start + 20_000):
        total += table[n % 120_000]
    return total


score = functools.partial(_score, [n * 7 % 1013 for n in range(120_000)])
fetch = lambda number: (time.sleep(0.008), number)[1]  # noqa: E731
items = [n * 500 for n in range(40)]
