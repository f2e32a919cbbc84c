"""The kernels: fixed computations whose results are those of the native agent, bit for bit.

All integers are unsigned, 64 bits wide and wrap around. *Words* are `pattern` of the input's seed, read as
little-endian integers. One iteration does the following; all of it, allocations included, is done anew each time.

========== ========================================== ===================================================
kernel     input                                      result of one iteration
========== ========================================== ===================================================
loop       `max(1, bytes // 8)` words               `fold` over the words, from 0
primes     the integer `bytes`                      how many primes there are below it, by trial division
sha256     `bytes` bytes of the pattern             the first 8 bytes of the SHA-256, little-endian
json       a document (`_document`)                 length of the array x 31 + `id` of its last element
deflate    a text (`_text`)                         `digest` of the text, deflated and inflated again
sort       `max(1, bytes // 8)` words               `fold` over 8 of the sorted words (`_probe`)
matrix     two square matrices (`_matrices`)        sum of the bit patterns of their product's elements
========== ========================================== ===================================================

`loop`, `primes`, `json`, `sort` and `matrix` hold the GIL, as a user's own plain Python does; `sha256` and
`deflate` release it on large inputs.
"""

from __future__ import annotations

import hashlib
import json
import sys
import zlib
from array import array
from math import isqrt
from typing import Any, Callable, Dict, List, Sequence, Tuple

from ..task import VARIANTS, digest, pattern

_MASK = (1 << 64) - 1
# Knuth's MMIX constants.
_MULTIPLIER = 6_364_136_223_846_793_005
_INCREMENT = 1_442_695_040_888_963_407

#: The words of the text that `deflate` compresses.
VOCABULARY = tuple(b"the quick request was answered by a worker thread after waiting for some other process to".split())
_SPACED = tuple(VOCABULARY[byte % 16] + b" " for byte in range(256))
_SHORTEST_OBJECT = 64
# Makes a fraction of 53 bits, without rounding.
_TO_UNIT = 2.0**-53

Matrix = List[List[float]]


def fold(total: int, value: int) -> int:
    """One step of a 64-bit linear congruential generator, fed with `value`."""
    return ((total ^ value) * _MULTIPLIER + _INCREMENT) & _MASK


def input_seed(seed: int, number: int, variant: int) -> int:
    """The seed of the input of `variant` of step `number` (from 1)."""
    return fold(seed, (number * VARIANTS + variant) & _MASK)


class Input:
    """An input of a kernel, made and ready to be computed on; it depends on its seed alone."""

    def __init__(self, cpu: Dict[str, Any], seed: int) -> None:
        """The input of `cpu`'s kernel that belongs to this seed (see `input_seed`)."""
        make, self._compute = _KERNELS[cpu["kernel"]]
        self._value = make(cpu["input_bytes"], seed)

    def iterate(self) -> int:
        """One iteration of the kernel: its result."""
        return self._compute(self._value)

    def run(self, seed: int, iterations: int) -> int:
        """`iterations` iterations, each result folded into a checksum that starts at `seed`."""
        total = seed
        for _ in range(iterations):
            total = fold(total, self._compute(self._value))
        return total


def _words(count: int, seed: int) -> array[int]:
    words = array("Q", pattern(count * 8, seed))
    if sys.byteorder == "big":
        words.byteswap()
    return words


def _input_words(input_bytes: int, seed: int) -> array[int]:
    return _words(max(1, input_bytes // 8), seed)


def _loop(words: Sequence[int]) -> int:
    total = 0
    for word in words:
        total = ((total ^ word) * 6_364_136_223_846_793_005 + 1_442_695_040_888_963_407) & 0xFFFF_FFFF_FFFF_FFFF
    return total


def _primes(limit: int) -> int:
    count = 0
    for number in range(2, limit):
        if _is_prime(number):
            count += 1
    return count


def _is_prime(number: int) -> bool:
    if number < 4:
        return True
    if number % 2 == 0:
        return False
    divisor = 3
    while divisor * divisor <= number:
        if number % divisor == 0:
            return False
        divisor += 2
    return True


def _sha256(data: bytes) -> int:
    return int.from_bytes(hashlib.sha256(data).digest()[:8], "little")


def _document(input_bytes: int, seed: int) -> bytes:
    """An array of objects, each made of two words; as many as it takes to reach the size, at least one."""
    words = _words(2 * (input_bytes // _SHORTEST_OBJECT + 1), seed)
    objects: List[str] = []
    # Each object follows the bracket or a comma.
    length = 0
    for a, b in zip(words[::2], words[1::2]):
        active = "true" if a & 1 else "false"
        text = (
            f'{{"id":{a & 0xFFFF_FFFF},"name":"{b:016x}","active":{active},'
            f'"score":{(b >> 8) % 10_000}.5,"tags":["{a >> 48:04x}","x"]}}'
        )
        objects.append(text)
        length += 1 + len(text)
        if length >= input_bytes:
            break
    return f"[{','.join(objects)}]".encode()


def _json(document: bytes) -> int:
    tree: List[Dict[str, Any]] = json.loads(document)
    identity: int = tree[-1]["id"]
    return (len(tree) * 31 + identity) & _MASK


def _text(input_bytes: int, seed: int) -> bytes:
    """For each byte of the pattern the word `byte % 16` of the vocabulary and a space, cut at the size."""
    # A word and its space have 5.6 bytes in the mean, and never less than two: the second count always does.
    for count in (input_bytes // 5 + 64, input_bytes // 2 + 1):
        text = b"".join(map(_SPACED.__getitem__, pattern(count, seed)))
        if len(text) >= input_bytes:
            break
    return text[:input_bytes]


def _deflate(text: bytes) -> int:
    compressor = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    compressed = compressor.compress(text) + compressor.flush()
    return digest(zlib.decompress(compressed, -zlib.MAX_WBITS))


def _sort(words: Sequence[int]) -> int:
    return _probe(sorted(words))


def _probe(ordered: Sequence[int]) -> int:
    """Samples of a sorted list: enough to notice a wrong order, too few to cost time."""
    last = len(ordered) - 1
    total = 0
    for k in range(8):
        total = fold(total, ordered[last * k // 7])
    return total


def _matrices(input_bytes: int, seed: int) -> Tuple[Matrix, Matrix]:
    """Two matrices of numbers from 0 to 1, which together have the size."""
    size = max(1, isqrt(input_bytes // 16))
    values = [(word >> 11) * _TO_UNIT for word in _words(2 * size * size, seed)]
    rows = [values[start : start + size] for start in range(0, len(values), size)]
    return rows[:size], rows[size:]


def _matrix(factors: Tuple[Matrix, Matrix]) -> int:
    product = _multiply(*factors)
    # Of integers, sum() is exact.
    return sum(array("Q", array("d", product).tobytes())) & _MASK


def _multiply(left: Matrix, right: Matrix) -> List[float]:
    """The elements of the product, row by row: sums over ascending `k`, each product rounded before it is added."""
    columns = list(zip(*right))
    product = []
    for row in left:
        for column in columns:
            # Not the built-in sum(), which compensates rounding errors from CPython 3.12 on.
            total = 0.0
            for a, b in zip(row, column):
                total += a * b
            product.append(total)
    return product


_Make = Callable[[int, int], Any]
_Compute = Callable[[Any], int]

_KERNELS: Dict[str, Tuple[_Make, _Compute]] = {
    "loop": (_input_words, _loop),
    "primes": (lambda input_bytes, seed: input_bytes, _primes),
    "sha256": (pattern, _sha256),
    "json": (_document, _json),
    "deflate": (_text, _deflate),
    "sort": (_input_words, _sort),
    "matrix": (_matrices, _matrix),
}

#: The names of all kernels.
KERNELS = tuple(_KERNELS)
