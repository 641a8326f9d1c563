"""A TCP proxy that cuts each connection after a random number of bytes, or all of them when it is told to."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
from typing import Self

from tests.waiting import PATIENCE

PLENTY = 1 << 40


class CuttingProxy:
    def __init__(self, port: int, rng: random.Random, *, shortest: int = 600, longest: int = 2500) -> None:
        self._port = port
        self._rng = rng
        self._range = (shortest, longest)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self.cuts = 0
        self._open: set[socket.socket] = set()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        for end in list(self._open):
            _shut(end)
        for thread in list(self._threads):
            thread.join(PATIENCE)
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                inside, _ = self._listening.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(inside,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, inside: socket.socket) -> None:
        with inside:
            try:
                outside = socket.create_connection(("127.0.0.1", self._port))
            except OSError:
                return  # the server is away: so are we
            with outside:
                self._open |= {inside, outside}
                asking = threading.Thread(target=self._pass, args=(inside, outside, PLENTY))
                asking.start()
                self._pass(outside, inside, self._rng.randrange(*self._range))
                asking.join(PATIENCE)
                self._open -= {inside, outside}

    def _pass(self, source: socket.socket, target: socket.socket, limit: int) -> None:
        with contextlib.suppress(OSError):  # the other direction was cut
            while limit > 0 and (data := source.recv(min(limit, 4096))):
                target.sendall(data)
                limit -= len(data)
            self.cuts += limit <= 0
        _shut(source)
        _shut(target)


def _shut(end: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it is gone already
        end.shutdown(socket.SHUT_RDWR)
