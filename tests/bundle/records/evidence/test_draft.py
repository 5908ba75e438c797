"""Evidence is durable before the log names it, whenever a run ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from bundler.bundle.format.authenticate import AuthenticatedBundle
from bundler.bundle.records import site
from bundler.bundle.records.evidence import document, objects
from bundler.bundle.records.evidence.check import check_evidence
from bundler.bundle.records.evidence.draft import EvidenceDraft
from bundler.errors import DamagedEvidenceError
from tests.bundle.records.test_site import START, interrupt

if TYPE_CHECKING:
    from pathlib import Path

BUNDLE = AuthenticatedBundle(
    raw=b'{"an": "inventory"}',
    inventory=cast("Any", None),
    signers=(),
    signatures={"/media/other/stick.sig": b"signature"},
)


def record(path: Path) -> None:
    site.prepare(path)
    draft = EvidenceDraft(path)
    draft.add_bundle(BUNDLE)
    site.append(path, "audit", START, {"evidence": draft.finish().text})


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_killed_run_leaves_no_entry_without_its_evidence(tmp_path: Path):
    call = 0
    while True:
        call += 1
        path = tmp_path / f"{call}"
        site.prepare(path)
        ended = interrupt(call, lambda path=path: record(path))
        found = check_evidence(site.read(path))
        assert found.problems == ()
        record(path)
        assert check_evidence(site.read(path)).problems == ()
        if not ended:
            break
    assert call > 20


def test_signature_is_named_by_its_file_and_not_by_the_path_on_this_host(tmp_path: Path):
    record(tmp_path)
    (entry,) = site.read(tmp_path).log.entries
    with objects.open_store(tmp_path) as store:
        raw = store.read(entry.table.digest("evidence"))
    assert b'"name":"stick.sig"' in raw
    assert b"/media" not in raw


@pytest.mark.parametrize(
    "raw",
    [
        b"[]",
        b"{}",
        b"[" * 100_000,
        b"\xff",
        b'{"_type":"airbundle/evidence/v2","images":[]}',
        b'{"_type":"airbundle/evidence/v1"}',
        b'{"_type":"airbundle/evidence/v1","images":[7]}',
        b'{"_type":"airbundle/evidence/v1","images":[{"reference":7}]}',
        b'{"_type":"airbundle/evidence/v1","images":[{"platforms":{"a":1}}]}',
        b'{"_type":"airbundle/evidence/v1","images":[{"platforms":[{"unreadable":"x"}]}]}',
        b'{"_type":"airbundle/evidence/v1","images":[],"signatures":[{"digest":7}]}',
    ],
)
def test_object_that_is_no_document_is_damaged(tmp_path: Path, raw: bytes):
    site.prepare(tmp_path)
    with objects.open_store(tmp_path, create=True) as store:
        digest = store.add(raw)
        with pytest.raises(DamagedEvidenceError):
            document.read(store, digest)
    site.append(tmp_path, "audit", START, {"evidence": digest.text})
    (problem,) = check_evidence(site.read(tmp_path)).problems
    assert (problem.code, problem.digest) == ("evidence-damaged", digest)


def test_document_that_names_no_digest_is_damaged(tmp_path: Path):
    site.prepare(tmp_path)
    with objects.open_store(tmp_path, create=True) as store:
        digest = store.add(b'{"_type":"airbundle/evidence/v1","images":[],"inventory":"../x"}')
    site.append(tmp_path, "audit", START, {"evidence": digest.text})
    (problem,) = check_evidence(site.read(tmp_path)).problems
    assert problem.digest == digest
