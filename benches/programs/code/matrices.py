"""Linear algebra by numpy, whose library computes with a thread for each core."""
import numpy

_random = numpy.random.default_rng(0)
_dense = _random.random((300, 300))
_symmetric = _random.random((200, 200))
_symmetric = _symmetric + _symmetric.T
items = list(range(64))


def multiply(number):
    return float((_dense @ _dense)[number, 0])


def eigen(number):
    return round(float(numpy.linalg.eigvalsh(_symmetric + number)[0]), 6)
