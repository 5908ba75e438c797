"""The structs into which Go programs decode image configs; unknown members are dropped.

https://pkg.go.dev/encoding/json#Unmarshal
https://github.com/opencontainers/image-spec/blob/v1.1.1/specs-go/v1/config.go
https://pkg.go.dev/go.podman.io/image/v5/manifest#Schema2V1Image
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bundler.gocompat.values import (
    NIL,
    NIL_MAP,
    NIL_SLICE,
    ZERO_TIME,
    Struct,
    StructField,
    Time,
    Value,
)
from bundler.oci.json.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable


def parse_image(raw: bytes, *, subject: str) -> tuple[Struct, str]:
    """Parse a config into a ``v1.Image``; also return its ``docker_version``, empty if unset.

    Raises:
        LimitError: the config is larger or deeper than allowed.
        MalformedError: a member has another type than the specification requires.
    """
    table = Table.parse(raw, subject)
    table.refuse_other_case(("config", "rootfs", "history", "docker_version"))
    history: Value = NIL_SLICE
    if "history" in table:
        history = [_HISTORY.read(entry) for entry in table.tables("history")]
    config, rootfs = _CONFIG.read_member(table, "config"), _ROOTFS.read_member(table, "rootfs")
    members = (
        *_HEAD.read(table).members,
        StructField("Platform", _PLATFORM.read(table), embedded=True),
        StructField("Config", config, "config", omit_zero=True),
        StructField("RootFS", rootfs, "rootfs"),
        StructField("History", history, "history", omit_empty=True),
    )
    return Struct("v1.Image", members), table.optional_text("docker_version") or ""


def read_docker_image(table: Table) -> Struct:
    """Read the config in the topmost history entry of a schema 1 manifest.

    Docker before 1.8.3 omitted members that later versions write; the struct has all of them.

    Raises:
        MalformedError: a member has the wrong type.
    """
    return _DOCKER_IMAGE.read(table)


class _Field(NamedTuple):
    name: str
    read: Callable[[Table, str], Value]
    """Reads the member with the given key; an absent one has the zero value of its type."""
    key: str = ""
    """The member's name, if it is not the name of the field."""
    omit_empty: bool = False
    """Whether the encoder leaves the field out if it is empty."""


class _StructType:
    def __init__(self, name: str, *fields: _Field) -> None:
        self._name = name
        self._fields = {field.key or field.name: field for field in fields}

    def read(self, table: Table) -> Struct:
        table.refuse_other_case(self._fields)
        return Struct(
            self._name,
            tuple(
                StructField(field.name, field.read(table, key), key, omit_empty=field.omit_empty)
                for key, field in self._fields.items()
            ),
        )

    def read_member(self, table: Table, key: str) -> Value:
        return self.read(table.table(key))

    def read_pointer(self, table: Table, key: str) -> Value:
        return self.read_member(table, key) if key in table else NIL


def _read_string(table: Table, key: str) -> Value:
    """Read a ``string``."""
    return table.optional_text(key) or ""


def _read_bool(table: Table, key: str) -> Value:
    """Read a ``bool``."""
    return table.flag(key, default=False)


def _read_int(table: Table, key: str) -> Value:
    """Read an ``int64``."""
    value = table.value.get(key)
    if value is None:
        return 0
    if not isinstance(value, int) or isinstance(value, bool):
        raise table.problem(f"{key} is not an integer")
    return value


def _read_time(table: Table, key: str) -> Value:
    """Read a ``time.Time``."""
    value = table.value.get(key)
    if value is None:
        return ZERO_TIME
    if not isinstance(value, str):
        raise table.problem(f"{key} is not a string")
    return Time.parse(value, f"{table.subject}: {key}")


def _read_time_pointer(table: Table, key: str) -> Value:
    """Read a ``*time.Time``."""
    return _read_time(table, key) if key in table else NIL


def _read_strings(table: Table, key: str) -> Value:
    """Read a ``[]string``."""
    return list(table.texts(key)) if key in table else NIL_SLICE


def _read_string_or_strings(table: Table, key: str) -> Value:
    """Read a ``strslice.StrSlice``: a ``[]string`` that may be written as one string."""
    value = table.value.get(key)
    return [value] if isinstance(value, str) else _read_strings(table, key)


def _read_string_map(table: Table, key: str) -> Value:
    """Read a ``map[string]string``."""
    return dict(table.text_map(key)) if key in table else NIL_MAP


def _read_string_set(table: Table, key: str) -> Value:
    """Read a ``map[string]struct{}``."""
    empty = Struct("struct {}", ())
    return dict.fromkeys(table.table(key).value, empty) if key in table else NIL_MAP


_HEAD = _StructType(
    "v1.Image",
    _Field("Created", _read_time_pointer, key="created", omit_empty=True),
    _Field("Author", _read_string, key="author", omit_empty=True),
)
_PLATFORM = _StructType(
    "v1.Platform",
    _Field("Architecture", _read_string, key="architecture"),
    _Field("OS", _read_string, key="os"),
    _Field("OSVersion", _read_string, key="os.version", omit_empty=True),
    _Field("OSFeatures", _read_strings, key="os.features", omit_empty=True),
    _Field("Variant", _read_string, key="variant", omit_empty=True),
)
_CONFIG = _StructType(
    "v1.ImageConfig",
    _Field("User", _read_string, omit_empty=True),
    _Field("ExposedPorts", _read_string_set, omit_empty=True),
    _Field("Env", _read_strings, omit_empty=True),
    _Field("Entrypoint", _read_strings, omit_empty=True),
    _Field("Cmd", _read_strings, omit_empty=True),
    _Field("Volumes", _read_string_set, omit_empty=True),
    _Field("WorkingDir", _read_string, omit_empty=True),
    _Field("Labels", _read_string_map, omit_empty=True),
    _Field("StopSignal", _read_string, omit_empty=True),
    _Field("ArgsEscaped", _read_bool, omit_empty=True),
)
_ROOTFS = _StructType(
    "v1.RootFS",
    _Field("Type", _read_string, key="type"),
    _Field("DiffIDs", _read_strings, key="diff_ids"),
)
_HISTORY = _StructType(
    "v1.History",
    _Field("Created", _read_time_pointer, key="created", omit_empty=True),
    _Field("CreatedBy", _read_string, key="created_by", omit_empty=True),
    _Field("Author", _read_string, key="author", omit_empty=True),
    _Field("Comment", _read_string, key="comment", omit_empty=True),
    _Field("EmptyLayer", _read_bool, key="empty_layer", omit_empty=True),
)

_HEALTH = _StructType(
    "manifest.Schema2HealthConfig",
    _Field("Test", _read_strings, omit_empty=True),
    _Field("StartPeriod", _read_int, omit_empty=True),
    _Field("StartInterval", _read_int, omit_empty=True),
    _Field("Interval", _read_int, omit_empty=True),
    _Field("Timeout", _read_int, omit_empty=True),
    _Field("Retries", _read_int, omit_empty=True),
)
_DOCKER_IMAGE_CONFIG = _StructType(
    "manifest.Schema2Config",
    _Field("Hostname", _read_string),
    _Field("Domainname", _read_string),
    _Field("User", _read_string),
    _Field("AttachStdin", _read_bool),
    _Field("AttachStdout", _read_bool),
    _Field("AttachStderr", _read_bool),
    _Field("ExposedPorts", _read_string_set, omit_empty=True),
    _Field("Tty", _read_bool),
    _Field("OpenStdin", _read_bool),
    _Field("StdinOnce", _read_bool),
    _Field("Env", _read_strings),
    _Field("Cmd", _read_string_or_strings),
    _Field("Healthcheck", _HEALTH.read_pointer, omit_empty=True),
    _Field("ArgsEscaped", _read_bool, omit_empty=True),
    _Field("Image", _read_string),
    _Field("Volumes", _read_string_set),
    _Field("WorkingDir", _read_string),
    _Field("Entrypoint", _read_string_or_strings),
    _Field("NetworkDisabled", _read_bool, omit_empty=True),
    _Field("MacAddress", _read_string, omit_empty=True),
    _Field("OnBuild", _read_strings),
    _Field("Labels", _read_string_map),
    _Field("StopSignal", _read_string, omit_empty=True),
    _Field("StopTimeout", _read_int, omit_empty=True),
    _Field("Shell", _read_string_or_strings, omit_empty=True),
)
_DOCKER_IMAGE = _StructType(
    "manifest.Schema2V1Image",
    _Field("ID", _read_string, key="id", omit_empty=True),
    _Field("Parent", _read_string, key="parent", omit_empty=True),
    _Field("Comment", _read_string, key="comment", omit_empty=True),
    _Field("Created", _read_time, key="created"),
    _Field("Container", _read_string, key="container", omit_empty=True),
    _Field("ContainerConfig", _DOCKER_IMAGE_CONFIG.read_member, key="container_config"),
    _Field("DockerVersion", _read_string, key="docker_version", omit_empty=True),
    _Field("Author", _read_string, key="author", omit_empty=True),
    _Field("Config", _DOCKER_IMAGE_CONFIG.read_pointer, key="config", omit_empty=True),
    _Field("Architecture", _read_string, key="architecture", omit_empty=True),
    _Field("Variant", _read_string, key="variant", omit_empty=True),
    _Field("OS", _read_string, key="os", omit_empty=True),
    _Field("Size", _read_int, omit_empty=True),
)
