"""How the simulation behaves: the planner that settings make, and what `/_sim` may change of it while the server runs.

What the settings mean is `settings`' business, what a plan is `simulation`'s.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from video_translation_server.chance import Chance
from video_translation_server.delivery.detour import Detour
from video_translation_server.errors import InvalidError
from video_translation_server.faults import Faults
from video_translation_server.ids import Names
from video_translation_server.settings import Settings
from video_translation_server.simulation.durations import Durations
from video_translation_server.simulation.planner import Line, Odds, Planner
from video_translation_server.simulation.scenario import load
from video_translation_server.store import Store
from video_translation_server.wire.scripts import Script
from video_translation_server.wire.simulator import ConfigRequest


class Conduct:
    """The settings and the seed in force, and everything that draws by them."""

    def __init__(self, settings: Settings, store: Store, names: Names) -> None:
        """As the server is started; ids are random until `sow` has been awaited.

        Raises:
            InvalidError: The scenario cannot be read.
        """
        self._given = self._settings = settings
        self._store = store
        self._names = names
        self._seed = settings.seed
        self.chance = Chance(settings.seed)
        self.faults = Faults(names, self.chance)
        self.planner = Planner(
            **_draws(settings),
            line=None if settings.workers is None else Line(settings.ageing, _fast_seconds(settings)),
            seed=settings.seed,
            scenario=None if settings.scenario is None else load(settings.scenario),
        )

    @property
    def seed(self) -> int | None:
        """The seed in force."""
        return self._seed

    def config(self) -> dict[str, Any]:
        """The settings that may be changed, by name."""
        return self._settings.model_dump(include=set(ConfigRequest.model_fields))

    def configure(self, changes: Mapping[str, Any]) -> None:
        """Change some of them, for the jobs to come.

        Raises:
            InvalidError: A value cannot be, by itself or together with the others; nothing is changed.
        """
        try:
            self._settings = Settings.model_validate(self._settings.model_dump() | dict(changes))
        except ValidationError as error:
            problem = error.errors()[0]
            message = problem["msg"].removeprefix("Value error, ")
            # A rule about several settings begins with the name of the one to change.
            param = str(problem["loc"][0]) if problem["loc"] else message.partition(":")[0]
            raise InvalidError(message, param=param) from error
        self.planner.configure(**_draws(self._settings))

    async def sow(self, seed: int | None) -> None:
        """Draw and name with another seed from here on, in a new chapter of ids; None: different every time."""
        self._seed = seed
        self.chance.sow(seed)
        self.planner.restart(seed)
        self._names.begin(seed, 0 if seed is None else await self._store.begin_chapter())

    async def restart(self, detour: Detour) -> None:
        """As the server was started: without faults, with its settings and its seed."""
        await detour.clear()
        self.faults.clear()
        self._settings = self._given
        self.planner.configure(**_draws(self._given))
        await self.sow(self._given.seed)


def _draws(settings: Settings) -> dict[str, Any]:
    """What a planner draws by."""
    return {
        "durations": Durations(
            seconds=settings.translation_time,
            distribution=settings.time_distribution,
            per_video_minute=settings.seconds_per_video_minute,
            video_seconds=settings.video_length,
            precision_factor=settings.precision_factor,
            per_language=settings.language_factor,
        ),
        "pending_share": settings.pending_share,
        "odds": Odds(
            error=settings.error_rate,
            stall=settings.stall_rate,
            stall_timeout=settings.stall_timeout,
            retries=settings.error_retries,
        ),
        "defaults": Script(
            progression=settings.progression,
            polls=settings.polls,
            error_message=settings.error_message,
            progress_steps=settings.progress_steps,
            url_delay_seconds=settings.url_delay,
        ),
    }


def _fast_seconds(settings: Settings) -> float | None:
    return settings.fast_lane if settings.fast_workers else None
