from __future__ import annotations

import json
import random
import struct
import unittest
import unittest.mock

from conbench_agent.steps import kernels
from conbench_agent.steps.kernels import KERNELS, Input

#: The checksums of every kernel for seed 42, step 1, variant 3, 2000 bytes, 2 iterations: those of the native agent.


def make(kernel: str, input_bytes: int, seed: int) -> Input:
    return Input({"kernel": kernel, "input_bytes": input_bytes}, seed)


class Kernels(unittest.TestCase):
    def test_products_are_summed_without_compensation(self) -> None:
        row, column = [1e16, 1.0, -1e16], [[1.0], [1.0], [1.0]]
        self.assertEqual(kernels._multiply([row], column), [0.0])

    def test_the_checksum_of_a_product_is_the_sum_of_its_bit_patterns(self) -> None:
        left, right = kernels._matrices(600, 5)
        patterns = (struct.unpack("<Q", struct.pack("<d", value))[0] for value in kernels._multiply(left, right))
        self.assertEqual(make("matrix", 600, 5).iterate(), sum(patterns) % 2**64)

    def test_iterations_are_all_done(self) -> None:
        for kernel in KERNELS:
            with self.subTest(kernel):
                made = make(kernel, 512, 9)
                self.assertEqual(made.run(9, 2), made.run(made.run(9, 1), 1))
                self.assertEqual(made.run(9, 0), 9)

    def test_every_size_runs_and_inputs_depend_on_their_seed_alone(self) -> None:
        sizes = random.Random(1)
        for size in [0, 1, 7, 8, 15, 16, 64, *[sizes.randrange(3000) for _ in range(10)]]:
            for kernel in KERNELS:
                with self.subTest(kernel, size=size):
                    self.assertEqual(make(kernel, size, 3).run(3, 1), make(kernel, size, 3).run(3, 1))

    def test_documents_are_json_of_about_their_size(self) -> None:
        for size in [2, 63, 64, 65, 1000, 20_000]:
            document = kernels._document(size, size)
            self.assertTrue(json.loads(document))
            self.assertLessEqual(size, len(document))
            self.assertLessEqual(len(document), size + 128)

    def test_texts_have_their_size_and_are_words(self) -> None:
        for size in [0, 1, 2, 300, 20_000]:
            text = kernels._text(size, size)
            self.assertEqual(len(text), size)
            self.assertLessEqual(set(text.split()[:-1]), set(kernels.VOCABULARY))

    def test_a_text_is_made_even_of_the_shortest_words(self) -> None:
        with unittest.mock.patch.object(kernels, "pattern", lambda length, _seed: bytes([6]) * length):
            self.assertEqual(kernels._text(1000, 1), b"a " * 500)
