"""Invalid input is reported in one line with the next step and the right exit status.

No incomplete output is left behind, and existing files are kept.
"""

from __future__ import annotations

import time

import pytest

from tests.interop.refusals import assert_refused, copy_from, export, import_


class TestReferences:
    """Malformed references, and images that do not exist."""

    @pytest.mark.parametrize(
        ("source", "word"),
        [
            ("floppy:disk", "floppy"),
            ("no-transport", "no-transport"),
            ("docker://example.com/UPPER", "UPPER"),
            ("docker://example.com/app:-tag", "-tag"),
            ("docker://example.com/app@sha256:12", "sha256:12"),
            ("oci:", "oci:"),
        ],
    )
    def test_malformed_reference_is_refused(
        self, airbundle, tmp_path, source: str, word: str
    ) -> None:
        result = airbundle("copy", source, f"oci:{tmp_path}/out:1")

        assert_refused(result, 2, word, hint=False)
        assert not (tmp_path / "out").exists()

    @pytest.mark.parametrize("missing", ["library/app:2", "library/none:1"])
    def test_missing_tag_or_repository_has_status_9(
        self, airbundle, registry, tmp_path, missing: str
    ) -> None:
        name = f"{registry.host}/{missing}"

        result = airbundle(
            "copy", "--src-tls-verify=false", f"docker://{name}", f"dir:{tmp_path}/out"
        )

        assert_refused(result, 9, missing)
        assert not (tmp_path / "out").exists()

    def test_missing_digest_has_status_9(self, airbundle, fake, tmp_path) -> None:
        digest = "sha256:" + "0" * 64

        result = copy_from(airbundle, fake, tmp_path, name=f"library/app@{digest}")

        assert_refused(result, 9, digest)

    def test_missing_platform_lists_platforms(self, airbundle, layout, tmp_path) -> None:
        selection = ("--platform", "linux/s390x")

        result = airbundle("copy", *selection, f"oci:{layout}:tool:1", f"dir:{tmp_path}/out")

        assert_refused(result, 9, "linux/s390x", "linux/amd64")
        assert not (tmp_path / "out").exists()

    def test_missing_layout_has_status_9(self, airbundle, tmp_path) -> None:
        result = airbundle("copy", f"oci:{tmp_path}/none:1", f"dir:{tmp_path}/out")

        assert_refused(result, 9, f"{tmp_path}/none", hint=False)


class TestManifests:
    """Every mistake in a bundle manifest is reported with its line and column."""

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("images: [a.example/b:1]\nimagess: []\n", ["m.yaml:2:1", "imagess", "images"]),
            ("images: 7\n", ["m.yaml:1:9", "images"]),
            ("images: []\n", ["m.yaml:1", "images"]),
            ("", ["m.yaml:1"]),
            ("images: [{repo: a.example/b}]\n", ["m.yaml:1:11", "`select`"]),
            ("images: [a.example/b:1, UP:1]\nexpires: soon\n", ["m.yaml:1:25", "m.yaml:2:10"]),
            ("images: [\n", ["m.yaml:2"]),
            ("images: [a.example/b:1]\nimages: [a.example/c:1]\n", ["m.yaml:2:1", "images"]),
        ],
        ids=["unknown", "type", "empty", "nothing", "selects-nothing", "two", "syntax", "twice"],
    )
    def test_mistake_in_manifest_is_reported_with_position(
        self, airbundle, tmp_path, text: str, words: list[str]
    ) -> None:
        result = export(airbundle, tmp_path, text)

        assert_refused(result, 2, *words, hint=False)
        assert not (tmp_path / "out").exists()

    def test_yaml_bomb_is_refused_quickly(self, airbundle, tmp_path) -> None:
        levels = [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 12)]
        text = "\n".join(["l0: &l0 [x, x, x]", *levels, "images: *l11"])
        started = time.monotonic()

        result = export(airbundle, tmp_path, text)

        assert result.returncode in (2, 8)
        assert_refused(result, result.returncode, "m.yaml", hint=False)
        assert time.monotonic() - started < 5

    def test_secret_in_manifest_is_refused_and_not_shown(self, airbundle, tmp_path) -> None:
        text = (
            "images: [a.example/b:1]\n"
            "registries: {a.example: {credentials: {username: u, password: hunter2}}}\n"
        )

        result = export(airbundle, tmp_path, text)

        assert_refused(result, 2, "m.yaml:2", "password", hint=False)
        assert "hunter2" not in result.stderr

    def test_export_requires_key_or_unsigned(self, airbundle, layout, tmp_path) -> None:
        (tmp_path / "m.yaml").write_text(f"images: ['oci:{layout}:app:1']\n")

        result = airbundle("export", tmp_path / "m.yaml", tmp_path / "out")

        assert_refused(result, 2, "--sign-key", "--unsigned")
        assert not (tmp_path / "out").exists()


class TestRegistries:
    """Registries that cannot be reached, deny access, or answer incorrectly."""

    def test_wrong_password_has_status_7(self, airbundle, tls_registry, tmp_path) -> None:
        result = airbundle(
            "copy",
            "--src-creds=alice:wrong-secret",
            f"--src-cert-dir={tls_registry.ca.parent}",
            f"docker://{tls_registry.host}/library/app:1",
            f"dir:{tmp_path}/out",
        )

        assert_refused(result, 7, tls_registry.host)
        assert "wrong-secret" not in result.stderr

    def test_unknown_certificate_authority_has_status_6(
        self, airbundle, tls_registry, tmp_path
    ) -> None:
        name = f"docker://{tls_registry.host}/library/app:1"

        assert_refused(
            airbundle("copy", name, f"dir:{tmp_path}/out"), 6, tls_registry.host, "certificate"
        )

    @pytest.mark.parametrize("host", ["127.0.0.1:1", "no-such-host.invalid"])
    def test_unreachable_registry_has_status_6(self, airbundle, tmp_path, host: str) -> None:
        result = airbundle("copy", f"docker://{host}/app:1", f"dir:{tmp_path}/out")

        assert_refused(result, 6, host)
        assert not (tmp_path / "out").exists()

    @pytest.mark.parametrize(
        ("path", "fault", "statuses"),
        [
            ("/manifests/", {"html": True}, (1,)),
            ("/manifests/", {"wrong_bytes": True}, (3,)),
            ("/manifests/", {"endless": True}, (8, 3, 6)),
            ("/blobs/", {"html": True}, (1,)),
            ("/blobs/", {"wrong_bytes": True}, (3,)),
            ("/blobs/", {"short_body": 1000}, (3, 6)),
            ("/blobs/", {"endless": True}, (3, 6, 8)),
            ("/manifests/", {"status": 429, "headers": {"Retry-After": "9000"}}, (6,)),
            ("/blobs/", {"status": 500}, (6,)),
        ],
        ids=lambda value: "-".join(value) if isinstance(value, dict) else None,
    )
    def test_incorrect_answer_of_registry_is_reported(
        self, airbundle, fake, tmp_path, path, fault, statuses
    ) -> None:
        fake.fail("GET|HEAD", path, times=None, **fault)
        digest = fake.repositories["library/app"].tags["1"]

        result = copy_from(airbundle, fake, tmp_path, name=f"library/app@{digest}")

        assert result.returncode in statuses, result.stderr
        named = any(word in result.stderr for word in ("library/app", fake.host, "sha256:"))
        assert named, result.stderr
        assert_refused(result, result.returncode, hint=False)
        assert not (tmp_path / "out/manifest.json").exists()

    @pytest.mark.parametrize(
        "fault",
        [
            {"status": 429, "headers": {"Retry-After": "1"}},
            {"status": 500},
            {"status": 503},
            {"drop": True},
            {"cut_after": 100_000},
        ],
        ids=["429", "500", "503", "drop", "cut"],
    )
    def test_temporary_failure_is_retried(self, airbundle, fake, tmp_path, fault) -> None:
        fake.fail("GET", "/blobs/", times=1, **fault)

        result = copy_from(airbundle, fake, tmp_path)

        assert result.returncode == 0, result.stderr

    def test_import_to_failing_registry_publishes_no_tag(
        self, airbundle, bundle, keys, fake
    ) -> None:
        fake.fail("PUT", "/manifests/", times=None, status=500)

        result = import_(airbundle, bundle, f"docker://{fake.host}/mirror", keys)

        assert_refused(result, 6, fake.host, hint=False)
        assert not fake.repositories["mirror/app"].tags
