"""``copy --sign-by-sigstore`` with a login to an identity provider, under both names."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from bundler.oci import signature as signatures
from bundler.trust.sigstore import keys
from bundler.trust.sigstore.attachments.attachment import TrustedFulcio, verify_attachment
from bundler.trust.sigstore.certificates import Authority, OidcIdentity
from tests.fakes import images, oidc, sigstore

if TYPE_CHECKING:
    from pathlib import Path

NAME = "registry.example.org/app:1"
FRONT_ENDS = [[], ["--as", "skopeo", "--insecure-policy"]]
COPY = (
    "copy",
    "--sign-by-sigstore",
    "params.yaml",
    "--sign-identity",
    NAME,
    "oci:in:app",
    "dir:out",
)


@pytest.fixture
def provider():
    with oidc.FakeProvider(secret=oidc.SECRET) as running:
        yield running


@pytest.fixture
def services():
    with sigstore.FakeServices() as running:
        yield running


@pytest.fixture
def configure(tmp_path: Path, provider, services):
    """Write the parameter file for a mode of login."""
    images.write_layout(tmp_path / "in", {"app": images.image()})

    def write(mode):
        (tmp_path / "params.yaml").write_text(
            f"fulcio:\n  fulcioURL: {services.url}\n  oidcMode: {mode}\n"
            f"  oidcIssuerURL: {provider.url}\n  oidcClientID: {oidc.CLIENT_ID}\n"
            f"  oidcClientSecret: {oidc.SECRET}\nrekorURL: {services.url}\n"
        )

    return write


@pytest.fixture
def browser(tmp_path: Path) -> dict[str, str]:
    """An environment in which a browser visits the URLs that are opened."""
    program = tmp_path / "bin" / "xdg-open"
    program.parent.mkdir()
    program.write_text(
        f"#!{sys.executable}\nimport os, sys, urllib.request\n"
        "if os.fork(): os._exit(0)\n"  # as desktops do
        "urllib.request.urlopen(sys.argv[1], timeout=10).close()\n"
    )
    program.chmod(0o755)
    return {"PATH": f"{program.parent}:/usr/bin:/bin"}


def check_signature(directory: Path, services) -> None:
    trust = TrustedFulcio(
        Authority((services.fulcio.root,)),
        OidcIdentity(sigstore.ISSUER, oidc.EMAIL),
        (keys.accept_public_key(services.log.key.public_key(), "log"),),
    )
    signature = signatures.parse((directory / "out/signature-1").read_bytes())
    assert isinstance(signature, signatures.SigstoreSignature)
    manifest = (directory / "out/manifest.json").read_bytes()
    found = verify_attachment(signature, trust, manifest, datetime.now(UTC))
    assert found.payload.reference == NAME


def check_no_secret(provider, result) -> None:
    output = result.stdout + result.stderr
    assert "marked" not in output
    assert not any(token in output for token in provider.tokens)


@pytest.mark.parametrize("front_end", FRONT_ENDS)
def test_user_logs_in_with_browser(
    tmp_path, run_airbundle, configure, provider, services, browser, front_end
):
    configure("interactive")
    copied = run_airbundle(*front_end, *COPY, env=browser)
    assert copied.status == 0
    shown = copied.stdout if front_end else copied.stderr
    assert f"{provider.url}/auth?tenant=1&" in shown
    check_signature(tmp_path, services)
    check_no_secret(provider, copied)


@pytest.mark.parametrize("front_end", FRONT_ENDS)
def test_user_logs_in_on_another_device(
    tmp_path, run_airbundle, configure, provider, services, front_end
):
    configure("deviceGrant")
    copied = run_airbundle(*front_end, *COPY)
    assert copied.status == 0
    shown = copied.stdout if front_end else copied.stderr
    assert f"code WDJB-MJHT in your browser at: {provider.url}/activate" in shown
    check_signature(tmp_path, services)
    check_no_secret(provider, copied)


@pytest.mark.parametrize("mode", ["interactive", "deviceGrant"])
@pytest.mark.parametrize("front_end", FRONT_ENDS)
def test_denied_login_ends_before_anything_is_copied(
    tmp_path, run_airbundle, configure, provider, browser, mode, front_end
):
    configure(mode)
    provider.denied, provider.token_errors = True, ["access_denied"]
    refused = run_airbundle(*front_end, *COPY, env=browser)
    assert refused.status == (1 if front_end else 7)
    assert not (tmp_path / "out").exists()
    check_no_secret(provider, refused)
    if front_end:
        assert (
            "Error using --sign-by-sigstore: Error authenticating with OIDC: "
            "error obtaining token: access_denied" in refused.stderr
        )


def test_code_is_asked_for_without_browser(run_airbundle, configure, tmp_path):
    configure("interactive")
    refused = run_airbundle(*COPY, stdin="other\n", env={"PATH": str(tmp_path)})
    assert refused.status == 7
    assert "redirect_uri=urn%3Aietf%3Awg%3Aoauth%3A2.0%3Aoob" in refused.stderr


def test_certificate_expired_during_copy_needs_another_login(
    tmp_path, run_airbundle, configure, provider, services
):
    configure("deviceGrant")
    issue, services.fulcio.issue = services.fulcio.issue, None
    services.fulcio.issue = lambda key, **options: issue(
        key, **options, minutes=0 if len(provider.tokens) == 1 else 10
    )
    copied = run_airbundle(*COPY)
    assert copied.status == 0
    assert len(provider.tokens) == 2
    check_signature(tmp_path, services)


def test_interruption_ends_waiting_for_user(tmp_path, hermetic_environment, configure, provider):
    configure("deviceGrant")
    provider.token_errors = ["authorization_pending"] * 100
    process = subprocess.Popen(
        [sys.executable, "-m", "bundler.cli.main", *COPY],
        cwd=tmp_path,
        env=hermetic_environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stderr is not None
        assert "WDJB-MJHT" in process.stderr.readline()
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(20) == 130
        assert "marked" not in process.stderr.read()
