"""What the simulation shall do with a job: scripts, as requests and scenario files give them (contract/README.md).

Several are laid over each other; what none of them says is left to chance and settings.
"""

from typing import Any, Literal

from pydantic import Field, model_validator

from video_translation_server.wire.strict import Strict

SERVICE_ERRORS = (
    "EMPTY_VIDEO_STREAM",
    "EMPTY_AUDIO_STREAM",
    "INVALID_AUDIO_FORMAT",
    "VIDEO_FORMAT_NOT_SUPPORTED",
    "VIDEO_FILE_CORRUPTED",
    "BLOCKED_WORDS_DETECTED",
)
"""Errors about a video that the real service's API has names for; their texts here are the names, in words."""

FAILURES = {
    "no_audio": "The video has no audio track",
    "no_speech": "No speech was found in the video",
    "too_short": "The video is too short to be translated",
    "too_long": "The video is longer than your plan allows",
    "resolution_too_high": "The resolution of the video is too high",
    "unsupported_format": "The format of the video is not supported",
    "download_failed": "The video could not be downloaded from its URL",
    "moderation": "The content of the video was refused by moderation",
    "insufficient_credit": "The account has not enough credit for this translation",
    "internal": "Something went wrong on our side; please try again",
    "timeout": "The translation took too long and was given up",
    **{name: name.replace("_", " ").capitalize() for name in SERVICE_ERRORS},
}
"""Presets: what a failed job may say, by name. A scenario may have others, and other texts for these."""

TAKEN = frozenset({"batches", "languages", "proofreads", "statuses"})
"""What no job can be called: its page would be another one's."""

OWN_ID = r"^[A-Za-z0-9][A-Za-z0-9._~-]{0,254}$"
"""What may be chosen as an id: it goes into paths and headers as it is."""

Progression = Literal["time", "immediate", "manual"]


class Script(Strict):
    """Ours: what the simulation shall do with this job; what is not said is left to chance and settings."""

    id: str | None = Field(None, pattern=OWN_ID, description="The job's id; for one language only.")
    outcome: Literal["completed", "failed"] | None = None
    duration_seconds: float | None = Field(None, ge=0, le=365 * 86400, allow_inf_nan=False)
    error_message: str | None = Field(
        None, min_length=1, max_length=1000, description=f"A text, or a preset: {', '.join(FAILURES)}."
    )
    progression: Progression | None = Field(
        None, description="By time, all at once at the creation, or only when polled or told to."
    )
    polls: int | None = Field(None, ge=1, le=1_000_000, description="Manual only: every so many polls, one move.")
    video_seconds: float | None = Field(
        None, ge=0, le=365 * 86400, allow_inf_nan=False, description="How long the video is, where nobody can look."
    )
    retries: int | None = Field(None, ge=0, le=100, description="So many runs end in an error before the last one.")
    stalls: int | None = Field(None, ge=0, le=100, description="So many runs, the first ones, stall half-way.")
    progress_steps: int | None = Field(None, ge=1, le=100, description="In how many parts a run tells its progress.")
    url_delay_seconds: float | None = Field(
        None, ge=0, le=365 * 86400, allow_inf_nan=False, description="So long a completed job has no URL yet."
    )

    @model_validator(mode="after")
    def _fits_together(self) -> "Script":
        if self.error_message is not None and self.outcome == "completed":
            raise ValueError("error_message goes with the outcome 'failed'")
        if self.stalls and self.progression not in (None, "time"):
            raise ValueError("stalls goes with the progression 'time'")
        if self.id in TAKEN:
            raise ValueError(f"id {self.id!r} is the name of another page of the API; choose another one")
        if self.polls is not None and self.progression != "manual":
            raise ValueError("polls goes with the progression 'manual'")
        if self.duration_seconds is not None and self.progression == "immediate":
            raise ValueError("duration_seconds goes with the progression 'time'")
        return self

    def over(self, other: "Script") -> "Script":
        """This script where it says something, the other one everywhere else."""
        # What fits by itself may not fit the other: the upper one's word counts, and nothing is refused.
        return Script.model_construct(**(_said(other) | _said(self)))


def _said(script: Script) -> dict[str, Any]:
    return {name: value for name, value in script if value is not None}
