"""Rejections by the policy are reported as by Skopeo, from the fields of errors."""

from __future__ import annotations

import errno

import pytest

from bundler.cli.frontends.skopeo.messages.policy_errors import describe_rejection
from bundler.errors import (
    ConfigError,
    InvalidSignatureError,
    MalformedError,
    RejectedByPolicyError,
    SigstoreSignatureError,
)

IDENTITY = InvalidSignatureError("?", problem="identity", value='r.example/"a":1')
DIGEST = SigstoreSignatureError("?", problem="digest", value="sha256:00")
MISSING = OSError(errno.ENOENT, "No such file or directory")


@pytest.mark.parametrize(
    ("reasons", "message"),
    [
        ([], "A signature was required, but no signature exists"),
        ([IDENTITY], 'Signature for identity "r.example/\\"a\\":1" is not accepted'),
        (
            [IDENTITY, DIGEST],
            (
                "None of the signatures were accepted, reasons: Signature for identity"
                ' "r.example/\\"a\\":1" is not accepted; Signature for digest sha256:00 does not'
                " match"
            ),
        ),
        ([InvalidSignatureError("?", problem="keys")], "No public keys imported"),
        (
            [InvalidSignatureError("?", problem="unsupported", value="X509Certificates")],
            'Unimplemented "keyType" value "X509Certificates"',
        ),
        (
            [SigstoreSignatureError("?", problem="annotation", value="dev.x/y")],
            "missing dev.x/y annotation",
        ),
        (
            [ConfigError("?", path="/k", os_error=MISSING)],
            "open /k: no such file or directory",
        ),
        ([MalformedError("signature 1: empty")], "signature 1: empty"),
    ],
)
def test_reasons_are_worded_as_by_skopeo(reasons, message):
    error = RejectedByPolicyError("?", rule="signedBy", reasons=reasons)
    assert describe_rejection(error) == f"Source image rejected: {message}"


def test_signatures_of_other_kinds_are_counted():
    error = RejectedByPolicyError("?", rule="sigstoreSigned", ignored=(1, 2))
    assert describe_rejection(error) == (
        "Source image rejected: A signature was required, but no signature exists"
        " (1 non-sigstore signatures, 2 sigstore non-signature attachments)"
    )


def test_image_of_an_index_is_named_by_its_position():
    error = RejectedByPolicyError("?", rule="reject", reference="dir:/x")
    error.position = (2, 3)
    assert describe_rejection(error) == (
        "copying image 2/3 from manifest list: Source image rejected:"
        " Running image dir:/x is rejected by policy."
    )
    error.selected = True
    assert describe_rejection(error).startswith("copying system image from manifest list: Source")
