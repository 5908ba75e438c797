"""Fixtures for tests of configuration files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.config.world import World

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Return directories without configuration files."""
    return World(tmp_path)
