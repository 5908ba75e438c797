"""Read settings for a registry in a bundle manifest or a target file: TLS, credentials, limits.

A file does not contain secrets, but names environment variables or other files that do. The secrets
are read when the file is read, and are used by the registry client only.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from bundler.config.registry_access import ANONYMOUS, Credentials, RegistryLimits, RegistryOverride
from bundler.config.sizes import parse_chunk
from bundler.config.yaml.document import MappingNode, ScalarNode, Value, get_member, is_true
from bundler.gocompat import durations

if TYPE_CHECKING:
    from collections.abc import Callable

    from bundler.config.yaml.context import YamlContext

T = TypeVar("T")


def read_override(value: Value | None, context: YamlContext) -> RegistryOverride:
    """Read the settings of one registry in ``value``; report mistakes to ``context``."""
    tls, secrets, limits = (get_member(value, key) for key in ("tls", "credentials", "limits"))
    token_service = get_member(value, "tokenService")
    chunk, upload_chunk = get_member(limits, "chunk"), None
    if isinstance(chunk, ScalarNode):
        try:
            upload_chunk = parse_chunk(str(chunk))
        except ValueError as error:
            context.mistakes.add(chunk.at, f"`chunk`: {error}")
    ca_file = context.resolve_path(get_member(tls, "caFile"))
    return RegistryOverride(
        credentials=_read_credentials(secrets, context),
        authfile=context.resolve_path(get_member(secrets, "authfile")),
        tls_verify=_read_flag(tls, "verify"),
        plain_http=_read_flag(tls, "plainHttp"),
        ca_files=() if ca_file is None else (ca_file,),
        client_certificate=context.resolve_path(get_member(tls, "clientCert")),
        client_key=context.resolve_path(get_member(tls, "clientKey")),
        cert_dir=context.resolve_path(get_member(tls, "certDir")),
        limits=_read_limits(limits) if isinstance(limits, MappingNode) else None,
        upload_chunk=upload_chunk,
        token_service=str(token_service) if isinstance(token_service, ScalarNode) else None,
    )


def _read_limits(limits: MappingNode) -> RegistryLimits | None:
    def read(key: str, parse: Callable[[str], T]) -> T | None:
        member = limits.get(key)
        return parse(member) if isinstance(member, ScalarNode) else None

    with suppress(ValueError):  # the schema validation has reported it
        return RegistryLimits(
            parallel=read("parallel", int),
            requests_per_second=read("requestsPerSecond", float),
            patience=read("patience", durations.parse),
            response_timeout=read("responseTimeout", durations.parse),
            stall_timeout=read("stallTimeout", durations.parse),
            min_bytes_per_second=read("minBytesPerSecond", float),
        )
    return None


def _read_credentials(value: Value | None, context: YamlContext) -> Credentials | None:
    if not isinstance(value, MappingNode):
        return None
    users = [key for key in ("usernameEnv", "usernameFile") if key in value]
    passwords = [key for key in ("passwordEnv", "passwordFile") if key in value]
    anonymous = is_true(value.get("anonymous"))
    methods = [bool(users or passwords), "authfile" in value, anonymous]
    if sum(methods) > 1 or len(users) > 1 or len(passwords) > 1 or len(users) != len(passwords):
        context.mistakes.add(
            value.at,
            "`credentials`: expected one of usernameEnv and usernameFile with one of passwordEnv"
            " and passwordFile, or authfile alone, or anonymous alone",
        )
        return None
    if anonymous:
        return replace(ANONYMOUS, file=context.file)
    if not users:
        return None
    username = context.read_variable(value.get("usernameEnv")) or context.read_secret(
        value.get("usernameFile")
    )
    password = context.read_variable(value.get("passwordEnv")) or context.read_secret(
        value.get("passwordFile")
    )
    return Credentials(username=username, password=password, file=context.file)


def _read_flag(value: Value | None, key: str) -> bool | None:
    member = get_member(value, key)
    return None if member is None else is_true(member)
