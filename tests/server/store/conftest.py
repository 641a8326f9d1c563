"""Fixtures of the conformance suite: every test that takes `store` runs once per engine."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.server.store.engines import Bench, Engine, PostgresEngine, RealTime, Reopen, SqliteEngine
from video_translation_server.store import Store


@pytest.fixture(scope="session")
def postgres_engine(postgres_database: str) -> PostgresEngine:
    return PostgresEngine(postgres_database)


@pytest.fixture(params=["sqlite", "postgres"])
def engine(request: pytest.FixtureRequest) -> Engine:
    if request.param == "sqlite":
        return SqliteEngine()
    found: Engine = request.getfixturevalue("postgres_engine")
    return found


@pytest.fixture
async def bench(engine: Engine, tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench(engine, tmp_path)
    yield bench
    await bench.close()


@pytest.fixture
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
