"""Repositories of a registry share one session."""

from __future__ import annotations

import pytest

from bundler.config.paths import ConfigPathOverrides
from bundler.config.registry_access import Credentials, RegistryOverride
from bundler.config.settings import Settings
from bundler.errors import (
    ConfigError,
)
from bundler.ports import OpenOptions
from bundler.transports.docker import session_pool
from bundler.transports.docker.transport import TRANSPORT


def test_repositories_of_a_registry_share_one_session(registry):
    """One token is requested, and the last user closes the session."""
    before = len(session_pool._sessions)
    registry.auth = "basic"
    user = RegistryOverride(credentials=Credentials("user", "password"), plain_http=True)
    shared = OpenOptions(Settings(), overrides={registry.host: user})
    opened = [
        TRANSPORT.source(TRANSPORT.parse(f"//{registry.host}/{name}:1"), shared)
        for name in ("a/a", "b/b", "c/c")
    ]
    for name, origin in zip(("a/a", "b/b", "c/c"), opened, strict=True):
        registry.add_image(name, "1")
        origin.resolve()
        origin.close()
    assert sum("authorization" not in request.headers for request in registry.requests) == 1
    assert len(session_pool._sessions) == before


def test_blocked_registry_opens_no_session(registry, tmp_path):
    before = len(session_pool._sessions)
    file = tmp_path / "registries.conf"
    file.write_text(f'[[registry]]\nlocation = "{registry.host}"\nblocked = true\n')
    blocked = OpenOptions(
        Settings.load({}, tmp_path, 1000, ConfigPathOverrides(registries_conf=file, run=tmp_path))
    )
    reference = TRANSPORT.parse(f"//{registry.host}/app:1")
    for open_it in (TRANSPORT.source, TRANSPORT.destination):
        with pytest.raises(ConfigError, match="blocked"):
            open_it(reference, blocked)
    assert len(session_pool._sessions) == before
