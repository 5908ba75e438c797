"""Rules about the files of an image."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from bundler.bundle.audit.layers.noted_files import SECRETS
from bundler.bundle.audit.rules.finding import Place
from bundler.bundle.audit.rules.rule import Problem, Rule, Setting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bundler.bundle.audit.layers.noted_files import Mark
    from bundler.bundle.audit.rules.audited import AuditedImage, AuditedLocation, AuditedPlatform

_ALLOW = Setting("allow", "texts", "Paths of files that are accepted: `usr/bin/sudo`.")


def _check_marks(
    marks: tuple[Mark, ...],
    allowed: frozenset[str],
    _: AuditedLocation,
    __: AuditedImage,
    platform: AuditedPlatform,
) -> Iterator[Problem]:
    """Report the files that have one of the marks."""
    contents = platform.contents
    if contents is None:
        return
    for file in contents.files:
        found = [mark for mark in file.marks if mark in marks]
        matters = not file.is_removed or set(found) & set(SECRETS)
        if found and matters and file.path not in allowed:
            place = Place(path=file.path, layer=file.layer.text)
            note = ", removed by an upper layer, but still stored" if file.is_removed else ""
            yield Problem(f"{' and '.join(found)} (mode {file.mode:04o}){note}", place)
    if contents.is_truncated:
        yield Problem("a layer has too many such files to list all", is_unchecked=True)


def _check_diff_ids(
    _: AuditedLocation, __: AuditedImage, platform: AuditedPlatform
) -> Iterator[Problem]:
    if platform.contents is not None and platform.contents.diff_ids != platform.properties.diff_ids:
        yield Problem("the layers are not those that the config states (diff IDs)")


def _create_rule(code: str, summary: str, advice: str, *marks: Mark) -> Rule:
    return Rule(
        code,
        summary,
        advice,
        scope="platform",
        depth="contents",
        create=lambda settings: partial(
            _check_marks,
            marks,
            frozenset(path.strip("/") for path in settings.get_texts("allow")),
        ),
        settings=(_ALLOW,),
    )


RULES = (
    _create_rule(
        "no-set-uid-files",
        "No file has a set-user-ID or set-group-ID bit.",
        "Remove the bit with chmod in the Dockerfile, or accept the path.",
        "set-user-ID",
        "set-group-ID",
    ),
    _create_rule(
        "no-world-writable-files",
        "No file is world-writable; a directory may be if it has the sticky bit.",
        "Change the mode in the Dockerfile, or accept the path.",
        "world-writable",
    ),
    _create_rule(
        "no-secret-files",
        "No file looks like a secret: by its path, such as `.ssh/id_rsa` or `.aws/credentials`, or"
        " because a private key begins in its first 4,096 bytes. Files that an upper layer removes"
        " are still stored in the image, and are reported too. Other secrets are not found.",
        "Remove the file from the image and replace the secret; accept the path of a test key.",
        *SECRETS,
    ),
    Rule(
        "layers-match-config",
        "The digests of the uncompressed layers are those in the config (diff IDs). Engines differ"
        " in whether they compare them.",
        "Build the image again; do not use this one.",
        scope="platform",
        depth="contents",
        create=lambda _: _check_diff_ids,
    ),
)
