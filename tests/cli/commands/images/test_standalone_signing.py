"""``standalone-sign``, ``standalone-verify`` and the dump, under both names."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from bundler.cancel import Cancellation
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.trust.openpgp.sign import GpgSigner
from bundler.trust.simple_signing.simple_signing import SimpleSigner

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import RunAirbundle

MANIFEST = b'{"schemaVersion":2}'
DIGEST = Digest.of(MANIFEST).text
NAME = "registry.example.org/app:1"
PASSPHRASE = "marked-secret-passphrase"
SKOPEO = ("--as", "skopeo")


@pytest.fixture(scope="module")
def key(gnupg):
    return gnupg.generate("Signer <signer@example.com>", passphrase=PASSPHRASE)


@pytest.fixture(scope="module")
def other(gnupg):
    return gnupg.generate("Other <other@example.com>")


@pytest.fixture(scope="module")
def signature(gnupg, key) -> bytes:
    """A signature of the manifest by the key."""
    signer = GpgSigner.find(key, gnupg.environment, Cancellation(), PASSPHRASE.encode())
    descriptor = Descriptor("application/json", Digest(DIGEST), len(MANIFEST))
    (message,) = SimpleSigner(signer.sign).sign(NAME, descriptor, MANIFEST)
    return message


@pytest.fixture
def run(tmp_path: Path, run_airbundle: RunAirbundle, gnupg, key, signature):
    """Run a command beside a manifest, a signature, the public key and the passphrase."""
    (tmp_path / "manifest.json").write_bytes(MANIFEST)
    (tmp_path / "app.sig").write_bytes(signature)
    (tmp_path / "pass").write_text(f"{PASSPHRASE}\nsecond line\n")
    (tmp_path / "keys.gpg").write_bytes(gnupg.export(key))
    return lambda *arguments: run_airbundle(*arguments, env={"GNUPGHOME": str(gnupg.home)})


def verify(*arguments, fingerprints, name=NAME, manifest="manifest.json", signature="app.sig"):
    return ("standalone-verify", manifest, name, fingerprints, signature, *arguments)


@pytest.mark.parametrize("front_end", [(), SKOPEO])
def test_signature_verifies_with_the_keyring_of_the_user_or_a_file(run, key, front_end):
    for arguments in (
        verify(fingerprints=key),
        verify(fingerprints=f"{'0' * 40},{key}"),
        verify("--public-key-file", "keys.gpg", fingerprints=key),
        verify("--public-key-file", "keys.gpg", fingerprints="any"),
    ):
        result = run(*front_end, *arguments)
        assert (result.status, result.stderr) == (0, "")
        assert key in result.stdout
        assert DIGEST in result.stdout


def test_skopeo_prints_fingerprint_and_digest(run, key):
    result = run(*SKOPEO, *verify(fingerprints=key))
    assert result.stdout == f"Signature verified using fingerprint {key}, digest {DIGEST}\n"


def test_native_result_is_json_on_request_and_fingerprints_have_any_case(run, key):
    result = run(*verify("--json", fingerprints=key.lower()))
    assert json.loads(result.stdout) == {"fingerprint": key, "digest": DIGEST}


@pytest.mark.parametrize("front_end", [(), SKOPEO])
def test_manifest_is_signed_with_the_first_line_of_the_file(run, gnupg, key, front_end):
    gnupg.forget_passphrases()
    arguments = ("standalone-sign", "manifest.json", NAME, key, "--passphrase-file", "pass")
    result = run(*front_end, *arguments, "--output", "new.sig")
    assert (result.status, result.stdout, result.stderr) == (0, "", "")
    assert run(*verify(fingerprints=key, signature="new.sig")).status == 0


REFUSALS = {
    "another image": (
        {"name": "other/app:2"},
        f'Error verifying signature: Docker reference "{NAME}" does not match "other/app:2"',
    ),
    "another key": (
        {"fingerprints": "0" * 40},
        "Error verifying signature: signature by key {key} is not accepted",
    ),
    "short key ID": (
        {"fingerprints": "{short}"},
        "Error verifying signature: signature by key {key} is not accepted",
    ),
    "another manifest": (
        {"manifest": "pass"},
        f'Error verifying signature: Signature for docker digest "{DIGEST}" does not match',
    ),
    "invalid name": (
        {"name": "APP:1"},
        "Error verifying signature: invalid reference format: repository name must be lowercase",
    ),
    "no manifest": (
        {"manifest": "none"},
        "Error reading manifest from none: open none: no such file or directory",
    ),
    "no signature": (
        {"signature": "none"},
        "Error reading signature from none: open none: no such file or directory",
    ),
}


@pytest.mark.parametrize(("changes", "message"), REFUSALS.values(), ids=REFUSALS)
def test_refusals_have_the_messages_of_skopeo(run, key, changes, message):
    fields = {"fingerprints": key} | changes
    fields["fingerprints"] = fields["fingerprints"].format(short=key[-16:])
    native = run(*verify(**fields))
    assert native.status in (2, 4, 9)
    assert native.stdout == ""
    result = run(*SKOPEO, *verify(**fields))
    assert (result.status, result.stdout) == (1, "")
    assert read_message(result.stderr) == message.format(key=key)


def read_message(stderr: str) -> str:
    assert stderr.count("\n") == 1
    return json.loads(stderr.partition("msg=")[2])


def test_any_key_is_accepted_only_from_a_file(run):
    assert run(*verify(fingerprints="any")).status == 2
    result = run(*SKOPEO, *verify(fingerprints="any"))
    assert read_message(result.stderr) == "Cannot use any fingerprint without a public key file"


@pytest.mark.parametrize("content", [b"", b"no key", b"-----BEGIN PGP PUBLIC KEY BLOCK-----"])
def test_any_of_no_keys_accepts_nothing(run, tmp_path, content):
    (tmp_path / "keys.gpg").write_bytes(content)
    arguments = verify("--public-key-file", "keys.gpg", fingerprints="any")
    assert run(*arguments).status == 2
    assert run(*SKOPEO, *arguments).status == 1


def test_key_outside_of_the_file_is_not_accepted(run, tmp_path, gnupg, key, other):
    (tmp_path / "keys.gpg").write_bytes(gnupg.export(other))
    for fingerprints in ("any", key, f"{key},{other}"):
        arguments = verify("--public-key-file", "keys.gpg", fingerprints=fingerprints)
        assert run(*arguments).status == 4


@pytest.mark.parametrize("content", [b"", b"garbage", b"{}"])
def test_garbage_is_no_signature(run, tmp_path, key, content):
    (tmp_path / "app.sig").write_bytes(content)
    assert run(*verify(fingerprints=key)).status == 4
    assert run("untrusted-signature-dump-without-verification", "app.sig").status == 4


def test_dump_prints_the_statements_of_any_signature(run, key):
    dump = "untrusted-signature-dump-without-verification"
    native, skopeo = (run(*front_end, dump, "app.sig").stdout for front_end in ((), SKOPEO))
    document = json.loads(skopeo)
    assert document == json.loads(native)
    assert document["UntrustedDockerReference"] == NAME
    assert document["UntrustedDockerManifestDigest"] == DIGEST
    assert document["UntrustedShortKeyIdentifier"] == key[-16:]
    assert skopeo.startswith('{\n    "UntrustedDockerManifestDigest": "sha256:')


SIGN_FAILURES = {
    "unknown key": (("00000000",), 'Error creating signature: key "00000000" not found'),
    "short name": (("zz",), "Error creating signature: Invalid value"),
    "no passphrase file": (
        ("signer@example.com", "--passphrase-file", "none"),
        "open none: no such file or directory",
    ),
    "wrong passphrase": (
        ("signer@example.com", "--passphrase-file", "wrong"),
        "Error creating signature: Bad passphrase",
    ),
}


@pytest.mark.parametrize(("arguments", "message"), SIGN_FAILURES.values(), ids=SIGN_FAILURES)
def test_signing_failures_have_the_messages_of_skopeo(
    run, tmp_path, gnupg, key, arguments, message
):
    (tmp_path / "wrong").write_text("another-marked-secret")
    gnupg.forget_passphrases()
    command = ("standalone-sign", "manifest.json", NAME, *arguments, "-o", "new.sig")
    native, skopeo = run(*command), run(*SKOPEO, *command)
    assert (native.status, skopeo.status) == (2, 1)
    assert read_message(skopeo.stderr) == message
    assert "marked-secret" not in native.stderr + skopeo.stderr
    assert not (tmp_path / "new.sig").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("standalone-sign", "manifest.json", NAME, "key"),
            "Usage: skopeo standalone-sign manifest docker-reference key-fingerprint -o signature",
        ),
        (
            ("standalone-sign", "manifest.json", "-o", "x"),
            "Usage: skopeo standalone-sign manifest docker-reference key-fingerprint -o signature",
        ),
        (
            ("standalone-verify", "manifest.json"),
            "Usage: skopeo standalone-verify manifest docker-reference key-fingerprint signature",
        ),
        (
            ("untrusted-signature-dump-without-verification",),
            "Usage: skopeo untrusted-signature-dump-without-verification signature",
        ),
        (
            ("standalone-sign", "none", NAME, "key", "-o", "x"),
            "Error reading none: open none: no such file or directory",
        ),
        (
            ("untrusted-signature-dump-without-verification", "none"),
            "Error reading untrusted signature from none: open none: no such file or directory",
        ),
    ],
)
def test_usage_and_missing_files_have_the_messages_of_skopeo(run, arguments, message):
    result = run(*SKOPEO, *arguments)
    assert (result.status, result.stdout) == (1, "")
    assert read_message(result.stderr) == message
