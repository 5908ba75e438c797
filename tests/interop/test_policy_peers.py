"""Recorded verdicts of Skopeo 1.22 on generated policies, which ``scripts/torture`` compares.

Its rows ``scopes`` and ``certificates`` with ``--record`` wrote the files; Skopeo is not needed.
"""

from __future__ import annotations

import base64
import json
from datetime import datetime
from pathlib import Path

from tests.interop import compare_sigstore_verdicts, scope_cases

HERE = Path(__file__).parent
SCOPES = json.loads((HERE / "scope_peers.json").read_bytes())
SIGNATURES = json.loads((HERE / "certificate_peers.json").read_bytes())


def test_scopes_of_all_transports_have_the_recorded_verdicts(tmp_path, monkeypatch):
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "link").symlink_to("a")
    monkeypatch.chdir(tmp_path)
    host = "127.0.0.1:5000"
    verdicts = [case["verdict"] for case in SCOPES["cases"]]
    assert set(verdicts) == set(scope_cases.VERDICTS)
    assert [
        scope_cases.judge(
            scope_cases.fill(case["reference"], tmp_path, host),
            scope_cases.fill(json.dumps(case["policy"]), tmp_path, host),
        )
        for case in SCOPES["cases"]
    ] == verdicts


def test_signatures_by_keys_and_certificates_have_the_recorded_verdicts():
    manifest = base64.b64decode(SIGNATURES["manifest"])
    now = datetime.fromisoformat(SIGNATURES["now"])
    verdicts = [case["accepted"] for case in SIGNATURES["cases"]]
    assert set(verdicts) == {True, False}
    requirements = json.dumps([case["requirement"] for case in SIGNATURES["cases"]])
    assert all(f'"{name}"' in requirements for name in ("fulcio", "pki", "rekorPublicKeyData"))
    assert [
        compare_sigstore_verdicts.accept(
            case["requirement"], base64.b64decode(case["signature"]), manifest, now
        )[0]
        for case in SIGNATURES["cases"]
    ] == verdicts
