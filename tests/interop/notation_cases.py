"""Notation signatures, valid and not, with the trust configurations that decide about them.

``record_notation_peers`` lets notation judge them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.fakes import images, notation as fake
from tests.fakes.notation import DAY, PREFIX, Signature, Signer

if TYPE_CHECKING:
    from collections.abc import Iterator

IMAGE = images.image()
NOW = datetime.now(UTC).replace(microsecond=0)
ROOT, OTHER_ROOT = fake.create_root(), fake.create_root("other")
SIGNER = fake.create_signer(root=ROOT)
AUTHORITY = fake.create_timestamp_authority()
CA = {"ca:corp": [ROOT.certificate]}
TSA = CA | {"tsa:time": [AUTHORITY.chain[-1]]}
MINE = "x509.subject: C=US, ST=WA, O=Example, CN=builder"


@dataclass
class Case:
    """A signature, and the trust configuration that it is verified with."""

    name: str
    signature: Signature
    stores: dict[str, list[x509.Certificate]] = field(default_factory=lambda: CA)
    identities: tuple[str, ...] = ("*",)
    verification: dict[str, Any] = field(default_factory=dict)
    timestamp: Signer | None = None
    """The authority that timestamps the signature."""
    stamped: bytes | None = None
    """The content of the timestamp; None: the signature."""
    wait: float = 0
    """The time in seconds before the verification."""


def list_cases() -> Iterator[Case]:
    for algorithm in fake.ALGORITHMS:
        signer = fake.create_signer(root=ROOT, key=fake.get_key(algorithm))
        yield Case(f"valid, {algorithm}", sign(signer))
    yield from list_contents()
    yield from list_certificates()
    yield from list_policies()
    yield from list_headers()
    yield from list_timestamps()


def sign(signer: Signer = SIGNER, **more: Any) -> Signature:
    return Signature(signer, IMAGE.root, **{"signing_time": NOW, **more})


def list_contents() -> Iterator[Case]:
    yield Case("not expired", sign(expiry=NOW + DAY))
    yield Case("expired", sign(signing_time=NOW - DAY, expiry=NOW))
    yield Case("expires before it was made", sign(expiry=NOW - DAY))
    yield Case("false signature", sign(false=True))
    for name, value in (
        ("digest", "sha256:" + "0" * 64), ("size", 7), ("mediaType", images.OCI["index"])
    ):  # fmt: skip
        described = IMAGE.root.descriptor() | {name: value}
        yield Case(f"other {name}", sign(payload=fake.encode({"targetArtifact": described})))
    annotated = IMAGE.root.descriptor(annotations={"a": "b"})
    yield Case("annotations", sign(payload=fake.encode({"targetArtifact": annotated})))
    yield Case("no target", sign(payload=b"{}"))
    other_case = {"targetartifact": IMAGE.root.descriptor()}
    yield Case("target in another case", sign(payload=fake.encode(other_case)))


def list_certificates() -> Iterator[Case]:
    yield Case("other authority", sign(), {"ca:corp": [OTHER_ROOT.certificate]})
    yield Case("intermediate in the store", sign(), {"ca:corp": [SIGNER.chain[1]]})
    alone = fake.issue(fake.subject("alone"))
    yield Case("self-signed", sign(alone), {"ca:corp": [alone.certificate]})
    expired = fake.create_signer(root=ROOT, end=NOW - timedelta(hours=1))
    yield Case("certificate expired", sign(expired, signing_time=NOW - DAY))
    yield Case("certificate not yet valid", sign(fake.create_signer(root=ROOT, start=NOW + DAY)))
    chain = SIGNER.chain
    for name, items in {
        "without root": chain[:2], "only the signer": chain[:1], "reversed": chain[::-1],
        "root twice": [*chain, chain[-1]], "no certificates": [],
        "another chain too": [*chain, *fake.create_signer().chain],
    }.items():  # fmt: skip
        yield Case(name, sign(chain=items))
    stranger = fake.create_signer(root=fake.create_root())
    yield Case("root of the same name", sign(stranger, chain=[*stranger.chain[:2], chain[-1]]))
    for name, options in {
        "for signing code": {"purposes": (ExtendedKeyUsageOID.CODE_SIGNING,)},
        "for any purpose": {"purposes": (ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,)},
        "for servers": {"purposes": (ExtendedKeyUsageOID.SERVER_AUTH,)},
        "for timestamps": {"purposes": (ExtendedKeyUsageOID.TIME_STAMPING,)},
        "no key usage": {"usage": ()},
        "key usage not critical": {"critical": False},
        "key may sign certificates": {"usage": ("digital_signature", "key_cert_sign")},
        "key for something else": {"usage": ("content_commitment",)},
        "signer is an authority": {"constraints": True},
        "signer is no authority": {"constraints": False},
        "signed with SHA-224": {"algorithm": hashes.SHA224()},
    }.items():
        yield Case(f"certificate: {name}", sign(fake.create_signer(root=ROOT, **options)))
    for name, options in {
        "no authority": {"usage": ("key_cert_sign",)},
        "not critical": {"authority": True, "critical": False},
        "may not sign certificates": {"authority": True, "usage": ("crl_sign",)},
        "path length": {"authority": True, "path_length": 0},
    }.items():
        middle = fake.issue(fake.subject("first"), ROOT, **options)
        if name == "path length":
            middle = fake.issue(fake.subject("second"), middle, authority=True)
        yield Case(f"issuer: {name}", sign(fake.issue(fake.subject("builder"), middle)))


def list_policies() -> Iterator[Case]:
    for number, identity in enumerate(
        (
            MINE, MINE.replace("builder", "other"), MINE + ", OU=more",
            "x509.subject: C=US, ST=WA, O=Example", "x509.subject:O=Example,S=WA,C=US",
            "x509.subject: C=US, ST=WA, O=example", "x509.subject: C=US, ST=WA",
            r"x509.subject: C=US, ST=WA, O=Exa\6dple", "x509.subject: C=US, ST=WA, O=Other",
        )
    ):  # fmt: skip
        yield Case(f"identity {number}: {identity}", sign(), identities=(identity,))
    comma = fake.create_signer(root=ROOT)
    comma = fake.issue(fake.subject("builder", O="Example, Inc."), comma.issuer)
    yield Case("escaped identity", sign(comma), identities=(
        r"x509.subject: C=US, ST=WA, O=Example\, Inc.",))  # fmt: skip
    attributes = [*fake.subject("builder"), x509.NameAttribute(NameOID.EMAIL_ADDRESS, "a@b.org")]
    named = fake.issue(x509.Name(attributes), comma.issuer)
    yield Case("subject with an email address", sign(named), identities=(MINE,))
    twice = fake.subject("builder", OU="a")
    twice = x509.Name([*twice, x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "b")])
    yield Case("subject with a part twice", sign(fake.issue(twice, comma.issuer)),
               identities=(MINE,))  # fmt: skip
    expired = sign(signing_time=NOW - DAY, expiry=NOW)
    for level in ("permissive", "audit"):
        yield Case(f"expired, level {level}", expired, verification={"level": level})
        yield Case(f"valid, level {level}", sign(), verification={"level": level})
    yield Case("expired, only logged", expired, verification={"override": {"expiry": "log"}})


def list_headers() -> Iterator[Case]:
    scheme = f"{PREFIX}signingScheme"
    authority = {"signingAuthority:corp": [ROOT.certificate]}
    by_authority = sign(scheme=fake.AUTHORITY_SCHEME)
    yield Case("signing authority", by_authority, authority)
    yield Case("signing authority in the store of users", by_authority)
    yield Case("user in the store of signing authorities", sign(), authority)
    early = sign(scheme=fake.AUTHORITY_SCHEME, signing_time=NOW - 3000 * DAY)
    yield Case("signing authority before the certificate", early, authority)
    yield Case("unknown scheme", sign(scheme="notary.x509.other"))
    yield Case("no time", sign(headers={f"{PREFIX}signingTime": None}))
    yield Case("unknown header", sign(headers={"com.example.build": "7"}))
    yield Case("unknown critical header", sign(
        headers={"com.example.rule": "x"}, critical=[scheme, "com.example.rule"]))  # fmt: skip
    yield Case("missing critical header", sign(critical=[scheme, "com.example.rule"]))
    plugin = {f"{PREFIX}verificationPlugin": "com.example.plugin"}
    yield Case("plugin", sign(headers=plugin, critical=[scheme, *plugin]))
    yield Case("plugin, not critical", sign(headers=plugin))
    yield Case("nothing is critical", sign(critical=[]))
    yield Case("expiry is not critical", sign(expiry=NOW + DAY, critical=[scheme]))
    yield Case("other algorithm", sign(algorithm="ES384"))


def list_timestamps() -> Iterator[Case]:
    stamped = {"timestamp": AUTHORITY}
    after = {"verifyTimestamp": "afterCertExpiry"}
    yield Case("timestamp", sign(), TSA, **stamped)
    yield Case("timestamp without a store for it", sign(), **stamped)
    yield Case("no timestamp", sign(), TSA)
    yield Case("no timestamp, not needed", sign(), TSA, verification=after)
    yield Case("timestamp of another signature", sign(), TSA, stamped=b"x", **stamped)
    stranger = fake.create_timestamp_authority()
    yield Case("timestamp of another authority", sign(), TSA, timestamp=stranger)
    late = sign(fake.create_signer(root=ROOT, end=NOW - timedelta(hours=1)))
    yield Case("timestamp after the certificate", late, TSA, **stamped)
    end = datetime.now(UTC) + timedelta(seconds=20)
    soon = sign(fake.create_signer(root=ROOT, end=end))
    yield Case("certificate expired after the timestamp", soon, TSA, wait=21, **stamped)
    yield Case("the same, required then", soon, TSA, verification=after, **stamped)
    yield Case("the same without a timestamp", soon, TSA, verification=after)
