"""Verification with a trust policy and trust stores in files."""

from __future__ import annotations

import pytest

from bundler.errors import InvalidSignatureError
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.trust.notation.trust_policy import read_trust_policy
from bundler.trust.notation.trust_store import read_stores
from bundler.trust.notation.verify import verify_signature
from tests.fakes import notation as fake
from tests.fakes.notation import JWS, NOW, ROOT, TARGET, Signature


@pytest.fixture
def verify(tmp_path):
    def run(
        signature,
        form=JWS,
        *,
        stores=None,
        identities=("*",),
        moment=NOW,
        target=TARGET,
        media_type=None,
        **verification,
    ):
        stores = {"ca:corp": [ROOT.certificate]} if stores is None else stores
        fake.write_trust(tmp_path, stores, identities, **verification)
        statement = read_trust_policy(tmp_path / "trustpolicy.json").find_statement("corp.org/app")
        raw = signature.to_envelope(form) if isinstance(signature, Signature) else signature
        return verify_signature(
            media_type or form,
            raw,
            Descriptor(target.media_type, Digest(target.digest), len(target.data)),
            statement=statement,
            trusted=read_stores(tmp_path / "truststore", statement.stores),
            moment=moment,
        )

    return run


@pytest.fixture
def refuse(verify):
    def run(signature, form=JWS, **options):
        with pytest.raises(InvalidSignatureError) as raised:
            verify(signature, form, **options)
        assert raised.value.exit_status == 4
        return raised.value.problem

    return run
