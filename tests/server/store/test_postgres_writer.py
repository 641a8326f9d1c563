"""The PostgreSQL engine's writer: what is wrong with one call is told to its caller, and the next is carried out."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
import pytest_asyncio

from tests.server.store.engines import PostgresEngine, RealTime
from video_translation_server.store import Store
from video_translation_server.store.postgres import PostgresStore
from video_translation_server.store.postgres.database import Connection
from video_translation_server.store.postgres.verb import EACH, Verb


@pytest_asyncio.fixture(loop_scope="session")
async def store(postgres_engine: PostgresEngine, tmp_path: Path) -> AsyncIterator[Store]:
    store = await postgres_engine.open(tmp_path, RealTime())
    yield store
    await store.close()


async def test_a_verb_that_owes_answers_harms_its_callers_only(store: PostgresStore) -> None:
    async def no_answers(_: Connection, __: Sequence[None]) -> list[None]:
        return []

    with pytest.raises(ValueError, match="zip"):
        await store._log.run(Verb(no_answers), None)

    async def one(connection: Connection) -> int:
        answer: int = await connection.fetchval("SELECT 1")
        return answer

    assert await store._log.run(EACH, one) == 1
