"""An image's configuration as a struct: what the specification knows of it, in its order.

Members that it does not know are left out, as in every program that reads a configuration into
the specification's own types.

https://github.com/opencontainers/image-spec/blob/v1.1.1/specs-go/v1/config.go
"""

from __future__ import annotations

from bundler.gocompat.values import NIL_SLICE, Member, Struct, Value
from bundler.oci.json import fields, go_struct, strict


def parse(raw: bytes, *, subject: str) -> tuple[Struct, str]:
    """The configuration, and the version of Docker that wrote it (empty: it does not say).

    Raises:
        LimitError: larger or deeper than allowed.
        MalformedError: a member is not what the specification says.
    """
    value = strict.load_object(raw, subject=subject)
    fields.refuse_other_case(value, ("config", "rootfs", "history", "docker_version"), subject)
    config, rootfs = (fields.obj(value, key, subject) or {} for key in ("config", "rootfs"))
    inner = go_struct.struct("v1.ImageConfig", _CONFIG, config, subject)
    items = value.get("history")
    history: Value = NIL_SLICE
    if items is not None:
        entries = fields.objects(value, "history", subject)
        history = [
            go_struct.struct("v1.History", _HISTORY, entry, f"{subject}: history")
            for entry in entries
        ]
    struct = Struct(
        "v1.Image",
        (
            *go_struct.members(_HEAD, value, subject),
            Member(
                "Platform",
                go_struct.struct("v1.Platform", _PLATFORM, value, subject),
                embedded=True,
            ),
            Member("Config", inner, "config", omit_zero=True),
            Member("RootFS", go_struct.struct("v1.RootFS", _ROOTFS, rootfs, subject), "rootfs"),
            Member("History", history, "history", omit_empty=True),
        ),
    )
    return struct, fields.text(value, "docker_version", subject) or ""


_HEAD: go_struct.Fields = (
    ("Created", "created", go_struct.time, True),
    ("Author", "author", go_struct.text, True),
)
_PLATFORM: go_struct.Fields = (
    ("Architecture", "architecture", go_struct.text, False),
    ("OS", "os", go_struct.text, False),
    ("OSVersion", "os.version", go_struct.text, True),
    ("OSFeatures", "os.features", go_struct.texts, True),
    ("Variant", "variant", go_struct.text, True),
)
_CONFIG: go_struct.Fields = (
    ("User", "User", go_struct.text, True),
    ("ExposedPorts", "ExposedPorts", go_struct.keys, True),
    ("Env", "Env", go_struct.texts, True),
    ("Entrypoint", "Entrypoint", go_struct.texts, True),
    ("Cmd", "Cmd", go_struct.texts, True),
    ("Volumes", "Volumes", go_struct.keys, True),
    ("WorkingDir", "WorkingDir", go_struct.text, True),
    ("Labels", "Labels", go_struct.text_map, True),
    ("StopSignal", "StopSignal", go_struct.text, True),
    ("ArgsEscaped", "ArgsEscaped", fields.flag, True),
)
_ROOTFS: go_struct.Fields = (
    ("Type", "type", go_struct.text, False),
    ("DiffIDs", "diff_ids", go_struct.texts, False),
)
_HISTORY: go_struct.Fields = (
    ("Created", "created", go_struct.time, True),
    ("CreatedBy", "created_by", go_struct.text, True),
    ("Author", "author", go_struct.text, True),
    ("Comment", "comment", go_struct.text, True),
    ("EmptyLayer", "empty_layer", fields.flag, True),
)
