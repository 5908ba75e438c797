"""What a bundle manifest asks for, entry by entry, whatever file it stood in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, cast

from bundler.bundle.manifest.rename_rules import is_target_name
from bundler.bundle.manifest.source_reference import SourceLocation, locate
from bundler.config.yaml.document import MappingNode, ScalarNode, SequenceNode, Value, plain
from bundler.config.yaml.filters import expressions, read_range
from bundler.errors import InvalidReferenceError, UsageError
from bundler.oci.platform import Platform
from bundler.oci.reference import is_tag
from bundler.oci.tag_filter import Latest, Select

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bundler.config.yaml.context import YamlContext
    from bundler.config.yaml.document import Findings
    from bundler.oci.digest import Digest

IndexMode = Literal["strip", "sparse", "all"]


@dataclass(frozen=True, slots=True)
class ImageOptions:
    """How much of an image is to travel."""

    platforms: tuple[Platform, ...] = ()
    """Empty: every platform there is."""
    index: IndexMode = "strip"
    """What becomes of an index of which several platforms are wanted: ``strip`` makes a smaller
    one with a new digest, ``sparse`` keeps it with children missing, ``all`` takes it whole."""
    referrers: bool = True
    """Whether signatures, attestations and SBOMs travel with the image."""


@dataclass(frozen=True, slots=True)
class ManifestEntry:
    """An image, or with ``select`` a repository of which some tags are wanted."""

    reference: str
    """The full name: host, path, and a tag, a digest or both; neither of them with ``select``."""
    source: str
    """Where it comes from, as ``transports.parse`` takes it; local paths are resolved."""
    origin: str
    """``file:line`` of what asked for it."""
    wishes: ImageOptions
    pin: Digest | None = None
    """What ``source`` has to stand for."""
    select: Select | None = None
    rename: str | None = None
    """The name inside, ``path[:tag]``."""


def entry(
    located: SourceLocation,
    origin: str,
    wishes: ImageOptions,
    *,
    rename: str | None = None,
    select: Select | None = None,
) -> ManifestEntry:
    """An entry for what was located."""
    return ManifestEntry(
        reference=str(located.image),
        source=located.source,
        origin=origin,
        wishes=wishes,
        pin=located.pin,
        select=select,
        rename=rename,
    )


def read_wishes(value: Value | None, otherwise: ImageOptions, findings: Findings) -> ImageOptions:
    """What ``platforms``, ``index`` and ``referrers`` say; where they are silent, ``otherwise``."""
    platforms, index, referrers = (plain(value, key) for key in ("platforms", "index", "referrers"))
    wishes = otherwise
    if isinstance(platforms, SequenceNode):
        read = (_platform(item, findings) for item in platforms if isinstance(item, ScalarNode))
        wishes = replace(wishes, platforms=tuple(dict.fromkeys(filter(None, read))))
    elif platforms == "all":
        wishes = replace(wishes, platforms=())
    if index in ("strip", "sparse", "all"):
        wishes = replace(wishes, index=cast("IndexMode", str(index)))
    if referrers is not None:
        wishes = replace(wishes, referrers=referrers == "all")
    return wishes


def read_images(
    value: Value | None, defaults: ImageOptions, around: YamlContext
) -> Iterator[ManifestEntry]:
    """The entries of an ``images`` list; mistakes become findings."""
    for item in value if isinstance(value, SequenceNode) else ():
        if isinstance(item, ScalarNode):
            made = _image(item, item, defaults, around)
        elif isinstance(item, MappingNode) and "repo" in item:
            made = _repository(item, defaults, around)
        else:
            made = _image(plain(item, "ref"), item, defaults, around)
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
    wishes = read_wishes(item, defaults, around.findings)
    rename = _rename(plain(item, "rename"), around.findings)
    located = _locate(ref, around)
    if located is None:
        return None
    if located.image.version is None:
        around.findings.add(
            ref.at, f"{ref!s} has no tag; add a tag or a digest, or write repo: and select:"
        )
        return None
    if located.image.digest and len(wishes.platforms) > 1 and wishes.index == "strip":
        around.findings.add(
            ref.at,
            f"{ref!s}: a digest is asked for, but leaving platforms out makes another;"
            " say platforms: all, or index: sparse",
        )
    return entry(located, around.origin(ref.at), wishes, rename=rename)


def _repository(
    item: MappingNode, defaults: ImageOptions, around: YamlContext
) -> ManifestEntry | None:
    wishes = read_wishes(item, defaults, around.findings)
    rename = _rename(plain(item, "rename"), around.findings)
    select = _select(plain(item, "select"), around.findings)
    repo = item["repo"]
    located = _locate(repo, around) if isinstance(repo, ScalarNode) else None
    if located is None or not isinstance(repo, ScalarNode):
        return None
    if located.local or located.image.version is not None:
        around.findings.add(
            repo.at, f"{repo!s}: expected a repository without tag; for one image write ref:"
        )
        return None
    return entry(located, around.origin(repo.at), wishes, rename=rename, select=select)


def _select(value: Value | None, findings: Findings) -> Select | None:
    if not isinstance(value, MappingNode):
        return None
    regex, latest = plain(value, "regex"), plain(value, "latest")
    return Select(
        tags=_tags(plain(value, "tags"), findings),
        semver=read_range(plain(value, "semver"), findings),
        include=expressions(plain(regex, "include"), findings),
        exclude=expressions(plain(regex, "exclude"), findings),
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
    count = plain(value, "count")
    if not isinstance(count, ScalarNode) or not count.isdecimal():
        return None  # the schema has found it already
    return Latest(int(count), "tag" if plain(value, "by") == "tag" else "semver")


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


def _locate(text: ScalarNode, around: YamlContext) -> SourceLocation | None:
    try:
        return locate(text, around.folder)
    except InvalidReferenceError as error:
        around.findings.add(text.at, error.message)
        return None
