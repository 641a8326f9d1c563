"""The wire of the simulator's doors under `/_sim`: strict request bodies, and models of the answers.

They are ours alone; what they do is said in contract/README.md.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from video_translation_server.wire.strict import Strict

TEN_YEARS = 10 * 365 * 86_400.0


class Nothing(Strict):
    """Body of a door that takes none: absent, or an empty object."""


class AdvanceRequest(Strict):
    """Body of `POST /_sim/clock/advance`: by `seconds`, or `to` the next instant at which anything is due."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [
                {"properties": {"seconds": {"type": "number"}, "to": {"type": "null"}}, "required": ["seconds"]},
                {"properties": {"to": {"type": "string"}, "seconds": {"type": "null"}}, "required": ["to"]},
            ]
        }
    )

    seconds: float | None = Field(None, ge=0, le=TEN_YEARS, allow_inf_nan=False)
    to: Literal["next"] | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> "AdvanceRequest":
        if (self.seconds is None) == (self.to is None):
            raise ValueError('give either seconds, or to as "next"')
        return self


class SpeedRequest(Strict):
    """Body of `POST /_sim/clock/speed`: virtual seconds per real second."""

    factor: float = Field(ge=0.001, le=1000, allow_inf_nan=False)


class FailRequest(Strict):
    """Body of `POST /_sim/jobs/{id}/fail`: the reason that the job shows."""

    message: str = Field("The simulated translation failed", min_length=1, max_length=1000)


KINDS = {
    "api": ("status", "slow", "reset", "malformed"),
    "webhook": (
        "drop",
        "duplicate",
        "delay",
        "reorder",
        "bad_signature",
        "stale_timestamp",
        "truncated",
        "unknown_type",
        "unknown_status",
    ),
}
"""What can go wrong, by what it goes wrong with."""

SECONDS = {"reorder": 60.0}
"""How long what takes time takes where nothing is said, by kind; a second for those that are not here."""


class FaultRequest(Strict):
    """Body of `POST /_sim/faults`: one rule (`faults.Fault` says what each field is)."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [
                {"properties": {"on": {"const": on}, "kind": {"enum": list(kinds)}}} for on, kinds in KINDS.items()
            ]
        }
    )

    on: Literal["api", "webhook"]
    kind: str
    probability: float = Field(1.0, ge=0, le=1)
    count: int | None = Field(None, ge=1, le=1_000_000)
    where: str = Field("*", min_length=1, max_length=2048)
    job_id: str | None = Field(None, min_length=1, max_length=255)
    status: int = Field(500, ge=400, le=599)
    code: str | None = Field(
        None, pattern="^[a-z_]{1,100}$", description="Of the error; none: the one that goes with the status."
    )
    seconds: float = Field(
        default_factory=lambda said: SECONDS.get(said.get("kind", ""), 1.0), ge=0, le=86_400, allow_inf_nan=False
    )

    @field_validator("kind")
    @classmethod
    def _goes_wrong_there(cls, kind: str, info: ValidationInfo) -> str:
        known = KINDS.get(info.data.get("on", ""), ())
        if kind not in known:
            raise ValueError(f"must be one of {', '.join(known)} here")
        return kind


_LONGEST = 10 * 365 * 86400
_Share = Annotated[float, Field(default_factory=float, ge=0, le=1)]
_Seconds = Annotated[float, Field(default_factory=float, ge=0, le=_LONGEST)]


class ConfigRequest(Strict):
    """Body of `PATCH /_sim/config`: settings of `serve`, by name.

    What is not given stays as it is: no default is looked at, and so none is described.
    """

    translation_time: float | str | list[float] = Field(default_factory=float)
    time_distribution: Literal["fixed", "uniform", "lognormal"] = Field(default_factory=lambda: "fixed")
    seconds_per_video_minute: _Seconds
    video_length: _Seconds
    precision_factor: float = Field(default_factory=float, gt=0, le=1000)
    language_factor: float = Field(default_factory=float, ge=0, le=1000)
    pending_share: _Share
    error_rate: _Share
    error_message: str | None = Field(default_factory=lambda: None, min_length=1, max_length=1000)
    error_retries: int = Field(default_factory=int, ge=0, le=100)
    stall_rate: _Share
    stall_timeout: float = Field(default_factory=float, gt=0, le=_LONGEST)
    progress_steps: int = Field(default_factory=int, ge=1, le=100)
    progression: Literal["time", "immediate", "manual"] = Field(default_factory=lambda: "time")
    polls: int | None = Field(default_factory=lambda: None, ge=1, le=1_000_000)
    url_delay: float = Field(default_factory=float, ge=0, le=365 * 86400)


class ConfigAnswer(BaseModel):
    """The settings that may be changed while the server runs."""

    translation_time: tuple[float, float]
    time_distribution: str
    seconds_per_video_minute: float
    video_length: float
    precision_factor: float
    language_factor: float
    pending_share: float
    error_rate: float
    error_message: str | None
    error_retries: int
    stall_rate: float
    stall_timeout: float
    progress_steps: int
    progression: str
    polls: int | None
    url_delay: float


class SeedRequest(Strict):
    """Body of `POST /_sim/seed`: the seed from here on; null: different every time."""

    seed: int | None = Field(ge=-(2**63), lt=2**63)


class SeedAnswer(BaseModel):
    """The seed in force; null: everything is different every time."""

    seed: int | None


class FaultAnswer(BaseModel):
    """A rule that can still happen."""

    id: str
    on: str
    kind: str
    probability: float
    count: int | None
    where: str
    job_id: str | None
    status: int
    code: str | None
    seconds: float


class AskedAnswer(BaseModel):
    """A request of the journal; `at` is real time, ISO 8601; `status` 0: no answer left."""

    at: str
    method: str
    path: str
    status: int
    fault_id: str | None


class ClockAnswer(BaseModel):
    """Where the clock stands: ISO 8601; `speed` 0 while it is frozen; ahead of real time by `offset_seconds`."""

    now: str
    frozen: bool
    speed: float
    offset_seconds: float
    next_due_at: str | None


class SimulatorHealth(BaseModel):
    """The simulator answers, and this is its clock."""

    status: Literal["ok"]
    version: str
    clock: ClockAnswer


class Erased(BaseModel):
    """Everything but workspaces and keys is gone."""

    reset: Literal[True]
