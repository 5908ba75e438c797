"""Programs of a site that check the layers of images, such as a scanner for viruses.

A program gets the uncompressed tar of one layer on its standard input. It is started without a
shell and without the environment of this process.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from bundler.bundle.audit.rules.finding import Place
from bundler.bundle.audit.rules.rule import Problem, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bundler.bundle.audit.rules.audited import AuditedImage, AuditedLocation, AuditedPlatform
    from bundler.bundle.audit.rules.finding import Severity
    from bundler.oci.digest import Digest

PREFIX = "program:"
"""The beginning of the codes of findings of programs; their names follow."""
DEFAULT_TIMEOUT = 600
_MAX_TEXT = 300


@dataclass(frozen=True, slots=True)
class Program:
    """A program that a rules file lists."""

    name: str
    arguments: tuple[str, ...]
    """The path of the program, and its arguments."""
    timeout: int
    """The maximum duration for one layer in seconds."""
    statuses: Mapping[int, Severity | None] = field(hash=False)
    """The exit statuses that are findings, with their severities; None: that of the rule."""


@dataclass(frozen=True, slots=True)
class LayerResult:
    """The result of a program for one layer."""

    layer: Digest
    status: int | None
    """The exit status; None: it did not end by itself, or was not started."""
    text: str
    """The first line of its output, or a statement about its end. Untrusted."""


def create_rule(program: Program) -> Rule:
    """Return the rule of a program; its check is that of ``create_check``."""
    return Rule(
        PREFIX + program.name,
        f"The program {program.arguments[0][:160]} accepts each layer.",
        "See the documentation of the program.",
        scope="platform",
        depth="contents",
        create=lambda _: partial(_check, program),
    )


def _check(
    program: Program, _: AuditedLocation, __: AuditedImage, platform: AuditedPlatform
) -> Iterator[Problem]:
    results = platform.contents.programs if platform.contents else {}
    if program.name not in results:
        yield Problem("the program was not run", is_unchecked=True)
        return
    for result in results[program.name]:
        place = Place(layer=result.layer.text)
        text = f"layer {result.layer.text[:19]}: {result.text[:_MAX_TEXT]}"
        if result.status is None:
            yield Problem(text, place, is_unchecked=True)
        elif result.status in program.statuses:
            yield Problem(text, place, severity=program.statuses[result.status])
        elif result.status:
            yield Problem(f"{text} (status {result.status})", place, is_unchecked=True)
