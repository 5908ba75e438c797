"""The answers of a read-only registry, without connections."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings, strategies

from bundler.bundle.serving.answers import answer
from bundler.bundle.serving.content import ServedContent
from bundler.bundle.serving.exchange import BlobPart, Request, ServerResponse
from tests.bundle.serving.conftest import SBOM
from tests.fakes import images

if TYPE_CHECKING:
    from tests.bundle.serving.conftest import Served

ABSENT = "sha256:" + "0" * 64


def get(served: Served, target: str, method: str = "GET", **headers: str) -> ServerResponse:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return answer(Request(method, target, named), served.content)


def read_json(response: ServerResponse) -> Any:
    assert isinstance(response.body, bytes)
    return json.loads(response.body)


def read_code(response: ServerResponse) -> str:
    (error,) = read_json(response)["errors"]
    return error["code"]


@pytest.mark.parametrize("target", ["/v2/", "/v2", "http://registry.example/v2/"])
def test_version_is_answered(served: Served, target: str):
    assert get(served, target).status == 200


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_manifests_are_found_by_tag_and_digest(served: Served, method: str):
    for reference in ("v2.1", served.app.digest, quote(served.app.digest)):
        response = get(served, f"/v2/infra/app/manifests/{reference}", method)
        assert (response.status, response.body) == (200, served.app.root.data)
        assert response.headers["Docker-Content-Digest"] == served.app.digest
        assert response.headers["Content-Type"] == images.OCI["index"]


def test_all_manifests_and_blobs_of_an_image_are_found(served: Served):
    for item in served.app.manifests():
        assert get(served, f"/v2/infra/app/manifests/{item.digest}").body == item.data
    for item in served.app.all_blobs():
        body = get(served, f"/v2/infra/app/blobs/{item.digest}").body
        assert isinstance(body, BlobPart)
        with body.blob.source.open(body.blob.node) as reader:
            assert reader.read() == item.data


def test_old_clients_get_the_image_for_linux_amd64(served: Served):
    by_tag = get(served, "/v2/infra/app/manifests/v2.1", accept=images.OCI["manifest"])
    assert by_tag.headers["Docker-Content-Digest"] == served.app.children[0].digest
    both = f"{images.OCI['manifest']}, {images.OCI['index']};q=0.5"
    for accept in (both, "*/*", "text/plain", ""):
        response = get(served, "/v2/infra/app/manifests/v2.1", accept=accept)
        assert response.headers["Docker-Content-Digest"] == served.app.digest
    target = f"/v2/infra/app/manifests/{served.app.digest}"
    by_digest = get(served, target, accept=images.OCI["manifest"])
    assert by_digest.headers["Docker-Content-Digest"] == served.app.digest


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ("/v2/absent/manifests/1", "NAME_UNKNOWN"),
        ("/v2/library/nginx/manifests/absent", "MANIFEST_UNKNOWN"),
        (f"/v2/library/nginx/manifests/{ABSENT}", "MANIFEST_UNKNOWN"),
        (f"/v2/library/nginx/blobs/{ABSENT}", "BLOB_UNKNOWN"),
        ("/v2/library/nginx/blobs/..%2f..%2fbundle.json", "NAME_UNKNOWN"),
        ("/v2/library/nginx/blobs/..", "BLOB_UNKNOWN"),
        ("/v2/library/nginx/tags/other", "NAME_UNKNOWN"),
        ("/v2/library/nginx/uploads/x", "NAME_UNKNOWN"),
        ("/v2/../bundle.json", "NAME_UNKNOWN"),
        ("/bundle.json", "NAME_UNKNOWN"),
        ("/%00", "NAME_UNKNOWN"),
        ("*", "NAME_UNKNOWN"),
        ("", "NAME_UNKNOWN"),
    ],
)
def test_unknown_content_is_not_found(served: Served, target: str, code: str):
    response = get(served, target)
    assert (response.status, read_code(response)) == (404, code)


def test_blobs_belong_to_one_repository(served: Served):
    blob = served.nginx.blobs[0].digest
    assert get(served, f"/v2/library/nginx/blobs/{blob}").status == 200
    assert get(served, f"/v2/infra/app/blobs/{blob}").status == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "X"])
def test_registry_is_read_only(served: Served, method: str):
    for target in ("/v2/library/nginx/blobs/uploads/", "/v2/new/manifests/1", "/"):
        response = get(served, target, method)
        assert (response.status, read_code(response)) == (405, "UNSUPPORTED")
        assert response.headers["Allow"] == "GET, HEAD"


@pytest.mark.parametrize(
    ("value", "start", "length"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=2-5", 2, 4),
        ("bytes=5-", 5, -5),
        ("bytes=0-99999999", 0, 0),
        ("bytes=-3", -3, 3),
        ("bytes=-99999999", 0, 0),
    ],
)
def test_ranges_are_returned(served: Served, value: str, start: int, length: int):
    """Negative numbers, and a length of 0, are relative to the size of the blob."""
    blob = served.nginx.blobs[1]
    size = len(blob.data)
    start, length = start if start >= 0 else size + start, length if length > 0 else size + length
    response = get(served, f"/v2/library/nginx/blobs/{blob.digest}", range=value)
    assert response.status == 206
    assert response.headers["Content-Range"] == f"bytes {start}-{start + length - 1}/{size}"
    assert isinstance(response.body, BlobPart)
    assert (response.body.start, response.body.length) == (start, length)


def test_unsatisfiable_ranges_are_refused(served: Served):
    blob = served.nginx.blobs[1]
    for value in (f"bytes={len(blob.data)}-", f"bytes={len(blob.data) + 5}-900000", "bytes=-0"):
        response = get(served, f"/v2/library/nginx/blobs/{blob.digest}", range=value)
        assert response.status == 416
        assert response.headers["Content-Range"] == f"bytes */{len(blob.data)}"


@pytest.mark.parametrize(
    "value", ["bytes=0-1,3-4", "bytes=-", "bytes=5-2", "lines=1-2", "x", "bytes=" + "9" * 40 + "-"]
)
def test_other_ranges_are_ignored(served: Served, value: str):
    target = f"/v2/library/nginx/blobs/{served.nginx.blobs[1].digest}"
    assert get(served, target, range=value).status == 200


def test_range_of_other_content_is_ignored(served: Served):
    digest = served.nginx.blobs[1].digest
    target = f"/v2/library/nginx/blobs/{digest}"
    assert get(served, target, range="bytes=0-0", if_range='"other"').status == 200
    assert get(served, target, range="bytes=0-0", if_range=f'"{digest}"').status == 206
    assert get(served, target, "HEAD", range="bytes=0-0").status == 200


@pytest.mark.parametrize("form", ['"{}"', 'W/"{}"', '"other", "{}"', "*"])
def test_known_content_is_not_sent_again(served: Served, form: str):
    for digest, kind in (
        (served.nginx.digest, "manifests"),
        (served.nginx.blobs[0].digest, "blobs"),
    ):
        response = get(
            served, f"/v2/library/nginx/{kind}/{digest}", if_none_match=form.format(digest)
        )
        assert (response.status, response.body) == (304, b"")
        assert response.headers["ETag"] == f'"{digest}"'


def test_tags_are_listed_in_pages(served: Served):
    target = "/v2/library/nginx/tags/list"
    everything = read_json(get(served, target))
    assert everything == {"name": "library/nginx", "tags": ["1.27", served.signature_tag]}
    page = get(served, f"{target}?n=1")
    assert read_json(page)["tags"] == ["1.27"]
    following = page.headers["Link"].partition(">")[0].removeprefix("<")
    last = get(served, following)
    assert read_json(last)["tags"] == [served.signature_tag]
    assert "Link" not in last.headers
    assert read_json(get(served, f"{target}?n=0"))["tags"] == []
    assert read_json(get(served, f"{target}?last=2"))["tags"] == [served.signature_tag]
    for wrong in ("x", "-1", "1.5", "²", "9" * 30):
        response = get(served, f"{target}?n={quote(wrong)}")
        assert (response.status, read_code(response)) == (400, "PAGINATION_NUMBER_INVALID")


def test_repositories_are_listed_in_pages(served: Served):
    assert read_json(get(served, "/v2/_catalog"))["repositories"] == ["infra/app", "library/nginx"]
    page = get(served, "/v2/_catalog?n=1")
    assert read_json(page)["repositories"] == ["infra/app"]
    assert page.headers["Link"] == '</v2/_catalog?n=1&last=infra%2Fapp>; rel="next"'


def test_referrers_are_listed_and_filtered(served: Served):
    target = f"/v2/library/nginx/referrers/{served.nginx.digest}"
    response = get(served, target)
    assert response.headers["Content-Type"] == images.OCI["index"]
    assert "OCI-Filters-Applied" not in response.headers
    (found,) = read_json(response)["manifests"]
    expected = served.sbom.root.descriptor(artifactType=SBOM, annotations={"by": "us"})
    assert found == expected
    same = get(served, f"{target}?artifactType={quote(SBOM)}")
    assert read_json(same)["manifests"] == [expected]
    other = get(served, f"{target}?artifactType=other")
    assert read_json(other)["manifests"] == []
    assert other.headers["OCI-Filters-Applied"] == "artifactType"


def test_subject_without_referrers_has_an_empty_list(served: Served):
    for target in (f"/v2/library/nginx/referrers/{ABSENT}", f"/v2/absent/referrers/{ABSENT}"):
        response = get(served, target)
        assert (response.status, read_json(response)["manifests"]) == (200, [])
    wrong = get(served, "/v2/library/nginx/referrers/sha256:1")
    assert (wrong.status, read_code(wrong)) == (400, "DIGEST_INVALID")


def test_signatures_are_found_by_their_tag(served: Served):
    response = get(served, f"/v2/library/nginx/manifests/{served.signature_tag}")
    assert response.body == served.signature.root.data


def test_page_lists_images_and_commands(served: Served):
    response = get(served, "/", host="registry.example:5000")
    assert isinstance(response.body, bytes)
    text = response.body.decode()
    assert "podman pull --tls-verify=false registry.example:5000/infra/app:v2.1" in text
    assert served.nginx.digest in text
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]


def test_page_verifies_certificates_over_tls(served: Served):
    response = answer(Request("GET", "/", {"host": "r:1"}), served.content, is_encrypted=True)
    assert isinstance(response.body, bytes)
    assert b"podman pull r:1/infra/app:v2.1" in response.body


def test_page_contains_no_text_of_the_client(served: Served):
    response = get(served, "/", host="<script>alert(1)</script>")
    assert isinstance(response.body, bytes)
    assert b"<script" not in response.body


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    strategies.text(),
    strategies.dictionaries(
        strategies.sampled_from(["range", "if-none-match", "if-range", "accept", "host"]),
        strategies.text(),
    ),
)
def test_hostile_requests_are_answered(target: str, headers: dict[str, str]):
    for path in (target, f"/v2/{target}", f"/v2/_catalog?{target}"):
        response = answer(Request("GET", path, headers), ServedContent())
        assert response.status in (200, 304, 400, 404)
