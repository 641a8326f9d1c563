"""Waiting in the harness: always on something that may happen, and never longer than so many seconds."""

import asyncio


async def happens(event: asyncio.Event, *, within: float) -> bool:
    """Wait for the event, `within` seconds at most; whether it came."""
    try:
        await asyncio.wait_for(event.wait(), within)
    except TimeoutError:
        return False
    return True
