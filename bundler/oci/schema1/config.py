"""What Docker knows of an image, as the struct that it was in when schema 1 was in use.

Images of Docker before 1.8.3 do not tell all of it; what they leave out has to be written out.

https://pkg.go.dev/go.podman.io/image/v5/manifest#Schema2V1Image
"""

from __future__ import annotations

from typing import Any

from bundler.gocompat.values import NIL, Struct, Value
from bundler.oci.json import fields, go_struct


def parse(value: dict[str, Any], subject: str) -> Struct:
    """The image that the topmost entry of a manifest of schema 1 describes.

    Raises:
        MalformedError: a member is not what Docker knows by its name.
    """
    return go_struct.struct("manifest.Schema2V1Image", _IMAGE, value, subject)


def _config(value: dict[str, Any], key: str, subject: str) -> Value:
    inner = fields.obj(value, key, subject) or {}
    return go_struct.struct("manifest.Schema2Config", _CONFIG, inner, f"{subject}: {key}")


def _config_if_any(value: dict[str, Any], key: str, subject: str) -> Value:
    return NIL if value.get(key) is None else _config(value, key, subject)


def _health(value: dict[str, Any], key: str, subject: str) -> Value:
    inner = fields.obj(value, key, subject)
    if inner is None:
        return NIL
    return go_struct.struct("manifest.Schema2HealthConfig", _HEALTH, inner, f"{subject}: {key}")


_HEALTH: go_struct.Fields = (
    ("Test", "Test", go_struct.texts, True),
    ("StartPeriod", "StartPeriod", go_struct.number, True),
    ("StartInterval", "StartInterval", go_struct.number, True),
    ("Interval", "Interval", go_struct.number, True),
    ("Timeout", "Timeout", go_struct.number, True),
    ("Retries", "Retries", go_struct.number, True),
)
_CONFIG: go_struct.Fields = (
    ("Hostname", "Hostname", go_struct.text, False),
    ("Domainname", "Domainname", go_struct.text, False),
    ("User", "User", go_struct.text, False),
    ("AttachStdin", "AttachStdin", fields.flag, False),
    ("AttachStdout", "AttachStdout", fields.flag, False),
    ("AttachStderr", "AttachStderr", fields.flag, False),
    ("ExposedPorts", "ExposedPorts", go_struct.keys, True),
    ("Tty", "Tty", fields.flag, False),
    ("OpenStdin", "OpenStdin", fields.flag, False),
    ("StdinOnce", "StdinOnce", fields.flag, False),
    ("Env", "Env", go_struct.texts, False),
    ("Cmd", "Cmd", go_struct.words, False),
    ("Healthcheck", "Healthcheck", _health, True),
    ("ArgsEscaped", "ArgsEscaped", fields.flag, True),
    ("Image", "Image", go_struct.text, False),
    ("Volumes", "Volumes", go_struct.keys, False),
    ("WorkingDir", "WorkingDir", go_struct.text, False),
    ("Entrypoint", "Entrypoint", go_struct.words, False),
    ("NetworkDisabled", "NetworkDisabled", fields.flag, True),
    ("MacAddress", "MacAddress", go_struct.text, True),
    ("OnBuild", "OnBuild", go_struct.texts, False),
    ("Labels", "Labels", go_struct.text_map, False),
    ("StopSignal", "StopSignal", go_struct.text, True),
    ("StopTimeout", "StopTimeout", go_struct.number, True),
    ("Shell", "Shell", go_struct.words, True),
)
_IMAGE: go_struct.Fields = (
    ("ID", "id", go_struct.text, True),
    ("Parent", "parent", go_struct.text, True),
    ("Comment", "comment", go_struct.text, True),
    ("Created", "created", go_struct.moment, False),
    ("Container", "container", go_struct.text, True),
    ("ContainerConfig", "container_config", _config, False),
    ("DockerVersion", "docker_version", go_struct.text, True),
    ("Author", "author", go_struct.text, True),
    ("Config", "config", _config_if_any, True),
    ("Architecture", "architecture", go_struct.text, True),
    ("Variant", "variant", go_struct.text, True),
    ("OS", "os", go_struct.text, True),
    ("Size", "Size", go_struct.number, True),
)
