"""Looks at a file that anybody may have sent: how long it plays, if it plays at all. Runs in a child process.

It reads no further than it must, and opens nothing but the file: no playlist leads it elsewhere.
"""

from itertools import islice

import av
from av.container import InputContainer
from av.stream import Disposition, Stream

from video_translation_server.media.tasks import Footage

FORMATS = {
    "mov": "mp4",
    "matroska": "webm",
    "avi": "x-msvideo",
    "flv": "x-flv",
    "mpeg": "mpeg",
    "mpegts": "mp2t",
    "asf": "x-ms-asf",
    "ogg": "ogg",
    "mp3": "mpeg",
    "wav": "wav",
    "aac": "aac",
    "flac": "flac",
}
"""Containers that are read, by FFmpeg's first name, and their media subtype. No playlists: they lead elsewhere."""

PACKETS = 200
"""Packets in which a first frame must be found."""

MOST_PACKETS = 2_000_000
"""Packets that are counted where the file does not say how long it is."""

LONGEST = 7 * 86400.0
"""Seconds; a file that says it is longer is not to be believed."""


def look(path: str) -> Footage | None:
    """How long the file plays and what is in it; None for what is neither video nor audio."""
    options = {"protocol_whitelist": "file", "format_whitelist": ",".join(FORMATS)}
    try:
        with av.open(f"file:{path}", container_options=options) as container:
            streams = [*container.streams.video, *container.streams.audio]
            if not streams or not _plays(container, streams[0]):
                return None
            seconds = _seconds(container, streams[0])
            if not 0 < seconds <= LONGEST:
                return None
            return Footage(seconds=round(seconds, 3), media_type=_media_type(container))
    except (av.FFmpegError, ValueError, OverflowError, UnicodeError):
        return None


def _plays(container: InputContainer, stream: Stream) -> bool:
    """Whether a frame comes out of the first packets."""
    return any(frame for packet in islice(container.demux(stream), PACKETS) for frame in packet.decode())


def _seconds(container: InputContainer, stream: Stream) -> float:
    if container.duration is not None:
        return container.duration / av.time_base
    container.seek(0)
    ends = (
        float((packet.pts + (packet.duration or 0)) * packet.time_base)
        for packet in islice(container.demux(stream), MOST_PACKETS)
        if packet.pts is not None and packet.time_base is not None
    )
    return max(ends, default=0.0)


def _media_type(container: InputContainer) -> str:
    # The picture on a sound file's cover is a video stream to FFmpeg, but no film.
    has_film = any(not stream.disposition & Disposition.attached_pic for stream in container.streams.video)
    if has_film and container.metadata.get("major_brand", "").strip() == "qt":
        return "video/quicktime"
    return f"{'video' if has_film else 'audio'}/{FORMATS[container.format.name.partition(',')[0]]}"
