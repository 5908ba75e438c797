"""``airbundle serve`` as a process, which is always stopped."""

from __future__ import annotations

import json
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.interop import servers


@dataclass(frozen=True, slots=True)
class Serving:
    """A running server: its ``host:port``, and its images by name."""

    host: str
    images: dict[str, dict[str, Any]]
    process: subprocess.Popen[str]


@contextmanager
def serve(airbundle: servers.Client, *arguments: object) -> Iterator[Serving]:
    """Serve bundles on a free port until the block ends."""
    command = [*airbundle.command, "serve", *map(str, arguments), "--port", "0", "--json"]
    with subprocess.Popen(
        command,
        env=airbundle.env(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            lines: list[str] = []
            while not lines or lines[-1] not in ("}\n", ""):
                lines.append(process.stdout.readline())
            if lines[-1] == "":
                raise AssertionError(process.communicate()[1])
            described = json.loads("".join(lines))
            host = described["url"].partition("//")[2].rstrip("/")
            yield Serving(host, {item["name"]: item for item in described["images"]}, process)
        finally:
            process.terminate()
