"""Read the entries of a bundle manifest, and parse the references in them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, cast

from bundler.config.yaml.context import parse_expressions, parse_version_range
from bundler.config.yaml.document import MappingNode, ScalarNode, SequenceNode, Value, get_member
from bundler.errors import InvalidReferenceError, UsageError
from bundler.oci.platform import Platform
from bundler.oci.reference import is_repository_path, is_tag
from bundler.ports import RegistryReference
from bundler.transports.source_reference import parse_source

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bundler.config.yaml.context import YamlContext
    from bundler.config.yaml.document import YamlMistakes
    from bundler.copy.image import ForeignLayerPolicy, TagMovedAction
    from bundler.copy.signature_requirements import (
        MissingSignatureAction,
        SignatureRequirement,
    )
    from bundler.oci.manifest import IndexMode
    from bundler.oci.reference import ImageReference
    from bundler.oci.tag_filter import TagSelection
    from bundler.ports import Reference


@dataclass(frozen=True, slots=True)
class ImageOptions:
    """The parts of an image to export."""

    platforms: tuple[Platform, ...] = ()
    """Empty: all platforms."""
    index: IndexMode = "strip"
    """How to export an index if only some of its platforms are selected."""
    referrers: Literal["all", "signatures", "none"] = "all"
    """The signatures, attestations and SBOMs that are exported with the image."""
    verify: tuple[SignatureRequirement, ...] = ()
    """The signatures that the image must have at its source."""
    on_missing: MissingSignatureAction = "fail"
    on_tag_moved: TagMovedAction = "fail"
    foreign_layers: ForeignLayerPolicy | None = None
    """The treatment of foreign layers that the source does not have."""


@dataclass(frozen=True, slots=True)
class ManifestEntry:
    """An image or, with ``select``, a repository and its tags to export."""

    reference: ImageReference
    """The full name: host, path, and a tag, a digest or both; neither of them with ``select``."""
    source: Reference
    """The source of the image or the repository; a local path is joined to the directory of the
    file that contains the entry."""
    origin: str
    """``file:line`` of the entry."""
    options: ImageOptions
    select: TagSelection | None = None
    rename: str | None = None
    """The target name, ``path[:tag]``."""


def read_options(value: Value | None, default: ImageOptions, context: YamlContext) -> ImageOptions:
    """Read the options of images; absent members keep their default."""
    mistakes = context.mistakes
    members = value if isinstance(value, MappingNode) else {}
    platforms, index, referrers = map(members.get, ("platforms", "index", "referrers"))
    options = default
    if isinstance(platforms, SequenceNode):
        parsed: dict[Platform, None] = {}
        for text in (item for item in platforms if isinstance(item, ScalarNode)):
            try:
                parsed[Platform.parse(text)] = None
            except UsageError as error:
                expected = "expected OS/ARCH[/VARIANT], for example linux/amd64"
                mistakes.add(text.at, f"{error.message} ({expected})")
        options = replace(options, platforms=tuple(parsed))
    elif platforms == "all":
        options = replace(options, platforms=())
    if index in ("strip", "sparse", "all"):
        options = replace(options, index=cast("IndexMode", str(index)))
    if referrers in ("all", "signatures", "none"):
        policy = cast("Literal['all', 'signatures', 'none']", str(referrers))
        options = replace(options, referrers=policy)
    if "verify" in members:
        options = replace(options, verify=_read_requirements(members["verify"], context))
    on_missing = members.get("onMissing")
    if on_missing in ("fail", "warn"):
        options = replace(options, on_missing=cast("MissingSignatureAction", str(on_missing)))
    on_tag_moved = members.get("onTagMoved")
    if on_tag_moved in ("fail", "warn"):
        options = replace(options, on_tag_moved=cast("TagMovedAction", str(on_tag_moved)))
    foreign_layers = members.get("foreignLayers")
    if foreign_layers in ("fetch", "leave", "fail"):
        treatment = cast("ForeignLayerPolicy", str(foreign_layers))
        options = replace(options, foreign_layers=treatment)
    return options


def read_images(
    value: Value | None, defaults: ImageOptions, context: YamlContext
) -> Iterator[ManifestEntry]:
    """Read the entries of an ``images`` list; report each mistake to ``context``."""
    mistakes = context.mistakes
    for item in value if isinstance(value, SequenceNode) else ():
        is_repository = isinstance(item, MappingNode) and "repo" in item
        text = get_member(item, "repo" if is_repository else "ref")
        if isinstance(item, ScalarNode):
            text = item
        if not isinstance(text, ScalarNode) or text.is_null:
            continue  # the schema validation has reported it
        options = read_options(item, defaults, context)
        rename, select = get_member(item, "rename"), get_member(item, "select")
        if isinstance(rename, ScalarNode) and not is_target_name(rename):
            quoted = repr(str(rename[:200]))
            expected = "expected PATH[:TAG], for example infra/app:v2.1"
            mistakes.add(rename.at, f"{quoted} is not a valid target name ({expected})")
        selection = None
        if is_repository and isinstance(select, MappingNode):
            selection = _read_select(select, mistakes)
        try:
            reference, source = parse_source(text, context.folder)
        except InvalidReferenceError as error:
            mistakes.add(text.at, error.message)
            continue
        if is_repository:
            if not isinstance(source, RegistryReference) or reference.version is not None:
                problem = "expected a repository without a tag; for a single image, write ref:"
                mistakes.add(text.at, f"{text!s}: {problem}")
                continue
        elif reference.version is None:
            problem = "no tag or digest; add one, or write repo: and select:"
            mistakes.add(text.at, f"{text!s}: {problem}")
            continue
        elif reference.digest and len(options.platforms) > 1 and options.index == "strip":
            problem = (
                "selecting platforms changes the specified digest;"
                " write platforms: all, or index: sparse"
            )
            mistakes.add(text.at, f"{text!s}: {problem}")
        yield ManifestEntry(
            reference,
            source,
            context.format_origin(text.at),
            options,
            selection,
            str(rename) if isinstance(rename, ScalarNode) else None,
        )


def _read_requirements(value: Value, context: YamlContext) -> tuple[SignatureRequirement, ...]:
    """Read a list of required signatures; the paths are relative to the file that contains it."""
    if not isinstance(value, SequenceNode):
        return ()
    from bundler.copy.signature_requirements import (  # noqa: PLC0415 - only for this member
        IdentitySignature,
        KeySignature,
        NotationSignature,
        PolicySignature,
    )

    requirements: list[SignatureRequirement] = []
    for item in value:
        key = get_member(item, "key")
        files = [
            path
            for name in (key if isinstance(key, SequenceNode) else [key])
            if (path := context.resolve_path(name)) is not None
        ]
        trusted_root = context.resolve_path(get_member(item, "trustedRoot"))
        policy = context.resolve_path(get_member(item, "policy"))
        notation = get_member(item, "notation")
        trust_policy = context.resolve_path(get_member(notation, "policy"))
        trust_store = context.resolve_path(get_member(notation, "trustStore"))
        # The schema validation has reported other combinations.
        if files:
            requirements.append(KeySignature(tuple(files)))
        elif trusted_root is not None:
            issuer, identity = get_member(item, "issuer"), get_member(item, "identity")
            requirements.append(IdentitySignature(str(issuer), str(identity), trusted_root))
        elif policy is not None:
            requirements.append(PolicySignature(policy))
        elif trust_policy is not None and trust_store is not None:
            requirements.append(NotationSignature(trust_policy, trust_store))
    return tuple(dict.fromkeys(requirements))


def is_target_name(text: str) -> bool:
    """Whether ``text`` can be the target name of an entry: ``path[:tag]``."""
    path, colon, tag = text.partition(":")
    return is_repository_path(path) and (not colon or is_tag(tag))


def _read_select(value: MappingNode, mistakes: YamlMistakes) -> TagSelection:
    from bundler.oci.tag_filter import Latest, TagSelection  # noqa: PLC0415 - only for this selection

    tags, regex, latest = map(value.get, ("tags", "regex", "latest"))
    texts = tags if isinstance(tags, SequenceNode) else ()
    names = [text for text in texts if isinstance(text, ScalarNode)]
    for name in names:
        if not is_tag(name):
            mistakes.add(name.at, f"{str(name[:140])!r} is not a valid tag")
    count, by = get_member(latest, "count"), get_member(latest, "by")
    # The schema validation has reported a count that is not a number.
    is_count = isinstance(count, ScalarNode) and count.isdecimal()
    return TagSelection(
        tags=tuple(dict.fromkeys(map(str, names))),
        semver=parse_version_range(value.get("semver"), mistakes),
        include=parse_expressions(get_member(regex, "include"), mistakes),
        exclude=parse_expressions(get_member(regex, "exclude"), mistakes),
        latest=Latest(int(str(count)), "tag" if by == "tag" else "semver") if is_count else None,
    )
