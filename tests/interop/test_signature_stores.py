"""Signatures beside the images of a registry, written by one program and read by another."""

from __future__ import annotations

import json
from itertools import permutations
from typing import TYPE_CHECKING

import pytest

from tests.fakes import images
from tests.interop import servers
from tests.transports.docker.signed_repositories import LookasideServer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.fakes.openpgp import GnuPG

PROGRAMS = ("airbundle", "skopeo-name", "skopeo")
PAIRS = [("airbundle", "skopeo"), ("skopeo-name", "skopeo"), ("skopeo", "airbundle"),
         ("skopeo", "skopeo-name")]  # fmt: skip
ONE = images.image()
MANY = images.multi_platform("many", "linux/amd64", "linux/arm64")
IMAGES = {"one": ONE, "many": MANY}
ATTACHED = "use-sigstore-attachments: true"
PASSPHRASE = "a passphrase"


@pytest.fixture(scope="module")
def key(gnupg: GnuPG) -> str:
    return gnupg.generate("Signer <signer@example.com>", passphrase=PASSPHRASE)


@pytest.fixture
def work(tmp_path: Path, gnupg: GnuPG, key: str) -> Path:
    """A directory with a layout, keys, a passphrase, and registries.d."""
    images.write_layout(tmp_path / "in", IMAGES)
    (tmp_path / "keys.gpg").write_bytes(gnupg.export(key))
    (tmp_path / "pass").write_text(f"{PASSPHRASE}\n")
    (tmp_path / "registries.d").mkdir()
    return tmp_path


@pytest.fixture
def program(gnupg: GnuPG, clients, work: Path) -> Callable[[str], servers.Client]:
    """One of the programs by name, with the keyring of the signer and registries.d."""
    created: dict[str, servers.Client] = {}

    def get(name: str) -> servers.Client:
        if name not in created:
            client = clients(name)
            command = (*client.command, "--registries.d", str(work / "registries.d"))
            environment = {**client.environment, "GNUPGHOME": str(gnupg.home)}
            created[name] = servers.Client(command, client.home, environment)
        return created[name]

    return get


@pytest.fixture
def target(registry: servers.Registry, repository: str) -> str:
    """The repository, with its registry."""
    return f"{registry.host}/{repository}"


def configure(work: Path, target: str, settings: str) -> None:
    text = f"docker:\n  {target}:\n    {{{settings}}}\n"
    (work / "registries.d/tests.yaml").write_text(text)


def sign(client: servers.Client, work: Path, key: str, image: str, target: str) -> None:
    """Copy an image with all its platforms to the registry, with a simple signature of each."""
    tls = "--dest-tls-verify=false"
    options = ("--all", tls, "--sign-by", key, "--sign-passphrase-file", "pass")
    client.ok("copy", *options, f"oci:in:{image}", f"docker://{target}:{image}", cwd=work)


def fetch(client: servers.Client, work: Path, source: str, *options: str) -> dict[str, bytes]:
    """Copy an image with all its platforms; return its signature files."""
    number = len([*work.glob("read-*")])
    target = work / f"read-{number}"
    arguments = ("copy", "--all", "--src-tls-verify=false", *options)
    client.ok(*arguments, f"docker://{source}", f"dir:{target}", cwd=work)
    return {path.name: path.read_bytes() for path in target.glob("*signature-*")}


def check_by_policy(skopeo: servers.Client, work: Path, source: str) -> None:
    """Check that Skopeo accepts all images of an index if they have to be signed by the key."""
    signed = {"type": "signedBy", "keyType": "GPGKeys", "keyPath": str(work / "keys.gpg")}
    policy = {"default": [{"type": "reject"}], "transports": {"docker": {"": [signed]}}}
    (work / "policy.json").write_text(json.dumps(policy))
    command = tuple(word for word in skopeo.command if word != "--insecure-policy")
    strict = servers.Client((*command, "--policy", "policy.json"), skopeo.home, skopeo.environment)
    arguments = ("copy", "--all", "--src-tls-verify=false", f"docker://{source}")
    strict.ok(*arguments, f"dir:{work}/checked", cwd=work)


@pytest.mark.parametrize(("writer", "reader"), PAIRS)
@pytest.mark.parametrize("image", ["one", "many"])
def test_lookaside_signatures_are_read_by_the_other_program(
    work, program, key, target, writer, reader, image
):
    configure(work, target, f"lookaside: 'file://{work}/signatures'")
    sign(program(writer), work, key, image, target)
    stored = sorted(path.read_bytes() for path in work.glob("signatures/**/signature-1"))
    assert len(stored) == len(IMAGES[image].manifests())
    found = fetch(program(reader), work, f"{target}:{image}")
    assert sorted(found.values()) == stored
    assert found == fetch(program(writer), work, f"{target}:{image}")
    check_by_policy(program("skopeo"), work, f"{target}:{image}")


@pytest.mark.parametrize(("writer", "reader"), PAIRS)
def test_lookaside_server_is_read_by_all_programs(work, program, key, target, writer, reader):
    with LookasideServer(work) as server:
        staging = f"lookaside-staging: 'file://{work}/public/'"
        configure(work, target, f"lookaside: '{server.url}/public', {staging}")
        sign(program(writer), work, key, "many", target)
        found = fetch(program(reader), work, f"{target}:many")
        assert len(found) == 3
        assert {path.read_bytes() for path in work.glob("public/**/signature-1")} == {
            *found.values()
        }
        own = [request.target for request in server.requests]
        server.requests.clear()
        assert fetch(program(writer), work, f"{target}:many") == found
        assert {request.target for request in server.requests} == {*own}


@pytest.mark.parametrize("name", PROGRAMS)
def test_server_without_staging_location_is_not_written(work, program, key, target, name):
    configure(work, target, "lookaside: 'http://127.0.0.1:9/sigs'")
    tls = "--dest-tls-verify=false"
    options = ("--sign-by", key, "--sign-passphrase-file", "pass")
    copied = program(name)("copy", tls, *options, "oci:in:one", f"docker://{target}:one", cwd=work)
    assert copied.returncode == 1
    assert "lookaside-staging" in copied.stderr or "sigstore-staging" in copied.stderr


@pytest.fixture(scope="module")
def attached(tmp_path_factory) -> list[str]:
    """Two copies of an image in directories, with sigstore signatures of different keys.

    Debian's Skopeo creates no sigstore signatures, but it copies them.
    """
    folder = tmp_path_factory.mktemp("attached")
    images.write_layout(folder / "in", IMAGES)
    (folder / "pass").write_text(f"{PASSPHRASE}\n")
    airbundle = servers.Client(servers.AIRBUNDLE, folder, dict(servers.CHECKOUT))
    phrase = ("--sign-passphrase-file", "pass", "--sign-identity", "example.com/many:1")
    for name in ("first", "second"):
        options = ("--output-prefix", name, "--passphrase-file", "pass")
        airbundle.ok("generate-sigstore-key", *options, cwd=folder)
        sign = ("--sign-by-sigstore-private-key", f"{name}.private", *phrase)
        airbundle.ok("copy", "--all", *sign, "oci:in:many", f"dir:{name}", cwd=folder)
    return [f"dir:{folder}/first", f"dir:{folder}/second"]


def push(client: servers.Client, work: Path, source: str, target: str) -> None:
    tls = "--dest-tls-verify=false"
    client.ok("copy", "--all", tls, source, f"docker://{target}", cwd=work)


@pytest.mark.parametrize("writers", [*permutations(PROGRAMS, 2)])
def test_attachments_of_two_programs_are_kept(work, program, attached, target, writers):
    configure(work, target, ATTACHED)
    for writer, source in zip(writers, attached, strict=True):
        push(program(writer), work, source, f"{target}:many")
    expected = fetch(program("skopeo"), work, f"{target}:many")
    assert len(expected) == 6
    for name in ("airbundle", "skopeo-name"):
        assert fetch(program(name), work, f"{target}:many") == expected


@pytest.mark.parametrize("name", ["airbundle", "skopeo-name"])
def test_copy_carries_signatures_of_all_kinds(work, program, attached, key, target, name):
    text = f"lookaside: 'file://{work}/signatures', {ATTACHED}"
    text = f"docker:\n  {target}: {{{text}}}\n  {target}-copy: {{{text}}}\n"
    (work / "registries.d/tests.yaml").write_text(text)
    sign(program("skopeo"), work, key, "many", target)
    # Skopeo 1.9 would replace the simple signatures: it stores sigstore signatures in both places.
    push(program("airbundle"), work, attached[0], f"{target}:many")
    tls = ("--src-tls-verify=false", "--dest-tls-verify=false")
    sides = (f"docker://{target}:many", f"docker://{target}-copy:many")
    program(name).ok("copy", "--all", *tls, *sides, cwd=work)
    expected = fetch(program("skopeo"), work, f"{target}:many")
    is_sigstore = [raw.startswith(b"\0sigstore-json\n") for raw in expected.values()]
    assert sorted(is_sigstore) == [False] * 3 + [True] * 3
    assert fetch(program("skopeo"), work, f"{target}-copy:many") == expected
    assert fetch(program(name), work, f"{target}:many", "--remove-signatures") == {}


@pytest.mark.parametrize("name", PROGRAMS)
def test_destination_without_signatures_is_refused(work, program, key, target, name):
    configure(work, target, f"lookaside: 'file://{work}/signatures'")
    sign(program("skopeo"), work, key, "one", target)
    options = ("copy", "--src-tls-verify=false", f"docker://{target}:one", "oci:out:one")
    refused = program(name)(*options, cwd=work)
    assert refused.returncode == 1
    if name != "airbundle":
        reason = "Can not copy signatures to oci:out:one: Pushing signatures for OCI images is"
        assert f"{reason} not supported" in refused.stderr
    program(name).ok(*options, "--remove-signatures", cwd=work)


@pytest.mark.parametrize("name", PROGRAMS)
def test_attachments_are_written_only_if_configured(work, program, attached, target, name):
    options = ("copy", "--dest-tls-verify=false", attached[0], f"docker://{target}:one")
    refused = program(name)(*options, cwd=work)
    assert refused.returncode == 1
    if name != "airbundle":
        expected = "writing signatures: writing sigstore attachments is disabled by configuration"
        assert expected in refused.stderr


@pytest.mark.parametrize("name", PROGRAMS)
def test_deletion_deletes_lookaside_signatures(work, program, key, target, name):
    configure(work, target, f"lookaside: 'file://{work}/signatures'")
    for image in ("one", "many"):
        sign(program("skopeo"), work, key, image, target)
    assert len([*work.rglob("signatures/**/signature-1")]) == 4
    program(name).ok("delete", "--tls-verify=false", f"docker://{target}:many", cwd=work)
    left = [path.parent.name for path in work.rglob("signatures/**/signature-1")]
    assert len(left) == 3
    assert not any(MANY.digest.removeprefix("sha256:") in folder for folder in left)


@pytest.mark.parametrize("name", PROGRAMS)
def test_deletion_reports_that_a_server_keeps_signatures(work, program, target, name):
    program("skopeo").ok(
        "copy", "--dest-tls-verify=false", "oci:in:one", f"docker://{target}:one", cwd=work
    )
    configure(work, target, "lookaside: 'http://127.0.0.1:9/sigs'")
    deleted = program(name)("delete", "--tls-verify=false", f"docker://{target}:one", cwd=work)
    assert deleted.returncode == 1
    assert "127.0.0.1:9/sigs" in deleted.stderr
    again = program(name)("delete", "--tls-verify=false", f"docker://{target}:one", cwd=work)
    assert "sigs" not in again.stderr


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("answer", ["page", "unreachable"])
def test_signatures_that_cannot_be_read_end_the_copy(work, program, target, name, answer):
    program("skopeo").ok(
        "copy", "--dest-tls-verify=false", "oci:in:one", f"docker://{target}:one", cwd=work
    )
    options = ("copy", "--src-tls-verify=false", f"docker://{target}:one", "dir:copied")
    with LookasideServer(work) as server:
        server.fail("GET", "signature-1", html=True, times=None)
        address = server.url if answer == "page" else "http://127.0.0.1:9"
        configure(work, target, f"lookaside: '{address}/sigs'")
        copied = program(name)(*options, cwd=work)
    assert copied.returncode not in (0, 2)
    assert not (work / "copied/manifest.json").exists()
    if name == "skopeo-name":
        assert 'msg="reading signatures: ' in copied.stderr
