"""What whole answers came to: a busy receiver's are byte for byte the same for as long as their `Date` is.

Which answers can be told by their bytes alone is for `answer` to say, and whether one is looked up, for `wire`.
"""

from video_translation_server.model import Outcome

_BYTES, _ENTRIES = 512, 1024
"""Of an answer that is kept at most, and how many are."""


class Memory(dict[tuple[str, bytes], Outcome]):
    """Outcomes by the address that answered and the bytes of the answer."""

    __slots__ = ()

    def keep(self, address: str, whole: bytes, outcome: Outcome) -> None:
        """Remember, unless it is long; when there are too many, all are forgotten."""
        if len(whole) > _BYTES:
            return
        if len(self) >= _ENTRIES:
            self.clear()
        self[address, whole] = outcome
