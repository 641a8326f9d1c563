"""The load: jobs submitted at an even pace while a server answers, each remembered if the API answered 2xx."""

import asyncio
import random
import time

from tests.chaos.api import Api
from tests.chaos.pacing import happens

LANGUAGES = ["Arabic", "Czech", "Dutch", "English", "German", "Japanese", "Spanish (Spain)", "Turkish"]
MOST_AT_ONCE = 3
FAILING = 0.25
"""Share of the requests whose jobs are told to fail."""


class Load:
    """Submits whenever a server is there, until it is told to stop; requests that a kill cuts stay uncounted.

    Args:
        api: Where to.
        seed: What durations, languages and endings are drawn from.
        jobs: How many shall be accepted within about `seconds`.
        seconds: See there.
        accepted: Gets the ids of the accepted jobs, with the status that each must end in.
    """

    def __init__(self, api: Api, seed: int, *, jobs: int, seconds: float, accepted: dict[str, str]) -> None:
        self._api = api
        self._random = random.Random(f"{seed} load")
        self._jobs = jobs
        self._seconds = seconds
        self._accepted = accepted
        self._stopped = asyncio.Event()
        self._may_submit = asyncio.Event()

    @property
    def is_enough(self) -> bool:
        """Whether as many jobs were accepted as wanted."""
        return len(self._accepted) >= self._jobs

    def resume(self) -> None:
        """A server is there."""
        self._may_submit.set()

    def pause(self) -> None:
        """No server is there."""
        self._may_submit.clear()

    def stop(self) -> None:
        """Submit nothing more."""
        self._stopped.set()
        self._may_submit.set()

    async def run(self) -> None:
        """Submit; requests overlap, so that a kill meets some under way."""
        until = time.monotonic() + self._seconds
        async with asyncio.TaskGroup() as group:
            while not await happens(self._stopped, within=self._pause(until - time.monotonic())):
                await self._may_submit.wait()
                languages = self._random.sample(LANGUAGES, self._random.randint(1, MOST_AT_ONCE))
                seconds, fails = self._random.uniform(0.2, 1), self._random.random() < FAILING
                group.create_task(self._submit(languages, seconds=seconds, fails=fails))

    def _pause(self, left: float) -> float:
        """Seconds to the next request, so that the rest comes evenly in the seconds that are left.

        Half the average pace is kept also with enough jobs: each restarted server needs work.
        """
        average = (1 + MOST_AT_ONCE) / 2 * self._seconds / self._jobs
        rest = self._jobs - len(self._accepted)
        if rest <= 0:
            return average * 2
        return min(average * 2, max(average / 4, average * (left / self._seconds) * (self._jobs / rest)))

    async def _submit(self, languages: list[str], *, seconds: float, fails: bool) -> None:
        for job in await self._api.submit(languages, seconds=seconds, fails=fails):
            self._accepted[job] = "failed" if fails else "completed"
