"""What whoever runs the server sees of all workspaces at once, in the API's answers.

One workspace is in `accounts`.
"""

from pydantic import BaseModel, Field

from video_translation_server.wire.responses.accounts import JobCounts
from video_translation_server.wire.responses.translations import Translation


class ServerStatus(BaseModel):
    """How the server stands."""

    version: str
    now: str = Field(description="ISO 8601, of the server's clock")
    jobs: JobCounts


class TranslationOfAny(Translation):
    """A translation, and whose it is."""

    workspace_id: str
