"""Trust files, their versions, and the signers that they accept."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

import bundler
from bundler.errors import (
    ConfigError,
    ConflictError,
    InvalidSignatureError,
    TooFewSignersError,
    TrustError,
    TrustFileError,
    UnauthenticatedError,
    UnfitSignerError,
    UnsignedTrustFileError,
)
from bundler.trust import keys
from bundler.trust.bundle_trust import SignedDocument
from bundler.trust.trust_files import install_trust_file, trust_file, trust_store
from bundler.trust.trust_files.trust_file import RoleKeys, TrustedKey, TrustFile

ALICE, BOB, CAROL, EXPORT, SECOND = (keys.generate_key() for _ in range(5))
NOW = datetime(2026, 11, 23, 7, tzinfo=UTC)
DAY = timedelta(days=1)


def create(
    version: int = 1,
    *,
    trust=(ALICE, BOB),
    bundle=(EXPORT, SECOND),
    thresholds=(2, 1),
    limits: dict[str, Any] | None = None,
    **more: Any,
) -> TrustFile:
    """Create a trust file; ``limits`` are those of the keys with the role ``bundle``."""
    known = {key.public.id: TrustedKey(key.public) for key in trust}
    known |= {key.public.id: TrustedKey(key.public, **(limits or {})) for key in bundle}
    roles = {
        "trust": RoleKeys(tuple(sorted(key.public.id for key in trust)), thresholds[0]),
        "bundle": RoleKeys(tuple(sorted(key.public.id for key in bundle)), thresholds[1]),
    }
    return TrustFile(version, known, roles, **more)


def sign(content: TrustFile | bytes, *signers: keys.PrivateKey) -> SignedDocument:
    raw = content if isinstance(content, bytes) else content.to_bytes()
    return SignedDocument(raw, {key.public.id[:16]: key.sign(raw) for key in signers})


def install(path: Path, content: TrustFile | None = None) -> trust_store.TrustStore:
    document = sign(content or create(), ALICE, BOB)
    fingerprint = hashlib.sha256(document.raw).hexdigest()
    return install_trust_file.install(path, document, fingerprint)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "config" / "trust.json"


def read_chain(*documents: SignedDocument):
    """Return the documents by the version that their name would state, their position."""
    chain = {json.loads(document.raw)["version"]: document for document in documents}
    return lambda first: {number: item for number, item in chain.items() if number >= first}


def test_trust_file_survives_writing_and_reading():
    limits = {"comment": "Exporter", "not_before": NOW, "not_after": NOW + DAY, "streams": ("a",)}
    content = create(7, limits=limits, expires=NOW)
    assert trust_file.parse(content.to_bytes(), "t") == content


def edit(change) -> bytes:
    value = json.loads(create().to_bytes())
    change(value)
    return json.dumps(value).encode()


def set_threshold(value):
    return lambda file: file["roles"]["trust"].update(threshold=value)


@pytest.mark.parametrize(
    "change",
    [
        set_threshold(0),
        set_threshold(-1),
        set_threshold(3),
        set_threshold(True),
        set_threshold("1"),
        set_threshold(1.0),
        set_threshold(None),
        lambda file: file["roles"]["trust"]["keys"].append(ALICE.public.id),
        lambda file: file["roles"]["trust"]["keys"].append("ab" * 32),
        lambda file: file["roles"].update(other={"keys": [], "threshold": 1}),
        lambda file: file["roles"].pop("trust"),
        lambda file: file["roles"]["bundle"].update(keys=[], threshold=0),
        lambda file: file["roles"]["bundle"]["keys"].pop(),
        lambda file: file["keys"].update({"ab" * 32: file["keys"][ALICE.public.id]}),
        lambda file: file["keys"][ALICE.public.id].update(pem="no key"),
        lambda file: file["keys"][ALICE.public.id].update(comment="\x1b[2J"),
        lambda file: file["keys"][ALICE.public.id].update(streams=[]),
        lambda file: file["keys"][ALICE.public.id].update(streams=["*"]),
        lambda file: file["keys"][ALICE.public.id].update(streams=["a\x1b[2J"]),
        lambda file: file["keys"].update({"\x1b" * 99: file["keys"][ALICE.public.id]}),
        lambda file: file["keys"][ALICE.public.id].update(unknown=1),
        lambda file: file["keys"][ALICE.public.id].update(notAfter="2026-11-23"),
        lambda file: file.update(_type="airbundle/bundle/v1"),
        lambda file: file.update(_type=["airbundle/trust/v1"]),
        lambda file: file.update(version=0),
        lambda file: file.update(version=True),
        lambda file: file.update(version="1"),
        lambda file: file.update(unknown=1),
        lambda file: file.update(keys={}),
    ],
    ids=map(str, range(29)),
)
def test_malformed_trust_file_is_refused(change):
    with pytest.raises(TrustFileError) as raised:
        trust_file.parse(edit(change), "t")
    assert raised.value.problem == "format"


@pytest.mark.parametrize("raw", [b"", b"{}", b"[]", b"\xff", b'{"version":1,"version":2}'])
def test_document_that_is_no_trust_file_is_refused(raw: bytes):
    with pytest.raises(TrustFileError):
        trust_file.parse(raw, "t")


@pytest.mark.parametrize("form", ["{}", "sha256:{}", " {} "])
def test_fingerprint_can_be_typed_with_spaces_and_in_upper_case(form: str):
    raw = create().to_bytes()
    typed = form.format(trust_file.compute_fingerprint(raw))
    assert trust_file.parse_fingerprint(typed) == hashlib.sha256(raw).hexdigest()
    assert trust_file.parse_fingerprint(typed.upper()) == hashlib.sha256(raw).hexdigest()


def test_first_trust_file_needs_its_fingerprint(path: Path):
    with pytest.raises(TrustFileError) as raised:
        install_trust_file.install(path, sign(create(), ALICE, BOB), "ab" * 32)
    assert raised.value.problem == "fingerprint"
    assert not path.exists()


def test_first_trust_file_needs_signatures_of_its_own_keys(path: Path):
    document = sign(create(), ALICE)
    with pytest.raises(UnsignedTrustFileError):
        install_trust_file.install(path, document, hashlib.sha256(document.raw).hexdigest())
    assert not path.exists()


def test_another_trust_file_is_replaced_only_on_request(path: Path):
    install(path)
    install(path)  # the same again
    with pytest.raises(ConflictError):
        install(path, create(expires=NOW))


def test_version_is_accepted_with_the_thresholds_of_both_versions(path: Path):
    store = install(path)
    second = sign(create(2, trust=(BOB, CAROL)), ALICE, BOB, CAROL)
    third = sign(create(3, trust=(CAROL,), thresholds=(1, 1)), BOB, CAROL)
    updated = store.follow(read_chain(second, third))
    assert updated.version == 3
    assert trust_store.load(path).raw == third.raw
    assert trust_store.read_history(path).keys() == {1, 2, 3}
    assert trust_store.read_history(path)[2] == second


@pytest.mark.parametrize(
    "signers", [(), (ALICE, CAROL), (ALICE, BOB), (BOB, CAROL), (EXPORT, CAROL)]
)
def test_version_without_both_thresholds_is_refused(path: Path, signers):
    store = install(path)
    document = sign(create(2, trust=(BOB, CAROL)), *signers)
    with pytest.raises(UnsignedTrustFileError) as raised:
        store.follow(read_chain(document))
    assert not isinstance(raised.value, UnauthenticatedError)  # --allow-unsigned accepts that one
    assert len(raised.value.signers) < raised.value.required
    assert trust_store.load(path).version == 1


def test_read_only_store_uses_a_version_without_storing_it(path: Path):
    install(path)
    store = trust_store.load(path, read_only=True)
    assert store.follow(read_chain(sign(create(2), ALICE, BOB))).version == 2
    assert trust_store.load(path).version == 1


def test_step_that_was_interrupted_is_completed(path: Path):
    """The new version was stored, but is not yet the current one."""
    first = install(path)
    second = sign(create(2), ALICE, BOB)
    first.follow(read_chain(second))
    path.write_bytes(first.raw)
    assert trust_store.load(path).follow(read_chain(second)).version == 2
    assert trust_store.load(path).raw == second.raw


def test_store_that_another_process_has_changed_is_not_overwritten(path: Path):
    stale = install(path)
    second, third = sign(create(2), ALICE, BOB), sign(create(3), ALICE, BOB)
    assert stale.follow(read_chain(second)).version == 2
    assert stale.follow(read_chain(second)).version == 2  # two imports at once
    trust_store.load(path).follow(read_chain(third))
    assert stale.follow(read_chain(second, third)).version == 3  # verified first, then imported
    with pytest.raises(ConflictError):
        stale.follow(read_chain(second))
    assert trust_store.load(path).version == 3


def test_missing_version_is_refused_after_the_steps_before_it(path: Path):
    store = install(path)
    second, fourth = sign(create(2), ALICE, BOB), sign(create(4), ALICE, BOB)
    with pytest.raises(TrustFileError) as raised:
        store.follow(read_chain(second, fourth))
    assert (raised.value.problem, raised.value.version) == ("gap", 3)
    assert trust_store.load(path).version == 2


@pytest.mark.parametrize("version", [1, 2])
def test_two_files_with_one_version_are_an_alarm(path: Path, version: int):
    """A former version counts too: it may have been given to another site."""
    store = install(path).follow(read_chain(sign(create(2), ALICE, BOB)))
    other = sign(create(version, expires=NOW), ALICE, BOB)
    with pytest.raises(TrustFileError) as raised:
        store.follow(read_chain(other))
    assert (raised.value.problem, raised.value.version) == ("fork", version)


@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize("signers", [(), (ALICE,), (CAROL, EXPORT)])
def test_file_that_the_site_has_not_signed_is_no_alarm(path: Path, version: int, signers):
    """Anyone can put a file on a medium, and other sites have trust files of their own."""
    chain = read_chain(sign(create(2), ALICE, BOB), sign(create(3), ALICE, BOB))
    store = install(path).follow(chain)
    other = sign(b"{}" if not signers else create(version, expires=NOW), *signers)
    with pytest.raises(TrustFileError) as raised:
        store.follow(lambda _first: {version: other})
    assert (raised.value.problem, raised.value.version) == ("signers", version)


def test_version_in_the_file_must_be_that_of_its_name(path: Path):
    store = install(path)
    document = sign(create(9), ALICE, BOB)
    with pytest.raises(TrustFileError) as raised:
        store.follow(lambda _first: {2: document})
    assert raised.value.problem == "version"


def test_signature_of_another_document_does_not_count(path: Path):
    store = install(path)
    bundle = b'{"_type":"airbundle/bundle/v1"}'
    document = sign(create(2), ALICE)
    document = SignedDocument(document.raw, {**sign(bundle, BOB).signatures, **document.signatures})
    with pytest.raises(InvalidSignatureError):
        store.follow(read_chain(document))


def test_document_signed_by_enough_keys_must_still_be_a_trust_file(path: Path):
    """A signer is not trusted to be competent."""
    store = install(path)
    document = sign(b'{"_type":"airbundle/bundle/v1","version":2}', ALICE, BOB)
    with pytest.raises(TrustFileError) as raised:
        store.follow(lambda _first: {2: document})
    assert raised.value.problem == "format"


def check(store: trust_store.TrustStore, *signers, stream="plant-7", created=NOW, now=NOW):
    public = [key.public for key in signers]
    store.check_signers(public, [key.id[:16] for key in public])
    store.check_bundle(public, stream, created, now)


def test_key_with_the_role_signs_bundles(path: Path):
    check(install(path), EXPORT)


def test_bundle_without_known_signers_is_refused(path: Path):
    with pytest.raises(UnauthenticatedError):
        check(install(path))


def test_key_of_another_role_is_refused(path: Path):
    with pytest.raises(UnfitSignerError) as raised:
        check(install(path), ALICE)
    assert (raised.value.problem, raised.value.key_id) == ("role", ALICE.public.id)


def test_threshold_of_bundles_counts_keys_with_the_role_only(path: Path):
    store = install(path, create(thresholds=(2, 2)))
    check(store, EXPORT, SECOND)
    for other in (ALICE, EXPORT):
        with pytest.raises(TooFewSignersError) as raised:
            check(store, EXPORT, other)
        assert (raised.value.required, {*raised.value.signers}) == (2, {EXPORT.public.id})


@pytest.mark.parametrize("stream", ["plant-8", "plant-7x", "Plant-7", "plant-", "*"])
def test_key_of_another_stream_is_refused(path: Path, stream: str):
    store = install(path, create(limits={"streams": ("plant-7",)}))
    check(store, EXPORT)
    with pytest.raises(UnfitSignerError) as raised:
        check(store, EXPORT, stream=stream)
    assert (raised.value.problem, raised.value.stream) == ("stream", stream)


@pytest.mark.parametrize(
    ("created", "problem"), [(NOW - 2 * DAY, "not-yet-valid"), (NOW + 2 * DAY, "expired")]
)
def test_validity_of_a_key_is_that_at_the_time_of_signing(path: Path, created, problem: str):
    store = install(path, create(limits={"not_before": NOW - DAY, "not_after": NOW + DAY}))
    check(store, EXPORT, created=NOW, now=NOW + 1000 * DAY)
    with pytest.raises(UnfitSignerError) as raised:
        check(store, EXPORT, created=created, now=NOW)
    assert raised.value.problem == problem


def test_expired_trust_file_is_refused(path: Path):
    store = install(path, create(expires=NOW))
    check(store, EXPORT, now=NOW - DAY)
    with pytest.raises(TrustFileError) as raised:
        check(store, EXPORT, now=NOW)
    assert raised.value.problem == "expired"


def test_trust_file_without_keys_for_bundles_accepts_none(path: Path):
    content = create()
    roles = {"trust": content.roles["trust"]}
    known = {key.public.id: TrustedKey(key.public) for key in (ALICE, BOB)}
    store = install(path, replace(content, roles=roles, keys=known))
    with pytest.raises(UnauthenticatedError):
        check(store)
    with pytest.raises(UnfitSignerError):
        check(store, ALICE)


def test_end_of_a_validity_is_announced_for_thirty_days():
    content = create(limits={"not_after": NOW + 40 * DAY}, expires=NOW + 60 * DAY)
    assert list(content.find_warnings(NOW)) == []
    assert len(list(content.find_warnings(NOW + 11 * DAY))) == 2
    assert len(list(content.find_warnings(NOW + 31 * DAY))) == 3


@pytest.mark.parametrize("content", [b"", b"{", None])
def test_damaged_store_is_not_ignored(path: Path, content: bytes | None):
    install(path)
    path.write_bytes(content if content is not None else path.read_bytes()[:-5])
    with pytest.raises(ConfigError):
        trust_store.load(path)


def test_every_changed_byte_of_a_version_is_refused(path: Path):
    """Every bit of the file, and of one of the signatures on which it depends."""
    install(path)
    store = trust_store.load(path, read_only=True)
    document = sign(create(2), ALICE, BOB)
    store.follow(lambda _first: {2: document})
    for position in range(len(document.raw)):
        raw = bytearray(document.raw)
        raw[position] ^= 1 << position % 8
        changed = SignedDocument(bytes(raw), document.signatures)
        with pytest.raises(TrustError):
            store.follow(lambda _first, changed=changed: {2: changed})
    name = BOB.public.id[:16]
    for position in range(len(document.signatures[name])):
        for bit in range(8):
            signature = bytearray(document.signatures[name])
            signature[position] ^= 1 << bit
            signatures = {**document.signatures, name: bytes(signature)}
            changed = SignedDocument(document.raw, signatures)
            with pytest.raises(TrustError):
                store.follow(lambda _first, changed=changed: {2: changed})


def test_schema_accepts_trust_files_and_refuses_malformed_ones():
    schema = json.loads((Path(bundler.__file__).parent / "schemas/trust.schema.json").read_text())
    validator = Draft202012Validator(schema)
    limits = {"comment": "Exporter", "not_before": NOW, "not_after": NOW, "streams": ("a",)}
    for content in (create(), create(2, limits=limits, expires=NOW)):
        validator.validate(json.loads(content.to_bytes()))
    for value in (0, -1, True, "1", None):
        assert not validator.is_valid(json.loads(edit(set_threshold(value))))
