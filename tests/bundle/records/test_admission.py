"""Bundles are checked against the serials and times that the site has seen."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bundler.bundle.format.authenticate import AuthenticatedBundle
from bundler.bundle.format.inventory import inventory
from bundler.bundle.records.admission import Admission, Overrides, admit
from bundler.bundle.records.log.log import Entry, Log
from bundler.bundle.records.site import Records
from bundler.bundle.records.state.streams import StreamState
from bundler.errors import (
    EquivocationError,
    ExpiredError,
    FutureBundleError,
    RollbackError,
    TrustFileError,
    UnknownStreamError,
)
from bundler.oci.digest import Digest
from bundler.oci.json.table import Table
from bundler.trust.trust_files.trust_file import TrustFile
from bundler.trust.trust_files.trust_store import TrustStore

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SERIAL = int(NOW.timestamp())


def create_bundle(
    serial: int = SERIAL, *, signed: bool = True, **members: Any
) -> AuthenticatedBundle:
    """Create a bundle of the stream plant-7."""
    contents = inventory.Inventory(
        format="oci",
        stream="plant-7",
        serial=serial,
        created=members.pop("created", NOW),
        tool=inventory.Producer("airbundle", "0"),
        checksum_file=inventory.ChecksumFile(Digest.of(b""), 0, 0),
        images=(),
        **members,
    )
    return AuthenticatedBundle(contents.to_bytes(), contents, (), is_authenticated=signed)


def create_store(version: int, expires: datetime | None = None) -> TrustStore:
    """Create the trust of a site with a trust file."""
    return TrustStore(Path("trust.json"), b"", TrustFile(version, {}, {}, expires))


def create_records(known: AuthenticatedBundle | None, seen: datetime = NOW) -> Records:
    """Create the records of a site that has imported ``known`` and a bundle of another stream."""
    streams = {"other": StreamState(1, Digest.of(b""), NOW - timedelta(days=9))}
    if known is not None:
        streams["plant-7"] = StreamState(known.inventory.serial, Digest.of(known.raw), seen)
    return Records(
        Path("records"), Log((Entry(Digest.of(b""), Table({"event": "restore"}, "log")),)), streams
    )


def check(
    bundle: AuthenticatedBundle,
    records: Records,
    *,
    now: datetime = NOW,
    **overrides: Any,
) -> Admission:
    return admit(bundle, records, Overrides(**overrides), now)


def test_first_import_of_a_site_adopts_the_stream():
    admission = check(create_bundle(), Records(Path("records")))
    assert admission.adopts
    assert admission.to_json() == {"adopted": True}
    assert admission.state is not None
    assert admission.state.serial == SERIAL


def test_site_with_records_refuses_an_unknown_stream_without_adopt():
    with pytest.raises(UnknownStreamError) as caught:
        check(create_bundle(), create_records(None))
    assert (caught.value.stream, caught.value.serial) == ("plant-7", SERIAL)
    assert "--adopt" in (caught.value.hint or "")
    assert check(create_bundle(), create_records(None), adopt=True).adopts


def test_higher_serial_is_accepted_without_overrides():
    admission = check(create_bundle(SERIAL + 1), create_records(create_bundle()))
    assert admission.to_json() == {}
    assert not admission.is_recorded


def test_same_bundle_is_accepted_again():
    assert check(create_bundle(), create_records(create_bundle())).is_recorded


def test_lower_serial_is_refused():
    with pytest.raises(RollbackError) as caught:
        check(create_bundle(SERIAL - 1), create_records(create_bundle()), adopt=True)
    assert (caught.value.serial, caught.value.recorded) == (SERIAL - 1, SERIAL)
    admission = check(
        create_bundle(SERIAL - 1), create_records(create_bundle()), rollback=True, reason="outage"
    )
    assert admission.to_json() == {"overrides": ["--allow-rollback"], "reason": "outage"}


@pytest.mark.parametrize("option", ["--key", "--trust"])
def test_override_of_the_signers_does_not_change_the_state(option: str):
    """The bundles that the trust file accepts would be refused after a high serial."""
    known = create_records(create_bundle())
    later = create_bundle(SERIAL + 1)
    admission = check(later, known, signers=option, reason="test")
    assert (admission.state, admission.adopts) == (None, False)
    (line,) = admission.describe_overrides()
    assert line.startswith(f"{option}: ")
    with pytest.raises(UnknownStreamError):
        check(later, create_records(None), signers=option, reason="test")
    first = check(later, create_records(None), signers=option, adopt=True, reason="test")
    assert (first.state, first.adopts) == (None, False)


@pytest.mark.parametrize("signed", [True, False])
def test_other_bundle_with_the_same_serial_is_refused_whatever_is_overridden(signed: bool):
    other = create_bundle(complete=False, signed=signed)
    with pytest.raises(EquivocationError) as caught:
        check(
            other,
            create_records(create_bundle()),
            unsigned=True,
            expired=True,
            rollback=True,
            future=True,
            adopt=True,
            reason="test",
        )
    assert caught.value.got == Digest.of(other.raw).text
    assert caught.value.expected == Digest.of(create_bundle().raw).text


@pytest.mark.parametrize(
    "bundle",
    [
        create_bundle(SERIAL + 86401),
        create_bundle(2**62),
        create_bundle(created=NOW + timedelta(days=2)),
    ],
)
def test_bundle_far_ahead_of_the_clock_is_refused(bundle: AuthenticatedBundle):
    with pytest.raises(FutureBundleError):
        check(bundle, create_records(create_bundle(SERIAL - 9)))
    admission = check(bundle, create_records(create_bundle(SERIAL - 9)), future=True)
    assert admission.overrides == ("--allow-future",)
    assert admission.state is not None
    assert admission.state.seen == NOW  # the wrong date of the bundle is not taken over


def test_bundle_one_day_ahead_is_accepted():
    bundle = create_bundle(SERIAL + 86400, created=NOW + timedelta(days=1))
    admission = check(bundle, create_records(create_bundle()))
    assert admission.state is not None
    assert admission.state.seen == NOW + timedelta(days=1)


def test_expired_bundle_is_refused():
    bundle = create_bundle(SERIAL - 86400 * 90, expires=NOW)
    with pytest.raises(ExpiredError):
        check(bundle, Records(Path("records")))
    assert check(bundle, Records(Path("records")), expired=True).overrides == ("--allow-expired",)
    assert check(bundle, Records(Path("records")), now=NOW - timedelta(seconds=1)).overrides == ()


def test_clock_that_was_set_back_does_not_revive_an_expired_bundle():
    bundle = create_bundle(expires=NOW + timedelta(days=10))
    records = create_records(bundle, seen=NOW + timedelta(days=11))
    with pytest.raises(ExpiredError, match="clock is behind the last time seen"):
        check(bundle, records)
    assert check(bundle, records, expired=True).clock_behind == timedelta(days=11)


def test_stream_that_has_seen_a_later_time_is_named():
    """A newer bundle would not help: the clock was wrong at an import."""
    bundle = create_bundle(43, expires=NOW + timedelta(days=30))
    records = create_records(create_bundle(42), seen=NOW + timedelta(days=100))
    with pytest.raises(ExpiredError) as raised:
        check(bundle, records)
    assert "stream reset plant-7" in str(raised.value.hint)


def test_small_clock_differences_are_not_reported():
    records = create_records(create_bundle(), seen=NOW + timedelta(minutes=5))
    admission = check(create_bundle(), records)
    assert admission.clock_behind is None
    assert admission.state is not None
    assert admission.state.seen == NOW + timedelta(minutes=5)


def test_unauthenticated_bundle_never_changes_the_state():
    admission = check(create_bundle(2**33, signed=False), Records(Path("records")), future=True)
    assert admission.state is None
    assert not admission.adopts
    assert admission.overrides == ("--allow-unsigned", "--allow-future")


def test_unauthenticated_bundle_is_compared_with_the_recorded_serial():
    with pytest.raises(RollbackError):
        check(create_bundle(SERIAL - 1, signed=False), create_records(create_bundle()))


def test_first_import_with_a_trust_file_needs_adopt():
    bundle = replace(create_bundle(), trust=create_store(1))
    with pytest.raises(UnknownStreamError):
        check(bundle, Records(Path("records")))
    admission = check(bundle, Records(Path("records")), adopt=True)
    assert admission.state is not None
    assert admission.state.trust == 1


def test_older_trust_file_is_refused():
    records = create_records(create_bundle())
    streams = {name: replace(state, trust=3) for name, state in records.streams.items()}
    records = replace(records, streams=streams)
    with pytest.raises(TrustFileError) as caught:
        check(replace(create_bundle(), trust=create_store(2)), records)
    assert (caught.value.problem, caught.value.version) == ("version", 2)
    assert check(replace(create_bundle(), trust=create_store(3)), records).is_recorded
    assert check(create_bundle(), records).is_recorded


def test_trust_file_expires_by_the_last_time_seen():
    """Setting back the clock does not revive it."""
    records = create_records(create_bundle(), seen=NOW + timedelta(days=3))
    bundle = replace(create_bundle(), trust=create_store(1, NOW + timedelta(days=2)))
    with pytest.raises(TrustFileError) as caught:
        check(bundle, records)
    assert caught.value.problem == "expired"
    assert check(bundle, create_records(create_bundle())).is_recorded
