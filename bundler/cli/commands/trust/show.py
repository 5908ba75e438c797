"""``airbundle trust show``: print a trust file."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from bundler.cli.options import common
from bundler.cli.options.command import command
from bundler.cli.output import text
from bundler.cli.runtime.context import CommandContext, pass_context
from bundler.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bundler.trust.trust_files.trust_file import TrustedKey
    from bundler.trust.trust_files.trust_store import TrustStore


@command("show", "airbundle trust show", "airbundle trust show draft.json")
@click.argument("file", type=common.PATH, required=False)
@common.as_json
@pass_context
def show(context: CommandContext, file: Path | None, *, as_json: bool) -> None:
    """Print FILE, or the trust file of this site: keys, roles, and the fingerprint.

    Compare the fingerprint by telephone or on paper. The signatures beside FILE are listed; those
    by its own keys are verified.
    """
    path = file or context.environment.find_trust_file()
    if path is None:
        raise NotFoundError(
            "this site has no trust file", hint="install one: airbundle trust init FILE"
        )
    from bundler.trust.trust_files import trust_file, trust_store  # noqa: PLC0415 - loads cryptography

    store = trust_store.load(path, installed=file is None)
    if file is None:
        print_store(store, as_json=as_json)
        return
    document = trust_store.read_document(file)
    trust_file.find_signers(document, store.keys, str(file))
    print_store(store, as_json=as_json, signed_by=sorted(document.signatures))


def print_store(
    store: TrustStore, *, as_json: bool, signed_by: Sequence[str] | None = None
) -> None:
    """Print a trust file as text or JSON.

    ``signed_by`` are the first 16 digits of the keys that signed a draft; None: it is no draft.
    """
    from bundler.oci.json import timestamps  # noqa: PLC0415 - not for --help
    from bundler.trust.trust_files import trust_file  # noqa: PLC0415 - loads cryptography

    content = store.content
    fingerprint = trust_file.compute_fingerprint(store.raw)
    warnings = list(content.find_warnings(datetime.now(UTC)))
    if as_json:
        text.print_json(
            {
                "path": str(store.path),
                "version": content.version,
                "fingerprint": fingerprint,
                "expires": content.expires and timestamps.format_utc(content.expires),
                "roles": {
                    role: {"keys": list(entry.keys), "threshold": entry.threshold}
                    for role, entry in content.roles.items()
                },
                "keys": {
                    key_id: key.to_json() | {"algorithm": key.public.algorithm}
                    for key_id, key in content.keys.items()
                },
                "signedBy": list(signed_by or ()),
                "warnings": warnings,
            }
        )
        return
    until = f", expires {timestamps.format_date(content.expires)}" if content.expires else ""
    text.print_line(f"{store.path}: version {content.version}{until}")
    digits = fingerprint.split()
    text.print_line(f"fingerprint: {' '.join(digits[:8])}")
    text.print_line(f"             {' '.join(digits[8:])}")
    for role, entry in content.roles.items():
        number = text.count(entry.threshold, "signature")
        text.print_line(f"{role}: {number} of {text.count(len(entry.keys), 'key')}")
        for key_id in entry.keys:
            text.print_line(f"  {_describe(content.keys[key_id])}")
    holders = content.get_keys("trust")
    labels = {
        key_id[:16]: key.label
        + ("" if key_id in holders else ", which does not have the role trust in this version")
        for key_id, key in content.keys.items()
    }
    for digits_of_key in signed_by or ():
        label = labels.get(digits_of_key, f"{digits_of_key}, which this version does not contain")
        text.print_line(f"signed by {label}")
    if signed_by is not None:
        missing = [key.label for key in holders.values() if key.public.id[:16] not in signed_by]
        signed, required = len(holders) - len(missing), content.roles["trust"].threshold
        still = f"; not by {', '.join(missing)}" if missing else ""
        text.print_line(f"signed by {signed} of {text.count(required, 'required key')}{still}")
    for line in warnings:
        text.print_line(f"warning: {line}")


def _describe(key: TrustedKey) -> str:
    from bundler.oci.json.timestamps import format_date  # noqa: PLC0415 - not for --help

    parts = [f"{key.label} {key.public.algorithm}"]
    if key.streams is not None:
        parts.append(f"streams {', '.join(key.streams)}")
    if key.not_before is not None:
        parts.append(f"from {format_date(key.not_before)}")
    if key.not_after is not None:
        parts.append(f"until {format_date(key.not_after)}")
    return "; ".join(parts)
