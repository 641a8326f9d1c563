"""What callers may send: strict pydantic models of the request bodies (contract/README.md).

A value that does not fit is refused with its field's name before anything happens.
"""

from datetime import datetime
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from video_translation_server.model import DEFAULT_PRIORITY, Subject
from video_translation_server.wire.events import EVENT_TYPES
from video_translation_server.wire.headers import Headers
from video_translation_server.wire.languages import KNOWN, LANGUAGES
from video_translation_server.wire.scripts import OWN_ID, Script
from video_translation_server.wire.strict import Strict


def _known_language(name: str) -> str:
    if name not in KNOWN:
        raise ValueError(f"unknown language {name[:80]!r}; GET /v3/video-translations/languages lists the names")
    return name


def _known_event_type(name: str) -> str:
    if name not in EVENT_TYPES:
        raise ValueError(f"unknown event type {name[:80]!r}; known are {', '.join(sorted(EVENT_TYPES))}")
    return name


def _web_url(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError("cannot be read as a URL; check its host and port") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be an http:// or https:// URL with a host")
    return url


def _each_once(names: list[str]) -> list[str]:
    for index, name in enumerate(names):
        if name in names[:index]:
            raise ValueError(f"{name!r} is named twice; each language becomes one job")
    return names


def _aware_time(value: object) -> object:
    """ISO 8601 text becomes an aware datetime; the strict model would only take a datetime."""
    if not isinstance(value, str):
        raise ValueError("must be a time as ISO 8601 text, for example 2026-11-20T23:40:00Z")  # noqa: TRY004  (pydantic turns only ValueError into its own)
    try:
        # repr makes a NUL visible, which fromisoformat would pass over.
        when = datetime.fromisoformat(repr(value)[1:-1])
    except ValueError:
        raise ValueError("is not a time in ISO 8601, for example 2026-11-20T23:40:00Z") from None
    if when.tzinfo is None:
        raise ValueError("has no time zone: end it with Z, or with an offset as +01:00")
    return when


# What the validators refuse, the description of the API says too, as far as a schema can.
AwareTime = Annotated[datetime, BeforeValidator(_aware_time)]
Language = Annotated[str, Field(json_schema_extra={"enum": list(LANGUAGES)}), AfterValidator(_known_language)]
EventType = Annotated[str, Field(json_schema_extra={"enum": [*EVENT_TYPES]}), AfterValidator(_known_event_type)]
WebUrl = Annotated[
    str, Field(max_length=2048, json_schema_extra={"pattern": "^https?://[A-Za-z0-9]"}), AfterValidator(_web_url)
]


def _exactly(kind: str, *, but: str) -> dict[str, Any]:
    return {"type": {"const": kind}, kind: {"type": "string"}, but: {"type": "null"}}


class Media(Strict):
    """A file by URL or by the id of an uploaded asset."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [
                {"properties": _exactly("url", but="asset_id"), "required": ["url"]},
                {"properties": _exactly("asset_id", but="url"), "required": ["asset_id"]},
            ]
        }
    )

    type: Literal["url", "asset_id"]
    url: WebUrl | None = None
    asset_id: str | None = Field(None, min_length=1, max_length=255)

    @model_validator(mode="after")
    def _matches_type(self) -> "Media":
        given = {name for name in ("url", "asset_id") if getattr(self, name) is not None}
        if given != {self.type}:
            raise ValueError(f"of type {self.type!r} must have the field {self.type!r}, and only that")
        return self


def part_seconds(whole: float | None, start: float | None, end: float | None) -> float | None:
    """How long the part of a video is between two times; None where that is not known, not above 0 where there is none.

    All in seconds; `whole` is how long the video is, where that is known.
    """
    ends = [one for one in (whole, end) if one is not None]
    return min(ends) - (start or 0) if ends else None


class StockVoice(Strict):
    """Which stock voices to use; kept, without effect on the simulation."""

    use_stock_voice: bool = False
    preferred_stock_voice_ids: list[str] = Field([])


class TranslationRequest(Strict):
    """Body of `POST /v3/video-translations`: the real service's fields, and ours at the end."""

    video: Media
    output_languages: Annotated[list[Language], Field(min_length=1, max_length=200), AfterValidator(_each_once)]
    title: str | None = Field(None, max_length=1000)
    input_language: str | None = Field(None, max_length=100)
    mode: Literal["speed", "precision"] = "speed"
    translate_audio_only: bool = False
    callback_url: WebUrl | None = None
    callback_id: str | None = Field(None, max_length=1000)
    audio: Media | None = None
    srt: Media | None = None
    srt_role: Literal["input", "output"] | None = None
    speaker_num: int | None = Field(None, ge=1, le=100)
    start_time: float | None = Field(None, ge=0, allow_inf_nan=False)
    end_time: float | None = Field(None, ge=0, allow_inf_nan=False)
    brand_glossary_id: str | None = Field(None, max_length=255)
    brand_voice_id: str | None = Field(None, max_length=255)
    folder_id: str | None = Field(None, max_length=255)
    fps_mode: Literal["vfr", "cfr", "passthrough"] | None = None
    keep_the_same_format: bool | None = None
    stock_voice_config: StockVoice | None = None
    disable_music_track: bool = False
    enable_caption: bool = False
    enable_dynamic_duration: bool = True
    enable_speech_enhancement: bool = False
    enable_watermark: bool = False
    priority: int = Field(DEFAULT_PRIORITY, ge=0, le=9, description="Ours: who is next in line; 9 before 0.")
    callback_events: list[EventType] | None = Field(
        None, min_length=1, max_length=100, description="Ours: what the callback URL gets; none: the job's end."
    )
    simulation: Script = Script()

    @field_validator("callback_events")
    @classmethod
    def _has_where_to_go(cls, events: list[str] | None, given: ValidationInfo) -> list[str] | None:
        if events is not None and given.data.get("callback_url") is None:
            raise ValueError("goes with callback_url")
        return events

    @field_validator("end_time")
    @classmethod
    def _is_later(cls, end: float | None, given: ValidationInfo) -> float | None:
        start = given.data.get("start_time")
        if start is not None and end is not None and end <= start:
            raise ValueError("must be later than start_time")
        return end

    @field_validator("simulation")
    @classmethod
    def _names_one_job(cls, script: Script, given: ValidationInfo) -> Script:
        if script.id is not None and len(given.data.get("output_languages", ())) > 1:
            raise ValueError("id names one job: ask for one output language, or leave it out")
        return script

    def subject(self, language: str, video_seconds: float | None = None) -> Subject:
        """What the simulation goes by, for the job of one language; `video_seconds` is what the whole video lasts."""
        return Subject(
            title=self.title,
            language=language,
            url=self.video.url,
            video_seconds=self._seconds(video_seconds),
            is_precise=self.mode == "precision",
            languages=len(self.output_languages),
            priority=self.priority,
        )

    @property
    def names_an_unknown_url(self) -> bool:
        """True where nothing is known of the video but where it is."""
        return self.video.url is not None and self.simulation.video_seconds is None

    def _seconds(self, whole: float | None) -> float | None:
        """How long the part is that is asked for; what the script says of it wins."""
        said = self.simulation.video_seconds
        return part_seconds(whole, self.start_time, self.end_time) if said is None else said

    def kept(self) -> dict[str, Any]:
        """What is stored with each job: the caller's own words, without what became the job's own fields."""
        return self.model_dump(exclude={"output_languages", "simulation"}, exclude_defaults=True)


class TitleRequest(Strict):
    """Body of `PATCH /v3/video-translations/{id}`."""

    title: str = Field(max_length=1000)


class EndpointFields(Strict):
    """What creating and changing an endpoint have in common; all but `events` is ours."""

    events: list[EventType] | None = Field(None, min_length=1, max_length=100)
    description: str | None = Field(None, max_length=1000)
    headers: Headers = Field({})
    ordering: Literal["job", "none"] = "job"
    max_in_flight: int | None = Field(None, ge=1, le=1000)
    rate_limit: float | None = Field(None, ge=0.01, le=10_000, allow_inf_nan=False)


class EndpointRequest(EndpointFields):
    """Body of `POST /v3/webhooks/endpoints`; `events` null means all types."""

    url: str = Field(min_length=1, max_length=2048)
    entity_id: str | None = Field(None, min_length=1, max_length=255)
    ttl_seconds: float | None = Field(None, ge=10, le=2_592_000, allow_inf_nan=False)
    asymmetric: bool = False


class EndpointPatch(EndpointFields):
    """Body of `PATCH /v3/webhooks/endpoints/{id}`: what is not named stays as it is."""

    url: str | None = Field(None, min_length=1, max_length=2048)
    status: Literal["enabled", "disabled"] | None = None


class WorkspaceRequest(Strict):
    """Body of `POST /v3/admin/workspaces`."""

    name: str = Field(min_length=1, max_length=255)
    id: str | None = Field(None, pattern=OWN_ID, description="The workspace's id; none: made by the server.")


class KeyRequest(Strict):
    """Body of `POST /v3/admin/workspaces/{id}/keys`: what its owner calls the key."""

    label: str | None = Field(None, max_length=255)


class RotateRequest(Strict):
    """Body of `POST .../rotate-secret`: how long the old secret signs beside the new one; 0: it dies at once."""

    overlap_seconds: float = Field(0, ge=0, le=30 * 86400, allow_inf_nan=False)


class SweepRequest(Strict):
    """Body of `POST .../recover` and `.../replay`: from when on, ISO 8601 with a time zone."""

    since: AwareTime


class ReplayRequest(Strict):
    """Body of `POST .../replay`; without `since`, from the beginning of the log."""

    since: AwareTime | None = None
