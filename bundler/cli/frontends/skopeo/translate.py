"""Skopeo's command line in the words of our own.

Most flags have the same name; the functions here tell what differs, and above all what Skopeo
does where nothing is said.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bundler.cli.frontends.skopeo import logrus
from bundler.cli.options.go_bool import GoBoolOption
from bundler.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    import click

    from bundler.cli.frontends.skopeo.argv import CommandLine
    from bundler.cli.frontends.skopeo.flag_values import Value

Said = dict[str, "Value"]

_MOST_JOBS = 64
_COMPRESSING = ("docker", "oci", "oci-archive", "atomic")
"""Destinations for which Skopeo compresses layers that are not compressed."""
_UNUSED = {"no-descriptions", "tls-verify"}
"""Flags that Skopeo accepts in commands where they change nothing."""
_HOW_TO_COMPRESS = ("dest-compress-format", "dest-compress-level", "dest-force-compress-format")
"""What Skopeo heeds only where it compresses at all."""


def translated(line: CommandLine, command: click.Command, *, version: str) -> list[str]:
    """Our own command line for what ``line`` says.

    Args:
        line: what was typed, found to be good.
        command: our command of the same name.
        version: the version of Skopeo to be.

    Raises:
        UsageError: it asks for what we cannot do.
    """
    said: Said = {name: value for name, value in line.program.items() if name != "tls-verify"}
    said.update(line.flags)
    arrange = _ARRANGE.get(line.command.name)
    if arrange is not None:
        arrange(line, said)
    elif "tls-verify" in line.program:
        said.setdefault("tls-verify", line.program["tls-verify"])
    for name in ("cert-dir", "src-cert-dir", "dest-cert-dir"):
        if name in said and not os.path.isdir(str(said[name])):  # noqa: PTH112 - as it was typed
            del said[name]  # there is nothing in it
    ours = {name[2:]: param for param in command.params for name in param.opts}
    for name in _UNUSED - ours.keys():
        said.pop(name, None)
    if said.pop("registries.d", None):
        logrus.log("warning", "--registries.d has no effect yet: the signatures are not read")
    options = []
    for name, value in said.items():
        if name not in ours:
            raise UsageError(f"--{name} is not supported by this program")
        options += _spelled(name, value, ours[name])
    habits: Said = {
        "ignore-unused-options": True,
        "policy-must-exist": True,
        "lenient": True,
        "refuse-existing": True,
        "user-agent": f"skopeo/{version}",
    }
    for name, value in habits.items():
        if name in ours:
            options += _spelled(name, value, ours[name])
    return [line.command.name, *options, "--", *map(_reference, line.arguments)]


def _copy(line: CommandLine, said: Said) -> None:
    said.update({"src-creds": said.pop("screds")} if "screds" in said else {})
    said.update({"dest-creds": said.pop("dcreds")} if "dcreds" in said else {})
    _both_sides(line, said)
    transport = line.arguments[1].partition(":")[0]
    for name in ("dest-compress", "dest-decompress"):
        if said.get(name) and transport != "dir":
            del said[name]
            logrus.log(
                "warning", f"--{name} can only be used if the destination transport is 'dir'"
            )
    if transport not in _COMPRESSING and not said.get("dest-compress"):
        for name in _HOW_TO_COMPRESS:
            said.pop(name, None)
    accepts_uncompressed = said.pop("dest-oci-accept-uncompressed-layers", False)
    if transport in _COMPRESSING and not (transport != "docker" and accepts_uncompressed):
        said["dest-compress-uncompressed"] = True
    if said.get("preserve-digests"):
        said.pop("format", None)  # digests win
    elif transport in ("oci", "oci-archive"):
        said["format"] = "oci"
    if not said.get("all"):
        said["multi-arch"] = said.get("multi-arch") or "system"
    parallel = said.pop("image-parallel-copies", 0)
    if isinstance(parallel, int) and parallel:
        said["jobs"] = min(parallel, _MOST_JOBS)


def _sync(line: CommandLine, said: Said) -> None:
    _both_sides(line, said)
    if not said.get("all"):
        said["multi-arch"] = "system"
    if line.text("src") == "docker":
        name = line.arguments[0]
        tagged = ":" in name.rpartition("/")[2] or "@" in name
        logrus.log("info", "Tag presence check", imagename=name, tagged=tagged)


def _both_sides(line: CommandLine, said: Said) -> None:
    """Flags without a side are for both, as far as nothing is said of one."""
    if "tls-verify" in said:
        logrus.log(
            "warning",
            "'--tls-verify' is deprecated, instead use: --src-tls-verify, --dest-tls-verify",
        )
    both = {
        "tls-verify": said.pop("tls-verify", line.program.get("tls-verify")),
        "authfile": said.pop("authfile", None),
    }
    for name, value in both.items():
        if value is not None and value != "":
            said.setdefault(f"src-{name}", value)
            said.setdefault(f"dest-{name}", value)


def _spelled(name: str, value: Value, param: click.Parameter) -> list[str]:
    """The option ``name`` with its value."""
    if isinstance(value, bool) and not isinstance(param, GoBoolOption):
        return [f"--{name}"] if value else []
    if isinstance(value, bool):
        return [f"--{name}={str(value).lower()}"]
    if isinstance(value, list):
        return [f"--{name}={item}" for item in value]
    if isinstance(value, float):
        return [f"--{name}={max(0, round(value * 1_000_000_000))}ns"]
    if isinstance(value, int):
        return [f"--{name}={value if name == 'dest-compress-level' else max(0, value)}"]
    return [f"--{name}={value}"] if value or name.endswith("creds") else []


def _reference(text: str) -> str:
    """The present directory has no name in Skopeo's references."""
    return "dir:." if text == "dir:" else text


_ARRANGE: dict[str, Callable[[CommandLine, Said], None]] = {
    "copy": _copy,
    "sync": _sync,
}
