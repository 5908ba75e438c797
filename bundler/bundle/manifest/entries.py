"""The entries of a bundle manifest, from whichever file they come."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

from bundler.bundle.manifest.rename_rules import is_target_name
from bundler.bundle.manifest.source_reference import parse_source
from bundler.config.yaml.document import MappingNode, ScalarNode, SequenceNode, Value, get_member
from bundler.config.yaml.filters import parse_expressions, read_range
from bundler.errors import InvalidReferenceError, UsageError
from bundler.oci.platform import Platform
from bundler.oci.reference import is_tag
from bundler.oci.tag_filter import Latest, Select
from bundler.ports import RegistryReference

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bundler.config.yaml.context import YamlContext
    from bundler.config.yaml.document import Findings
    from bundler.oci.manifest import IndexMode
    from bundler.oci.reference import ImageReference
    from bundler.ports import Reference


@dataclass(frozen=True, slots=True)
class ImageOptions:
    """The parts of an image that are exported."""

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
    """Where the image or the repository is read; local paths are absolute or below the manifest's
    directory."""
    origin: str
    """``file:line`` of the entry."""
    options: ImageOptions
    select: Select | None = None
    rename: str | None = None
    """The target name, ``path[:tag]``."""


def read_options(value: Value | None, default: ImageOptions, findings: Findings) -> ImageOptions:
    """Read ``platforms``, ``index`` and ``referrers``; members that are absent keep ``default``."""
    platforms, index, referrers = (
        get_member(value, key) for key in ("platforms", "index", "referrers")
    )
    options = default
    if isinstance(platforms, SequenceNode):
        read = (_platform(item, findings) for item in platforms if isinstance(item, ScalarNode))
        options = replace(options, platforms=tuple(dict.fromkeys(filter(None, read))))
    elif platforms == "all":
        options = replace(options, platforms=())
    if index in ("strip", "sparse", "all"):
        options = replace(options, index=cast("IndexMode", str(index)))
    if referrers is not None:
        options = replace(options, referrers=referrers == "all")
    return options


def read_images(
    value: Value | None, defaults: ImageOptions, around: YamlContext
) -> Iterator[ManifestEntry]:
    """Read the entries of an ``images`` list; mistakes become findings."""
    for item in value if isinstance(value, SequenceNode) else ():
        if isinstance(item, ScalarNode):
            made = _image(item, item, defaults, around)
        elif isinstance(item, MappingNode) and "repo" in item:
            made = _repository(item, defaults, around)
        else:
            made = _image(get_member(item, "ref"), item, defaults, around)
        if made is not None:
            yield made


def _image(
    ref: Value | None,
    item: ScalarNode | SequenceNode | MappingNode,
    defaults: ImageOptions,
    around: YamlContext,
) -> ManifestEntry | None:
    if not isinstance(ref, ScalarNode) or ref.is_null:
        return None  # the schema has found it already
    options = read_options(item, defaults, around.findings)
    rename = _rename(get_member(item, "rename"), around.findings)
    parsed = _parse_source(ref, around)
    if parsed is None:
        return None
    reference, source = parsed
    if reference.version is None:
        around.findings.add(
            ref.at, f"{ref!s} has no tag; add a tag or a digest, or write repo: and select:"
        )
        return None
    if reference.digest and len(options.platforms) > 1 and options.index == "strip":
        around.findings.add(
            ref.at,
            f"{ref!s}: a digest is asked for, but leaving platforms out makes another;"
            " say platforms: all, or index: sparse",
        )
    return ManifestEntry(reference, source, around.format_origin(ref.at), options, rename=rename)


def _repository(
    item: MappingNode, defaults: ImageOptions, around: YamlContext
) -> ManifestEntry | None:
    options = read_options(item, defaults, around.findings)
    rename = _rename(get_member(item, "rename"), around.findings)
    select = _select(get_member(item, "select"), around.findings)
    repo = item["repo"]
    parsed = _parse_source(repo, around) if isinstance(repo, ScalarNode) else None
    if parsed is None:
        return None
    reference, source = parsed
    if not isinstance(source, RegistryReference) or reference.version is not None:
        around.findings.add(
            repo.at, f"{repo!s}: expected a repository without tag; for one image write ref:"
        )
        return None
    return ManifestEntry(reference, source, around.format_origin(repo.at), options, select, rename)


def _select(value: Value | None, findings: Findings) -> Select | None:
    if not isinstance(value, MappingNode):
        return None
    regex, latest = get_member(value, "regex"), get_member(value, "latest")
    return Select(
        tags=_tags(get_member(value, "tags"), findings),
        semver=read_range(get_member(value, "semver"), findings),
        include=parse_expressions(get_member(regex, "include"), findings),
        exclude=parse_expressions(get_member(regex, "exclude"), findings),
        latest=_latest(latest),
    )


def _tags(value: Value | None, findings: Findings) -> tuple[str, ...]:
    tags = (
        [item for item in value if isinstance(item, ScalarNode)]
        if isinstance(value, SequenceNode)
        else []
    )
    for tag in tags:
        if not is_tag(tag):
            findings.add(tag.at, f"{str(tag[:140])!r} is not a tag")
    return tuple(dict.fromkeys(map(str, tags)))


def _latest(value: Value | None) -> Latest | None:
    count = get_member(value, "count")
    if not isinstance(count, ScalarNode) or not count.isdecimal():
        return None  # the schema has found it already
    return Latest(int(count), "tag" if get_member(value, "by") == "tag" else "semver")


def _platform(text: ScalarNode, findings: Findings) -> Platform | None:
    try:
        return Platform.parse(text)
    except UsageError as error:
        findings.add(text.at, f"{error.message}; write linux/amd64 or linux/arm/v7")
        return None


def _rename(value: Value | None, findings: Findings) -> str | None:
    if not isinstance(value, ScalarNode):
        return None
    if not is_target_name(value):
        findings.add(value.at, f"{str(value[:200])!r} is not a name such as infra/app:v2.1")
    return str(value)


def _parse_source(text: ScalarNode, around: YamlContext) -> tuple[ImageReference, Reference] | None:
    try:
        return parse_source(text, around.folder)
    except InvalidReferenceError as error:
        around.findings.add(text.at, error.message)
        return None
