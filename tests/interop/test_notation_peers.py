"""The recorded verdicts of notation on our signatures and on its own, compared with ours.

``record_notation_peers`` wrote them; the program itself is not needed.
"""

from __future__ import annotations

import base64
import json
from datetime import datetime
from pathlib import Path

import pytest

from bundler.errors import ConfigError, InvalidSignatureError
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.trust.notation.trust_policy import read_trust_policy
from bundler.trust.notation.trust_store import read_stores
from bundler.trust.notation.verify import JWS_MEDIA_TYPE as JWS, verify_signature

RECORD = json.loads(Path(__file__).with_name("notation_peers.json").read_bytes())
STRICTER = {
    "certificate: for any purpose",
    "expired, level audit",
    "expired, level permissive",
    "expired, only logged",
    "target in another case",
    "unknown critical header",
}
"""Accepted by notation only; the specification or decision 32 gives the reason."""
MORE = {"subject with an email address"}
"""Accepted here only: notation cannot compare such a subject with any identity."""


def verify(case, directory):
    (directory / "trustpolicy.json").write_text(json.dumps(case["policy"]))
    for name, numbers in case["stores"].items():
        folder = directory / "x509" / name.replace(":", "/")
        folder.mkdir(parents=True)
        content = "".join(RECORD["certificates"][number] for number in numbers)
        (folder / "all.crt").write_text(content)
    text = case["envelope"]
    statement = read_trust_policy(directory / "trustpolicy.json").find_statement("corp.org/app")
    target = RECORD["target"]
    verify_signature(
        case["form"],
        text.encode() if case["form"] == JWS else base64.b64decode(text),
        Descriptor(target["mediaType"], Digest(target["digest"]), target["size"]),
        statement=statement,
        trusted=read_stores(directory, statement.stores),
        moment=datetime.fromisoformat(case["moment"]),
    )


@pytest.mark.parametrize(
    "case", RECORD["cases"], ids=lambda case: f"{case['case']}-{case['form'].partition('/')[2]}"
)
def test_verdict_equals_that_of_notation(case, tmp_path):
    try:
        verify(case, tmp_path)
    except (ConfigError, InvalidSignatureError):
        accepted = False
    else:
        accepted = True
    if case["case"] in STRICTER | MORE:
        assert accepted != case["accepted"]
        assert accepted == (case["case"] in MORE)
    else:
        assert accepted == case["accepted"], case["message"]


def test_signatures_of_notation_were_recorded():
    names = {case["case"] for case in RECORD["cases"] if case["accepted"]}
    assert "made by notation, carried in a bundle" in names
    assert len({name for name in names if name.startswith("made by notation, ")}) == 7
