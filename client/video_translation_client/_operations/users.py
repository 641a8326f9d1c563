"""The call about whoever calls: as data, with its reader."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from video_translation_client._operations.operation import Operation, read_data


@dataclass(frozen=True, slots=True)
class User:
    """Whose key it is; what a service does not tell is None.

    Attributes:
        username: the name; this repository's server has no people and gives the workspace's id.
        email: the address.
        first_name: the first name.
        last_name: the last name.
        billing_type: how is paid, for example `wallet`.
        wallet: `currency`, `remaining_balance` and `auto_reload`, where there is a wallet.
        extra: every other field, untouched.
    """

    username: str | None = None
    email: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    billing_type: str | None = None
    wallet: Mapping[str, Any] | None = field(default=None, hash=False)
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False, repr=False)


_NAMED: Final = frozenset(known.name for known in dataclasses.fields(User))


def get_user() -> Operation[User]:
    """Read whose key it is."""
    return Operation("get_user", "GET", "/v3/users/me", _read_user, repeatable=True)


def _read_user(answer: Any) -> User:
    data = read_data(answer)
    if not isinstance(data, Mapping):
        raise ValueError("a user is a JSON object")  # noqa: TRY004 - the reader's callers catch one type
    known = {name: value for name, value in data.items() if name in _NAMED and name != "extra"}
    return User(**known, extra={name: value for name, value in data.items() if name not in known})
