"""What the user's code has opened, and what of it is a trouble of forked workers or of a far side."""

from __future__ import annotations

import asyncio
import os
import socket
import tempfile
import unittest
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Callable

from conbench_agent.user.descriptors import Opened, opened


class OpenedNow(unittest.TestCase):
    def setUp(self) -> None:
        self._stack = ExitStack()
        self.addCleanup(self._stack.close)
        self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))

    def found(self, begin: Callable[[], object]) -> Opened:
        before = opened()
        begin()
        return opened().since(before)

    def hold(self, made: socket.socket) -> socket.socket:
        return self._stack.enter_context(made)

    def test_a_file_that_is_only_appended_to_is_no_trouble(self) -> None:
        def begin(mode: str) -> None:
            self._stack.enter_context((self._folder / "log").open(mode))

        self.assertEqual(self.found(lambda: begin("a")), Opened(0, 0))
        for mode in ("w", "r", "a+"):
            self.assertEqual(self.found(partial(begin, mode)), Opened(0, 1), mode)

    def test_an_event_loop_has_no_far_side(self) -> None:
        def begin() -> None:
            self._stack.callback(asyncio.new_event_loop().close)

        found = self.found(begin)
        self.assertEqual((found.sockets, found.connections, found.own()["sockets"]), (2, 0, 0))
        self.assertEqual(found.shared(), {"sockets": 2, "files": 0})

    def test_a_connection_has_one(self) -> None:
        def begin(address: object, family: int) -> None:
            listener = self.hold(socket.socket(family))
            listener.bind(address)  # type: ignore[arg-type]
            listener.listen()
            self.hold(socket.socket(family)).connect(listener.getsockname())

        for address, family in ((("127.0.0.1", 0), socket.AF_INET), (str(self._folder / "s"), socket.AF_UNIX)):
            found = self.found(partial(begin, address, family))
            self.assertEqual((found.sockets, found.connections), (2, 1), address)

    def test_nothing_about_a_socket_is_changed(self) -> None:
        one, _ = map(self.hold, socket.socketpair())
        self.addCleanup(socket.setdefaulttimeout, socket.getdefaulttimeout())
        socket.setdefaulttimeout(3.0)
        opened()
        self.assertTrue(os.get_blocking(one.fileno()))
        self.assertEqual(one.gettimeout(), None)


if __name__ == "__main__":
    unittest.main()
