"""Text that looks like a secret."""

from __future__ import annotations

import pytest

from bundler.bundle.audit.secret_text import looks_secret


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DB_PASSWORD", "x"),
        ("github_token", "abc"),
        ("API_KEY", "abc"),
        ("AWS_SECRET", "abc"),
        ("A", "AKIAIOSFODNN7EXAMPLE"),
        ("A", "-----BEGIN EC PRIVATE KEY-----"),
        ("URL", "postgres://user:secret@db/x"),
        ("A", "ghp_" + "a" * 36),
    ],
)
def test_secrets_are_found(name: str, value: str):
    assert looks_secret(name, value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PATH", "/usr/bin"),
        ("DB_PASSWORD", ""),
        ("PASSWORD_FILE", "/run/secrets/db"),
        ("KEYSERVER", "hkps://keys.openpgp.org"),
        ("GPG_KEY", "A035C8C19219BA821ECEA86B64E628F8D684696D"),
        ("URL", "https://example.com/a@b"),
    ],
)
def test_usual_variables_are_no_secrets(name: str, value: str):
    assert not looks_secret(name, value)
