"""A double of the real service's official command-line tool, as far as its behaviour on the wire is public.

It asks from 2 s on, doubling to 30 s with jitter, for 20 minutes; tries a request three times in all; heeds
`Retry-After` up to 30 s; sends no `Idempotency-Key`; tells the `X-Request-Id` of what failed. Base URL and key come
from the environment. How it waits is an argument.
"""

import random
from collections.abc import Callable, Mapping
from typing import Any

import httpx

FIRST_PAUSE, LONGEST_PAUSE = 2.0, 30.0
PATIENCE = 20 * 60.0
TRIES = 3
AGAIN = frozenset({429, 500, 502, 503, 504})


class CommandFailedError(Exception):
    """The tool gave up; it says what was answered, and the id of the request."""


class OfficialCommandLine:
    """`heygen video-translate create --wait`, in so many words."""

    def __init__(self, environment: Mapping[str, str], *, sleep: Callable[[float], None], seed: int = 1) -> None:
        """`HEYGEN_API_BASE` and `HEYGEN_API_KEY` are read; `sleep` gets seconds."""
        headers = {"X-Api-Key": environment["HEYGEN_API_KEY"]}
        self._http = httpx.Client(base_url=environment["HEYGEN_API_BASE"], headers=headers, trust_env=False)
        self._sleep = sleep
        self._random = random.Random(seed)

    def close(self) -> None:
        self._http.close()

    def create(self, url: str, *languages: str) -> list[str]:
        """Start translations; their ids."""
        body = {"video": {"type": "url", "url": url}, "output_languages": list(languages)}
        ids: list[str] = self._ask("POST", "/v3/video-translations", json=body)["data"]["video_translation_ids"]
        return ids

    def wait(self, job_id: str) -> dict[str, Any]:
        """Ask until the job has ended.

        Raises:
            CommandFailedError: It had not within 20 minutes.
        """
        pause, waited = FIRST_PAUSE, 0.0
        while waited <= PATIENCE:
            job: dict[str, Any] = self._ask("GET", f"/v3/video-translations/{job_id}")["data"]
            if job["status"] in ("completed", "failed"):
                return job
            seconds = pause * self._random.uniform(0.5, 1.0)
            self._sleep(seconds)
            waited += seconds
            pause = min(pause * 2, LONGEST_PAUSE)
        raise CommandFailedError(f"{job_id} has not ended after {waited:.0f} s")

    def _ask(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        for number in range(1, TRIES + 1):
            answer = self._http.request(method, path, **request)
            if answer.status_code in AGAIN and number < TRIES:
                self._sleep(min(float(answer.headers.get("Retry-After", number)), LONGEST_PAUSE))
                continue
            break
        if answer.is_error:
            problem = answer.json()["error"]
            raise CommandFailedError(f"{problem['code']}: {problem['message']} ({answer.headers['X-Request-Id']})")
        found: dict[str, Any] = answer.json()
        return found
