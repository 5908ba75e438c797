"""What Docker knows of an image, as the struct that it was in when schema 1 was in use.

Images of Docker before 1.8.3 do not tell all of it; what they leave out has to be written out.

https://pkg.go.dev/go.podman.io/image/v5/manifest#Schema2V1Image
"""

from __future__ import annotations

from typing import Any

from bundler.oci import fields, go_fields
from bundler.oci.go_values import NIL, Struct, Value


def parse(value: dict[str, Any], what: str) -> Struct:
    """The image that the topmost entry of a manifest of schema 1 describes.

    Raises:
        MalformedError: a member is not what Docker knows by its name.
    """
    return go_fields.struct("manifest.Schema2V1Image", _IMAGE, value, what)


def _config(value: dict[str, Any], key: str, what: str) -> Value:
    inner = fields.obj(value, key, what) or {}
    return go_fields.struct("manifest.Schema2Config", _CONFIG, inner, f"{what}: {key}")


def _config_if_any(value: dict[str, Any], key: str, what: str) -> Value:
    return NIL if value.get(key) is None else _config(value, key, what)


def _health(value: dict[str, Any], key: str, what: str) -> Value:
    inner = fields.obj(value, key, what)
    if inner is None:
        return NIL
    return go_fields.struct("manifest.Schema2HealthConfig", _HEALTH, inner, f"{what}: {key}")


_HEALTH: go_fields.Fields = (
    ("Test", "Test", go_fields.texts, True),
    ("StartPeriod", "StartPeriod", go_fields.number, True),
    ("StartInterval", "StartInterval", go_fields.number, True),
    ("Interval", "Interval", go_fields.number, True),
    ("Timeout", "Timeout", go_fields.number, True),
    ("Retries", "Retries", go_fields.number, True),
)
_CONFIG: go_fields.Fields = (
    ("Hostname", "Hostname", go_fields.text, False),
    ("Domainname", "Domainname", go_fields.text, False),
    ("User", "User", go_fields.text, False),
    ("AttachStdin", "AttachStdin", fields.flag, False),
    ("AttachStdout", "AttachStdout", fields.flag, False),
    ("AttachStderr", "AttachStderr", fields.flag, False),
    ("ExposedPorts", "ExposedPorts", go_fields.keys, True),
    ("Tty", "Tty", fields.flag, False),
    ("OpenStdin", "OpenStdin", fields.flag, False),
    ("StdinOnce", "StdinOnce", fields.flag, False),
    ("Env", "Env", go_fields.texts, False),
    ("Cmd", "Cmd", go_fields.words, False),
    ("Healthcheck", "Healthcheck", _health, True),
    ("ArgsEscaped", "ArgsEscaped", fields.flag, True),
    ("Image", "Image", go_fields.text, False),
    ("Volumes", "Volumes", go_fields.keys, False),
    ("WorkingDir", "WorkingDir", go_fields.text, False),
    ("Entrypoint", "Entrypoint", go_fields.words, False),
    ("NetworkDisabled", "NetworkDisabled", fields.flag, True),
    ("MacAddress", "MacAddress", go_fields.text, True),
    ("OnBuild", "OnBuild", go_fields.texts, False),
    ("Labels", "Labels", go_fields.text_map, False),
    ("StopSignal", "StopSignal", go_fields.text, True),
    ("StopTimeout", "StopTimeout", go_fields.number, True),
    ("Shell", "Shell", go_fields.words, True),
)
_IMAGE: go_fields.Fields = (
    ("ID", "id", go_fields.text, True),
    ("Parent", "parent", go_fields.text, True),
    ("Comment", "comment", go_fields.text, True),
    ("Created", "created", go_fields.moment, False),
    ("Container", "container", go_fields.text, True),
    ("ContainerConfig", "container_config", _config, False),
    ("DockerVersion", "docker_version", go_fields.text, True),
    ("Author", "author", go_fields.text, True),
    ("Config", "config", _config_if_any, True),
    ("Architecture", "architecture", go_fields.text, True),
    ("Variant", "variant", go_fields.text, True),
    ("OS", "os", go_fields.text, True),
    ("Size", "Size", go_fields.number, True),
)
