"""``copy`` and ``sync`` with simple signatures."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from bundler.cancel import Cancellation
from bundler.trust.openpgp.keyring import open_keyring
from bundler.trust.simple_signing import simple_signing
from tests.fakes import images

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import RunAirbundle

NAME = "registry.example.org/app:1"
PASSPHRASE = "marked-secret-passphrase"
SKOPEO = ("--as", "skopeo", "--insecure-policy")
FRONT_ENDS = pytest.mark.parametrize("front_end", [(), SKOPEO], ids=["native", "skopeo"])


@pytest.fixture(scope="module")
def key(gnupg):
    return gnupg.generate("Signer <signer@example.com>", passphrase=PASSPHRASE)


@pytest.fixture
def run(tmp_path: Path, run_airbundle: RunAirbundle, gnupg):
    """Run a command beside a layout and the passphrase."""
    index = images.multi_platform("app", "linux/amd64", "linux/arm64")
    images.write_layout(tmp_path / "in", {"app": index, "single": images.image()})
    (tmp_path / "pass").write_text(f"{PASSPHRASE}\n")
    gnupg.forget_passphrases()
    return lambda *arguments: run_airbundle(*arguments, env={"GNUPGHOME": str(gnupg.home)})


def sign_by(key):
    return ("--sign-by", key, "--sign-passphrase-file", "pass", "--sign-identity", NAME)


def find_signed(directory: Path, keys: bytes) -> dict[str, str]:
    """Verify all signatures of a ``dir:`` image; return the signed name of each file."""
    found = {}
    with open_keyring([keys], Cancellation()) as keyring:
        for path in directory.glob("*signature-*"):
            stem = path.name.rpartition("signature-")[0]
            manifest = (directory / f"{stem}manifest.json").read_bytes()
            payload, _ = simple_signing.verify_signature(
                path.read_bytes(), keyring, manifest, keyring.fingerprints
            )
            found[path.name] = payload.reference
    return found


@FRONT_ENDS
def test_copy_signs_index_and_images(run, tmp_path, gnupg, key, front_end):
    copied = run(*front_end, "copy", "--all", *sign_by(key), "oci:in:app", "dir:out")
    assert copied.status == 0
    signed = find_signed(tmp_path / "out", gnupg.export(key))
    assert len(signed) == 3
    assert set(signed.values()) == {NAME}


@FRONT_ENDS
def test_signatures_are_added_to_those_of_the_source(run, tmp_path, gnupg, key, front_end):
    other = gnupg.generate("Other <other@example.com>")
    run("copy", *sign_by(key), "oci:in:single", "dir:first")
    more = ("--sign-by", other, "--sign-identity", "registry.example.org/mirror:1")
    copied = run(*front_end, "copy", *more, "dir:first", "dir:second")
    assert copied.status == 0
    assert find_signed(tmp_path / "second", gnupg.export(key, other)) == {
        "signature-1": NAME,
        "signature-2": "registry.example.org/mirror:1",
    }


def test_lines_of_skopeo_report_the_signatures(run, key, gnupg):
    copied = run(*SKOPEO, "copy", *sign_by(key), "oci:in:single", "dir:first")
    lines = copied.stdout.splitlines()
    assert lines[0] == "Getting image source signatures"
    assert lines[-3:] == [
        "Writing manifest to image destination",
        "Creating signature: Signing image using simple signing",
        "Storing signatures",
    ]
    again = run(*SKOPEO, "copy", "dir:first", "dir:second").stdout.splitlines()
    assert again[:2] == [
        "Getting image source signatures",
        "Checking if image destination supports signatures",
    ]
    assert again[-1] == "Storing signatures"
    assert (
        "Storing signatures"
        not in run(*SKOPEO, "copy", "--remove-signatures", "dir:first", "dir:third").stdout
    )
    everything = run(*SKOPEO, "copy", "--all", *sign_by(key), "oci:in:app", "dir:fourth")
    assert everything.stdout.count("Creating signature") == 3
    assert everything.stdout.count("Storing signatures\n") == 2
    assert everything.stdout.endswith(
        "Writing manifest list to image destination\n"
        "Creating signature: Signing image using simple signing\n"
        "Storing list signatures\n"
    )


def test_signed_image_is_not_converted(run, key):
    run("copy", *sign_by(key), "oci:in:single", "dir:first")
    refused = run("copy", "--format", "v2s2", "dir:first", "dir:second")
    assert refused.status == 1
    assert "it is signed" in refused.stderr
    removed = run("copy", "--format", "v2s2", "--remove-signatures", "dir:first", "dir:second")
    assert removed.status == 0


def test_converted_image_is_signed_in_its_new_form(run, tmp_path, gnupg, key):
    copied = run("copy", "--format", "v2s2", *sign_by(key), "oci:in:single", "dir:out")
    assert copied.status == 0
    assert find_signed(tmp_path / "out", gnupg.export(key)) == {"signature-1": NAME}


IDENTITY = ("--sign-identity", NAME)
SECRET = ("--sign-passphrase-file", "pass")
NO_NAME = "Cannot determine canonical Docker reference for destination dir:out"
NO_SQ = "Error using --sign-by-sq-fingerprint: the program sq is not installed"
ONLY_ONE = (
    "Only one of --sign-by, --sign-by-sq-fingerprint and --sign-by-sigstore-private-key can be used"
    " with --sign-passphrase-file"
)
UNSUPPORTED = "writing signatures: Pushing signatures for OCI images is not supported"
FAILURES = {
    "no identity": (("--sign-by", "{key}", *SECRET), "dir:out", NO_NAME),
    "unsupported": (("--sign-by", "{key}", *SECRET, *IDENTITY), "oci:out:x", UNSUPPORTED),
    "unknown key": (
        ("--sign-by", "00000000", *IDENTITY),
        "dir:out",
        r"creating signature: key \"00000000\" not found",
    ),
    "no sq": (("--sign-by-sq-fingerprint", "0" * 40, *IDENTITY), "dir:out", NO_SQ),
    "two users of the passphrase": (
        ("--sign-by", "{key}", "--sign-by-sq-fingerprint", "x", "--sign-passphrase-file", "pass"),
        "dir:out",
        ONLY_ONE,
    ),
}


@pytest.mark.parametrize(("arguments", "destination", "message"), FAILURES.values(), ids=FAILURES)
def test_failures_publish_nothing(run, tmp_path, key, arguments, destination, message):
    arguments = [item.format(key=key) for item in arguments]
    if message == NO_SQ and shutil.which("sq") is not None:
        pytest.skip("sq is installed")
    native = run("copy", *arguments, "oci:in:single", destination)
    assert native.status in (1, 2)
    assert native.stderr.startswith("airbundle: error: ")
    skopeo = run(*SKOPEO, "copy", *arguments, "oci:in:single", destination)
    assert skopeo.status == 1
    assert message in skopeo.stderr
    assert not (tmp_path / "out/manifest.json").exists()
    assert not (tmp_path / "out/index.json").exists()


@FRONT_ENDS
def test_wrong_passphrase_is_reported_before_anything_is_copied(
    run, tmp_path, gnupg, key, front_end
):
    (tmp_path / "pass").write_text("wrong\n")
    refused = run(*front_end, "copy", *sign_by(key), "oci:in:single", "dir:out")
    assert refused.status in (1, 2)
    assert "passphrase" in refused.stderr.lower()
    assert not (tmp_path / "out").exists()


@FRONT_ENDS
def test_passphrase_is_in_no_output_and_no_file(run, tmp_path, gnupg, key, front_end):
    copied = run(*front_end, "--debug", "copy", *sign_by(key), "oci:in:single", "dir:out")
    assert copied.status == 0
    gnupg.forget_passphrases()
    (tmp_path / "pass").write_text(f"{PASSPHRASE}-wrong\n")
    failed = run(*front_end, "--debug", "copy", *sign_by(key), "oci:in:single", "dir:again")
    assert failed.status != 0
    for result in (copied, failed):
        assert PASSPHRASE not in result.stdout + result.stderr
    (tmp_path / "pass").unlink()
    for directory in (tmp_path, gnupg.home):
        files = [path for path in directory.rglob("*") if path.is_file()]
        assert not [path for path in files if PASSPHRASE.encode() in path.read_bytes()]
