"""Little films for tests, made by PyAV: of a known length, with or without pictures and sound."""

import io
from fractions import Fraction

import av

RATE = 8000
FPS = 10


def clip(seconds: float, *, video: bool = True, audio: bool = False, container: str = "mp4") -> bytes:
    """A film as a file's bytes; 2.5 s of grey make about 2 KB."""
    target = io.BytesIO()
    with av.open(target, "w", format=container) as output:
        picture = output.add_stream("mpeg4" if container != "webm" else "libvpx", rate=FPS) if video else None
        sound = output.add_stream("aac", rate=RATE, layout="mono") if audio else None
        if picture is not None:
            picture.width, picture.height, picture.pix_fmt = 64, 36, "yuv420p"
            for number in range(round(seconds * FPS)):
                frame = av.VideoFrame(64, 36, "yuv420p")
                for plane in frame.planes:
                    plane.update(bytes([number % 256]) * plane.buffer_size)
                frame.pts, frame.time_base = number, Fraction(1, FPS)
                output.mux(picture.encode(frame))
            output.mux(picture.encode(None))
        if sound is not None:
            for number in range(round(seconds * RATE / 1024)):
                samples = av.AudioFrame("fltp", "mono", 1024)
                samples.sample_rate = RATE
                samples.planes[0].update(bytes(4096))
                samples.pts, samples.time_base = number * 1024, Fraction(1, RATE)
                output.mux(sound.encode(samples))
            output.mux(sound.encode(None))
    return target.getvalue()
