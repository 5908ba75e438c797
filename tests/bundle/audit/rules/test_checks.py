"""The rules about names, the inventory, manifests and configs, applied to bundles."""

from __future__ import annotations

import pytest

from tests.fakes import images

DIGEST = images.image().digest
KEY = "0123456789abcdef" * 4
BASED = images.image(annotations={"org.opencontainers.image.base.name": "docker.io/library/a"})
CHART = "application/vnd.cncf.helm.config.v1+json"


def list_codes(verdict):
    return [finding.code for finding in verdict.findings]


def with_config(**config):
    return images.image(config={"config": config})


@pytest.mark.parametrize(
    ("allowed", "name", "passes"),
    [
        ("docker.io", "docker.io/library/app:1", True),
        ("docker.io/library", "docker.io/library/app:1", True),
        ("docker.io/library/app", "docker.io/library/app:1", True),
        ("docker.io/library/app:1", "docker.io/library/app:1", True),
        ("docker.io/library/app:1", f"docker.io/library/app:1@{DIGEST}", True),
        ("docker.io/lib", "docker.io/library/app:1", False),
        ("docker.io/library/app:1", "docker.io/library/app:10", False),
        ("docker.io", "docker.io.evil.example/library/app:1", False),
        ("quay.io", "docker.io/library/app:1", False),
    ],
)
def test_source_is_compared_by_components(audit, allowed, name, passes):
    verdict = audit(f"allowed-sources: {{allow: ['{allowed}']}}", {name: images.image()})
    assert list_codes(verdict) == ([] if passes else ["allowed-sources"])


@pytest.mark.parametrize(
    ("name", "codes"),
    [
        ("docker.io/library/app:latest", ["no-latest"]),
        (f"docker.io/library/app:latest@{DIGEST}", ["no-latest"]),
        (f"docker.io/library/app@{DIGEST}", []),
        ("docker.io/library/app:1", []),
    ],
)
def test_latest_is_found(audit, name, codes):
    assert list_codes(audit("no-latest: error", {name: images.image()})) == codes


def test_tag_without_digest_is_found(audit):
    pinned = {f"docker.io/library/app:1@{DIGEST}": images.image(), "quay.io/app:1": images.image()}
    (finding,) = audit("digest-pinned: note", pinned).findings
    assert (finding.place.image, finding.severity) == ("quay.io/app:1", "note")


def test_bundle_is_not_authenticated_without_keys(audit):
    codes = list_codes(audit("bundle-authenticated: error"))
    assert codes == ["bundle-authenticated-unchecked"]


def test_incomplete_bundle_is_found(audit):
    assert list_codes(audit("bundle-complete: error", complete=False)) == ["bundle-complete"]


def test_platforms_are_compared(audit):
    rule = "platforms: {require: [linux/amd64, linux/s390x], allow: [linux/amd64, linux/s390x]}"
    verdict = audit(rule, images.multi_platform("a", "linux/amd64", "linux/arm64"))
    assert [finding.text.split()[0] for finding in verdict.findings] == ["lacks", "has"]


def test_image_of_a_platform_is_not_hidden_as_an_attestation(audit):
    """An entry for unknown/unknown that is not an attestation is audited like any other."""
    hidden = images.image(platform="unknown/unknown")
    verdict = audit("not-root: error", images.index(with_config(User="1"), hidden))
    assert [finding.place.platform for finding in verdict.findings] == ["unknown/unknown"]


@pytest.mark.parametrize(("limit", "codes"), [("1B", ["image-size"]), ("1MiB", [])])
def test_size_of_an_image_is_limited(audit, limit, codes):
    assert list_codes(audit(f"image-size: {{max: {limit}}}")) == codes


@pytest.mark.parametrize(("limit", "codes"), [("1B", ["total-size"]), ("1MiB", [])])
def test_total_size_is_limited(audit, limit, codes):
    assert list_codes(audit(f"total-size: {{max: {limit}}}")) == codes


@pytest.mark.parametrize("user", [None, "", "0", "root", "0:0", "root:app", "00", "+0", ":1"])
def test_root_is_found(audit, user):
    assert list_codes(audit("not-root: error", with_config(User=user))) == ["not-root"]


def test_other_user_passes(audit):
    assert not audit("not-root: error", with_config(User="101:101")).findings


@pytest.mark.parametrize(
    ("created", "codes"),
    [
        ("2026-11-30T12:00:00.123456789Z", []),
        ("2026-11-01T00:00:00+02:00", []),
        ("2025-01-01T00:00:00Z", ["max-age"]),
        ("1970-01-01T00:00:00Z", ["max-age-unchecked"]),
        ("2030-01-01T00:00:00Z", ["max-age-unchecked"]),
        ("yesterday", ["max-age-unchecked"]),
        (None, ["max-age-unchecked"]),
    ],
)
def test_age_is_limited(audit, created, codes):
    image = images.image(config={"created": created})
    verdict = audit("max-age: {days: 100}", image)
    assert list_codes(verdict) == codes
    advises_newer_image = ["newer image" in item.advice for item in verdict.findings]
    assert advises_newer_image == [code == "max-age" for code in codes]


def test_secret_variable_is_found_without_its_value(audit):
    (finding,) = audit(
        "no-secret-variables: error", with_config(Env=["A=b", "PASSWORD=x1y2"])
    ).findings
    assert "PASSWORD" in finding.text
    assert "x1y2" not in str(finding.to_json())


def test_secret_label_is_found_without_its_value(audit):
    labels = {"vcs": "https://me:hunter2@example.com/a.git", "vendor": "Example"}
    image = images.image(config={"config": {"Labels": labels}}, annotations={"api_token": "x1y2"})
    found = audit("no-secret-labels: error", image).findings
    assert [item.text for item in found] == [
        "the label vcs looks like a secret",
        "the annotation api_token looks like a secret",
    ]


def test_secret_in_a_command_is_found_without_its_value(audit):
    history = [{"created_by": "COPY . ."}, {"created_by": "RUN |1 TOKEN=x1y2 /bin/sh -c make"}]
    config = {"Cmd": ["app", "--password", "x1y2"], "Entrypoint": ["/entry"]}
    image = images.image(config={"config": config, "history": history})
    found = audit("no-secret-commands: error", image).findings
    assert [item.text.partition(" contains")[0] for item in found] == [
        "the default command",
        "step 2 of the history",
    ]
    assert "x1y2" not in str([item.to_json() for item in found])


def test_text_that_is_too_long_to_search_never_passes(audit):
    config = {"Env": ["A=" + "x" * 70_000], "Labels": {"a": "x" * 70_000}, "Cmd": ["x" * 70_000]}
    for rule in ("no-secret-variables", "no-secret-labels", "no-secret-commands"):
        assert list_codes(audit(f"{rule}: error", with_config(**config))) == [f"{rule}-unchecked"]


def test_missing_label_is_found(audit):
    verdict = audit("required-labels: {labels: [a, b, c]}", with_config(Labels={"a": "x", "b": ""}))
    assert [finding.text.split()[-1] for finding in verdict.findings] == ["b", "c"]


@pytest.mark.parametrize(
    ("base", "codes"),
    [
        ("docker.io/library/debian:12", []),
        ("debian:12", []),
        ("quay.io/debian:12", ["allowed-bases"]),
        ("://", ["allowed-bases-unchecked"]),
        (None, ["allowed-bases-unchecked"]),
    ],
)
def test_base_is_compared(audit, base, codes):
    annotations = {"org.opencontainers.image.base.name": base} if base else {}
    image = images.image(annotations=annotations)
    assert list_codes(audit("allowed-bases: {allow: [docker.io/library]}", image)) == codes


def test_artifact_needs_permission_if_rules_read_configs(audit):
    chart = images.artifact(CHART, b"chart")
    assert list_codes(audit("not-root: error", chart)) == ["artifact-types"]
    assert not audit(f"artifact-types: {{allow: ['{CHART}']}}", chart).findings
    assert not audit("no-latest: error", chart).findings


def test_artifact_in_an_index_is_found(audit):
    index = images.index(with_config(User="1"), images.artifact(CHART, b"chart"))
    assert list_codes(audit("not-root: error", index)) == ["artifact-types"]


def test_image_with_malformed_config_does_not_end_the_audit(audit):
    named = {
        "quay.io/a:1": images.image(config={"history": "text"}),
        "quay.io/b:1": with_config(User="0"),
    }
    found = audit("not-root: error", named).findings
    assert [(item.place.image, item.code) for item in found] == [
        ("quay.io/a:1", "artifact-types-unchecked"),
        ("quay.io/a:1", "not-root-unchecked"),
        ("quay.io/b:1", "not-root"),
    ]


def test_advice_for_an_unchecked_rule_is_not_that_for_a_broken_one(audit):
    (broken,) = audit("allowed-bases: {allow: [quay.io]}", BASED).findings
    (unchecked,) = audit("allowed-bases: {allow: [quay.io]}", images.image()).findings
    assert unchecked.is_unchecked
    assert unchecked.advice != broken.advice


def test_rules_about_names_cannot_be_evaluated_for_a_layout(audit, tmp_path):
    images.write_layout(tmp_path / "layout", {"app:1": images.image()})
    for rule in ("no-latest", "digest-pinned", "signed", "nothing-left-out", "bundle-complete"):
        verdict = audit(f"{rule}: error", location=f"oci:{tmp_path}/layout")
        assert list_codes(verdict) == [f"{rule}-unchecked"]


OLD, NEW = images.image(), images.image(config={"author": "new"})
FORMER = {"quay.io/a:1": OLD, "quay.io/b:1": OLD, "quay.io/c:1": OLD}
LATER = {"quay.io/a:1": OLD, "quay.io/b:1": NEW, "quay.io/d:1": NEW}


def test_changes_since_a_former_bundle_are_found(audit):
    found = audit("unchanged: error", LATER, since=FORMER).findings
    assert [finding.place.image for finding in found] == ["quay.io/b:1", "quay.io/d:1"]
    (finding,) = audit("unchanged: {except: [quay.io/b]}", LATER, since=FORMER).findings
    assert (finding.place.image, finding.text) == ("quay.io/d:1", "is new")


def test_removal_since_a_former_bundle_is_found(audit):
    (finding,) = audit("nothing-removed: error", LATER, since=FORMER).findings
    assert (finding.code, finding.place.image) == ("nothing-removed", "quay.io/c:1")


def test_changes_are_unchecked_without_a_former_bundle(audit):
    assert list_codes(audit("unchanged: error")) == ["unchanged-unchecked"]
    assert list_codes(audit("nothing-removed: error")) == ["nothing-removed-unchecked"]


def sign(**facts):
    """Members of ``bundle.json`` with an image whose signature was verified."""
    image = images.image()
    verified = [{"manifest": image.digest} | facts] if facts else []
    entry = {
        "reference": "docker.io/library/app:1",
        "digest": image.digest,
        "mediaType": image.root.media_type,
        "size": len(image.root.data),
        "platforms": ["linux/amd64"],
    }
    return [entry | ({"verified": verified} if verified else {})]


@pytest.mark.parametrize(
    ("rule", "facts", "passes"),
    [
        ("signed: error", {}, False),
        ("signed: error", {"key": KEY}, True),
        (f"signed: {{by: ['{KEY[:16]}']}}", {"key": KEY}, True),
        (f"signed: {{by: ['{KEY[:8]}']}}", {"key": KEY}, False),
        ("signed: {by: [me@corp]}", {"identity": "me@corp", "issuer": "https://id.corp"}, True),
        ("signed: {by: [me]}", {"identity": "me@corp", "issuer": "https://id.corp"}, False),
    ],
)
def test_signers_are_compared(audit, rule, facts, passes):
    assert list_codes(audit(rule, images=sign(**facts))) == ([] if passes else ["signed"])
