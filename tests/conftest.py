"""A PostgreSQL for who asks for one; how long the property tests search: some dozens of examples in `make test`, more
with the profile `fuzz`; and what keeps the run short: what is made once, and what comes first.

`make fuzz` repeats rounds with that profile, each with other examples, until its time is over.
"""

import asyncio
import functools
import gc
import os
from collections.abc import Iterator

import httpx
import pytest
from hypothesis import HealthCheck, settings

from tests.postgres import create_database, drop_database, shared_cluster

settings.register_profile("bounded", deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("fuzz", deadline=None, max_examples=400, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("bounded")

# Collecting makes a hundred thousand objects that all last: to look for garbage among them doubles the time it takes.
gc.disable()

# Tests make hundreds of httpx clients, and each would read the roots of TLS anew, which takes longer than most of them.
httpx._transports.default.create_ssl_context = functools.cache(httpx.create_ssl_context)  # type: ignore[attr-defined]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what was given a time of its own, so that nothing long is left for the end, when others are idle."""
    items.sort(key=lambda item: item.get_closest_marker("timeout") is None)


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
def postgres(testrun_uid: str) -> str:
    """The URL of a PostgreSQL server, in which tests may make databases."""
    return shared_cluster(testrun_uid)


@pytest.fixture(scope="session")
def postgres_database(postgres: str, worker_id: str) -> Iterator[str]:
    """The URL of a database that only this test process uses."""
    name = f"test_{worker_id}_{os.getpid()}"
    yield asyncio.run(create_database(postgres, name))
    asyncio.run(drop_database(postgres, name))
