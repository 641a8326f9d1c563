"""An answer whose body is a file: written down as it comes, up to a number of bytes.

Whose file it is and where a redirect leads is `fetch`'s part.
"""

from typing import BinaryIO

from video_translation_server.outbound.answer import Answer

OK = 200


class Download(Answer):
    """The body of a 200 goes into a file; of any other answer only the head is read.

    Args:
        target: Written to on the event loop: each piece goes into the system's memory, not onto the disk.
        max_body: Bytes after which it is cut.

    Attributes:
        location: Where a redirect leads, as it was sent; None where nothing is said.
        failure: Why the file could not be written, or None.
    """

    def __init__(self, target: BinaryIO, max_body: int) -> None:
        self._target = target
        super().__init__(max_body, keep_body=0)

    def begin(self) -> None:
        """Expect the next answer."""
        super().begin()
        self.location: str | None = None
        self.failure: str | None = None
        self._expected = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header or trailer."""
        is_trailer = self.status is not None
        super().on_header(name, value)
        lower = name.strip().lower()
        if lower == b"location" and self.location is None and not is_trailer:
            self.location = value.strip().decode("latin-1")
        if lower == b"content-length" and value.strip().isdigit() and not is_trailer:
            self._expected = int(value)

    def on_headers_complete(self) -> None:
        """The end of the headers: a file that says that it is too long is not begun."""
        super().on_headers_complete()
        if self.status is None:  # an interim answer's
            self.location, self._expected = None, 0
        elif self.status != OK or self._expected > self._max_body:
            self._cut()

    def on_body(self, data: bytes) -> None:
        """A piece of the file."""
        super().on_body(data)
        try:
            self._target.write(data)
        except OSError as error:
            self.failure = error.strerror or str(error)
            self._cut()
