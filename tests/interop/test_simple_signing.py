"""Simple signatures by airbundle verify with Skopeo, and the reverse.

Skopeo 1.9.3, against which the tests run, prints ``Signature verified, digest ...`` without the
fingerprint, and accepts one fingerprint.
"""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.fakes import images
from tests.fakes.openpgp import LONG_AGO
from tests.interop import servers

if TYPE_CHECKING:
    from collections.abc import Callable

NAME = "registry.example.org/app:1"
PASSPHRASE = "marked-secret-passphrase"
MANY = images.multi_platform("app", "linux/amd64", "linux/arm64")


@pytest.fixture(scope="module")
def key(gnupg):
    return gnupg.generate("Signer <signer@example.com>", passphrase=PASSPHRASE)


@pytest.fixture
def work(tmp_path: Path, gnupg, key) -> Path:
    """A directory with a layout, a manifest, the public key and the passphrase."""
    images.write_layout(tmp_path / "in", {"one": images.image(), "many": MANY})
    (tmp_path / "manifest.json").write_bytes(MANY.root.data)
    (tmp_path / "keys.gpg").write_bytes(gnupg.export(key))
    (tmp_path / "pass").write_text(f"{PASSPHRASE}\n")
    return tmp_path


@pytest.fixture
def program(gnupg, clients: Callable[[str], servers.Client]):
    """One of the programs by name, with the keyring of the signer."""

    def create(name: str) -> servers.Client:
        client = clients(name)
        client.environment["GNUPGHOME"] = str(gnupg.home)
        return client

    return create


PAIRS = [("airbundle", "skopeo"), ("skopeo-name", "skopeo"), ("skopeo", "airbundle"),
         ("skopeo", "skopeo-name")]  # fmt: skip


@pytest.mark.parametrize(("signer", "verifier"), PAIRS)
def test_signature_in_a_file_verifies_with_the_other_program(
    work, program, gnupg, key, signer, verifier
):
    gnupg.forget_passphrases()
    sign = ("standalone-sign", "manifest.json", NAME, key, "-o", "app.sig")
    program(signer).ok(*sign, "--passphrase-file", "pass", cwd=work)
    verify, digest = program(verifier), MANY.root.digest
    verified = verify.ok("standalone-verify", "manifest.json", NAME, key, "app.sig", cwd=work)
    assert verified.endswith(f"digest {digest}\n")
    for changes in (
        ("manifest.json", "registry.example.org/app:2", key),
        ("pass", NAME, key),
        ("manifest.json", NAME, "0" * 40),
        ("manifest.json", NAME, key[-16:]),
    ):
        assert verify("standalone-verify", *changes, "app.sig", cwd=work).returncode != 0


def test_dumps_are_equal(work, program, gnupg, key):
    gnupg.forget_passphrases()
    sign = ("standalone-sign", "manifest.json", NAME, key, "-o", "app.sig")
    program("airbundle").ok(*sign, "--passphrase-file", "pass", cwd=work)
    dump = ("untrusted-signature-dump-without-verification", "app.sig")
    theirs = program("skopeo").ok(*dump, cwd=work)
    assert program("skopeo-name").ok(*dump, cwd=work) == theirs


def require_signature(work: Path, name: str) -> tuple[str, str]:
    requirement = {
        "type": "signedBy",
        "keyType": "GPGKeys",
        "keyPath": str(work / "keys.gpg"),
        "signedIdentity": {"type": "exactReference", "dockerReference": name},
    }
    policy = {"default": [{"type": "reject"}], "transports": {"dir": {"": [requirement]}}}
    (work / "policy.json").write_text(json.dumps(policy))
    return "--policy", "policy.json"


def copy_with_policy(work: Path, client: servers.Client, name: str, source: str, target: str):
    """Copy all images of an index if each of them, and the index, is signed with ``name``."""
    strict = servers.Client(
        tuple(word for word in client.command if word != "--insecure-policy"),
        client.home,
        client.environment,
    )
    arguments = ("copy", "--all", f"dir:{source}", f"dir:{target}")
    return strict(*require_signature(work, name), *arguments, cwd=work)


@pytest.mark.parametrize("signer", ["airbundle", "skopeo-name", "skopeo"])
@pytest.mark.parametrize("image", ["one", "many"])
def test_signed_copy_verifies_with_the_other_program(work, program, gnupg, key, signer, image):
    gnupg.forget_passphrases()
    options = ("--sign-by", key, "--sign-passphrase-file", "pass", "--sign-identity", NAME)
    program(signer).ok("copy", "--all", *options, f"oci:in:{image}", "dir:signed", cwd=work)
    count = 1 if image == "one" else 3
    assert len(list((work / "signed").glob("*signature-1"))) == count
    for name in {"airbundle", "skopeo", "skopeo-name"} - {signer}:
        verifier = program(name)
        accepted = copy_with_policy(work, verifier, NAME, "signed", f"to-{name}")
        assert accepted.returncode == 0, accepted.stderr
        other = "registry.example.org/app:2"
        rejected = copy_with_policy(work, verifier, other, "signed", f"not-{name}")
        assert rejected.returncode == (4 if name == "airbundle" else 1)


def test_signatures_of_both_programs_are_kept(work, program, gnupg, key):
    gnupg.forget_passphrases()
    options = ("--sign-by", key, "--sign-passphrase-file", "pass", "--sign-identity")
    program("skopeo").ok("copy", *options, NAME, "oci:in:one", "dir:first", cwd=work)
    program("airbundle").ok(
        "copy", *options, "registry.example.org/mirror:1", "dir:first", "dir:second", cwd=work
    )
    skopeo = program("skopeo-name")
    names = [
        json.loads(
            skopeo.ok(
                "untrusted-signature-dump-without-verification",
                f"second/signature-{number}",
                cwd=work,
            )
        )["UntrustedDockerReference"]
        for number in (1, 2)
    ]
    assert names == [NAME, "registry.example.org/mirror:1"]


@pytest.fixture(scope="module")
def unusable(gnupg) -> dict[str, str]:
    """Keys with which nothing can be signed, by the problem."""
    revoked = gnupg.generate("Revoked <revoked@example.com>")
    gnupg.revoke(revoked)
    for _ in range(2):
        gnupg.generate("Twin <twin@example.com>")
    return {
        "expired": gnupg.generate("Expired <old@example.com>", expires="1y", time=LONG_AGO),
        "revoked": revoked,
        "ambiguous": "twin@example.com",
        "unknown": "0" * 40,
        "unknown name": "missing@example.com",
        "short name": "zz",
        "no name": "",
    }


@pytest.mark.parametrize(
    "problem",
    ["expired", "revoked", "ambiguous", "unknown", "unknown name", "short name", "no name"],
)
def test_unusable_key_has_the_message_of_skopeo(work, program, unusable, problem):
    sign = ("standalone-sign", "manifest.json", NAME, unusable[problem], "-o", "app.sig")
    expect_equal_failures(work, program, sign)


@pytest.mark.parametrize("command", ["copy", "standalone-sign"])
def test_wrong_passphrase_has_the_message_of_skopeo(work, program, gnupg, key, command):
    (work / "wrong").write_text("another-marked-secret\n")
    gnupg.forget_passphrases()
    sign = ("standalone-sign", "manifest.json", NAME, key, "-o", "x", "--passphrase-file", "wrong")
    if command == "copy":
        options = ("--sign-by", key, "--sign-passphrase-file", "wrong", "--sign-identity", NAME)
        sign = ("copy", "--quiet", *options, "oci:in:one", "dir:out")
    expect_equal_failures(work, program, sign)


def expect_equal_failures(work, program, arguments) -> None:
    theirs, ours = (program(name)(*arguments, cwd=work) for name in ("skopeo", "skopeo-name"))
    assert theirs.returncode == ours.returncode == 1
    assert ours.stdout == theirs.stdout
    assert ours.stderr.partition("level=")[2] == theirs.stderr.partition("level=")[2]


def test_passphrase_is_in_no_process(work, program, gnupg, key):
    """Neither the arguments nor the environment of any process contain it during a copy."""
    found: list[str] = []
    done = threading.Event()
    secret, own = PASSPHRASE.encode(), str(os.getpid())

    def watch() -> None:
        while not done.is_set():
            for process in Path("/proc").glob("[0-9]*"):
                for name in ("cmdline", "environ"):
                    try:
                        content = (process / name).read_bytes()
                    except OSError:
                        continue
                    if process.name != own and secret in content:
                        found.append(f"{process.name} {name}")

    airbundle = program("airbundle")
    gnupg.forget_passphrases()
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        options = ("--sign-by", key, "--sign-passphrase-file", "pass", "--sign-identity", NAME)
        airbundle.ok("--debug", "copy", "--all", *options, "oci:in:many", "dir:signed", cwd=work)
    finally:
        done.set()
        watcher.join()
    assert not found


@pytest.mark.parametrize("destination", ["oci:out:x", "docker-archive:out.tar:x:1"])
def test_refusal_of_signatures_has_the_output_of_skopeo(work, program, gnupg, key, destination):
    gnupg.forget_passphrases()
    options = ("--sign-by", key, "--sign-passphrase-file", "pass", "--sign-identity", NAME)
    program("airbundle").ok("copy", *options, "oci:in:one", "dir:signed", cwd=work)
    expect_equal_failures(work, program, ("copy", "dir:signed", destination))
