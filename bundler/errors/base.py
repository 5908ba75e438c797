"""The base of all errors; errors of input, limits and cancellation."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NamedTuple, Self

from bundler.errors.counts import shortlist

if TYPE_CHECKING:
    from collections.abc import Sequence


_RUN_AGAIN = "run the same command again"


class StatedError(NamedTuple):
    """An error of the distribution specification in a response.

    ``has_detail`` is whether it has a ``detail``, and ``in_body`` whether it is in the body, rather
    than in the challenge.
    """

    code: str
    text: str = ""
    """The member ``message`` of the response."""
    has_detail: bool = False
    in_body: bool = True


class HttpExchange(NamedTuple):
    """A failed request to a registry and its response, without secrets.

    ``status`` is None if there was no response. ``entries`` contains the errors in the response
    (for a HEAD, those of the same GET); ``body`` is the beginning of a response without errors.
    ``is_token`` is whether the request was for a token.
    """

    method: str
    url: str
    status: int | None = None
    entries: tuple[StatedError, ...] = ()
    body: str = ""
    is_token: bool = False

    @property
    def reason(self) -> str:
        """The reason that the server states; empty if it states none."""
        return "; ".join(": ".join(filter(None, entry[:2])) for entry in self.entries[:3])


class BundlerError(Exception):
    """A failure that is reported to the user as a message.

    Fields:
        message: one line for the operator; no code reads it.
        hint: the next step, a command or a setting; None if unset.
        exchange: the failed request to a registry; None if the error has another cause.
        images: the images that need the missing or damaged content; empty if unset.
        reads_signatures: whether the signatures of an image were being read.
        path: the file or directory that the error is about; None if unset.
        os_error: the underlying error of the operating system; None if unset.
    """

    exit_status: ClassVar[int] = 1
    exchange: HttpExchange | None = None
    images: tuple[str, ...] = ()
    reads_signatures: bool = False

    def __init__(
        self,
        message: str,
        *,
        path: str | None = None,
        os_error: OSError | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.path = path
        self.os_error = os_error
        self.hint = hint

    def __str__(self) -> str:
        return self.message

    def add_images(self, images: Sequence[str]) -> None:
        """Add the images that need the missing or damaged content, unless some are stated."""
        if not self.images:
            self.images = tuple(images)
            self.message += f" (in {shortlist(images)})"

    def without_traceback(self) -> Self:
        """Drop the tracebacks of the error and its causes, and return it, to be collected.

        The frames of a traceback hold the content that was read, which may be large.
        """
        pending: list[BaseException | None] = [self, self.os_error]
        seen: set[int] = set()
        while pending:
            error = pending.pop()
            if error is None or id(error) in seen:
                continue
            seen.add(id(error))
            error.__traceback__ = None
            if error.__suppress_context__:
                error.__context__ = None
            pending += [error.__cause__, error.__context__]
        return self

    def message_about(self, subject: str) -> str:
        """Return the message with ``subject`` in front, unless the message contains it.

        Further lines, which belong to the first one, are indented.
        """
        message = self.message.replace("\n", "\n  ")
        bare = subject.removeprefix("docker://")
        return message if bare in message else f"{subject}: {message}"

    def message_without(self, *beginnings: str) -> str:
        """Return the message without the given prefixes, such as a path that a report prints."""
        message = self.message
        for beginning in beginnings:
            message = message.removeprefix(beginning)
        return message


class TimeLimitError(BundlerError):
    """A command that exceeded the time limit of the user.

    Fields:
        seconds: the limit.

    Raised by the command line for ``--command-timeout``.
    """

    def __init__(self, seconds: float, *, hint: str | None = None) -> None:
        super().__init__(f"not finished within {seconds:g} s", hint=hint)
        self.seconds = seconds


class LimitError(BundlerError):
    """Untrusted content is larger, deeper or longer than allowed.

    Raised by every reader of untrusted content.
    """

    exit_status = 8


class TemplateLimitError(LimitError):
    """A user's template that exceeds a limit, or whose output exceeds one.

    Raised by the template engine of ``inspect --format``.
    """

    def __init__(self, problem: str, *, hint: str | None = None) -> None:
        super().__init__(f"template: {problem}", hint=hint)


class PartialError(BundlerError):
    """A run in which some items failed.

    Fields:
        failures: one line for each item that failed.

    Raised by ``sync``, ``export`` and ``import`` after all other items are done.
    """

    exit_status = 11

    def __init__(self, message: str, failures: Sequence[str], *, hint: str | None = None) -> None:
        super().__init__("\n".join([message, *failures]), hint=hint)
        self.failures = tuple(failures)


class FindingsError(BundlerError):
    """Findings of an audit.

    Fields:
        findings: one line for each finding; empty if the result contains them.

    Raised by ``packages``, ``sbom`` and ``audit`` after the result.
    """

    exit_status = 12

    def __init__(self, message: str, findings: Sequence[str], *, hint: str | None = None) -> None:
        super().__init__("\n".join([message, *findings]), hint=hint)
        self.findings = tuple(findings)


class DifferenceError(BundlerError):
    """Two things that were compared differ.

    Fields:
        differences: their number.

    Raised by ``diff`` after the result, which lists them.
    """

    exit_status = 12

    def __init__(self, message: str, *, differences: int) -> None:
        super().__init__(message)
        self.differences = differences


class RejectedByRulesError(FindingsError):
    """Images that do not pass the rules of a site; nothing was pushed.

    Raised by ``import`` before the first push.
    """


class CancelledError(BundlerError):
    """A run that was cancelled by a signal; nothing incomplete was published.

    Fields:
        signal_number: the number of the signal.
        status: the exit status, 128 plus the signal number.
        keeps_blobs: whether the next run finds the complete blobs of this one; None: unknown, or
            none were being transferred.

    Raised by checks for cancellation in every layer.
    """

    exit_status = 130

    def __init__(
        self, message: str = "stopped", *, signal_number: int = 2, hint: str | None = _RUN_AGAIN
    ) -> None:
        super().__init__(message, hint=hint)
        self.signal_number = signal_number
        self.keeps_blobs: bool | None = None

    def state_kept(self, keeps_blobs: bool) -> None:
        """Set ``keeps_blobs``, and the hint."""
        self.keeps_blobs = keeps_blobs
        self.hint = describe_next_run(keeps_blobs)

    @property
    def status(self) -> int:
        """The exit status: 128 plus the signal number."""
        return 128 + self.signal_number


class UsageError(BundlerError):
    """An invalid command line, or an invalid file of the user.

    Raised by the command line, and by readers of the user's files.
    """

    exit_status = 2


class TemplateError(UsageError):
    """A user's template that is invalid, or does not match the data that it is applied to.

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


class UnexpectedFileError(UsageError):
    """A file of the user that is of another kind than its option requires, or is empty.

    Fields:
        expected: the kind of file that the option requires.

    Raised by readers of files for an audit; damage inside of a file of the right kind is a
    MalformedError.
    """

    def __init__(self, path: str, problem: str, expected: str, *, hint: str | None = None) -> None:
        super().__init__(f"{path}: {problem} (expected {expected})", path=path, hint=hint)
        self.expected = expected


class ConfigError(UsageError):
    """A configuration file that is missing, unreadable or invalid.

    Raised by the readers of configuration files and of credentials.
    """


class CredentialHelperError(ConfigError):
    """A credential helper that is missing, fails, or prints invalid output.

    Fields:
        program: the name of the program.
        verb: the request: get, store, erase or list.
        status: the exit status; None if the program did not run to its end.

    Raised by the client of credential helpers.
    """

    def __init__(
        self,
        program: str,
        verb: str,
        problem: str,
        *,
        status: int | None = None,
        os_error: OSError | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(f"{program} {verb}: {problem}", os_error=os_error, hint=hint)
        self.program = program
        self.verb = verb
        self.status = status


class NoDecryptionKeyError(UsageError):
    """An encrypted layer that none of the given keys decrypts.

    Fields:
        protocols: the protocols with which the secret of the layer is wrapped, sorted.

    Raised by the decryption of layers.
    """

    def __init__(self, subject: str, protocols: Sequence[str]) -> None:
        super().__init__(
            f"{subject}: encrypted for {', '.join(protocols)[:200] or 'no recipient'}, "
            "and no given key decrypts it",
            hint="specify the private key with --decryption-key",
        )
        self.protocols = tuple(protocols)


class PolicyFileError(ConfigError):
    """A policy.json that is missing, unreadable or invalid.

    Raised by the reader of policy.json, and where a policy is required.
    """


def describe_next_run(keeps_blobs: bool | None) -> str:
    """Return the next step after a run that did not end by itself."""
    match keeps_blobs:
        case None:
            return _RUN_AGAIN
        case True:
            return f"{_RUN_AGAIN}: complete layers are kept"
        case False:
            return f"{_RUN_AGAIN}: it transfers all layers again"
