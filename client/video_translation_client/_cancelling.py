"""What it means when the service refuses to cancel a job, for blocking and async handles alike.

Sending the request, and looking at the job afterwards, is left to the handles.
"""

from __future__ import annotations

from typing import Final

from video_translation_client._errors import APIError
from video_translation_client._models import JobSnapshot

_CONFLICT: Final = 409
_NO_SUCH_CALL: Final = (404, 405, 501)


def is_refusal(error: APIError) -> bool:
    """Whether this answer to a cancel calls for a look at the job."""
    return error.status == _CONFLICT or error.status in _NO_SUCH_CALL


def judge_refusal(error: APIError, snapshot: JobSnapshot) -> None:
    """Say what a refused cancel means for a job in this state: nothing, where it has ended.

    Raises:
        APIError: the job goes on.
    """
    if snapshot.terminal:
        return
    if error.status == _CONFLICT:
        raise error
    message = f"this service cannot cancel jobs ({error}); job {snapshot.id} is {snapshot.status} and goes on"
    raise type(error)(
        message, status=error.status, code=error.code, param=error.param, request_id=error.request_id
    ) from error
