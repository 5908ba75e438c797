"""The image config of Docker before schema 2, as the struct that Go programs decode it into.

Docker before 1.8.3 omitted members that later versions write; this struct includes all of them.

https://pkg.go.dev/go.podman.io/image/v5/manifest#Schema2V1Image
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.gocompat.values import NIL, Struct, Value
from bundler.oci.json import go_struct
from bundler.oci.json.go_struct import Field, Fields

if TYPE_CHECKING:
    from bundler.oci.json.table import Table


def parse(table: Table) -> Struct:
    """Read an image config from the topmost history entry of a schema 1 manifest.

    Raises:
        MalformedError: a member has the wrong type.
    """
    return go_struct.read_struct("manifest.Schema2V1Image", _IMAGE, table)


def _read_config(table: Table, key: str) -> Value:
    return go_struct.read_struct("manifest.Schema2Config", _CONFIG, table.table(key))


def _read_config_pointer(table: Table, key: str) -> Value:
    return _read_config(table, key) if key in table else NIL


def _read_health_pointer(table: Table, key: str) -> Value:
    inner = table.optional_table(key)
    if inner is None:
        return NIL
    return go_struct.read_struct("manifest.Schema2HealthConfig", _HEALTH, inner)


_HEALTH: Fields = (
    Field("Test", "Test", go_struct.read_strings, omit_empty=True),
    Field("StartPeriod", "StartPeriod", go_struct.read_int, omit_empty=True),
    Field("StartInterval", "StartInterval", go_struct.read_int, omit_empty=True),
    Field("Interval", "Interval", go_struct.read_int, omit_empty=True),
    Field("Timeout", "Timeout", go_struct.read_int, omit_empty=True),
    Field("Retries", "Retries", go_struct.read_int, omit_empty=True),
)
_CONFIG: Fields = (
    Field("Hostname", "Hostname", go_struct.read_string),
    Field("Domainname", "Domainname", go_struct.read_string),
    Field("User", "User", go_struct.read_string),
    Field("AttachStdin", "AttachStdin", go_struct.read_bool),
    Field("AttachStdout", "AttachStdout", go_struct.read_bool),
    Field("AttachStderr", "AttachStderr", go_struct.read_bool),
    Field("ExposedPorts", "ExposedPorts", go_struct.read_string_set, omit_empty=True),
    Field("Tty", "Tty", go_struct.read_bool),
    Field("OpenStdin", "OpenStdin", go_struct.read_bool),
    Field("StdinOnce", "StdinOnce", go_struct.read_bool),
    Field("Env", "Env", go_struct.read_strings),
    Field("Cmd", "Cmd", go_struct.read_string_or_strings),
    Field("Healthcheck", "Healthcheck", _read_health_pointer, omit_empty=True),
    Field("ArgsEscaped", "ArgsEscaped", go_struct.read_bool, omit_empty=True),
    Field("Image", "Image", go_struct.read_string),
    Field("Volumes", "Volumes", go_struct.read_string_set),
    Field("WorkingDir", "WorkingDir", go_struct.read_string),
    Field("Entrypoint", "Entrypoint", go_struct.read_string_or_strings),
    Field("NetworkDisabled", "NetworkDisabled", go_struct.read_bool, omit_empty=True),
    Field("MacAddress", "MacAddress", go_struct.read_string, omit_empty=True),
    Field("OnBuild", "OnBuild", go_struct.read_strings),
    Field("Labels", "Labels", go_struct.read_string_map),
    Field("StopSignal", "StopSignal", go_struct.read_string, omit_empty=True),
    Field("StopTimeout", "StopTimeout", go_struct.read_int, omit_empty=True),
    Field("Shell", "Shell", go_struct.read_string_or_strings, omit_empty=True),
)
_IMAGE: Fields = (
    Field("ID", "id", go_struct.read_string, omit_empty=True),
    Field("Parent", "parent", go_struct.read_string, omit_empty=True),
    Field("Comment", "comment", go_struct.read_string, omit_empty=True),
    Field("Created", "created", go_struct.read_time),
    Field("Container", "container", go_struct.read_string, omit_empty=True),
    Field("ContainerConfig", "container_config", _read_config),
    Field("DockerVersion", "docker_version", go_struct.read_string, omit_empty=True),
    Field("Author", "author", go_struct.read_string, omit_empty=True),
    Field("Config", "config", _read_config_pointer, omit_empty=True),
    Field("Architecture", "architecture", go_struct.read_string, omit_empty=True),
    Field("Variant", "variant", go_struct.read_string, omit_empty=True),
    Field("OS", "os", go_struct.read_string, omit_empty=True),
    Field("Size", "Size", go_struct.read_int, omit_empty=True),
)
