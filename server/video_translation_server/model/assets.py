"""An asset: what is known of an uploaded file.

The file itself lies on the shelf.
"""

import msgspec


class Asset(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an uploaded file.

    Attributes:
        media_type: What it is by what was found in it.
        size: Bytes.
        seconds: How long it plays; None where that is not known.
    """

    id: str
    workspace_id: str
    media_type: str
    size: int
    created_at: float
    seconds: float | None = None
