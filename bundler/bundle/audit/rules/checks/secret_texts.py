"""Rules about secrets in the texts of manifests and configs; ``files`` has that about files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.bundle.audit.image_properties import MAX_HISTORY
from bundler.bundle.audit.rules.rule import Problem, Rule
from bundler.bundle.audit.secret_text import MAX_TEXT, contains_secret, looks_secret

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bundler.bundle.audit.rules.audited import AuditedImage, AuditedLocation, AuditedPlatform


def _check_environment(
    _: AuditedLocation, __: AuditedImage, platform: AuditedPlatform
) -> Iterator[Problem]:
    yield from _check_values("variable", platform.properties.environment)


def _check_labels(
    _: AuditedLocation, __: AuditedImage, platform: AuditedPlatform
) -> Iterator[Problem]:
    yield from _check_values("label", platform.properties.labels.items())
    yield from _check_values("annotation", platform.properties.annotations.items())


def _check_values(kind: str, values: Iterable[tuple[str, str]]) -> Iterator[Problem]:
    """Check values with names, all of one ``kind``."""
    for name, value in values:
        if looks_secret(name, value):
            yield Problem(f"the {kind} {name[:80]} looks like a secret")
        elif len(value) > MAX_TEXT:
            yield Problem(f"the {kind} {name[:80]} is too long to search", is_unchecked=True)


def _check_commands(
    _: AuditedLocation, __: AuditedImage, platform: AuditedPlatform
) -> Iterator[Problem]:
    properties = platform.properties
    commands = {
        "the entry point": " ".join(properties.entrypoint),
        "the default command": " ".join(properties.command),
    }
    for number, step in enumerate(properties.history, 1):
        commands[f"step {number} of the history"] = step.command
    for name, command in commands.items():
        if contains_secret(command):
            yield Problem(f"{name} contains text that looks like a secret")
        elif len(command) > MAX_TEXT:
            yield Problem(f"{name} is too long to search", is_unchecked=True)
    if len(properties.history) == MAX_HISTORY:
        yield Problem("the history may be too long to search", is_unchecked=True)


RULES = (
    Rule(
        "no-secret-variables",
        "No variable in the environment of an image looks like a secret, by its name or its value.",
        "Remove the variable from the image and replace the secret, which is no longer secret.",
        scope="platform",
        depth="manifests",
        create=lambda _: _check_environment,
    ),
    Rule(
        "no-secret-labels",
        "No label of an image and no annotation of its manifest looks like a secret, by its name or"
        " its value.",
        "Remove the label and replace the secret, which is no longer secret.",
        scope="platform",
        depth="manifests",
        create=lambda _: _check_labels,
    ),
    Rule(
        "no-secret-commands",
        "No command in the history of an image, its entry point or its default command contains a"
        " secret, by its form, or by the name of an option or variable that is set: build arguments"
        " are in the history.",
        "Build the image with a secret mount in place of an argument, and replace the secret.",
        scope="platform",
        depth="manifests",
        create=lambda _: _check_commands,
    ),
)
