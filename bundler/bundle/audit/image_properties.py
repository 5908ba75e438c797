"""The properties of the image of one platform: its config, its history, and its base image.

https://github.com/opencontainers/image-spec/blob/v1.1.1/config.md
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from bundler.bundle.audit import secret_text
from bundler.copy.resolving.fetch import fetch
from bundler.oci.json.table import Table
from bundler.oci.platform import Platform

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bundler.bundle.audit.platforms import PlatformImage
    from bundler.oci.descriptor import Descriptor
    from bundler.oci.digest import Digest
    from bundler.ports import Source

_BASE_NAME = "org.opencontainers.image.base.name"
_BASE_DIGEST = "org.opencontainers.image.base.digest"
MAX_HISTORY = 10_000
_ZERO = re.compile(r"[+-]?0+")


@dataclass(frozen=True, slots=True)
class Step:
    """One entry of the history."""

    created: str | None
    command: str
    layer: Descriptor | None
    """The layer that the step created; None: it created none, or the history is inconsistent."""


@dataclass(frozen=True, slots=True)
class ImageProperties:
    """The statements of an image about itself. All of them come from the image's author."""

    name: str
    digest: Digest
    platform: Platform
    created: str | None
    author: str | None
    user: str | None
    """None: not stated, so root."""
    entrypoint: tuple[str, ...]
    command: tuple[str, ...]
    working_directory: str | None
    ports: tuple[str, ...]
    volumes: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    history: tuple[Step, ...]
    layers: tuple[Descriptor, ...]
    diff_ids: tuple[str, ...]
    """The digests of the uncompressed layers that the config states."""
    base: str | None
    """The name of the base image in the annotations of the manifest."""
    base_digest: str | None

    @property
    def runs_as_root(self) -> bool:
        """Whether the image states no user, or root; engines also read ``00`` and ``+0`` as 0.

        Another name for the user ID 0 in ``/etc/passwd`` is not known here.
        """
        user = (self.user or "0").partition(":")[0].strip()
        return user in ("", "root") or _ZERO.fullmatch(user) is not None

    def hide_secrets(self) -> ImageProperties:
        """Return the properties with the texts replaced that look like secrets."""
        hide_in_words, hide_values = secret_text.hide_in_words, secret_text.hide_values
        return replace(
            self,
            entrypoint=hide_in_words(self.entrypoint),
            command=hide_in_words(self.command),
            environment=tuple(
                (name, hide_values({name: value})[name]) for name, value in self.environment
            ),
            labels=hide_values(self.labels),
            annotations=hide_values(self.annotations),
            history=tuple(
                replace(step, command=secret_text.hide_in(step.command)) for step in self.history
            ),
        )

    def to_json(self, *, secrets: bool = False) -> dict[str, Any]:
        """Return the properties as JSON, without empty members.

        ``secrets``: include texts that look like secrets.
        """
        environment = [
            {"name": name, "secret": True, **({"value": value} if secrets else {})}
            if secret_text.looks_secret(name, value)
            else {"name": name, "value": value}
            for name, value in self.environment
        ]
        visible = self if secrets else self.hide_secrets()
        value = {
            "name": self.name,
            "digest": self.digest.text,
            "platform": str(self.platform),
            "created": self.created,
            "author": self.author,
            "user": self.user,
            "runsAsRoot": self.runs_as_root,
            "entrypoint": list(visible.entrypoint),
            "command": list(visible.command),
            "workingDirectory": self.working_directory,
            "ports": list(self.ports),
            "volumes": list(self.volumes),
            "environment": environment,
            "labels": dict(visible.labels),
            "annotations": dict(visible.annotations),
            "base": self.base,
            "baseDigest": self.base_digest,
            "history": [
                {
                    "created": step.created,
                    "command": step.command,
                    "layer": step.layer and step.layer.digest.text,
                }
                for step in visible.history
            ],
            "layers": [
                {"digest": layer.digest.text, "mediaType": layer.media_type, "size": layer.size}
                for layer in self.layers
            ],
        }
        return {key: item for key, item in value.items() if item not in (None, [], {})}


def read_properties(name: str, source: Source, image: PlatformImage) -> ImageProperties:
    """Read the config of an image.

    Raises:
        NotFoundError, IntegrityError: the config is missing, or does not match its digest.
        MalformedError, LimitError: it is not a valid config.
    """
    manifest = image.manifest
    table = Table.parse(
        fetch(source, manifest.config, name, kind="config"),
        f"{name}: config {manifest.config.digest}",
        tolerant=True,
    )
    config = table.optional_table("config") or Table({}, table.subject)
    rootfs = table.optional_table("rootfs") or Table({}, table.subject)
    pairs = (variable.partition("=") for variable in config.texts("Env"))
    return ImageProperties(
        name=name,
        digest=image.digest,
        platform=image.platform or Platform.from_json(table),
        created=table.optional_text("created"),
        author=table.optional_text("author"),
        user=config.optional_text("User"),
        entrypoint=tuple(config.texts("Entrypoint")),
        command=tuple(config.texts("Cmd")),
        working_directory=config.optional_text("WorkingDir"),
        ports=_read_keys(config, "ExposedPorts"),
        volumes=_read_keys(config, "Volumes"),
        environment=tuple((variable, value) for variable, _, value in pairs),
        labels=config.annotations("Labels"),
        annotations=manifest.annotations,
        history=_read_history(table, manifest.layers),
        layers=manifest.layers,
        diff_ids=tuple(rootfs.texts("diff_ids")),
        base=manifest.annotations.get(_BASE_NAME),
        base_digest=manifest.annotations.get(_BASE_DIGEST),
    )


def _read_keys(config: Table, key: str) -> tuple[str, ...]:
    """Return the names in an object whose values are empty objects."""
    table = config.optional_table(key)
    return () if table is None else tuple(sorted(table.value))


def _read_history(config: Table, layers: Sequence[Descriptor]) -> tuple[Step, ...]:
    """Return the history; its steps are assigned to layers only if their numbers agree."""
    entries = config.tables("history")[:MAX_HISTORY]
    creates_layer = [not entry.flag("empty_layer", default=False) for entry in entries]
    remaining = iter(layers if sum(creates_layer) == len(layers) else ())
    return tuple(
        Step(
            entry.optional_text("created"),
            entry.optional_text("created_by") or entry.optional_text("comment") or "",
            next(remaining, None) if has_layer else None,
        )
        for entry, has_layer in zip(entries, creates_layer, strict=True)
    )
