"""Failures of one kind have one exit status in all commands: that of the operator's next step."""

from __future__ import annotations

import os

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.cli.commands.trust.conftest import EXPORT, Site
from tests.fakes import bundles


def test_file_that_is_not_a_trust_file_is_a_mistake(site: Site):
    site.set_up()
    bundles.write(site.directory / "b", keys=(EXPORT,))
    for line in (
        "trust update alice.pub --trust site/trust.json",
        "trust show alice.pub",
        "verify b --trust alice.pub",
    ):
        assert "not a trust file" in site(line, status=2).stderr


@pytest.mark.parametrize(
    "line",
    [
        "trust show pipe",
        "trust update pipe --trust site/trust.json",
        "verify b --key export.pub --signature pipe",
    ],
)
def test_pipe_in_place_of_a_file_does_not_block(site: Site, line: str):
    """A medium may contain one, and nothing writes to it."""
    site.set_up()
    bundles.write(site.directory / "b", keys=(EXPORT,))
    os.mkfifo(site.directory / "pipe")
    assert "pipe: not a regular file" in site(line, status=2).stderr


def test_agent_that_is_missing_or_has_no_such_key_does_not_sign(site: Site):
    bundles.write(site.directory / "b")
    line = "sign b --ssh-key export.pub"
    assert "SSH_AUTH_SOCK" in site(line, status=1).stderr


def test_key_of_another_curve_is_refused_with_the_next_step(site: Site):
    key = ec.generate_private_key(ec.SECP384R1())
    (site.directory / "p384.pub").write_bytes(
        key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    (site.directory / "p384.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    bundles.write(site.directory / "b", keys=(EXPORT,))
    for line in (
        "verify b --key p384.pub",
        "sign b --key p384.key",
        "sign b --ssh-key p384.pub",
        "trust add 1.json --role trust --key p384.pub",
    ):
        assert "airbundle keygen" in site(line, status=1).stderr.partition("hint: ")[2]


@pytest.mark.parametrize(
    "command",
    ["verify b --key export.pub", "import b oci:t --key export.pub", "sign b --key export.key"],
)
def test_bundle_without_its_inventory_is_damaged(site: Site, command: str):
    bundle = bundles.write(site.directory / "b", keys=(EXPORT,))
    (bundle / "bundle.json").unlink()
    site(command, status=3)
    (bundle / "SHA256SUMS").unlink()
    site(command, status=9)
