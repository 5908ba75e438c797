"""Exit statuses, messages and fields of the error classes."""

from __future__ import annotations

import subprocess
import sys

import pytest

from bundler import errors
from bundler.errors import BundlerError


def all_classes(base=BundlerError):
    yield base
    for below in base.__subclasses__():
        yield from all_classes(below)


CLASSES = sorted(
    (cls for cls in set(all_classes()) if cls.__module__.startswith("bundler.errors.")),
    key=lambda cls: cls.__name__,
)
STATUSES = {
    "BundlerError": 1, "UnsupportedError": 1, "CannotConvertError": 1,
    "ReadOnlyTransportError": 1, "UnavailableTransportError": 1, "UnnamedDestinationError": 2,
    "UntaggedManifestError": 1,
    "SignaturesUnsupportedError": 1, "SignatureStoreError": 1, "NotADockerArchiveError": 1,
    "FormatUnsupportedError": 1, "SingleImageDestinationError": 1, "UnsupportedLayerError": 1,
    "FixedIndexError": 1, "SignedOriginalError": 1, "TimeLimitError": 1, "SignerError": 1,
    "UsageError": 2, "InvalidReferenceError": 2, "InvalidBundleManifestError": 2, "ConfigError": 2,
    "TemplateError": 2, "CredentialHelperError": 2, "NoDecryptionKeyError": 2,
    "PolicyFileError": 2, "SigningKeyError": 2,
    "IntegrityError": 3, "DigestMismatchError": 3, "SizeMismatchError": 3, "MalformedError": 3,
    "MisreportedDigestError": 3,
    "NotRegularFileError": 3, "DamagedBundleError": 3, "DamagedEvidenceError": 3,
    "TrustError": 4, "RejectedByPolicyError": 4, "RejectedImagesError": 4,
    "InvalidSignatureError": 4,
    "SigstoreSignatureError": 4, "UnauthenticatedError": 4, "ExpiredError": 4,
    "StreamError": 4,
    "UnknownStreamError": 4, "RollbackError": 4, "EquivocationError": 4, "FutureBundleError": 4,
    "LostRecordsError": 4, "OfflineError": 1,
    "TooFewSignersError": 4, "MissingSignatureError": 4, "UnfitSignerError": 4, "TrustFileError": 4,
    "UnsignedTrustFileError": 4,
    "MediumError": 5, "NoSpaceError": 5, "LockedError": 5,
    "DisconnectedMediumError": 5, "UnreadableBundleError": 5,
    "RegistryError": 6, "CertificateError": 6, "RateLimitedError": 6,
    "EngineUnreachableError": 6,
    "UnauthorizedError": 7,
    "LoginError": 7, "UntrustedTokenServiceError": 7,
    "DeniedError": 7, "ReadOnlyRegistryError": 7,
    "QuotaExceededError": 5, "RefusedNameError": 2, "RefusedRequestError": 1,
    "LimitError": 8, "TemplateLimitError": 8,
    "NotFoundError": 9, "MissingFileError": 9, "MissingImagesError": 9,
    "MissingEvidenceError": 9,
    "AbsentBlobsError": 9,
    "MissingLayersError": 9, "NoSuchImageError": 9, "SparseIndexError": 9,
    "AmbiguousImageError": 9, "StalledError": 6,
    "IndexOutOfRangeError": 9, "NoPlatformError": 9, "NotLoggedInError": 9,
    "ConflictError": 10, "DigestConflictError": 10, "ArchiveExistsError": 10,
    "DirectoryExistsError": 10, "NotAnImageDirectoryError": 10,
    "VolumesOwedError": 11, "PartsOwedError": 11, "UnexpectedFileError": 2,
    "PartialError": 11, "FindingsError": 12, "RejectedByRulesError": 12,
    "DifferenceError": 12, "CancelledError": 130,
}  # fmt: skip


def test_class_has_documented_exit_status():
    assert {cls.__name__: cls.exit_status for cls in CLASSES} == STATUSES


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_class_docstring_names_its_raisers(cls):
    assert cls.__doc__
    assert "Raised " in cls.__doc__ or cls is BundlerError


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_class_tree_in_module_docstring_is_complete(cls):
    (line,) = [line for line in errors.__doc__.splitlines() if f" {cls.__name__}" in f" {line}"]
    number = next((word for word in line.split() if word.strip(",").isdigit()), None)
    assert number is None or int(number.strip(",")) == cls.exit_status


def test_text_of_error_is_message_without_hint():
    error = BundlerError("the operation failed", hint="run it again")
    assert (str(error), error.hint) == ("the operation failed", "run it again")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (errors.CannotConvertError("app", reason="it is signed"), "app: it is signed"),
        (
            errors.DigestMismatchError("blob", expected="sha256:a", got="sha256:b"),
            "blob: digest mismatch (expected sha256:a, got sha256:b)",
        ),
        (
            errors.SizeMismatchError("blob", expected=5, got="only 4"),
            "blob: size mismatch (expected 5 bytes, got only 4)",
        ),
        (
            errors.NoSpaceError("/stick", needed=5000, free=1000),
            "/stick: needs 4.9 KiB (5,000 bytes), but only 1000 B (1,000 bytes) is free",
        ),
        (
            errors.NoSpaceError("/stick", needed=None, free=0),
            "/stick: needs more, but only 0 B (0 bytes) is free",
        ),
        (
            errors.NoPlatformError("app", requested=["a/b"], offered=["o/x"] * 40),
            f"app: no image for a/b; it offers {', '.join(['o/x'] * 30)} and 10 more",
        ),
        (errors.InvalidBundleManifestError(["a:1:2: x", "a:3:4: y"]), "a:1:2: x\na:3:4: y"),
        (errors.DamagedBundleError("damaged", ["a", "b"]), "damaged\na\nb"),
        (errors.PartialError("2 failed", ["a", "b"]), "2 failed\na\nb"),
    ],
)
def test_message_states_expected_and_actual_value(error, text):
    assert str(error) == text


def test_rate_limited_error_is_temporary_and_has_retry_after():
    error = errors.RateLimitedError("slow down", retry_after=3)
    assert (error.temporary, error.retry_after, error.status) == (True, 3, 429)
    assert not errors.RegistryError("gone").temporary


@pytest.mark.parametrize(("number", "status"), [(2, 130), (15, 143), (1, 129)])
def test_cancelled_error_has_status_of_signal(number, status):
    assert errors.CancelledError(signal_number=number).status == status


@pytest.mark.parametrize("cls", [errors.DamagedBundleError, errors.PartialError])
def test_findings_are_copied(cls):
    found = ["a"]
    error = cls("x", found)
    found.append("b")
    assert "b" not in str(error)
    assert (getattr(error, "findings", None) or error.failures) == ("a",)


HEAVY = {
    "requests", "urllib3", "hashlib", "_hashlib", "ssl", "cryptography", "jsonschema", "yaml",
    "zstandard", "nacl", "click", "http", "socket", "tempfile", "subprocess", "logging",
}  # fmt: skip


@pytest.mark.parametrize(
    "modules",
    [
        "bundler.errors, bundler.events, bundler.cancel",
        "bundler.oci.reference, bundler.oci.platform, bundler.oci.manifest",
        "bundler.oci.image_layout, bundler.content.streams",
        "bundler.ports, bundler.config.settings",
    ],
)
def test_basic_modules_import_no_heavy_modules(modules):
    program = f"import sys; before = set(sys.modules); import {modules}\n"
    program += "print(*sorted({name.partition('.')[0] for name in set(sys.modules) - before}))"
    found = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, '.')\n{program}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert not HEAVY & set(found.stdout.split())
