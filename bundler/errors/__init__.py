"""Every error that may reach a user, each with the exit status that names the next step.

    BundlerError                         1   read the line
    ├── UnsupportedError
    │   ├── ReadOnlyTransportError
    │   ├── UnavailableTransportError
    │   └── NotADockerArchiveError
    ├── CannotConvertError
    │   ├── FormatUnsupportedError
    │   └── SingleImageDestinationError
    ├── TimeLimitError
    ├── UsageError                       2   correct the command or the file
    │   ├── InvalidReferenceError
    │   ├── InvalidBundleManifestError
    │   ├── TemplateError
    │   └── ConfigError
    │       └── PolicyFileError
    ├── IntegrityError                   3   damaged content: replace the part that is named
    │   ├── DigestMismatchError
    │   ├── SizeMismatchError
    │   ├── MalformedError
    │   │   └── NotPlainFileError
    │   └── DamagedBundleError
    ├── TrustError                       4   intact, but not trusted
    │   ├── RejectedByPolicyError
    │   ├── InvalidSignatureError
    │   ├── UnauthenticatedError
    │   ├── RollbackError
    │   └── ExpiredError
    ├── MediumError                      5   free, replace or unlock; run again, it resumes
    │   ├── NoSpaceError
    │   └── LockedError
    ├── RegistryError                    6   run again, it resumes
    │   ├── CertificateError
    │   ├── RateLimitedError
    │   ├── EngineUnreachableError
    │   ├── UnauthorizedError            7   log in, or request access
    │   └── DeniedError                  7
    ├── LimitError                       8   untrusted content is too large, deep or long
    │   └── TemplateLimitError
    ├── NotFoundError                    9
    │   ├── MissingFileError
    │   ├── NoSuchImageError
    │   ├── AmbiguousImageError
    │   ├── IndexOutOfRangeError
    │   ├── NoPlatformError
    │   └── NotLoggedInError
    ├── ConflictError                   10   a name has another digest, or two images request it
    │   ├── DigestConflictError
    │   ├── ArchiveExistsError
    │   ├── DirectoryExistsError
    │   └── NotAnImageDirectoryError
    ├── PartialError                    11   part is done; the report lists the rest
    └── CancelledError             130, 143  run again, it resumes

Each class carries the facts of its failure as fields; code decides by type and fields, and never by
the text of a message. A message is one line: the subject, the problem, expected and got. A hint is
a command or a setting. Neither holds a secret, or a URL with credentials or a query.
"""

from bundler.errors.base import (
    BundlerError,
    CancelledError,
    HttpExchange,
    LimitError,
    PartialError,
    TemplateLimitError,
    TimeLimitError,
)
from bundler.errors.conflict import (
    ArchiveExistsError,
    ConflictError,
    DigestConflictError,
    DirectoryExistsError,
    NotAnImageDirectoryError,
)
from bundler.errors.integrity import (
    DamagedBundleError,
    DigestMismatchError,
    IntegrityError,
    MalformedError,
    NotPlainFileError,
    SizeMismatchError,
)
from bundler.errors.medium import (
    LockedError,
    MediumError,
    NoSpaceError,
)
from bundler.errors.not_found import (
    AmbiguousImageError,
    IndexOutOfRangeError,
    MissingFileError,
    NoPlatformError,
    NoSuchImageError,
    NotFoundError,
    NotLoggedInError,
)
from bundler.errors.registry import (
    CertificateError,
    CertificateProblem,
    CertificateSummary,
    DeniedError,
    EngineUnreachableError,
    RateLimitedError,
    RegistryError,
    UnauthorizedError,
)
from bundler.errors.trust import (
    ExpiredError,
    InvalidSignatureError,
    RejectedByPolicyError,
    RollbackError,
    TrustError,
    UnauthenticatedError,
)
from bundler.errors.unsupported import (
    CannotConvertError,
    FormatUnsupportedError,
    NotADockerArchiveError,
    ReadOnlyTransportError,
    SingleImageDestinationError,
    UnavailableTransportError,
    UnsupportedError,
)
from bundler.errors.usage import (
    ConfigError,
    InvalidBundleManifestError,
    InvalidReferenceError,
    PolicyFileError,
    TemplateError,
    UsageError,
)

__all__ = [
    "AmbiguousImageError",
    "ArchiveExistsError",
    "BundlerError",
    "CancelledError",
    "CannotConvertError",
    "CertificateError",
    "CertificateProblem",
    "CertificateSummary",
    "ConfigError",
    "ConflictError",
    "DamagedBundleError",
    "DeniedError",
    "DigestConflictError",
    "DigestMismatchError",
    "DirectoryExistsError",
    "EngineUnreachableError",
    "ExpiredError",
    "FormatUnsupportedError",
    "HttpExchange",
    "IndexOutOfRangeError",
    "IntegrityError",
    "InvalidBundleManifestError",
    "InvalidReferenceError",
    "InvalidSignatureError",
    "LimitError",
    "LockedError",
    "MalformedError",
    "MediumError",
    "MissingFileError",
    "NoPlatformError",
    "NoSpaceError",
    "NoSuchImageError",
    "NotADockerArchiveError",
    "NotAnImageDirectoryError",
    "NotFoundError",
    "NotLoggedInError",
    "NotPlainFileError",
    "PartialError",
    "PolicyFileError",
    "RateLimitedError",
    "ReadOnlyTransportError",
    "RegistryError",
    "RejectedByPolicyError",
    "RollbackError",
    "SingleImageDestinationError",
    "SizeMismatchError",
    "TemplateError",
    "TemplateLimitError",
    "TimeLimitError",
    "TrustError",
    "UnauthenticatedError",
    "UnauthorizedError",
    "UnavailableTransportError",
    "UnsupportedError",
    "UsageError",
]
