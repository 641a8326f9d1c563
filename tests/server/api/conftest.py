"""A server per test, with no loop doing anything until the test moves the clock."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.server.rig import Rig, serving


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with serving(tmp_path) as running:
        yield running


@pytest.fixture
def http(rig: Rig) -> httpx.AsyncClient:
    return rig.http
