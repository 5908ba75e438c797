"""Bad input gives one clear line, the next step, and the right exit status.

Nothing half done stands where a good thing could, and what was there before still does.
"""

from __future__ import annotations

import time

import pytest

from tests.interop.refusals import copy_from, export, import_, refused


class TestReferences:
    """What names an image, and images that are not there."""

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
    def test_bad_reference(self, airbundle, tmp_path, source: str, word: str) -> None:
        ran = airbundle("copy", source, f"oci:{tmp_path}/out:1")

        refused(ran, 2, word, hint=False)
        assert not (tmp_path / "out").exists()

    @pytest.mark.parametrize("missing", ["library/app:2", "library/none:1"])
    def test_missing_tag_or_repository(self, airbundle, registry, tmp_path, missing: str) -> None:
        name = f"{registry.host}/{missing}"

        ran = airbundle("copy", "--src-tls-verify=false", f"docker://{name}", f"dir:{tmp_path}/out")

        refused(ran, 9, missing)
        assert not (tmp_path / "out").exists()

    def test_missing_digest(self, airbundle, fake, tmp_path) -> None:
        digest = "sha256:" + "0" * 64

        ran = copy_from(airbundle, fake, tmp_path, name=f"library/app@{digest}")

        refused(ran, 9, digest)

    def test_missing_platform(self, airbundle, layout, tmp_path) -> None:
        wanted = ("--platform", "linux/s390x")

        ran = airbundle("copy", *wanted, f"oci:{layout}:tool:1", f"dir:{tmp_path}/out")

        refused(ran, 9, "linux/s390x", "linux/amd64")
        assert not (tmp_path / "out").exists()

    def test_missing_layout(self, airbundle, tmp_path) -> None:
        ran = airbundle("copy", f"oci:{tmp_path}/none:1", f"dir:{tmp_path}/out")

        refused(ran, 9, f"{tmp_path}/none", hint=False)


class TestManifests:
    """What the user writes; every mistake is named with its place."""

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
    def test_mistakes(self, airbundle, tmp_path, text: str, words: list[str]) -> None:
        ran = export(airbundle, tmp_path, text)

        refused(ran, 2, *words, hint=False)
        assert not (tmp_path / "out").exists()

    def test_yaml_bomb(self, airbundle, tmp_path) -> None:
        levels = [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 12)]
        text = "\n".join(["l0: &l0 [x, x, x]", *levels, "images: *l11"])
        started = time.monotonic()

        ran = export(airbundle, tmp_path, text)

        assert ran.returncode in (2, 8)
        refused(ran, ran.returncode, "m.yaml", hint=False)
        assert time.monotonic() - started < 5

    def test_secrets_are_refused_and_not_shown(self, airbundle, tmp_path) -> None:
        text = (
            "images: [a.example/b:1]\n"
            "registries: {a.example: {credentials: {username: u, password: hunter2}}}\n"
        )

        ran = export(airbundle, tmp_path, text)

        refused(ran, 2, "m.yaml:2", "password", hint=False)
        assert "hunter2" not in ran.stderr

    def test_neither_key_nor_unsigned(self, airbundle, layout, tmp_path) -> None:
        (tmp_path / "m.yaml").write_text(f"images: ['oci:{layout}:app:1']\n")

        ran = airbundle("export", tmp_path / "m.yaml", tmp_path / "out")

        refused(ran, 2, "--sign-key", "--unsigned")
        assert not (tmp_path / "out").exists()


class TestRegistries:
    """Registries that cannot be reached, do not know us, or do not behave."""

    def test_wrong_password(self, airbundle, tls_registry, tmp_path) -> None:
        ran = airbundle(
            "copy",
            "--src-creds=alice:wrong-secret",
            f"--src-cert-dir={tls_registry.ca.parent}",
            f"docker://{tls_registry.host}/library/app:1",
            f"dir:{tmp_path}/out",
        )

        refused(ran, 7, tls_registry.host)
        assert "wrong-secret" not in ran.stderr

    def test_unknown_authority(self, airbundle, tls_registry, tmp_path) -> None:
        name = f"docker://{tls_registry.host}/library/app:1"

        refused(airbundle("copy", name, f"dir:{tmp_path}/out"), 6, tls_registry.host, "certificate")

    @pytest.mark.parametrize("host", ["127.0.0.1:1", "no-such-host.invalid"])
    def test_no_route(self, airbundle, tmp_path, host: str) -> None:
        ran = airbundle("copy", f"docker://{host}/app:1", f"dir:{tmp_path}/out")

        refused(ran, 6, host)
        assert not (tmp_path / "out").exists()

    @pytest.mark.parametrize(
        ("path", "fault", "statuses"),
        [
            ("/manifests/", {"html": True}, (6, 3)),
            ("/manifests/", {"wrong_bytes": True}, (3,)),
            ("/manifests/", {"endless": True}, (8, 3, 6)),
            ("/blobs/", {"html": True}, (3, 6)),
            ("/blobs/", {"wrong_bytes": True}, (3,)),
            ("/blobs/", {"short_body": 1000}, (3, 6)),
            ("/blobs/", {"endless": True}, (3, 6, 8)),
            ("/manifests/", {"status": 429, "headers": {"Retry-After": "0"}}, (6,)),
            ("/blobs/", {"status": 500}, (6,)),
        ],
        ids=lambda value: "-".join(value) if isinstance(value, dict) else None,
    )
    def test_misbehaves(self, airbundle, fake, tmp_path, path, fault, statuses) -> None:
        fake.fail("GET|HEAD", path, times=None, **fault)
        digest = fake.repositories["library/app"].tags["1"]

        ran = copy_from(airbundle, fake, tmp_path, name=f"library/app@{digest}")

        assert ran.returncode in statuses, ran.stderr
        named = any(word in ran.stderr for word in ("library/app", fake.host, "sha256:"))
        assert named, ran.stderr
        refused(ran, ran.returncode, hint=False)
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
    def test_what_is_temporary_is_survived(self, airbundle, fake, tmp_path, fault) -> None:
        fake.fail("GET", "/blobs/", times=1, **fault)

        ran = copy_from(airbundle, fake, tmp_path)

        assert ran.returncode == 0, ran.stderr

    def test_registry_fails_in_the_middle_of_an_import(self, airbundle, bundle, keys, fake) -> None:
        fake.fail("PUT", "/manifests/", times=None, status=500)

        ran = import_(airbundle, bundle, f"docker://{fake.host}/mirror", keys)

        refused(ran, 6, fake.host, hint=False)
        assert not fake.repositories["mirror/app"].tags
