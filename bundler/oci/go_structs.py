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
    table = Table.parse(raw, subject, tolerant=True)
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
    key: str
    read: Callable[[Table, str], Value]
    """Reads the member with the given key; an absent one has the zero value of its type."""
    omit_empty: bool
    """Whether the encoder leaves the field out if it is empty."""


def _fields(
    read: Callable[[Table, str], Value], *names: str, omit_empty: bool = False, **keys: str
) -> list[_Field]:
    """Define fields of one type; ``keys`` contains the JSON keys that differ from the names."""
    pairs = {**dict(zip(names, names, strict=True)), **keys}
    return [_Field(name, key, read, omit_empty) for name, key in pairs.items()]


class _StructType:
    def __init__(self, name: str, *groups: list[_Field]) -> None:
        self._name = name
        self._fields = {field.key: field for group in groups for field in group}

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
    _fields(_read_time_pointer, Created="created", omit_empty=True),
    _fields(_read_string, Author="author", omit_empty=True),
)
_PLATFORM = _StructType(
    "v1.Platform",
    _fields(_read_string, Architecture="architecture", OS="os"),
    _fields(_read_string, OSVersion="os.version", omit_empty=True),
    _fields(_read_strings, OSFeatures="os.features", omit_empty=True),
    _fields(_read_string, Variant="variant", omit_empty=True),
)
_CONFIG = _StructType(
    "v1.ImageConfig",
    _fields(_read_string, "User", omit_empty=True),
    _fields(_read_string_set, "ExposedPorts", omit_empty=True),
    _fields(_read_strings, "Env", "Entrypoint", "Cmd", omit_empty=True),
    _fields(_read_string_set, "Volumes", omit_empty=True),
    _fields(_read_string, "WorkingDir", omit_empty=True),
    _fields(_read_string_map, "Labels", omit_empty=True),
    _fields(_read_string, "StopSignal", omit_empty=True),
    _fields(_read_bool, "ArgsEscaped", omit_empty=True),
)
_ROOTFS = _StructType(
    "v1.RootFS",
    _fields(_read_string, Type="type"),
    _fields(_read_strings, DiffIDs="diff_ids"),
)
_HISTORY = _StructType(
    "v1.History",
    _fields(_read_time_pointer, Created="created", omit_empty=True),
    _fields(
        _read_string, CreatedBy="created_by", Author="author", Comment="comment", omit_empty=True
    ),
    _fields(_read_bool, EmptyLayer="empty_layer", omit_empty=True),
)

_HEALTH = _StructType(
    "manifest.Schema2HealthConfig",
    _fields(_read_strings, "Test", omit_empty=True),
    _fields(
        _read_int, "StartPeriod", "StartInterval", "Interval", "Timeout", "Retries", omit_empty=True
    ),
)
_DOCKER_IMAGE_CONFIG = _StructType(
    "manifest.Schema2Config",
    _fields(_read_string, "Hostname", "Domainname", "User"),
    _fields(_read_bool, "AttachStdin", "AttachStdout", "AttachStderr"),
    _fields(_read_string_set, "ExposedPorts", omit_empty=True),
    _fields(_read_bool, "Tty", "OpenStdin", "StdinOnce"),
    _fields(_read_strings, "Env"),
    _fields(_read_string_or_strings, "Cmd"),
    _fields(_HEALTH.read_pointer, "Healthcheck", omit_empty=True),
    _fields(_read_bool, "ArgsEscaped", omit_empty=True),
    _fields(_read_string, "Image"),
    _fields(_read_string_set, "Volumes"),
    _fields(_read_string, "WorkingDir"),
    _fields(_read_string_or_strings, "Entrypoint"),
    _fields(_read_bool, "NetworkDisabled", omit_empty=True),
    _fields(_read_string, "MacAddress", omit_empty=True),
    _fields(_read_strings, "OnBuild"),
    _fields(_read_string_map, "Labels"),
    _fields(_read_string, "StopSignal", omit_empty=True),
    _fields(_read_int, "StopTimeout", omit_empty=True),
    _fields(_read_string_or_strings, "Shell", omit_empty=True),
)
_DOCKER_IMAGE = _StructType(
    "manifest.Schema2V1Image",
    _fields(_read_string, ID="id", Parent="parent", Comment="comment", omit_empty=True),
    _fields(_read_time, Created="created"),
    _fields(_read_string, Container="container", omit_empty=True),
    _fields(_DOCKER_IMAGE_CONFIG.read_member, ContainerConfig="container_config"),
    _fields(_read_string, DockerVersion="docker_version", Author="author", omit_empty=True),
    _fields(_DOCKER_IMAGE_CONFIG.read_pointer, Config="config", omit_empty=True),
    _fields(_read_string, Architecture="architecture", Variant="variant", OS="os", omit_empty=True),
    _fields(_read_int, "Size", omit_empty=True),
)
