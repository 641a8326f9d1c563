"""The queue as the delivery loop sees it: leases and settlements. In PostgreSQL.

What each verb promises is in `store.base.claims`, what it does in SQL in the noun modules.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

from video_translation_server.model import Claim, Settlement
from video_translation_server.store.base import Taker
from video_translation_server.store.postgres import claims, settlements, turns
from video_translation_server.store.postgres.claims import Claimed
from video_translation_server.store.postgres.database import Connection
from video_translation_server.store.postgres.engine import Engine
from video_translation_server.store.postgres.settlements import Settled
from video_translation_server.store.postgres.verb import CLAIMING, EACH, LEASING


class ClaimVerbs(Engine):
    """The queue as the delivery loop sees it: leases and settlements."""

    def handing_over_to(self, taker: Taker) -> AbstractContextManager[None]:  # noqa: ARG002  (the Protocol's)
        """Nothing is: whose turn it is among all servers, the database alone knows."""
        return nullcontext()

    async def claim(self, now: float, *, limit: int, per_endpoint: int, lease: float) -> list[Claim]:
        """Lease due deliveries."""
        server = self._server
        wish = claims.Wish(
            now=now,
            real_now=server.real_now(),
            lease=lease,
            claim_id=server.fence(),
            limit=limit,
            per_endpoint=per_endpoint,
        )

        async def lease_due(connection: Connection) -> Claimed:
            if self._looks.is_due() or per_endpoint != self._per_endpoint:
                self._per_endpoint = per_endpoint
                await turns.widen(connection, per_endpoint, now)
                self._looks.next_in(await claims.expire(connection, wish.real_now))
            if self._looks_ahead.is_due():
                await turns.put_right(connection, now)
            claimed = await claims.claim(connection, wish)
            if claimed.claims:
                self._looks.next_in(lease)
            return claimed

        # A lease that a power failure undoes is another's to take: what is settled under it is then lost.
        claimed: Claimed = await self._queue.run(CLAIMING, lease_due)
        if claimed.has_passed_over:
            # Whoever holds it is about to commit, and may leave something: nobody else would tell us.
            self._late_ring.ask()
        return claimed.claims

    async def renew_claims(self, held: Sequence[Claim], *, lease: float) -> list[bool]:
        """Extend leases."""
        real_now = self._server.real_now()
        renewed: list[bool] = await self._queue.run(
            LEASING, lambda connection: claims.renew(connection, held, lease, real_now)
        )
        return renewed

    async def settle(self, batch: Sequence[Settlement], *, now: float) -> list[bool]:
        """Log attempts and carry out verdicts."""
        done: Settled = await self._queue.run(
            EACH,
            lambda connection: settlements.settle(connection, batch, now, self._rules),
            self._bells.deliveries,
            settling_at=[now],
        )
        if done.notices:
            self._bells.events.ring()
            # What else was released is this server's to claim: the others need not be woken for it.
            self._doorbell.ring((self._bells.events, self._bells.deliveries))
        return done.held

    async def release(self, held: Sequence[Claim]) -> None:
        """Give leases back unused."""
        await self._queue.run(LEASING, lambda connection: claims.release(connection, held), self._bells.deliveries)
        self._doorbell.ring((self._bells.deliveries,))

    async def next_delivery_due(self, now: float) -> float | None:
        """When something can be claimed next."""
        return await self._read(lambda connection: turns.next_due(connection, now))

    async def is_delivering(self, now: float) -> bool:
        """Whether anything is leased or could be."""
        return await self._read(lambda connection: turns.is_busy(connection, now))
