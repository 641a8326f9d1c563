"""The URLs of jobs' files: signed, good for a while, and checked without a look into the store (decision 0034).

Whoever holds one may fetch that job's files until it expires, and needs no key. What is fetched is `media`'s business.
"""

import base64
import hmac
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from video_translation_server.errors import ForbiddenError
from video_translation_server.model import Job
from video_translation_server.wire.files import NO_FILES, PATH, FileKind, FileUrls

AGAIN = "read the video translation again to get a new one"


@dataclass(frozen=True, slots=True)
class Links:
    """Makes and checks URLs.

    Attributes:
        base: The server's URL as callers reach it, without a slash at its end.
        key: What signs; who knows it can make URLs of any job.
        lifetime: Seconds that a URL is good for.
    """

    base: str
    key: bytes
    lifetime: float

    def of(self, job: Job, *, now: float) -> FileUrls:
        """The URLs of a job's files, good from `now` on (Unix seconds); none while it has no files."""
        if job.files_at is None:
            return NO_FILES
        expires = str(int(now + self.lifetime))
        query = urlencode({"expires": expires, "signature": self._signature(job.id, expires)})
        folder = f"{self.base}{PATH}/{quote(job.id, safe='')}"
        return FileUrls(
            video_url=f"{folder}/{FileKind.VIDEO}?{query}",
            audio_url=f"{folder}/{FileKind.AUDIO}?{query}",
            srt_caption_url=f"{folder}/{FileKind.SRT}?{query}",
            vtt_caption_url=f"{folder}/{FileKind.VTT}?{query}",
        )

    def check(self, job_id: str, *, expires: str, signature: str, now: float) -> None:
        """Let only whoever has a URL of ours, while it is good.

        Raises:
            ForbiddenError: The signature is not ours for this job and time, or the time is over.
        """
        expected = self._signature(job_id, expires)
        # As bytes: text that is not ASCII cannot be compared in constant time.
        if not hmac.compare_digest(expected.encode(), signature.encode("utf-8", "replace")):
            raise ForbiddenError(f"the URL's signature is wrong; {AGAIN}", param="signature")
        if int(expires) < now:
            raise ForbiddenError(f"the URL has expired; {AGAIN}", param="expires")

    def _signature(self, job_id: str, expires: str) -> str:
        # One for all files of the job: who may see the video may read its captions.
        digest = hmac.digest(self.key, f"{expires}\n{job_id}".encode("utf-8", "replace"), "sha256")
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")
