"""Certificate problems are reported with Skopeo's texts, which were copied from its output."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bundler.cli.frontends.skopeo.arguments import argv
from bundler.cli.frontends.skopeo.messages import registry_errors
from bundler.cli.frontends.skopeo.messages.reference_display import DisplayReference
from bundler.errors import CertificateError, CertificateProblem, CertificateSummary

PAST, FUTURE = datetime(2001, 2, 3, 4, 5, 6, tzinfo=UTC), datetime(2999, 2, 3, 4, 5, 6, tzinfo=UTC)
OLD = datetime(2000, 1, 1, tzinfo=UTC)
LATER = datetime(2999, 3, 1, tzinfo=UTC)
FRONT = (
    'pinging container registry {0}: Get "https://{0}/v2/": '
    "tls: failed to verify certificate: x509: "
)


def reported(
    problem: CertificateProblem,
    *names: str,
    host: str = "localhost",
    dates: tuple[datetime, datetime] = (PAST, FUTURE),
) -> str:
    error = CertificateError(
        "ours",
        problem=problem,
        host=host,
        verify_code=1,
        verify_message="OpenSSL's",
        certificate=CertificateSummary(names, "CN=ca", *dates),
    )
    name = f"docker://{host}:5000/app"
    line = argv.parse_command_line(("inspect", name))
    text = registry_errors.describe_unreachable(error, DisplayReference.parse(name), line)
    front = FRONT.format(f"{host}:5000")
    assert text.startswith(front)
    return text.removeprefix(front)


@pytest.mark.parametrize(
    ("host", "names", "text"),
    [
        (
            "localhost",
            ("a.example", "b.example", "10.1.1.1"),
            "certificate is valid for a.example, b.example, not localhost",
        ),
        (
            "127.0.0.1",
            ("a.example", "10.1.1.1"),
            "certificate is valid for 10.1.1.1, not 127.0.0.1",
        ),
        (
            "127.0.0.1",
            ("a.example",),
            "cannot validate certificate for 127.0.0.1 because it doesn't contain any IP SANs",
        ),
        (
            "localhost",
            ("10.1.1.1",),
            "certificate is not valid for any names, but wanted to match localhost",
        ),
    ],
)
def test_name_mismatch_lists_valid_names_of_the_same_kind(
    host: str, names: tuple[str, ...], text: str
) -> None:
    assert reported(CertificateProblem.NAME_MISMATCH, *names, host=host) == text


def test_expired_certificate_is_reported_with_its_end() -> None:
    text = reported(CertificateProblem.EXPIRED, dates=(OLD, PAST))
    assert text.startswith("certificate has expired or is not yet valid: current time 2")
    assert text.endswith(" is after 2001-02-03T04:05:06Z")


def test_future_certificate_is_reported_with_its_start() -> None:
    text = reported(CertificateProblem.NOT_YET_VALID, dates=(FUTURE, LATER))
    assert text.startswith("certificate has expired or is not yet valid: current time 2")
    assert text.endswith(" is before 2999-02-03T04:05:06Z")


def test_expired_issuer_is_reported_without_dates() -> None:
    text = reported(CertificateProblem.EXPIRED)
    assert text == "certificate has expired or is not yet valid"


@pytest.mark.parametrize(
    "problem", [CertificateProblem.SELF_SIGNED, CertificateProblem.UNKNOWN_ISSUER]
)
def test_untrusted_issuer_is_an_unknown_authority(problem: CertificateProblem) -> None:
    assert reported(problem) == "certificate signed by unknown authority"
