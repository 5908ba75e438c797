"""A key in a PKCS #11 token signs a bundle by ``--sign-cmd``; openssl and airbundle verify it."""

from __future__ import annotations

import os
import shlex
import subprocess
from typing import TYPE_CHECKING

import pytest

from bundler.trust import keys
from tests.fakes import bundles

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import RunAirbundle

PIN = "8527-secret-pin"
MODULES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so")


@pytest.fixture
def token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A new token with an ECDSA key; return the command that signs with it."""
    module = next(filter(os.path.exists, MODULES))
    (tmp_path / "tokens").mkdir()
    (tmp_path / "softhsm2.conf").write_text(f"directories.tokendir = {tmp_path}/tokens\n")
    monkeypatch.setenv("SOFTHSM2_CONF", str(tmp_path / "softhsm2.conf"))
    monkeypatch.setenv("TOKEN_PIN", PIN)
    tool = f"pkcs11-tool --module {module} --token-label site --login --pin env:TOKEN_PIN --id 01"
    for command in (
        f"softhsm2-util --init-token --free --label site --so-pin 123456 --pin {PIN}",
        f"{tool} --keypairgen --key-type EC:prime256v1 --label site",
        f"{tool} --read-object --type pubkey --output-file {tmp_path}/point.der",
        f"openssl ec -pubin -inform DER -in {tmp_path}/point.der -out {tmp_path}/site.pub",
    ):
        subprocess.run(shlex.split(command), check=True, capture_output=True)
    # softhsm2 does not hash: tokens that support ECDSA-SHA256 need no openssl.
    sign = (
        f"openssl dgst -sha256 -binary | {tool} --sign --mechanism ECDSA --signature-format openssl"
    )
    return shlex.join(["sh", "-c", sign])


def test_key_in_a_token_signs_a_bundle(tmp_path: Path, token: str, run_airbundle: RunAirbundle):
    other = keys.generate_key()
    bundle = bundles.write(tmp_path / "b", keys=(other,))
    environment = {name: os.environ[name] for name in ("SOFTHSM2_CONF", "TOKEN_PIN")}  # noqa: TID251 - for the token
    signing = ("sign", "b", "--sign-cmd", token, "--sign-cmd-key", "site.pub")
    result = run_airbundle(*signing, env=environment)
    assert result.status == 0, result.stderr
    assert PIN not in result.stdout + result.stderr
    public = keys.read_public_key(tmp_path / "site.pub")
    name = f"bundle.json.{public.id[:16]}.sig"
    command = f"openssl dgst -sha256 -verify ../site.pub -signature {name} bundle.json"
    subprocess.run(command.split(), cwd=bundle, check=True, capture_output=True)
    assert run_airbundle("verify", "b", "--key", "site.pub").status == 0

    (bundle / name).unlink()
    environment["TOKEN_PIN"] = "0000-wrong-pin"
    result = run_airbundle(*signing, env=environment)
    assert result.status == 1
    assert not (bundle / name).exists()
