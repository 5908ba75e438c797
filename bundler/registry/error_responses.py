"""Errors and reasons in the bodies of error responses.

Registries return the errors of the distribution specification. Token services, object stores,
gateways and proxies return other documents, whose reason is shown.

https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#error-codes
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bundler.errors import BundlerError, HttpExchange, StatedError
from bundler.oci.json import strict

if TYPE_CHECKING:
    from collections.abc import Callable

    from bundler.registry.auth.challenges import Challenge

MAX_BODY = 64 * 1024
_MAX_TEXT = 300
_MAX_CODE = 80
_MAX_ERRORS = 10

_CODES = {401: "UNAUTHORIZED", 429: "TOOMANYREQUESTS"}
"""The codes for documents that state a text only, such as those of Docker Hub's token service."""

# https://www.rfc-editor.org/rfc/rfc6750#section-3.1
_CHALLENGE_ERRORS = {
    "invalid_token": ("UNAUTHORIZED", "authentication required"),
    "insufficient_scope": ("DENIED", "requested access to the resource is denied"),
}

# The members of OAuth (RFC 6749), of problem details (RFC 9457), and of gateways.
_TEXT_MEMBERS = ("error_description", "message", "detail", "reason", "title")
_CODE_MEMBERS = ("error", "code")
_XML = re.compile(r"<Code>([^<]*)</Code>\s*(?:<Message>([^<]*)</Message>)?")


@dataclass(frozen=True, slots=True)
class ErrorResponse:
    """The errors that a response states."""

    entries: tuple[StatedError, ...] = ()
    """The errors of the distribution specification."""
    text: str = field(default="", kw_only=True)
    """The reason, for messages; empty if the response states none."""

    @property
    def codes(self) -> tuple[str, ...]:
        """The error codes."""
        return tuple(entry.code for entry in self.entries)

    @classmethod
    def parse(
        cls,
        body: bytes,
        *,
        status: int,
        media_type: str,
        challenge: Challenge | None = None,
        redact_secrets: Callable[[str], str] = str,
    ) -> ErrorResponse:
        """Parse at most ``MAX_BODY`` bytes of a body, and the challenge beside it."""

        def clean(value: object) -> str:
            return clean_text(redact_secrets(value)) if isinstance(value, str) else ""

        try:
            value = strict.loads(body, limit=MAX_BODY)
        except (BundlerError, RecursionError):
            value = {}
        if not isinstance(value, dict):
            value = {}
        entries: list[StatedError] = []
        details: list[str] = []
        stated = None if challenge is None else challenge.parameters.get("error")
        if challenge is not None and stated in _CHALLENGE_ERRORS:
            code, message = _CHALLENGE_ERRORS[stated]
            message = clean(challenge.parameters.get("error_description")) or message
            entries.append(StatedError(code, message, has_detail=True, in_body=False))
        errors = value.get("errors")
        for error in errors[:_MAX_ERRORS] if isinstance(errors, list) else ():
            if isinstance(error, dict):
                code, message = clean(error.get("code"))[:_MAX_CODE], clean(error.get("message"))
                detail = error.get("detail")
                entries.append(StatedError(code, message, has_detail=detail is not None))
                details.append(clean(detail.get("message") if isinstance(detail, dict) else detail))
        if text := clean(value.get("details")):
            entries.append(StatedError(_CODES.get(status, "UNKNOWN"), text, has_detail=True))
        entries = [entry for entry in entries if entry.code or entry.text]
        reason = HttpExchange("", "", entries=tuple(entries)).reason
        more = "; ".join(text for text in dict.fromkeys(details) if text and text not in reason)
        if more:
            reason = f"{reason} ({more})" if reason else more
        if not reason and value:
            reason = ": ".join(
                filter(
                    None, (_find(value, _CODE_MEMBERS, clean), _find(value, _TEXT_MEMBERS, clean))
                )
            )
        elif not reason:
            decoded = body.decode("utf-8", "replace")
            if media_type == "text/plain":
                reason = clean(decoded)
            elif media_type.endswith("xml") and (found := _XML.search(decoded)):
                reason = ": ".join(filter(None, map(clean, found.groups())))
        return cls(tuple(entries), text=reason[:_MAX_TEXT])


def clean_text(text: str) -> str:
    """Return text from a server as one line without control characters."""
    return "".join(char if char.isprintable() else " " for char in text).strip()[:_MAX_TEXT]


def _find(value: dict[str, object], names: tuple[str, ...], clean: Callable[[object], str]) -> str:
    """Return the first of the members that is a text; empty if there is none."""
    return next(filter(None, (clean(value.get(name)) for name in names)), "")
