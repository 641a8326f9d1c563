"""Translations in the API's answers: one, its status in a word, one of many, and the languages.

Events show less of a job; that is in `events`.
"""

from typing import Literal

from pydantic import BaseModel, Field


class Created(BaseModel):
    """One job id per language, in the order of `output_languages`."""

    video_translation_ids: list[str]


class Translation(BaseModel):
    """A translation; the last eight fields are ours."""

    id: str
    title: str | None
    status: Literal["pending", "running", "completed", "failed"]
    input_language: str | None
    output_language: str
    translate_audio_only: bool
    duration: float | None = Field(description="Seconds; null where the video's length is not known")
    video_url: str | None
    audio_url: str | None
    srt_caption_url: str | None
    vtt_caption_url: str | None
    failure_message: str | None
    callback_id: str | None
    created_at: int = Field(description="Unix seconds")
    sequence: int = Field(description="1, 2, 3, ... one per status transition, without gaps")
    progress: int = Field(ge=0, le=100)
    updated_at: float = Field(description="Unix seconds")
    cancelled_at: float | None = Field(description="Unix seconds")
    estimated_completion_at: float | None = Field(description="Unix seconds; null once it has ended")
    priority: int = Field(ge=0, le=9)
    queue_position: int | None = Field(description="1: next; exact to 1000; null outside of the line, and in lists")
    estimated_start_at: float | None = Field(description="Unix seconds; null once it runs, in line in lists too")


class Status(Translation):
    """A translation with its result in one word."""

    result: Literal["pending", "completed", "error"]


class Failure(BaseModel):
    """Why a job has failed: `cancelled` or `translation_failed`, and its message."""

    code: Literal["cancelled", "translation_failed"]
    message: str | None


class BulkStatus(BaseModel):
    """One job of many; the last two fields are ours. All but the id is null where it was not found."""

    batch_id: str | None
    item_index: int | None
    video_id: str | None
    status: Literal["queued", "processing", "completed", "failed", "not_found"]
    error: Failure | None
    sequence: int | None
    progress: int | None


class Languages(BaseModel):
    """Names, not codes."""

    languages: list[str]
