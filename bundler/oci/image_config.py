"""The configuration of a container image.

``parse`` reads the members that the program uses. ``parse_struct`` reads all members that the
specification defines, for output; it drops other members, as does every program that decodes a
config into the specification's Go types.

https://github.com/opencontainers/image-spec/blob/v1.1.1/config.md
https://github.com/opencontainers/image-spec/blob/v1.1.1/specs-go/v1/config.go
"""

from __future__ import annotations

from dataclasses import dataclass

from bundler.errors import MalformedError
from bundler.gocompat.values import NIL_SLICE, Struct, StructField, Value
from bundler.oci.digest import Digest
from bundler.oci.json import go_struct
from bundler.oci.json.go_struct import Field, Fields
from bundler.oci.json.table import Table
from bundler.oci.platform import Platform


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """The members of an image config that the program uses."""

    platform: Platform
    diff_ids: tuple[Digest, ...]
    created: str | None


def parse(raw: bytes, *, subject: str = "image config") -> ImageConfig:
    """Parse a config, which the caller has verified.

    Raises:
        LimitError: the config is larger or deeper than allowed.
        MalformedError: it is not an image config.
    """
    table = Table.parse(raw, subject)
    rootfs = table.table("rootfs")
    try:
        diff_ids = tuple(map(Digest, rootfs.texts("diff_ids")))
    except MalformedError as error:
        raise rootfs.problem(f"diff_ids: {error.message}") from None
    return ImageConfig(Platform.from_json(table), diff_ids, table.optional_text("created"))


def parse_struct(raw: bytes, *, subject: str) -> tuple[Struct, str]:
    """Parse a config into a ``v1.Image``; also return its ``docker_version``, empty if unset.

    Raises:
        LimitError: the config is larger or deeper than allowed.
        MalformedError: a member has another type than the specification requires.
    """
    table = Table.parse(raw, subject)
    table.refuse_other_case(("config", "rootfs", "history", "docker_version"))
    history: Value = NIL_SLICE
    if "history" in table:
        history = [
            go_struct.read_struct("v1.History", _HISTORY, entry)
            for entry in table.tables("history")
        ]
    platform = go_struct.read_struct("v1.Platform", _PLATFORM, table)
    config = go_struct.read_struct("v1.ImageConfig", _CONFIG, table.table("config"))
    rootfs = go_struct.read_struct("v1.RootFS", _ROOTFS, table.table("rootfs"))
    struct = Struct(
        "v1.Image",
        (
            *go_struct.read_members(_HEAD, table),
            StructField("Platform", platform, embedded=True),
            StructField("Config", config, "config", omit_zero=True),
            StructField("RootFS", rootfs, "rootfs"),
            StructField("History", history, "history", omit_empty=True),
        ),
    )
    return struct, table.optional_text("docker_version") or ""


_HEAD: Fields = (
    Field("Created", "created", go_struct.read_time_pointer, omit_empty=True),
    Field("Author", "author", go_struct.read_string, omit_empty=True),
)
_PLATFORM: Fields = (
    Field("Architecture", "architecture", go_struct.read_string),
    Field("OS", "os", go_struct.read_string),
    Field("OSVersion", "os.version", go_struct.read_string, omit_empty=True),
    Field("OSFeatures", "os.features", go_struct.read_strings, omit_empty=True),
    Field("Variant", "variant", go_struct.read_string, omit_empty=True),
)
_CONFIG: Fields = (
    Field("User", "User", go_struct.read_string, omit_empty=True),
    Field("ExposedPorts", "ExposedPorts", go_struct.read_string_set, omit_empty=True),
    Field("Env", "Env", go_struct.read_strings, omit_empty=True),
    Field("Entrypoint", "Entrypoint", go_struct.read_strings, omit_empty=True),
    Field("Cmd", "Cmd", go_struct.read_strings, omit_empty=True),
    Field("Volumes", "Volumes", go_struct.read_string_set, omit_empty=True),
    Field("WorkingDir", "WorkingDir", go_struct.read_string, omit_empty=True),
    Field("Labels", "Labels", go_struct.read_string_map, omit_empty=True),
    Field("StopSignal", "StopSignal", go_struct.read_string, omit_empty=True),
    Field("ArgsEscaped", "ArgsEscaped", go_struct.read_bool, omit_empty=True),
)
_ROOTFS: Fields = (
    Field("Type", "type", go_struct.read_string),
    Field("DiffIDs", "diff_ids", go_struct.read_strings),
)
_HISTORY: Fields = (
    Field("Created", "created", go_struct.read_time_pointer, omit_empty=True),
    Field("CreatedBy", "created_by", go_struct.read_string, omit_empty=True),
    Field("Author", "author", go_struct.read_string, omit_empty=True),
    Field("Comment", "comment", go_struct.read_string, omit_empty=True),
    Field("EmptyLayer", "empty_layer", go_struct.read_bool, omit_empty=True),
)
