"""What a verb commits besides what it does: the answer to the request that asked for it.

Decision 0024; which requests have a key is `api`'s business.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from video_translation_server.model import Kept, Mark

T = TypeVar("T")

ANSWERS_KEPT = 86_400.0
"""Seconds for which the answer to a request with a key is kept."""


@dataclass(frozen=True, slots=True)
class Keep(Generic[T]):
    """What a verb commits besides what it does: the answer to the request that asked for it.

    Attributes:
        mark: What `start_request` gave to the request.
        answer: Makes the answer of what the verb returns; pure, and run inside the transaction. None keeps nothing,
            and the request goes on.
    """

    mark: Mark
    answer: Callable[[T], Kept | None]
