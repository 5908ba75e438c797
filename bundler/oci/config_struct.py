"""An image's configuration as a struct: what the specification knows of it, in its order.

Members that it does not know are left out, as in every program that reads a configuration into
the specification's own types.

https://github.com/opencontainers/image-spec/blob/v1.1.1/specs-go/v1/config.go
"""

from __future__ import annotations

from bundler.gocompat.values import NIL_SLICE, Struct, StructField, Value
from bundler.oci.json import go_struct
from bundler.oci.json.go_struct import Field, Fields
from bundler.oci.json.table import Table


def parse(raw: bytes, *, subject: str) -> tuple[Struct, str]:
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
    Field("Created", "created", go_struct.time_pointer, omit_empty=True),
    Field("Author", "author", go_struct.text, omit_empty=True),
)
_PLATFORM: Fields = (
    Field("Architecture", "architecture", go_struct.text),
    Field("OS", "os", go_struct.text),
    Field("OSVersion", "os.version", go_struct.text, omit_empty=True),
    Field("OSFeatures", "os.features", go_struct.texts, omit_empty=True),
    Field("Variant", "variant", go_struct.text, omit_empty=True),
)
_CONFIG: Fields = (
    Field("User", "User", go_struct.text, omit_empty=True),
    Field("ExposedPorts", "ExposedPorts", go_struct.text_set, omit_empty=True),
    Field("Env", "Env", go_struct.texts, omit_empty=True),
    Field("Entrypoint", "Entrypoint", go_struct.texts, omit_empty=True),
    Field("Cmd", "Cmd", go_struct.texts, omit_empty=True),
    Field("Volumes", "Volumes", go_struct.text_set, omit_empty=True),
    Field("WorkingDir", "WorkingDir", go_struct.text, omit_empty=True),
    Field("Labels", "Labels", go_struct.text_map, omit_empty=True),
    Field("StopSignal", "StopSignal", go_struct.text, omit_empty=True),
    Field("ArgsEscaped", "ArgsEscaped", go_struct.flag, omit_empty=True),
)
_ROOTFS: Fields = (
    Field("Type", "type", go_struct.text),
    Field("DiffIDs", "diff_ids", go_struct.texts),
)
_HISTORY: Fields = (
    Field("Created", "created", go_struct.time_pointer, omit_empty=True),
    Field("CreatedBy", "created_by", go_struct.text, omit_empty=True),
    Field("Author", "author", go_struct.text, omit_empty=True),
    Field("Comment", "comment", go_struct.text, omit_empty=True),
    Field("EmptyLayer", "empty_layer", go_struct.flag, omit_empty=True),
)
