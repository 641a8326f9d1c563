"""Batches and their items in the API's answers, in the words of batches.

The summary is also what the event of a batch's end tells.
"""

from typing import Literal

from pydantic import BaseModel, Field

from video_translation_server.wire.responses.translations import Failure


class BatchItem(BaseModel):
    """One job of a batch, in the words of batches."""

    item_index: int
    video_id: str
    status: Literal["queued", "processing", "completed", "failed"]
    error: Failure | None


class BatchCounts(BaseModel):
    """How many jobs of a batch are in each state."""

    queued: int
    processing: int
    completed: int
    failed: int


class BatchSummary(BaseModel):
    """A batch without its items; also what its event tells."""

    batch_id: str
    title: str | None
    status: Literal["processing", "completed", "failed"]
    total_items: int
    counts_by_status: BatchCounts
    created_at: int = Field(description="Unix seconds")


class BatchAnswer(BatchSummary):
    """A batch with a page of its items."""

    items: list[BatchItem]
    has_more: bool
    next_token: str | None
