"""Read the entries of a bundle manifest, and parse the references in them."""

from __future__ import annotations

import os.path
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

from bundler import transports
from bundler.config.yaml.context import parse_expressions, parse_version_range
from bundler.config.yaml.document import MappingNode, ScalarNode, SequenceNode, Value, get_member
from bundler.errors import InvalidReferenceError, UsageError
from bundler.oci.platform import Platform
from bundler.oci.reference import ImageReference, is_repository_path, is_tag
from bundler.oci.tag_filter import Latest, Select
from bundler.ports import RegistryReference
from bundler.transports.shared.path_transport import derive_name

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bundler.config.yaml.context import YamlContext
    from bundler.config.yaml.document import Findings
    from bundler.oci.manifest import IndexMode
    from bundler.ports import Reference


_DOCKER = "docker://"
_LOCAL_DOMAIN = "localhost"
_UNSUPPORTED = ("containers-storage", "docker-daemon", "ostree", "sif", "tarball")
_CREDENTIALS = re.compile(r"^(?:[a-z][a-z-]*://)?[^/@\s]*:[^/@\s]*@(?!sha(?:256|512):)")


@dataclass(frozen=True, slots=True)
class ImageOptions:
    """The parts of an image to export."""

    platforms: tuple[Platform, ...] = ()
    """Empty: all platforms."""
    index: IndexMode = "strip"
    """How to export an index of which several platforms are selected."""
    referrers: bool = True
    """Whether signatures, attestations and SBOMs are exported with the image."""


@dataclass(frozen=True, slots=True)
class ManifestEntry:
    """An image, or with ``select`` a repository of which some tags are exported."""

    reference: ImageReference
    """The full name: host, path, and a tag, a digest or both; neither of them with ``select``."""
    source: Reference
    """The source of the image or the repository; a local path is joined to the directory of the
    file that contains the entry."""
    origin: str
    """``file:line`` of the entry."""
    options: ImageOptions
    select: Select | None = None
    rename: str | None = None
    """The target name, ``path[:tag]``."""


def read_options(value: Value | None, default: ImageOptions, findings: Findings) -> ImageOptions:
    """Read ``platforms``, ``index`` and ``referrers``; absent members keep their default."""
    members = value if isinstance(value, MappingNode) else {}
    platforms, index, referrers = map(members.get, ("platforms", "index", "referrers"))
    options = default
    if isinstance(platforms, SequenceNode):
        read = (
            _read_platform(item, findings) for item in platforms if isinstance(item, ScalarNode)
        )
        options = replace(options, platforms=tuple(dict.fromkeys(filter(None, read))))
    elif platforms == "all":
        options = replace(options, platforms=())
    if index in ("strip", "sparse", "all"):
        options = replace(options, index=cast("IndexMode", str(index)))
    if referrers is not None:
        options = replace(options, referrers=referrers == "all")
    return options


def read_images(
    value: Value | None, defaults: ImageOptions, context: YamlContext
) -> Iterator[ManifestEntry]:
    """Read the entries of an ``images`` list; mistakes become findings."""
    for item in value if isinstance(value, SequenceNode) else ():
        if isinstance(item, ScalarNode):
            entry = _read_image(item, item, defaults, context)
        elif isinstance(item, MappingNode) and "repo" in item:
            entry = _read_repository(item, defaults, context)
        else:
            entry = _read_image(get_member(item, "ref"), item, defaults, context)
        if entry is not None:
            yield entry


def parse_source(text: str, folder: Path) -> tuple[ImageReference, Reference]:
    """Parse a reference in a bundle manifest; return the name of the image and its source.

    A plain name refers to a registry; a local path is relative to ``folder``. An image in a layout
    or an archive is named as it is there, with the domain ``localhost`` if that name has none.

    Raises:
        InvalidReferenceError: not a valid reference, or one with credentials.
    """
    if _CREDENTIALS.match(text):
        raise InvalidReferenceError("a reference must not contain credentials; use `registries`")
    if text.startswith(_DOCKER):
        return _parse_registry_source(text.removeprefix(_DOCKER))
    transport, colon, rest = text.partition(":")
    if colon and transport in _UNSUPPORTED:
        known = [name for name in transports.names() if name not in _UNSUPPORTED]
        raise InvalidReferenceError(
            f"{transport}: is not supported in bundle manifests (expected one of"
            f" {', '.join(known)})"
        )
    if colon and transport in transports.names():
        return _parse_local_source(transport, rest, folder)
    if "://" in text:
        raise InvalidReferenceError(
            f"{text[:200]!r}: write the plain name, {text.partition('://')[2][:200]}"
        )
    return _parse_registry_source(text)


def create_registry_reference(image: ImageReference) -> Reference:
    """Return the source of an image in a registry: by tag if it has one, else by digest."""
    return transports.parse(f"{_DOCKER}{replace(image, digest=None) if image.tag else image}")


def is_target_name(text: str) -> bool:
    """Whether ``text`` can be the target name of an entry: ``path[:tag]``."""
    path, colon, tag = text.partition(":")
    return is_repository_path(path) and (not colon or is_tag(tag))


def _read_image(
    ref: Value | None,
    item: ScalarNode | SequenceNode | MappingNode,
    defaults: ImageOptions,
    context: YamlContext,
) -> ManifestEntry | None:
    if not isinstance(ref, ScalarNode) or ref.is_null:
        return None  # the schema validation has reported it
    options = read_options(item, defaults, context.findings)
    rename = _read_rename(item, context.findings)
    parsed = _parse_source(ref, context)
    if parsed is None:
        return None
    reference, source = parsed
    if reference.version is None:
        context.findings.add(
            ref.at, f"{ref!s}: no tag or digest; add one, or write repo: and select:"
        )
        return None
    if reference.digest and len(options.platforms) > 1 and options.index == "strip":
        context.findings.add(
            ref.at,
            f"{ref!s}: selecting platforms changes the digest that is specified;"
            " write platforms: all, or index: sparse",
        )
    return ManifestEntry(reference, source, context.format_origin(ref.at), options, rename=rename)


def _read_repository(
    item: MappingNode, defaults: ImageOptions, context: YamlContext
) -> ManifestEntry | None:
    options = read_options(item, defaults, context.findings)
    rename = _read_rename(item, context.findings)
    select = _read_select(item.get("select"), context.findings)
    repo = item["repo"]
    parsed = _parse_source(repo, context) if isinstance(repo, ScalarNode) else None
    if parsed is None:
        return None
    reference, source = parsed
    if not isinstance(source, RegistryReference) or reference.version is not None:
        context.findings.add(
            repo.at, f"{repo!s}: expected a repository without tag; for one image write ref:"
        )
        return None
    return ManifestEntry(reference, source, context.format_origin(repo.at), options, select, rename)


def _read_select(value: Value | None, findings: Findings) -> Select | None:
    if not isinstance(value, MappingNode):
        return None
    regex, latest = value.get("regex"), value.get("latest")
    count, by = get_member(latest, "count"), get_member(latest, "by")
    # The schema validation has reported a count that is not a number.
    is_count = isinstance(count, ScalarNode) and count.isdecimal()
    return Select(
        tags=_read_tags(value.get("tags"), findings),
        semver=parse_version_range(value.get("semver"), findings),
        include=parse_expressions(get_member(regex, "include"), findings),
        exclude=parse_expressions(get_member(regex, "exclude"), findings),
        latest=Latest(int(str(count)), "tag" if by == "tag" else "semver") if is_count else None,
    )


def _read_tags(value: Value | None, findings: Findings) -> tuple[str, ...]:
    tags = (
        [item for item in value if isinstance(item, ScalarNode)]
        if isinstance(value, SequenceNode)
        else []
    )
    for tag in tags:
        if not is_tag(tag):
            findings.add(tag.at, f"{str(tag[:140])!r} is not a tag")
    return tuple(dict.fromkeys(map(str, tags)))


def _read_platform(text: ScalarNode, findings: Findings) -> Platform | None:
    try:
        return Platform.parse(text)
    except UsageError as error:
        findings.add(text.at, f"{error.message}; write linux/amd64 or linux/arm/v7")
        return None


def _read_rename(item: Value, findings: Findings) -> str | None:
    value = item.get("rename") if isinstance(item, MappingNode) else None
    if not isinstance(value, ScalarNode):
        return None
    if not is_target_name(value):
        findings.add(value.at, f"{str(value[:200])!r} is not a target name such as infra/app:v2.1")
    return str(value)


def _parse_source(
    text: ScalarNode, context: YamlContext
) -> tuple[ImageReference, Reference] | None:
    try:
        return parse_source(text, context.folder)
    except InvalidReferenceError as error:
        context.findings.add(text.at, error.message)
        return None


def _parse_registry_source(text: str) -> tuple[ImageReference, Reference]:
    image = ImageReference.parse(text)
    return image, create_registry_reference(image)


def _parse_local_source(
    transport: str, rest: str, folder: Path
) -> tuple[ImageReference, Reference]:
    """Parse a local path and name; if the name is only a tag, the file names the repository."""
    path, colon, name = rest.partition(":")
    if rest.startswith("//") or not path:
        raise InvalidReferenceError(
            f"'{transport}:{rest[:200]}': expected a path after {transport}:; "
            "for an artifact in a registry write its plain name, host/path:tag"
        )
    source = transports.parse(f"{transport}:{os.path.normpath(folder / path)}{colon}{name}")
    derived = derive_name(os.path.normpath(path), name)
    if derived is not None:
        return ImageReference(_LOCAL_DOMAIN, *derived), source
    image = ImageReference.parse(name).with_default_tag()
    if image.repository.startswith("docker.io/") and not name.startswith("docker.io/"):
        image = replace(image, domain=_LOCAL_DOMAIN, path=image.path.removeprefix("library/"))
    return image, source
