"""Tasks without a surprise."""
import asyncio, hashlib, subprocess

_block = bytes(1 << 20)


def add(number):
    return number + 1


def digest(number):
    return hashlib.sha256(_block + bytes([number % 256])).hexdigest()


def child_that_waits(number):
    subprocess.run(["sleep", "0.02"], check=True)
    return number


async def fetch(number):
    await asyncio.sleep(0.008)
    return number


items = list(range(64))
