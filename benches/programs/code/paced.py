"""A request of 100 ms to a service that allows fifty a second."""
import asyncio, time


def fetch(number):
    time.sleep(0.1)
    return number


async def fetch_async(number):
    await asyncio.sleep(0.1)
    return number


items = list(range(100))
