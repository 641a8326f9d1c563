"""The base of everything that callers and files may send: no unknown fields, no silent conversions.

What is sent is in `requests` and `scripts`.
"""

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    """No unknown fields, no silent conversions."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
