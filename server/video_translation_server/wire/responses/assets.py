"""Uploaded files in the API's answers.

What becomes of a file is said by the translation that names it.
"""

from pydantic import BaseModel, Field


class AssetAnswer(BaseModel):
    """An uploaded file, and what plays in it."""

    asset_id: str
    mime_type: str
    size_bytes: int
    duration: float | None = Field(description="Seconds; null where neither video nor audio was found")
