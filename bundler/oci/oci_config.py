"""An image's configuration as a struct: what the specification knows of it, in its order.

Members that it does not know are left out, as in every program that reads a configuration into
the specification's own types.

https://github.com/opencontainers/image-spec/blob/v1.1.1/specs-go/v1/config.go
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bundler.errors import MalformedError
from bundler.oci import fields, strict_json
from bundler.oci.go_values import NIL, NIL_MAP, NIL_SLICE, Member, Struct, Time, Value

Read = Callable[[dict[str, Any], str, str], Value]
"""Reads the member of an object that has this key; the third parameter is for messages."""
Fields = tuple[tuple[str, str, Read, bool], ...]
"""Each member's name, its key, how it is read, and whether it is left out when it is empty."""


def parse(raw: bytes, *, what: str) -> tuple[Struct, str]:
    """The configuration, and the version of Docker that wrote it (empty: it does not say).

    Raises:
        LimitError: larger or deeper than allowed.
        MalformedError: a member is not what the specification says.
    """
    value = strict_json.load_object(raw, what=what)
    fields.refuse_other_case(value, ("config", "rootfs", "history", "docker_version"), what)
    config, rootfs = (fields.obj(value, key, what) or {} for key in ("config", "rootfs"))
    inner = _struct("v1.ImageConfig", _CONFIG, config, what)
    items = value.get("history")
    history: Value = NIL_SLICE
    if items is not None:
        entries = fields.objects(value, "history", what)
        history = [_struct("v1.History", _HISTORY, entry, f"{what}: history") for entry in entries]
    struct = Struct(
        "v1.Image",
        (
            *_members(_HEAD, value, what),
            Member("Platform", _struct("v1.Platform", _PLATFORM, value, what), embedded=True),
            Member("Config", inner, "config", omit_zero=True),
            Member("RootFS", _struct("v1.RootFS", _ROOTFS, rootfs, what), "rootfs"),
            Member("History", history, "history", omit_empty=True),
        ),
    )
    return struct, fields.text(value, "docker_version", what) or ""


def _struct(type_name: str, known: Fields, value: dict[str, Any], what: str) -> Struct:
    return Struct(type_name, _members(known, value, what))


def _members(known: Fields, value: dict[str, Any], what: str) -> tuple[Member, ...]:
    fields.refuse_other_case(value, [key for _, key, _, _ in known], what)
    return tuple(
        Member(name, read(value, key, what), key, omit_empty=omit)
        for name, key, read, omit in known
    )


def _text(value: dict[str, Any], key: str, what: str) -> Value:
    return fields.text(value, key, what) or ""


def _time(value: dict[str, Any], key: str, what: str) -> Value:
    item = value.get(key)
    if item is None:
        return NIL
    if not isinstance(item, str):
        raise MalformedError(f"{what}: {key} is not a string")
    return Time.parse(item, f"{what}: {key}")


def _texts(value: dict[str, Any], key: str, what: str) -> Value:
    found = fields.texts(value, key, what)
    return NIL_SLICE if value.get(key) is None else list(found)


def _text_map(value: dict[str, Any], key: str, what: str) -> Value:
    found = fields.text_map(value, key, what)
    return NIL_MAP if value.get(key) is None else dict(found)


def _set(value: dict[str, Any], key: str, what: str) -> Value:
    item = fields.obj(value, key, what)
    return NIL_MAP if item is None else dict.fromkeys(item, Struct("struct {}", ()))


_HEAD: Fields = (("Created", "created", _time, True), ("Author", "author", _text, True))
_PLATFORM: Fields = (
    ("Architecture", "architecture", _text, False),
    ("OS", "os", _text, False),
    ("OSVersion", "os.version", _text, True),
    ("OSFeatures", "os.features", _texts, True),
    ("Variant", "variant", _text, True),
)
_CONFIG: Fields = (
    ("User", "User", _text, True),
    ("ExposedPorts", "ExposedPorts", _set, True),
    ("Env", "Env", _texts, True),
    ("Entrypoint", "Entrypoint", _texts, True),
    ("Cmd", "Cmd", _texts, True),
    ("Volumes", "Volumes", _set, True),
    ("WorkingDir", "WorkingDir", _text, True),
    ("Labels", "Labels", _text_map, True),
    ("StopSignal", "StopSignal", _text, True),
    ("ArgsEscaped", "ArgsEscaped", fields.flag, True),
)
_ROOTFS: Fields = (("Type", "type", _text, False), ("DiffIDs", "diff_ids", _texts, False))
_HISTORY: Fields = (
    ("Created", "created", _time, True),
    ("CreatedBy", "created_by", _text, True),
    ("Author", "author", _text, True),
    ("Comment", "comment", _text, True),
    ("EmptyLayer", "empty_layer", fields.flag, True),
)
