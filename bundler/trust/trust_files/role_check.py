"""Compare keys with the roles of a trust file: which of them may sign, and how many must."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bundler.errors import (
    TooFewSignersError,
    UnauthenticatedError,
    UnfitSignerError,
    count,
    shortlist,
)
from bundler.oci.json.timestamps import format_date

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from bundler.errors import UnfitSignerProblem
    from bundler.trust.keys import PublicKey
    from bundler.trust.trust_files.trust_file import Role, TrustedKey, TrustFile


class UnfitKey(NamedTuple):
    """A key that may not sign, and the reason."""

    key_id: str
    problem: UnfitSignerProblem
    text: str
    """The reason, as the rest of a sentence that begins with the key."""

    def create_error(
        self, label: str, stream: str | None, hint: str, *, subject: str = ""
    ) -> UnfitSignerError:
        """Return the error for a document that the key signed; ``label`` is the key in messages."""
        front = f"{subject}: " if subject else ""
        return UnfitSignerError(
            f"{front}signed by key {label}, which {self.text}",
            key_id=self.key_id,
            problem=self.problem,
            stream=stream,
            hint=hint,
        )


def find_unfit(
    content: TrustFile, role: Role, keys: Sequence[PublicKey], stream: str, moment: datetime
) -> list[UnfitKey]:
    """Return those of ``keys`` that may not sign a document of ``stream`` created at ``moment``."""
    allowed = content.get_keys(role)
    found = []
    for public in keys:
        if public.id not in allowed:
            found.append(UnfitKey(public.id, "role", f"does not have the role {role}"))
        elif problem := find_problem(allowed[public.id], stream, moment):
            found.append(problem)
    return found


def find_problem(key: TrustedKey, stream: str, moment: datetime) -> UnfitKey | None:
    """Return the limit of a key that excludes a document; None if it may sign it."""
    key_id = key.public.id
    if key.streams is not None and stream not in key.streams:
        return UnfitKey(key_id, "stream", f"may not sign for stream {stream}")
    if key.not_before is not None and moment < key.not_before:
        start = format_date(key.not_before)
        text = f"was not yet valid on {format_date(moment)} (valid from {start})"
        return UnfitKey(key_id, "not-yet-valid", text)
    if key.not_after is not None and moment > key.not_after:
        end = format_date(key.not_after)
        text = f"had expired on {format_date(moment)} (valid until {end})"
        return UnfitKey(key_id, "expired", text)
    return None


def check_bundle_signers(
    path: Path,
    content: TrustFile,
    fit: Sequence[PublicKey],
    unfit: Sequence[UnfitKey],
    *,
    signed_by: Sequence[str] = (),
    stream: str | None = None,
) -> None:
    """Check that enough keys signed a bundle.

    Args:
        path: the trust file, for messages.
        content: its content.
        fit: the signers that count.
        unfit: other signers.
        signed_by: the first 16 digits of the ID of each signer, as the bundle states them.
        stream: that of the bundle; None if it is not parsed.

    Raises:
        UnfitSignerError: no signer counts, and another key of the trust file signed.
        TooFewSignersError: too few signers count; the message names one that does not.
        UnauthenticatedError: none does.
    """
    role = content.roles.get("bundle")
    required = 1 if role is None else role.threshold
    number = len({key.id for key in fit})
    if role is not None and number >= required:
        return
    first = min(unfit) if unfit else None
    if first and not number:
        hint = f"the keys of the site and their roles: airbundle trust show {path}"
        error = first.create_error(content.keys[first.key_id].label, stream, hint)
        known = {key_id[:16] for key_id in content.keys}
        if strangers := sorted(set(signed_by) - known):
            error.message += f"; also signed by {', '.join(strangers)}, not in the trust file"
        raise error
    trusted = () if role is None else role.keys
    if number:
        label = f"key {content.keys[first.key_id].label}" if first else ""
        more = f"; {label}, which {first.text}, does not count" if first else ""
        signed = {key.id for key in fit}
        missing = [content.keys[key_id].label for key_id in trusted if key_id not in signed]
        raise TooFewSignersError(
            f"signed by {count(number, 'key')} of the trust file (expected {required}){more};"
            f" no signature that counts by {shortlist(missing, 8)}",
            trusted=trusted,
            signed_by=signed_by,
            signers=[key.id for key in fit],
            required=required,
            hint="ask the other holders of keys to sign it: airbundle sign BUNDLE --key FILE.key",
        )
    found = f"signed by {', '.join(sorted(signed_by))}, but" if signed_by else "the bundle is"
    raise UnauthenticatedError(
        f"{found} not signed by a key of the trust file {path}, version {content.version}",
        trusted=trusted,
        signed_by=signed_by,
        hint=f"the keys of the site and their roles: airbundle trust show {path}",
    )


def check_receipt_signers(
    content: TrustFile, keys: Sequence[PublicKey], stream: str, moment: datetime
) -> None:
    """Check that ``keys`` may sign a receipt, if the trust file has keys with the role ``receipt``.

    Raises:
        UnfitSignerError: one of them may not.
    """
    if "receipt" not in content.roles:
        return
    if unfit := find_unfit(content, "receipt", keys, stream, moment):
        first = unfit[0]
        hint = "sign it with a key of the role receipt, which airbundle trust show lists"
        raise first.create_error(first.key_id[:16], stream, hint, subject="receipt")
