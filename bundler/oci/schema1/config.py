"""The image config of Docker before schema 2, as the struct that Go programs decode it into.

Docker before 1.8.3 left out members that later versions write; they are written in full here.

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
    """Read the image config in the topmost history entry of a schema 1 manifest.

    Raises:
        MalformedError: a member has the wrong type.
    """
    return go_struct.read_struct("manifest.Schema2V1Image", _IMAGE, table)


def _config(table: Table, key: str) -> Value:
    return go_struct.read_struct("manifest.Schema2Config", _CONFIG, table.table(key))


def _config_pointer(table: Table, key: str) -> Value:
    return _config(table, key) if key in table else NIL


def _health_pointer(table: Table, key: str) -> Value:
    inner = table.optional_table(key)
    if inner is None:
        return NIL
    return go_struct.read_struct("manifest.Schema2HealthConfig", _HEALTH, inner)


_HEALTH: Fields = (
    Field("Test", "Test", go_struct.texts, omit_empty=True),
    Field("StartPeriod", "StartPeriod", go_struct.number, omit_empty=True),
    Field("StartInterval", "StartInterval", go_struct.number, omit_empty=True),
    Field("Interval", "Interval", go_struct.number, omit_empty=True),
    Field("Timeout", "Timeout", go_struct.number, omit_empty=True),
    Field("Retries", "Retries", go_struct.number, omit_empty=True),
)
_CONFIG: Fields = (
    Field("Hostname", "Hostname", go_struct.text),
    Field("Domainname", "Domainname", go_struct.text),
    Field("User", "User", go_struct.text),
    Field("AttachStdin", "AttachStdin", go_struct.flag),
    Field("AttachStdout", "AttachStdout", go_struct.flag),
    Field("AttachStderr", "AttachStderr", go_struct.flag),
    Field("ExposedPorts", "ExposedPorts", go_struct.text_set, omit_empty=True),
    Field("Tty", "Tty", go_struct.flag),
    Field("OpenStdin", "OpenStdin", go_struct.flag),
    Field("StdinOnce", "StdinOnce", go_struct.flag),
    Field("Env", "Env", go_struct.texts),
    Field("Cmd", "Cmd", go_struct.text_or_texts),
    Field("Healthcheck", "Healthcheck", _health_pointer, omit_empty=True),
    Field("ArgsEscaped", "ArgsEscaped", go_struct.flag, omit_empty=True),
    Field("Image", "Image", go_struct.text),
    Field("Volumes", "Volumes", go_struct.text_set),
    Field("WorkingDir", "WorkingDir", go_struct.text),
    Field("Entrypoint", "Entrypoint", go_struct.text_or_texts),
    Field("NetworkDisabled", "NetworkDisabled", go_struct.flag, omit_empty=True),
    Field("MacAddress", "MacAddress", go_struct.text, omit_empty=True),
    Field("OnBuild", "OnBuild", go_struct.texts),
    Field("Labels", "Labels", go_struct.text_map),
    Field("StopSignal", "StopSignal", go_struct.text, omit_empty=True),
    Field("StopTimeout", "StopTimeout", go_struct.number, omit_empty=True),
    Field("Shell", "Shell", go_struct.text_or_texts, omit_empty=True),
)
_IMAGE: Fields = (
    Field("ID", "id", go_struct.text, omit_empty=True),
    Field("Parent", "parent", go_struct.text, omit_empty=True),
    Field("Comment", "comment", go_struct.text, omit_empty=True),
    Field("Created", "created", go_struct.time),
    Field("Container", "container", go_struct.text, omit_empty=True),
    Field("ContainerConfig", "container_config", _config),
    Field("DockerVersion", "docker_version", go_struct.text, omit_empty=True),
    Field("Author", "author", go_struct.text, omit_empty=True),
    Field("Config", "config", _config_pointer, omit_empty=True),
    Field("Architecture", "architecture", go_struct.text, omit_empty=True),
    Field("Variant", "variant", go_struct.text, omit_empty=True),
    Field("OS", "os", go_struct.text, omit_empty=True),
    Field("Size", "Size", go_struct.number, omit_empty=True),
)
