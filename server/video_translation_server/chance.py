"""Chance by what it is for: with a seed, whether this fault happens does not depend on what was drawn before it.

So a run can be repeated although its attempts end in another order each time. What jobs meet is drawn in the order of
their creation, by `simulation.planner`.
"""

import hashlib
import secrets


class Chance:
    """Numbers from [0, 1), by seed and occasion."""

    def __init__(self, seed: int | None) -> None:
        """Without a seed, different in every run."""
        self.sow(seed)

    def sow(self, seed: int | None) -> None:
        """Draw with another seed from here on."""
        self._key = secrets.token_bytes(32) if seed is None else hashlib.sha256(str(seed).encode()).digest()

    def __call__(self, *occasion: object) -> float:
        """The number of an occasion: always the same one until another seed is sown."""
        text = "\0".join(map(str, occasion)).encode()
        digest = hashlib.blake2b(text, key=self._key, digest_size=8).digest()
        return (int.from_bytes(digest) >> 11) / 2**53  # as many bits as a float of [0, 1) has
