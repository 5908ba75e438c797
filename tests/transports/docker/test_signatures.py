"""Signatures of images in a registry: lookaside, attachments, and the signature API."""

from __future__ import annotations

import json
import os
from contextlib import closing
from typing import ClassVar

import pytest

from bundler.copy.image import ImageRequest
from bundler.copy.resolving.resolve import resolve
from bundler.errors import (
    DigestMismatchError,
    IntegrityError,
    LimitError,
    MalformedError,
    NotFoundError,
    RefusedRequestError,
    RegistryError,
    SignatureStoreError,
)
from bundler.oci.digest import Digest
from bundler.signature_ports import ChecksSignatures
from bundler.transports.docker.lookaside import Lookaside
from tests.contracts import signatures as contract
from tests.contracts.signatures import OTHER_SIMPLE, SIMPLE, SignatureContract, sigstore
from tests.fakes import images
from tests.fakes.registry import OCI_LAYER, FakeRegistry, sha256
from tests.transports.docker.repositories import push, root_of
from tests.transports.docker.signed_repositories import LookasideServer, SignedRepository

ATTACHED = "use-sigstore-attachments: true"
IMAGE = images.image()
DIGEST = Digest(IMAGE.digest)
TAG = f"sha256-{DIGEST.hex}.sig"


class DockerContract(SignatureContract):
    api = False

    @pytest.fixture
    def repository(self, tmp_path):
        with FakeRegistry(signature_api=self.api) as registry:
            yield SignedRepository(registry, tmp_path, ATTACHED)

    @pytest.fixture
    def opened(self, repository):
        return repository.destination

    @pytest.fixture
    def source(self, repository):
        return repository.source


class TestLookaside(DockerContract):
    signatures: ClassVar = [SIMPLE, OTHER_SIMPLE]


class TestAttachments(DockerContract):
    signatures: ClassVar = [sigstore(), sigstore(value="b3RoZXI="), sigstore(b"{}")]
    adds = True


class TestLookasideAndAttachments(DockerContract):
    excluded: ClassVar = {
        "test_second_run_replaces_or_adds_signatures": "depends on the kind of the signature"
    }


class TestSignatureApi(DockerContract):
    api = True
    adds = True


@pytest.fixture
def registry():
    with FakeRegistry() as running:
        yield running


@pytest.fixture
def repository(registry, tmp_path):
    """A repository with the default settings, and an image."""
    found = SignedRepository(registry, tmp_path)
    with closing(found.destination()) as destination:
        push(destination, IMAGE)
        contract.publish(destination, root_of(IMAGE), "app")
    registry.requests.clear()
    return found


@pytest.fixture
def server(tmp_path):
    with LookasideServer(tmp_path / "www") as running:
        yield running


@pytest.fixture
def served(repository, server, tmp_path):
    """The directory of the signatures on the server, which the repository reads."""
    repository.configure(f"lookaside: '{server.url}/sigs', lookaside-staging: 'file://{tmp_path}'")
    directory = server.root / f"sigs/tests/app@sha256={DIGEST.hex}"
    directory.mkdir(parents=True)
    (directory / "signature-1").write_bytes(SIMPLE)
    return directory


def read(repository: SignedRepository) -> list[bytes]:
    return contract.read(repository.source(), DIGEST)


def write(repository: SignedRepository, *signatures: bytes) -> None:
    with closing(repository.destination()) as destination:
        destination.push_signatures(DIGEST, signatures)
        destination.commit([])


# Lookaside in a directory


def test_files_have_the_names_of_the_protocol(repository):
    write(repository, SIMPLE, OTHER_SIMPLE)
    files = {path.relative_to(repository.lookaside): path for path in
             repository.lookaside.rglob("signature-*")}  # fmt: skip
    folder = f"tests/app@sha256={DIGEST.hex}"
    assert {str(name): path.read_bytes() for name, path in files.items()} == {
        f"{folder}/signature-1": SIMPLE,
        f"{folder}/signature-2": OTHER_SIMPLE,
    }


def test_signatures_of_many_manifests_are_written_at_once(tmp_path):
    lookaside = Lookaside(f"file://{tmp_path}/sigstore", "app")
    signatures = {Digest.of(b"%d" % number): [b"\x90 %d" % number] for number in range(20)}
    lookaside.write_all(signatures)
    for manifest, (raw,) in signatures.items():
        folder = tmp_path / f"sigstore/app@sha256={manifest.hex}"
        assert [path.read_bytes() for path in folder.iterdir()] == [raw]


def test_staging_location_is_written_and_not_read(repository, tmp_path):
    repository.configure(f"lookaside-staging: 'file://{tmp_path}/staging%20area/'")
    write(repository, SIMPLE)
    assert (tmp_path / f"staging area/tests/app@sha256={DIGEST.hex}/signature-1").exists()
    assert read(repository) == []


def test_fewer_signatures_remove_the_others(repository):
    write(repository, SIMPLE, OTHER_SIMPLE)
    write(repository, OTHER_SIMPLE)
    assert [path.name for path in repository.lookaside.rglob("signature-*")] == ["signature-1"]
    assert read(repository) == [OTHER_SIMPLE]


def test_reading_ends_at_the_first_missing_number(repository):
    write(repository, SIMPLE, OTHER_SIMPLE, SIMPLE)
    next(repository.lookaside.rglob("signature-2")).unlink()
    assert read(repository) == [SIMPLE]


def test_pipe_in_place_of_a_signature_is_refused(repository):
    write(repository, SIMPLE)
    os.mkfifo(next(repository.lookaside.rglob("signature-1")).with_name("signature-2"))
    with pytest.raises(MalformedError):
        read(repository)


@pytest.mark.parametrize(
    "content", [b"", b"<html>", b"{}", b"\0unknown\n{}", b"\0sigstore-json\n{"]
)
def test_file_that_is_no_signature_is_refused(repository, content):
    write(repository, SIMPLE)
    path = next(repository.lookaside.rglob("signature-1"))
    path.write_bytes(content)
    with pytest.raises(MalformedError) as raised:
        read(repository)
    assert str(path) in raised.value.message


def test_too_large_signature_is_refused(repository):
    write(repository, SIMPLE)
    path = next(repository.lookaside.rglob("signature-1"))
    os.truncate(path, 4 * 1024 * 1024 + 1)
    with pytest.raises(LimitError):
        read(repository)


def test_too_many_signatures_are_refused(repository):
    write(repository, *[SIMPLE] * 128)
    assert len(read(repository)) == 128
    first = next(repository.lookaside.rglob("signature-1"))
    first.with_name("signature-129").write_bytes(SIMPLE)
    with pytest.raises(LimitError):
        read(repository)


def test_deletion_of_an_image_deletes_its_signatures(repository):
    write(repository, SIMPLE, OTHER_SIMPLE)
    other = repository.lookaside / f"tests/app@sha256={'0' * 64}/signature-1"
    other.parent.mkdir()
    other.write_bytes(SIMPLE)
    with closing(repository.destination()) as destination:
        destination.delete()
    assert [*repository.lookaside.rglob("signature-*")] == [other]


def test_deletion_of_a_tag_keeps_the_signatures(repository):
    write(repository, SIMPLE)
    with closing(repository.destination()) as destination:
        destination.untag()
    assert read(repository) == [SIMPLE]


def test_tag_is_not_published_without_its_lookaside_signatures(repository):
    repository.lookaside.write_text("not a directory")
    with closing(repository.destination()) as destination:
        destination.push_signatures(DIGEST, [SIMPLE])
        with pytest.raises((MalformedError, IntegrityError)):
            contract.publish(destination, root_of(IMAGE), "new")
    assert "new" not in repository.registry.repository("tests/app").tags


# Lookaside on a server


def test_signatures_are_read_from_a_server(served, server, repository):
    (served / "signature-2").write_bytes(OTHER_SIMPLE)
    assert read(repository) == [SIMPLE, OTHER_SIMPLE]
    assert server.count("GET") == 3
    assert "authorization" not in server.requests[0].headers


def test_signatures_are_requested_once(served, server, repository):
    with closing(repository.source()) as source:
        assert source.signatures(DIGEST) == source.signatures(DIGEST) == [SIMPLE]
    assert server.count("GET") == 2


def test_path_and_query_of_the_url_are_kept(served, server, repository):
    repository.configure(f"lookaside: '{server.url}/sigs?token=a%2Fb'")
    assert read(repository) == [SIMPLE]
    target = f"/sigs/tests/app@sha256={DIGEST.hex}/signature-1?token=a%2Fb"
    assert server.requests[0].target == target


def test_credentials_in_the_url_are_sent_to_its_origin_only(served, server, repository, tmp_path):
    host = server.host
    repository.configure(f"lookaside: 'http://user:pass%40word@{host}/sigs'")
    assert read(repository) == [SIMPLE]
    assert server.requests[0].headers["authorization"] == "Basic dXNlcjpwYXNzQHdvcmQ="
    with LookasideServer(server.root) as other:
        server.fail("GET", "signature-1", redirect=f"{other.url}{server.requests[0].target}")
        assert read(repository) == [SIMPLE]
        assert "authorization" not in other.requests[0].headers
    server.fail("GET", "signature-1", status=403)
    with pytest.raises(RefusedRequestError) as raised:
        read(repository)
    assert "pass" not in raised.value.message


def test_web_page_in_place_of_a_signature_is_refused(served, server, repository):
    server.fail("GET", "signature-1", html=True)
    with pytest.raises(MalformedError):
        read(repository)


@pytest.mark.parametrize("status", [400, 401, 403, 410])
def test_refusal_is_not_taken_for_the_end(served, server, repository, status):
    server.fail("GET", "signature-2", status=status)
    with pytest.raises(RefusedRequestError):
        read(repository)


def test_unavailable_server_is_asked_again(served, server, repository):
    server.fail("GET", "signature-1", status=503)
    server.fail("GET", "signature-2", drop=True)
    assert read(repository) == [SIMPLE]


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"endless": True}, LimitError),
        ({"stall_after": 3}, RegistryError),
        ({"status": 500}, RegistryError),
        ({"redirect": "http://169.254.169.254/latest"}, RefusedRequestError),
        ({"redirect": "file:///etc/passwd"}, RefusedRequestError),
        ({"redirect": "/again"}, RefusedRequestError),
    ],
)
def test_hostile_server_is_refused(served, server, repository, fault, error):
    server.fail("GET", "", times=None, **fault)
    with pytest.raises(error):
        read(repository)
    assert server.count("GET") < 20


def test_server_with_a_signature_for_every_number_is_refused(served, server, repository):
    server.fail("GET", "signature-", times=None, status=200, body=SIMPLE)
    with pytest.raises(LimitError, match="too many signatures"):
        read(repository)
    assert server.count("GET") == 129


def test_signatures_of_a_server_are_limited_in_total(served, server, repository):
    server.fail("GET", "signature-", times=None, status=200, body=SIMPLE * 200_000)
    with pytest.raises(LimitError, match="in total"):
        read(repository)


def test_signatures_on_a_server_cannot_be_stored(repository, server):
    repository.configure(f"lookaside: 'http://user:secret@{server.host}/sigs'")
    with closing(repository.destination()) as destination:
        assert isinstance(destination, ChecksSignatures)
        for call in (destination.check_signatures, destination.push_signatures):
            with pytest.raises(SignatureStoreError) as raised:
                call(DIGEST, [SIMPLE])
            url = f"{server.url}/sigs/tests/app@sha256={DIGEST.hex}/signature-1"
            assert raised.value.location == url
            assert "secret" not in f"{raised.value.message}{raised.value.hint}"
    assert not server.requests


def test_deletion_reports_signatures_on_a_server(repository, server):
    repository.configure(f"lookaside: '{server.url}'")
    with closing(repository.destination()) as destination:
        with pytest.raises(SignatureStoreError, match="deleted, but not its signatures"):
            destination.delete()
        with pytest.raises(NotFoundError):
            destination.resolve()


# Attachments


@pytest.fixture
def attached(repository):
    """A repository whose image has two attached signatures."""
    repository.configure(ATTACHED)
    write(repository, sigstore(), sigstore(value="b3RoZXI="))
    return repository


def get_attachments(repository):
    stored = repository.registry.repository("tests/app")
    return json.loads(stored.manifests[stored.tags[TAG]][1])


def test_attachments_are_those_of_skopeo(attached):
    stored = attached.registry.repository("tests/app")
    manifest = get_attachments(attached)
    assert stored.blobs[manifest["config"]["digest"]].decode() == (
        '{"architecture":"","os":"","config":{},"rootfs":{"type":"layers","diff_ids":'
        f'["{manifest["layers"][0]["digest"]}","{manifest["layers"][1]["digest"]}"]}}}}'
    )
    assert [*manifest] == ["schemaVersion", "mediaType", "config", "layers"]
    assert [*manifest["layers"][0]] == ["mediaType", "digest", "size", "annotations"]


def test_new_attachment_keeps_what_other_programs_wrote(attached):
    stored = attached.registry.repository("tests/app")
    manifest = get_attachments(attached)
    config = json.dumps({"author": "cosign", "rootfs": {"type": "layers", "diff_ids": ["x"]}})
    blob = attached.registry.add_blob("tests/app", config.encode())
    manifest |= {"annotations": {"a": "b"}, "x": 1}
    manifest["config"] |= {"digest": blob, "size": len(config)}
    stored.tags[TAG] = attached.registry.add_manifest(
        "tests/app", TAG, json.dumps(manifest).encode()
    )
    write(attached, sigstore(b"{}"))
    changed = get_attachments(attached)
    assert changed["layers"][:2] == manifest["layers"]
    assert (changed["annotations"], changed["x"], len(changed["layers"])) == ({"a": "b"}, 1, 3)
    new = json.loads(stored.blobs[changed["config"]["digest"]])
    assert new["author"] == "cosign"
    assert new["rootfs"]["diff_ids"] == ["x", sha256(b"{}")]


def test_present_attachments_cause_no_upload(attached):
    attached.registry.requests.clear()
    write(attached, sigstore(value="b3RoZXI="), sigstore())
    assert [request.method for request in attached.registry.requests] == ["GET"]


def test_attachments_are_not_read_unless_configured(attached):
    attached.configure("")
    assert read(attached) == []
    assert not attached.registry.find_requests("GET", TAG)[1:]


def test_attachments_are_not_written_unless_configured(repository):
    with closing(repository.destination()) as destination:
        destination.check_signatures(DIGEST, [SIMPLE])
        for call in (destination.check_signatures, destination.push_signatures):
            with pytest.raises(SignatureStoreError) as raised:
                call(DIGEST, [SIMPLE, sigstore()])
            assert raised.value.problem == "attachments"


def test_shared_payload_is_requested_once(attached):
    attached.registry.requests.clear()
    assert len(read(attached)) == 2
    assert attached.registry.count("GET", "/blobs/") == 1


@pytest.mark.parametrize("referrers", ["all", "none"])
def test_attachments_are_copied_as_referrers_or_as_signatures(attached, referrers):
    request = ImageRequest(attached.reference, referrers=referrers, signatures="all")
    with closing(attached.source()) as source:
        image = resolve(request, source)
    tags = [referrer.tag for referrer in image.referrers]
    assert (tags, len(image.signatures)) == (([TAG], 0) if referrers == "all" else ([], 1))


def replace_attachments(repository, **changes):
    manifest = get_attachments(repository) | changes
    repository.registry.add_manifest("tests/app", TAG, json.dumps(manifest).encode())


def test_altered_attachment_is_refused(attached):
    attached.registry.fail("GET", "/blobs/", wrong_bytes=True)
    with pytest.raises(DigestMismatchError):
        read(attached)


def test_too_many_attachments_are_refused(attached):
    replace_attachments(attached, layers=get_attachments(attached)["layers"] * 65)
    attached.registry.requests.clear()
    with pytest.raises(LimitError):
        read(attached)
    assert not attached.registry.count("GET", "/blobs/")


@pytest.mark.parametrize("size", [4 * 1024 * 1024 + 1, 17 * 1024 * 1024])
def test_too_large_attachment_is_refused(attached, size):
    layer = {"mediaType": OCI_LAYER, "digest": sha256(b""), "size": size}
    replace_attachments(attached, layers=[layer])
    attached.registry.requests.clear()
    with pytest.raises(LimitError):
        read(attached)
    assert not attached.registry.count("GET", "/blobs/")


def test_endless_attachment_is_refused(attached):
    attached.registry.fail("GET", "/blobs/", times=None, endless=True)
    with pytest.raises(LimitError):
        read(attached)


def test_index_in_place_of_attachments_is_refused(attached):
    stored = attached.registry.repository("tests/app")
    index = images.multi_platform("x", "linux/amd64").root
    stored.tags[TAG] = attached.registry.add_manifest(
        "tests/app", TAG, index.data, index.media_type
    )
    with pytest.raises(MalformedError):
        read(attached)
    with pytest.raises(MalformedError):
        write(attached, sigstore(b"{}"))


# The signature API


@pytest.fixture
def signing_registry(repository):
    """The repository, after its registry gained the signature API."""
    repository.registry.signature_api = True
    return repository


def test_signature_api_is_used_instead_of_lookaside(signing_registry):
    write(signing_registry, SIMPLE)
    assert not signing_registry.lookaside.exists()
    ((key, [entry]),) = signing_registry.registry.signatures.items()
    assert key == ("tests/app", DIGEST.text)
    assert entry["name"].startswith(f"{DIGEST}@")
    assert (entry["schemaVersion"], entry["type"]) == (2, "atomic")
    assert read(signing_registry) == [SIMPLE]


def test_entries_of_other_types_are_ignored(signing_registry):
    write(signing_registry, SIMPLE)
    (entries,) = signing_registry.registry.signatures.values()
    entries += [entries[0] | {"schemaVersion": 1}, entries[0] | {"type": "x"}, {}]
    assert read(signing_registry) == [SIMPLE]


def test_detection_of_the_signature_api_costs_one_request(repository):
    with closing(repository.source()) as source:
        source.resolve()
        repository.registry.requests.clear()
        for digest in (DIGEST, Digest.of(b"other"), DIGEST):
            source.signatures(digest)
    assert [request.target for request in repository.registry.requests] == ["/v2/"]


def test_unknown_manifest_in_the_signature_api_is_an_error(signing_registry):
    with pytest.raises(NotFoundError):
        contract.read(signing_registry.source(), Digest.of(b"other"))


@pytest.mark.parametrize("body", [b"[]", b"{", b'{"signatures":[1]}', b'{"signatures":{}}'])
def test_malformed_list_of_the_signature_api_is_refused(signing_registry, body):
    signing_registry.registry.fail("GET", "/extensions/", status=200, body=body)
    with pytest.raises(MalformedError):
        read(signing_registry)


def test_endless_list_of_the_signature_api_is_refused(signing_registry):
    signing_registry.registry.fail("GET", "/extensions/", times=None, endless=True)
    with pytest.raises(LimitError):
        read(signing_registry)


def test_long_list_of_the_signature_api_is_refused(signing_registry):
    entry = {"schemaVersion": 2, "type": "atomic", "content": "kA=="}
    signing_registry.registry.signatures["tests/app", DIGEST.text] = [entry] * 129
    with pytest.raises(LimitError):
        read(signing_registry)
