"""Which of several base URLs to use: in order, staying with the one that works, resting those that do not.

It knows URLs and times only; what counts as not working is decided by whoever sends.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final

REST: Final = 30.0
"""Seconds for which a URL that did not work is set aside."""


class BaseUrls:
    """The URLs of one service. Usable from any thread.

    Args:
        urls: at least one, in order of preference.
        clock: monotonic seconds.

    Raises:
        ValueError: one of them is no URL to send to, or holds a password; or there is none.
    """

    def __init__(self, urls: Sequence[str], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._urls = tuple(dict.fromkeys(_checked(url) for url in urls))
        if not self._urls:
            raise ValueError("base_url is an empty list: name at least one URL")
        self._clock = clock
        self._lock = threading.Lock()
        self._current = self._urls[0]
        self._back_at: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._urls)

    def __iter__(self) -> Iterator[str]:
        return iter(self._urls)

    def current(self) -> str:
        """Return the URL to use now: where all are set aside, the one that is back first."""
        with self._lock:
            now = self._clock()
            if self._back_at.get(self._current, 0.0) > now:
                ready = [url for url in self._urls if self._back_at.get(url, 0.0) <= now]
                self._current = ready[0] if ready else min(self._urls, key=lambda url: self._back_at[url])
            return self._current

    def set_aside(self, url: str) -> None:
        """Rest a URL that did not work."""
        with self._lock:
            self._back_at[url] = self._clock() + REST

    def works(self, url: str) -> None:
        """Stay with a URL that has answered."""
        with self._lock:
            self._back_at.pop(url, None)


def _checked(url: str) -> str:
    if not isinstance(url, str):
        raise TypeError(f"base_url is a URL or a list of URLs, not {url!r}")
    if not url.lower().startswith(("http://", "https://")):
        raise ValueError(f"base_url must begin with http:// or https://: {url!r}")
    if not url.partition("//")[2].partition("/")[0]:
        raise ValueError(f"base_url names no host: {url!r}")
    if "@" in url.partition("//")[2].partition("/")[0]:
        raise ValueError(
            "base_url must not hold a user name or password, because URLs get into logs: "
            "give them as default_headers={'authorization': ...}"
        )
    return url.rstrip("/")
