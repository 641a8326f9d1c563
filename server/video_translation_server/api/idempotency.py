"""`Idempotency-Key`: a POST that is sent again is answered again, and done once.

A malformed request never gets here. What is kept, and for how long, is the store's promise.
"""

from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

from fastapi import Depends, Header, Request, Response

from video_translation_server.api.answers import JSON
from video_translation_server.api.auth import Workspace
from video_translation_server.api.context import Context, Surroundings
from video_translation_server.errors import InvalidError
from video_translation_server.model import Kept, Mark
from video_translation_server.store import Keep

T = TypeVar("T")

HEADER = "Idempotency-Key"
REPLAYED = {"Idempotent-Replayed": "true"}
LEASE = 30.0
"""Real seconds for which one request keeps others with its key away; no request takes nearly as long."""


class Keeping:
    """Makes of a function from a verb's result to the answer what the verb is to keep; None without a key."""

    def __init__(self, mark: Mark | None) -> None:
        self.mark = mark

    def __call__(self, answer: Callable[[T], Response | None]) -> Keep[T] | None:
        """The `keep` argument of one verb of the store."""
        if self.mark is None:
            return None

        def kept(value: T) -> Kept | None:
            response = answer(value)
            return None if response is None else Kept(status=response.status_code, body=bytes(response.body))

        return Keep(self.mark, kept)


class Once:
    """One request, which may have a key."""

    def __init__(self, context: Context, workspace: str, scope: str, key: str | None) -> None:
        """`scope` is method and path."""
        self._context = context
        self._workspace = workspace
        self._scope = scope
        self._key = key

    async def run(self, work: Callable[[Keeping], Awaitable[Response]]) -> Response:
        """Do the work, or give the answer that the key has had; what fails may be asked for again.

        Raises:
            InProgressError: A request with this key is under way.
        """
        if self._key is None:
            return await work(Keeping(None))
        store, now = self._context.store, self._context.clock.now()
        found = await store.start_request(self._workspace, self._scope, self._key, now=now, lease=LEASE)
        if isinstance(found, Kept):
            return Response(found.body, found.status, REPLAYED, media_type=JSON)
        try:
            return await work(Keeping(found))
        except BaseException:
            # Also where the server stops. It changes nothing where the answer is kept already.
            await store.drop_request(found)
            raise

    async def do(self, verb: Callable[[Keep[T] | None], Awaitable[T]], answer: Callable[[T], Response]) -> Response:
        """`run` for work that is one verb of the store and, pure, the answer made of its result."""

        async def work(keeping: Keeping) -> Response:
            return answer(await verb(keeping(answer)))

        return await self.run(work)


def _once(
    request: Request,
    workspace: Workspace,
    context: Surroundings,
    key: Annotated[
        str | None,
        Header(
            alias=HEADER,
            pattern=r"^[A-Za-z0-9_\-:.]{1,255}$",
            description="Names this request: sent again within 24 h, it is answered again and not done again",
        ),
    ] = None,
) -> Once:
    if len(request.headers.getlist(HEADER)) > 1:
        raise InvalidError(f"{HEADER} is given more than once", param=HEADER)
    return Once(context, workspace, f"{request.method} {request.url.path}", key)


OnceOnly = Annotated[Once, Depends(_once)]
"""Parameter type of a route that may be asked for twice and shall be carried out once."""
