"""What becomes of a request for translations: each job's first change, with its callback.

Whoever has ordered decides what else is committed with them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from video_translation_server import lifecycle
from video_translation_server.api.context import Context
from video_translation_server.errors import ConflictError, InvalidError, NotFoundError
from video_translation_server.model import Asset, Batch, Change, Endpoint
from video_translation_server.store import Keep
from video_translation_server.transitions import record
from video_translation_server.wire.events import CALLBACK_TYPES
from video_translation_server.wire.requests import Media, TranslationRequest


@dataclass(frozen=True, slots=True)
class Order:
    """The jobs of one caller's request, all created at the same instant."""

    context: Context
    workspace: str
    now: float

    async def changes(self, request: TranslationRequest, *, prefix: str = "") -> list[Change]:
        """One new job per output language.

        Args:
            request: What is asked for.
            prefix: Where in the body it stands: what an error's `param` begins with.

        Raises:
            InvalidError: It names an asset that there is none of, or a callback that may not be called.
        """
        seconds = await self._check(request, prefix)
        changes = [self._change(request, language, seconds) for language in request.output_languages]
        if request.callback_url is None:
            return changes
        url, events = request.callback_url, request.callback_events or CALLBACK_TYPES
        return [replace(change, callback=await self.callback(change.job.id, url, events)) for change in changes]

    async def _check(self, request: TranslationRequest, prefix: str) -> float | None:
        """Refuse what cannot be done; how many seconds the video lasts, where that is known."""
        found: dict[str, Asset] = {}
        for name in ("video", "audio", "srt"):
            media: Media | None = getattr(request, name)
            if media is not None and media.asset_id is not None:
                param = f"{prefix}{name}.asset_id"
                found[name] = await self._asset(media.asset_id, param, is_played=name != "srt")
        if request.callback_url is not None:
            self.check_callback(request.callback_url, prefix)
        seconds = found["video"].seconds if "video" in found else None
        if seconds is not None and request.start_time is not None and request.start_time >= seconds:
            raise InvalidError(f"the video ends after {seconds:g} s; begin before that", param=f"{prefix}start_time")
        return seconds

    async def _asset(self, asset_id: str, param: str, *, is_played: bool) -> Asset:
        try:
            asset = await self.context.store.asset(self.workspace, asset_id)
        except NotFoundError:
            raise InvalidError(
                f"no asset {asset_id[:80]!r} in this workspace; upload it with POST /v3/assets, or give it by url",
                param=param,
            ) from None
        if is_played and not asset.media_type.startswith(("video/", "audio/")):
            raise InvalidError(f"asset {asset_id} is neither video nor audio that can be played", param=param)
        return asset

    def check_callback(self, url: str, prefix: str = "") -> None:
        """Refuse a callback URL that may not be called.

        Raises:
            InvalidError: It may not.
        """
        try:
            self.context.check_target(url)
        except InvalidError as error:
            raise InvalidError(error.message, param=f"{prefix}callback_url") from None

    def _change(self, request: TranslationRequest, language: str, video_seconds: float | None) -> Change:
        return lifecycle.create(
            job_id=request.simulation.id or self.context.ids("vt"),
            workspace_id=self.workspace,
            output_language=language,
            request=request.kept(),
            plan=self.context.planner.plan(request.simulation, request.subject(language, video_seconds)),
            event_id=self.context.ids("evt"),
            now=self.now,
            in_preflight=self.context.is_fetching and request.names_an_unknown_url,
        )

    async def callback(self, entity_id: str, url: str, events: Iterable[str] = CALLBACK_TYPES) -> Endpoint:
        """A one-off endpoint for one job or batch, signed with the workspace's secret."""
        return Endpoint(
            id=self.context.ids("ep"),
            workspace_id=self.workspace,
            url=url,
            created_at=self.now,
            secret=await self.context.store.workspace_secret(self.workspace, fresh=self.context.new_secret()),
            events=tuple(sorted(set(events))),
            entity_id=entity_id,
            is_callback=True,
        )

    def unfolded(self, changes: Iterable[Change]) -> list[Change]:
        """The changes with every planned move that is due at once."""
        ids, links = self.context.ids, self.context.links
        return [move for change in changes for move in lifecycle.unfold(change, ids=ids, now=self.now, links=links)]

    async def record(
        self, moves: Sequence[Change], *, batch: Batch | None = None, keep: Keep[list[bool]] | None = None
    ) -> None:
        """Commit the moves, all of them or none.

        Raises:
            InvalidError: They are more jobs than may ever go on at once in a workspace.
            BusyError: They are more than may now.
            ConflictError: A job has an id of the caller's own that another one has.
        """
        at_most = self.context.concurrent_jobs
        count = len({move.job.id for move in moves})
        if at_most is not None and count > at_most:
            raise InvalidError(
                f"these are {count} video translations; at most {at_most} of a workspace go on at once",
                code="resource_limit_reached",
                param="output_languages" if batch is None else "video_translations",
            )
        try:
            await record(self.context.store, moves, batch=batch, at_most=at_most, keep=keep)
        except ConflictError as error:
            if error.param != "id":
                raise
            raise ConflictError(f"{error.message}; give another simulation.id", param="simulation.id") from None


def in_batch(changes: list[Change], batch_id: str) -> list[Change]:
    """The same changes, their jobs as the items of a batch."""
    return [
        replace(change, job=replace(change.job, batch_id=batch_id, item_index=index))
        for index, change in enumerate(changes)
    ]
