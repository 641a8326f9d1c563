"""The queue as the delivery loop sees it: leases and settlements. In SQLite.

What each verb promises is in `store.base.claims`, what it does in SQL in the noun modules.
"""

from collections.abc import Sequence

import apsw

from video_translation_server.model import Claim, Settlement
from video_translation_server.store.sqlite import claims, settlements
from video_translation_server.store.sqlite.engine import Engine

LOOK_EVERY = 10.0
"""Real seconds between two looks for leases that ran out, when none is expected to."""


class ClaimVerbs(Engine):
    """The queue as the delivery loop sees it: leases and settlements."""

    async def claim(self, now: float, *, limit: int, per_endpoint: int, lease: float) -> list[Claim]:
        """Lease due deliveries."""
        real_now = self._lease_time()
        if not await self._is_worth_a_claim(now, real_now):
            return []
        wish = claims.Wish(
            now=now,
            leased_until=real_now + lease,
            claim_id=self._fences.getrandbits(63),
            limit=limit,
            per_endpoint=per_endpoint,
        )

        def verb(connection: apsw.Connection) -> list[Claim]:
            self._expire(connection, real_now)
            claimed = claims.claim(connection, wish, self._recipients)
            if claimed:
                self._first_lease_ends = min(self._first_lease_ends, wish.leased_until)
            return claimed

        # A lease that a power failure undoes is one that its owner, gone as well, cannot miss.
        return await self._writer.run(verb, durable=False, brief=True)

    def _expire(self, connection: apsw.Connection, real_now: float) -> None:
        """Take back leases that ran out; from within a verb only.

        None can have run out before the first one ends. The look every LOOK_EVERY seconds is for what a failed
        commit would make us believe.
        """
        if self._has_expiring(real_now):
            ends = claims.expire(connection, real_now)
            self._first_lease_ends = float("inf") if ends is None else ends
            self._looked_at = real_now

    async def _is_worth_a_claim(self, now: float, real_now: float) -> bool:
        """False where it is plain that nothing can be claimed: most of what is recorded was handed over.

        What the next transaction holds may make something due.
        """
        if self._writer.has_waiting or self._has_expiring(real_now):
            return True
        return await self._glance(lambda connection: claims.is_due(connection, now))

    def _has_expiring(self, real_now: float) -> bool:
        return real_now >= min(self._first_lease_ends, self._looked_at + LOOK_EVERY)

    async def renew_claims(self, held: Sequence[Claim], *, lease: float) -> list[bool]:
        """Extend leases."""
        return await self._writer.run(
            lambda connection: claims.renew(connection, held, self._lease_time() + lease), brief=True
        )

    async def settle(self, batch: Sequence[Settlement], *, now: float) -> list[bool]:
        """Log attempts and carry out verdicts."""
        done = await self._writer.run(
            lambda connection: settlements.settle(connection, batch, now, self._rules),
            self._bells.deliveries,
            brief=True,
        )
        if done.notices:
            self._bells.events.ring()
        return done.held

    async def release(self, held: Sequence[Claim]) -> None:
        """Give leases back unused."""
        await self._writer.run(lambda connection: claims.release(connection, held), self._bells.deliveries, brief=True)

    async def next_delivery_due(self, now: float) -> float | None:
        """When something can be claimed next."""
        return await self._glance(lambda connection: claims.next_due(connection, now))

    async def is_delivering(self, now: float) -> bool:
        """Whether anything is leased or could be."""
        return await self._glance(lambda connection: claims.is_busy(connection, now))
