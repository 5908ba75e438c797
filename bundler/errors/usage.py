"""Errors in the command line, or in a file that the user wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.errors.base import BundlerError

if TYPE_CHECKING:
    from collections.abc import Sequence


class UsageError(BundlerError):
    """The command line or a file of the user has to be corrected.

    Raised by the command line, and by readers of the user's files.
    """

    exit_status = 2


class TemplateError(UsageError):
    """A template of the user is invalid, or does not match the data that it is applied to.

    Raised by the template engine of ``inspect --format``.
    """

    def __init__(self, problem: str, *, hint: str | None = None) -> None:
        super().__init__(f"template: {problem}", hint=hint)


class InvalidReferenceError(UsageError):
    """Text that does not name an image, a repository or a location.

    Raised by the parsers of references.
    """


class InvalidBundleManifestError(UsageError):
    """A bundle manifest with mistakes.

    Fields:
        findings: each mistake, as ``path:line:column: text``.

    Raised by the reader of bundle manifests.
    """

    def __init__(self, findings: Sequence[str], *, hint: str | None = None) -> None:
        super().__init__("\n".join(findings), hint=hint)
        self.findings = tuple(findings)


class ConfigError(UsageError):
    """A configuration file that is missing, unreadable or invalid.

    Fields:
        path: the file; None if the error is about several, or about none.
        os_error: why it cannot be read; None if it can.

    Raised by the readers of configuration files and of credentials.
    """

    def __init__(
        self,
        message: str,
        *,
        path: str | None = None,
        os_error: OSError | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.path = path
        self.os_error = os_error


class PolicyFileError(ConfigError):
    """A policy.json that is missing, unreadable or invalid; the fields are those of its base.

    Raised by the reader of policy.json, and where a policy is required.
    """
