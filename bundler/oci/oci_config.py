"""An image's configuration as a struct: what the specification knows of it, in its order.

Members that it does not know are left out, as in every program that reads a configuration into
the specification's own types.

https://github.com/opencontainers/image-spec/blob/v1.1.1/specs-go/v1/config.go
"""

from __future__ import annotations

from bundler.oci import fields, go_fields, strict_json
from bundler.oci.go_values import NIL_SLICE, Member, Struct, Value


def parse(raw: bytes, *, what: str) -> tuple[Struct, str]:
    """The configuration, and the version of Docker that wrote it (empty: it does not say).

    Raises:
        LimitError: larger or deeper than allowed.
        MalformedError: a member is not what the specification says.
    """
    value = strict_json.load_object(raw, what=what)
    fields.refuse_other_case(value, ("config", "rootfs", "history", "docker_version"), what)
    config, rootfs = (fields.obj(value, key, what) or {} for key in ("config", "rootfs"))
    inner = go_fields.struct("v1.ImageConfig", _CONFIG, config, what)
    items = value.get("history")
    history: Value = NIL_SLICE
    if items is not None:
        entries = fields.objects(value, "history", what)
        history = [
            go_fields.struct("v1.History", _HISTORY, entry, f"{what}: history") for entry in entries
        ]
    struct = Struct(
        "v1.Image",
        (
            *go_fields.members(_HEAD, value, what),
            Member(
                "Platform", go_fields.struct("v1.Platform", _PLATFORM, value, what), embedded=True
            ),
            Member("Config", inner, "config", omit_zero=True),
            Member("RootFS", go_fields.struct("v1.RootFS", _ROOTFS, rootfs, what), "rootfs"),
            Member("History", history, "history", omit_empty=True),
        ),
    )
    return struct, fields.text(value, "docker_version", what) or ""


_HEAD: go_fields.Fields = (
    ("Created", "created", go_fields.time, True),
    ("Author", "author", go_fields.text, True),
)
_PLATFORM: go_fields.Fields = (
    ("Architecture", "architecture", go_fields.text, False),
    ("OS", "os", go_fields.text, False),
    ("OSVersion", "os.version", go_fields.text, True),
    ("OSFeatures", "os.features", go_fields.texts, True),
    ("Variant", "variant", go_fields.text, True),
)
_CONFIG: go_fields.Fields = (
    ("User", "User", go_fields.text, True),
    ("ExposedPorts", "ExposedPorts", go_fields.keys, True),
    ("Env", "Env", go_fields.texts, True),
    ("Entrypoint", "Entrypoint", go_fields.texts, True),
    ("Cmd", "Cmd", go_fields.texts, True),
    ("Volumes", "Volumes", go_fields.keys, True),
    ("WorkingDir", "WorkingDir", go_fields.text, True),
    ("Labels", "Labels", go_fields.text_map, True),
    ("StopSignal", "StopSignal", go_fields.text, True),
    ("ArgsEscaped", "ArgsEscaped", fields.flag, True),
)
_ROOTFS: go_fields.Fields = (
    ("Type", "type", go_fields.text, False),
    ("DiffIDs", "diff_ids", go_fields.texts, False),
)
_HISTORY: go_fields.Fields = (
    ("Created", "created", go_fields.time, True),
    ("CreatedBy", "created_by", go_fields.text, True),
    ("Author", "author", go_fields.text, True),
    ("Comment", "comment", go_fields.text, True),
    ("EmptyLayer", "empty_layer", fields.flag, True),
)
