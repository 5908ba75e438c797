"""All errors that a user may see, with their exit statuses and the user's next steps.

    BundlerError                         1   read the message
    ├── UnsupportedError
    │   ├── ReadOnlyTransportError
    │   ├── UnavailableTransportError
    │   ├── UntaggedManifestError
    │   ├── SignaturesUnsupportedError
    │   ├── SignatureStoreError
    │   ├── OfflineError
    │   └── NotADockerArchiveError
    ├── CannotConvertError
    │   ├── FormatUnsupportedError
    │   ├── FixedIndexError
    │   ├── SignedOriginalError
    │   ├── SingleImageDestinationError
    │   └── UnsupportedLayerError
    ├── SignerError
    ├── TimeLimitError
    ├── UsageError                       2   correct the command or the file
    │   ├── InvalidReferenceError
    │   ├── InvalidBundleManifestError
    │   ├── TemplateError
    │   ├── NoDecryptionKeyError
    │   ├── SigningKeyError
    │   ├── UnnamedDestinationError
    │   ├── UnexpectedFileError
    │   └── ConfigError
    │       ├── CredentialHelperError
    │       └── PolicyFileError
    ├── IntegrityError                   3   damaged content: replace the named part
    │   ├── DigestMismatchError
    │   │   └── MisreportedDigestError
    │   ├── SizeMismatchError
    │   ├── MalformedError
    │   │   └── NotRegularFileError
    │   ├── DamagedEvidenceError
    │   └── DamagedBundleError
    ├── TrustError                       4   intact, but not trusted
    │   ├── RejectedByPolicyError
    │   │   └── RejectedImagesError
    │   ├── InvalidSignatureError
    │   ├── SigstoreSignatureError
    │   ├── MissingSignatureError
    │   ├── UnauthenticatedError
    │   │   ├── TooFewSignersError
    │   │   └── UnfitSignerError
    │   ├── TrustFileError
    │   │   └── UnsignedTrustFileError
    │   ├── ExpiredError
    │   ├── StreamError
    │   │   ├── UnknownStreamError
    │   │   ├── RollbackError
    │   │   ├── EquivocationError
    │   │   └── FutureBundleError
    │   └── LostRecordsError
    ├── MediumError                      5   free, replace or unlock the medium; run again
    │   ├── NoSpaceError
    │   ├── DisconnectedMediumError
    │   ├── UnreadableBundleError
    │   └── LockedError
    ├── RegistryError                    6   run again to resume
    │   ├── CertificateError
    │   ├── RateLimitedError
    │   ├── StalledError
    │   ├── EngineUnreachableError
    │   ├── UnauthorizedError            7   log in, or request access
    │   │   └── LoginError
    │   ├── UntrustedTokenServiceError   7
    │   ├── DeniedError                  7
    │   │   └── ReadOnlyRegistryError
    │   ├── QuotaExceededError           5   free space in the registry, or raise the quota
    │   ├── RefusedNameError             2   choose a name that the registry accepts
    │   └── RefusedRequestError          1   read the reason
    ├── LimitError                       8   untrusted content is too large, deep or long
    │   └── TemplateLimitError
    ├── NotFoundError                    9
    │   ├── MissingFileError
    │   ├── MissingEvidenceError
    │   ├── NoSuchImageError
    │   ├── AmbiguousImageError
    │   ├── IndexOutOfRangeError
    │   ├── MissingImagesError
    │   ├── MissingLayersError
    │   ├── AbsentBlobsError
    │   ├── SparseIndexError
    │   ├── NoPlatformError
    │   └── NotLoggedInError
    ├── ConflictError                   10   name points to another digest, or is requested twice
    │   ├── DigestConflictError
    │   ├── ArchiveExistsError
    │   ├── DirectoryExistsError
    │   └── NotAnImageDirectoryError
    ├── PartialError                    11   partially done; the report lists the failures
    │   ├── VolumesOwedError
    │   └── PartsOwedError
    ├── FindingsError                   12   an audit has findings; the report lists them
    │   └── RejectedByRulesError
    ├── DifferenceError                 12   what was compared differs; the report lists how
    └── CancelledError             130, 143  run again to resume

Each class carries the facts of its failure as fields. Code branches on the type and the fields,
never on the text of a message. A message is one line: the subject, the problem, the expected and
the actual value. A hint is a command or a setting. Neither contains a secret, or a URL with
credentials or a query.
"""

from bundler.errors.access import (
    AmbiguousImageError as AmbiguousImageError,
    DisconnectedMediumError as DisconnectedMediumError,
    IndexOutOfRangeError as IndexOutOfRangeError,
    LockedError as LockedError,
    MediumError as MediumError,
    MissingFileError as MissingFileError,
    MissingImagesError as MissingImagesError,
    MissingLayersError as MissingLayersError,
    NoPlatformError as NoPlatformError,
    NoSpaceError as NoSpaceError,
    NoSuchImageError as NoSuchImageError,
    NotFoundError as NotFoundError,
    NotLoggedInError as NotLoggedInError,
    SparseIndexError as SparseIndexError,
    UnreadableBundleError as UnreadableBundleError,
)
from bundler.errors.base import (
    BundlerError as BundlerError,
    CancelledError as CancelledError,
    ConfigError as ConfigError,
    CredentialHelperError as CredentialHelperError,
    DifferenceError as DifferenceError,
    FindingsError as FindingsError,
    HttpExchange as HttpExchange,
    InvalidBundleManifestError as InvalidBundleManifestError,
    InvalidReferenceError as InvalidReferenceError,
    LimitError as LimitError,
    NoDecryptionKeyError as NoDecryptionKeyError,
    PartialError as PartialError,
    PolicyFileError as PolicyFileError,
    RejectedByRulesError as RejectedByRulesError,
    StatedError as StatedError,
    TemplateError as TemplateError,
    TemplateLimitError as TemplateLimitError,
    TimeLimitError as TimeLimitError,
    UnexpectedFileError as UnexpectedFileError,
    UsageError as UsageError,
)
from bundler.errors.bundles import (
    NOT_REGULAR as NOT_REGULAR,
    AbsentBlob as AbsentBlob,
    AbsentBlobsError as AbsentBlobsError,
    DamagedBundleError as DamagedBundleError,
    PartsOwedError as PartsOwedError,
    UnusableBlob as UnusableBlob,
    VolumesOwedError as VolumesOwedError,
)
from bundler.errors.content import (
    ArchiveExistsError as ArchiveExistsError,
    CannotConvertError as CannotConvertError,
    ConflictError as ConflictError,
    DigestConflictError as DigestConflictError,
    DigestMismatchError as DigestMismatchError,
    DirectoryExistsError as DirectoryExistsError,
    FixedIndexError as FixedIndexError,
    FormatUnsupportedError as FormatUnsupportedError,
    IntegrityError as IntegrityError,
    MalformedError as MalformedError,
    NotADockerArchiveError as NotADockerArchiveError,
    NotAnImageDirectoryError as NotAnImageDirectoryError,
    NotRegularFileError as NotRegularFileError,
    OfflineError as OfflineError,
    ReadOnlyTransportError as ReadOnlyTransportError,
    SignatureStoreError as SignatureStoreError,
    SignaturesUnsupportedError as SignaturesUnsupportedError,
    SignedOriginalError as SignedOriginalError,
    SingleImageDestinationError as SingleImageDestinationError,
    SizeMismatchError as SizeMismatchError,
    UnavailableTransportError as UnavailableTransportError,
    UnnamedDestinationError as UnnamedDestinationError,
    UnsupportedError as UnsupportedError,
    UnsupportedLayerError as UnsupportedLayerError,
    UntaggedManifestError as UntaggedManifestError,
)
from bundler.errors.counts import (
    be as be,
    count as count,
    escape as escape,
    format_size as format_size,
    shortlist as shortlist,
)
from bundler.errors.evidence import (
    DamagedEvidenceError as DamagedEvidenceError,
    MissingEvidenceError as MissingEvidenceError,
)
from bundler.errors.records import (
    EquivocationError as EquivocationError,
    FutureBundleError as FutureBundleError,
    LostRecordsError as LostRecordsError,
    RollbackError as RollbackError,
    StreamError as StreamError,
    UnknownStreamError as UnknownStreamError,
)
from bundler.errors.registry import (
    CREDENTIAL_OPTIONS as CREDENTIAL_OPTIONS,
    CertificateError as CertificateError,
    CertificateProblem as CertificateProblem,
    CertificateSummary as CertificateSummary,
    DeniedError as DeniedError,
    EngineUnreachableError as EngineUnreachableError,
    LoginError as LoginError,
    MisreportedDigestError as MisreportedDigestError,
    Outage as Outage,
    QuotaExceededError as QuotaExceededError,
    RateLimitedError as RateLimitedError,
    ReadOnlyRegistryError as ReadOnlyRegistryError,
    RefusedNameError as RefusedNameError,
    RefusedRequestError as RefusedRequestError,
    RegistryError as RegistryError,
    Remedy as Remedy,
    StalledError as StalledError,
    UnauthorizedError as UnauthorizedError,
    UntrustedTokenServiceError as UntrustedTokenServiceError,
    join_remedies as join_remedies,
)
from bundler.errors.signing import (
    SignerError as SignerError,
    SignerFailure as SignerFailure,
    SigningKeyError as SigningKeyError,
)
from bundler.errors.trust import (
    ExpiredError as ExpiredError,
    InvalidSignatureError as InvalidSignatureError,
    MissingSignatureError as MissingSignatureError,
    RejectedByPolicyError as RejectedByPolicyError,
    RejectedImagesError as RejectedImagesError,
    SignatureProblem as SignatureProblem,
    SigstoreSignatureError as SigstoreSignatureError,
    TooFewSignersError as TooFewSignersError,
    TrustError as TrustError,
    TrustFileError as TrustFileError,
    TrustFileProblem as TrustFileProblem,
    UnauthenticatedError as UnauthenticatedError,
    UnfitSignerError as UnfitSignerError,
    UnfitSignerProblem as UnfitSignerProblem,
    UnsignedTrustFileError as UnsignedTrustFileError,
)
