"""How a request is sent, as far as a caller may say: for a whole client, for a view of it, or for one call.

What is not said is left to the options below it; using them is the exchange's business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

CONNECT_TIMEOUT = 5.0
"""Seconds that connecting may take at most, whatever the timeout."""


@dataclass(frozen=True, slots=True)
class Options:
    """What is said about requests; None is what is not said.

    Attributes:
        timeout: seconds that one try may take.
        max_retries: how often a request is repeated.
        headers: sent beside our own; a name given here wins over the client's.
        idempotency_key: of this one request, instead of a random one.
    """

    timeout: float | None = None
    max_retries: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    idempotency_key: str | None = None

    def __post_init__(self) -> None:
        if self.timeout is not None and not self.timeout > 0:
            raise ValueError(f"timeout must be above 0 seconds: {self.timeout!r}")
        if self.max_retries is not None and self.max_retries < 0:
            raise ValueError(f"max_retries must be 0 or more: {self.max_retries!r}")

    def over(self, below: Options) -> Options:
        """Return these options, completed by those below them."""
        return Options(
            timeout=self.timeout if self.timeout is not None else below.timeout,
            max_retries=self.max_retries if self.max_retries is not None else below.max_retries,
            headers={**lowered(below.headers), **lowered(self.headers)},
            idempotency_key=self.idempotency_key or below.idempotency_key,
        )


def lowered(headers: Mapping[str, str]) -> dict[str, str]:
    """Return headers with lower-case names, so that the same name in another case replaces and does not add."""
    return {name.lower(): value for name, value in headers.items()}
