"""How a request is sent, as far as a caller may say: for a whole client, for a view of it, or for one call.

What is not said is left to the options below it; using them is the exchange's business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

CONNECT_TIMEOUT = 5.0
"""Seconds that connecting may take at most, whatever the timeout."""
LONGEST_TIMEOUT = 86400.0
"""Seconds that one try may be given at most: sockets take no infinite number."""


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
        for name, number in (("timeout", self.timeout), ("max_retries", self.max_retries)):
            if not isinstance(number, int | float | None):
                raise TypeError(f"{name} must be a number, not {number!r}")
        if self.timeout is not None and not 0 < self.timeout <= LONGEST_TIMEOUT:
            raise ValueError(f"timeout must be above 0 seconds and at most {LONGEST_TIMEOUT:g}: {self.timeout!r}")
        if self.max_retries is not None and self.max_retries < 0:
            raise ValueError(f"max_retries must be 0 or more: {self.max_retries!r}")
        for name, value in self.headers.items():
            refuse_unsendable(f"default_headers[{name!r}]", value)
        refuse_unsendable("idempotency_key", self.idempotency_key)

    def over(self, below: Options) -> Options:
        """Return these options, completed by those below them."""
        return Options(
            timeout=self.timeout if self.timeout is not None else below.timeout,
            max_retries=self.max_retries if self.max_retries is not None else below.max_retries,
            headers={**lowered(below.headers), **lowered(self.headers)},
            idempotency_key=self.idempotency_key or below.idempotency_key,
        )


def refuse_unsendable(name: str, value: str | None) -> None:
    """Refuse what cannot stand in a header, without showing it: it may be a secret.

    Raises:
        ValueError: it has a line break, or a character outside of ASCII; the message names the argument.
        TypeError: it is no text.
    """
    if not isinstance(value, str | None):
        raise TypeError(f"{name} must be text, not {type(value).__name__}")
    if value is not None and not (value.isascii() and value.isprintable()):
        hint = "; it ends in a line break: strip() it" if value.endswith(("\n", "\r")) else ""
        raise ValueError(f"{name} must be printable ASCII, because it is sent as a header{hint}")


def lowered(headers: Mapping[str, str]) -> dict[str, str]:
    """Return headers with lower-case names, so that the same name in another case replaces and does not add."""
    return {name.lower(): value for name, value in headers.items()}
