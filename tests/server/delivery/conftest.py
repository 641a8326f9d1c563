"""A server per test, whose sender answers as the test says."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.server.rig import Rig, serving


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with serving(tmp_path) as running:
        yield running
