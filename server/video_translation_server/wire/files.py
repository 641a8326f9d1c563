"""The files of a completed job: what each is called and what it is, in URLs and in the fields that carry them.

Who may fetch them is `links`' business, how they are made is `media`'s.
"""

from enum import StrEnum

import msgspec

PATH = "/files"
"""Below it lie the files of every job: `/files/{video_translation_id}/{name}`."""


class FileKind(StrEnum):
    """The files of one job, by name."""

    VIDEO = "video.mp4"
    AUDIO = "audio.m4a"
    SRT = "captions.srt"
    VTT = "captions.vtt"

    @property
    def media_type(self) -> str:
        """What `Content-Type` says (RFC 6381, RFC 9110; for SubRip there is only custom)."""
        return _MEDIA_TYPES[self]

    @property
    def suffix(self) -> str:
        """The end of the name, with its dot."""
        return f".{self.value.rpartition('.')[2]}"


_MEDIA_TYPES = {
    FileKind.VIDEO: "video/mp4",
    FileKind.AUDIO: "audio/mp4",
    FileKind.SRT: "application/x-subrip",
    FileKind.VTT: "text/vtt",
}


class FileUrls(msgspec.Struct, frozen=True, kw_only=True):
    """Where the files of one job can be had, in the real service's fields; null as long as there are none."""

    video_url: str | None = None
    audio_url: str | None = None
    srt_caption_url: str | None = None
    vtt_caption_url: str | None = None


NO_FILES = FileUrls()
