"""Fixtures of the conformance suite: every test that takes `store` runs once per engine.

All its tests share one event loop, because the connections to PostgreSQL outlast them (`lending`).
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.server.store.engines import Bench, Engine, PostgresEngine, RealTime, Reopen, SqliteEngine
from video_translation_server.store import Store

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents and pytest_asyncio.is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def postgres_engine(postgres_database: str) -> AsyncIterator[PostgresEngine]:
    engine = PostgresEngine(postgres_database)
    yield engine
    await engine.close()


@pytest.fixture(params=["sqlite", "postgres"])
def engine(request: pytest.FixtureRequest) -> Engine:
    if request.param == "sqlite":
        return SqliteEngine()
    found: Engine = request.getfixturevalue("postgres_engine")
    return found


@pytest_asyncio.fixture(loop_scope="session")
async def bench(engine: Engine, tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench(engine, tmp_path)
    yield bench
    await bench.close()


@pytest_asyncio.fixture(loop_scope="session")
async def store(bench: Bench) -> Store:
    """An empty store."""
    return await bench.open()


@pytest.fixture
def reopen(bench: Bench) -> Reopen:
    """Closes the store that is open and opens the same one again."""
    return bench.reopen


@pytest.fixture
def real_time(bench: Bench) -> RealTime:
    """The time of the leases."""
    return bench.real_time
