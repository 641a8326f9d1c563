"""Uploaded files in the API's answers.

What becomes of a file is said by the translation that names it.
"""

from pydantic import BaseModel


class AssetAnswer(BaseModel):
    """An uploaded file, by what its first bytes say that it is."""

    asset_id: str
    mime_type: str
    size_bytes: int
