"""Check an authenticated bundle against the records of the site.

The serials of a stream increase. A bundle is refused if its serial is lower than the recorded one,
or equal with other content, if it or its serial is far ahead of the clock, or if it has expired at
the later of the clock and the last time seen. A site imports a stream that it does not know
only if the operator adopts it, with one exception: on a host without records and without a trust
file, a bundle whose keys were specified is the first one, and its stream is adopted.

The stream and serial of an unauthenticated bundle are unproven: such a bundle is compared with the
records, but needs no adoption, and never changes the state. A bundle whose signers the operator
stated in place of the trust file does not change it either: bundles that the trust file accepts
would be refused afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from bundler.bundle.records.state.streams import StreamState, find_last_seen
from bundler.errors import (
    EquivocationError,
    ExpiredError,
    FutureBundleError,
    RollbackError,
    TrustFileError,
    UnknownStreamError,
)
from bundler.oci.digest import Digest
from bundler.oci.json import timestamps

if TYPE_CHECKING:
    from bundler.bundle.format.authenticate import AuthenticatedBundle
    from bundler.bundle.format.inventory.inventory import Inventory
    from bundler.bundle.records.site import Records
    from bundler.bundle.records.state.streams import Streams
    from bundler.trust.bundle_trust import BundleTrust

MAX_AHEAD = timedelta(days=1)
"""How far the serial and the date of a bundle may be ahead of the clock."""
MAX_CLOCK_ERROR = timedelta(minutes=5)
"""How far the clock may be behind the last time seen without a warning."""


@dataclass(frozen=True, slots=True)
class Overrides:
    """Checks that the operator overrides, and the reason, which is recorded."""

    signers: Literal["--key", "--trust"] | None = None
    """The option that states the signers in place of the trust file of the site; None: none."""
    policy: bool = False
    """Whether the policy.json of the site is ignored."""
    unsigned: bool = False
    expired: bool = False
    rollback: bool = False
    future: bool = False
    adopt: bool = False
    reason: str | None = None


_OVERRIDDEN = {
    "--key": "the keys given are trusted, and not the trust file of the site; the recorded serial"
    " does not change",
    "--trust": "another trust file than that of the site is trusted; the recorded serial does not"
    " change",
    "--insecure-policy": "the policy.json of the site is not applied",
    "--allow-unsigned": "the bundle is not signed as required; the recorded serial does not change",
    "--allow-expired": "the bundle has expired",
    "--allow-rollback": "the bundle is older than the one imported before",
    "--allow-future": "the bundle is far ahead of the clock",
}
"""The check that each option has overridden."""


@dataclass(frozen=True, slots=True)
class Admission:
    """The result of a check that the bundle has passed."""

    state: StreamState | None
    """The state to record; None: it does not change."""
    is_recorded: bool
    """Whether this bundle is the recorded one."""
    adopts: bool
    """Whether the site adopts the stream with this bundle."""
    overrides: tuple[str, ...]
    """The options that overrode a check."""
    reason: str | None
    clock_behind: timedelta | None
    """How far the clock is behind the last time seen, if it was set back; else None."""

    def describe_overrides(self) -> list[str]:
        """Return a line for each option that overrode a check."""
        return [f"{option}: {_OVERRIDDEN[option]}" for option in self.overrides]

    def to_json(self) -> dict[str, Any]:
        """Return the members of the receipt and of the log; unset ones are absent."""
        value: dict[str, Any] = {}
        if self.adopts:
            value["adopted"] = True
        if self.overrides:
            value["overrides"] = list(self.overrides)
        if self.reason is not None:
            value["reason"] = self.reason
        if self.clock_behind is not None:
            value["clockBehind"] = int(self.clock_behind.total_seconds())
        return value


def admit(
    bundle: AuthenticatedBundle, records: Records, overrides: Overrides, now: datetime
) -> Admission:
    """Check a bundle; ``now`` is the time of the clock.

    Raises:
        EquivocationError: the recorded bundle with this serial is another one.
        RollbackError: the serial is lower than the recorded one.
        FutureBundleError: the bundle or its serial is far ahead of the clock.
        ExpiredError: it has expired.
        UnknownStreamError: the site has not adopted the stream.
        TrustFileError: the trust file is older than the one used before, does not follow on it, or
            has expired.
    """
    inventory, digest = bundle.inventory, Digest.of(bundle.raw)
    last_seen = find_last_seen(records.streams)
    latest = max(now, last_seen)
    version = None if overrides.signers else bundle.trust.version
    _check_trust_file(bundle.trust, version, records, latest)
    known = records.streams.get(inventory.stream)
    used: list[str] = [overrides.signers] if overrides.signers else []
    used += ["--insecure-policy"] if overrides.policy else []
    used += [] if bundle.is_authenticated else ["--allow-unsigned"]
    if known is not None:
        used += _compare(inventory, digest, known, overrides)
    limit = latest + MAX_AHEAD
    ahead = inventory.serial > limit.timestamp() or inventory.created > limit
    if ahead:
        if not overrides.future:
            raise _create_future_error(inventory, latest)
        used.append("--allow-future")
    if inventory.is_expired(latest):
        if not overrides.expired:
            raise _create_expired_error(inventory, now, records.streams)
        used.append("--allow-expired")
    is_unknown = known is None and bundle.is_authenticated
    is_first = records.is_new and bundle.trust.version is None and not overrides.signers
    if is_unknown and not (overrides.adopt or is_first):
        raise UnknownStreamError(
            f"stream {inventory.stream}: not known at this site (serial {inventory.serial})",
            stream=inventory.stream,
            serial=inventory.serial,
            hint="if this bundle is for this site and its serial is the current one, run the import"
            " with --adopt",
        )
    behind = last_seen - now
    seen = now if ahead else max(now, inventory.created)
    state = StreamState(inventory.serial, digest, max(last_seen, seen).astimezone(UTC), version)
    changes = bundle.is_authenticated and not overrides.signers
    return Admission(
        state=state if changes else None,
        is_recorded=known is not None and known.inventory == digest,
        adopts=is_unknown and changes,
        overrides=tuple(used),
        reason=overrides.reason,
        clock_behind=behind if behind > MAX_CLOCK_ERROR else None,
    )


def _check_trust_file(
    trust: BundleTrust, version: int | None, records: Records, latest: datetime
) -> None:
    """Check that the trust file follows on the one used before, and is valid at ``latest``.

    ``version`` is None if it is not the trust file of the site: its versions are not comparable.
    """
    used = max((state.trust or 0 for state in records.streams.values()), default=0)
    if records.trust_file is not None:
        used = max(used, records.trust_file.version)
    if version is not None and version < used:
        raise TrustFileError(
            f"trust file: older than the one used before (expected version {used} or later, got"
            f" {version})",
            problem="version",
            version=version,
            hint="install the current one: airbundle trust update FILE; if a new first version was"
            " agreed on, run airbundle trust init FILE --replace --reason TEXT",
        )
    known = records.trust_file
    if version is not None and known and not trust.follows_on(known.version, known.digest):
        raise TrustFileError(
            "trust file: another trust file than the one used before (expected version"
            f" {known.version} with {known.digest}, or a version that its keys signed; got version"
            f" {version} with {trust.digest})",
            problem="signers",
            version=version,
            hint="find out who replaced it, and install the former one; if a new first version was"
            " agreed on, run airbundle trust init FILE --replace --reason TEXT",
        )
    if trust.expires is not None and trust.expires <= latest:
        reset = _describe_reset(records.streams, trust.expires)
        raise TrustFileError(
            f"trust file: expired on {timestamps.format_to_minute(trust.expires)}, by the last time"
            " that this site has seen",
            problem="expired",
            version=trust.version,
            hint="set the clock, or get the next version (airbundle trust update FILE); if the"
            f" clock is right, {reset}",
        )


def _compare(
    inventory: Inventory, digest: Digest, known: StreamState, overrides: Overrides
) -> list[str]:
    """Compare a bundle with the recorded one; return the options that it needs."""
    stream, serial = inventory.stream, inventory.serial
    if serial == known.serial and digest != known.inventory:
        raise EquivocationError(
            f"stream {stream}: two different bundles with serial {serial}"
            f" (expected bundle.json {known.inventory}, got {digest})",
            stream=stream,
            serial=serial,
            expected=known.inventory.text,
            got=digest.text,
            hint="do not import this one, and stop using the one that was imported"
            f" (airbundle log show: the entry of serial {serial} names its signers and its receipt)"
            " until the exporting side explains both: a key may be in other hands; then let it"
            " export again",
        )
    if serial >= known.serial:
        return []
    if not overrides.rollback:
        raise RollbackError(
            f"stream {stream}: older than the bundle imported before"
            f" (expected serial {known.serial} or higher, got {serial})",
            stream=stream,
            serial=serial,
            recorded=known.serial,
            hint="import the newest bundle of the stream; to go back on purpose, add"
            " --allow-rollback --reason TEXT",
        )
    return ["--allow-rollback"]


def _create_future_error(inventory: Inventory, latest: datetime) -> FutureBundleError:
    return FutureBundleError(
        f"stream {inventory.stream}: far ahead of the clock (serial {inventory.serial}, created"
        f" {timestamps.format_utc(inventory.created)}; expected at most one day after"
        f" {timestamps.format_utc(latest)})",
        stream=inventory.stream,
        serial=inventory.serial,
        hint="set the clock; if it is right, the exporting side's was wrong: add"
        " --allow-future --reason TEXT, after which lower serials are refused",
    )


def _create_expired_error(inventory: Inventory, now: datetime, streams: Streams) -> ExpiredError:
    expires = inventory.expires
    assert expires is not None  # noqa: S101 - for mypy: it has expired
    subject = f"stream {inventory.stream}, serial {inventory.serial}"
    problem = f"{subject}: expired on {timestamps.format_to_minute(expires)}"
    hint = "export a newer bundle, or import this one with --allow-expired --reason TEXT"
    if not inventory.is_expired(now):
        last_seen = timestamps.format_to_minute(find_last_seen(streams))
        problem += f"; the clock is behind the last time seen ({last_seen})"
        hint = f"set the clock; if it is right, {_describe_reset(streams, expires)}"
    return ExpiredError(problem, hint=hint)


def _describe_reset(streams: Streams, limit: datetime) -> str:
    """Return the next step if the clock was once wrong, and streams have seen a time from then."""
    names = sorted(name for name, state in streams.items() if state.seen >= limit)
    commands = "; ".join(f"airbundle stream reset {name} --reason TEXT" for name in names[:10])
    return f"it was wrong at an earlier import: run {commands}; then import with --adopt"
