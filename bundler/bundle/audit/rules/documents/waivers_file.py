"""Files of waivers: YAML files with the findings that a site accepts."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from bundler.bundle.audit.rules.checks import BY_CODE
from bundler.bundle.audit.rules.finding import SCOPE_UNUSED, UNCHECKED
from bundler.bundle.audit.rules.waivers import Waiver
from bundler.bundle.manifest.schema_validation import validate
from bundler.config.yaml import document
from bundler.config.yaml.document import (
    MappingNode,
    SequenceNode,
    YamlMistakes,
    get_member,
    suggest_word,
)

if TYPE_CHECKING:
    from pathlib import Path

_PROGRAM = re.compile(r"program:[a-z0-9-]+")
_CODES = [SCOPE_UNUSED, *(code + end for code in BY_CODE for end in ("", UNCHECKED))]


def load(path: Path) -> tuple[Waiver, ...]:
    """Read a file of waivers.

    Raises:
        InvalidBundleManifestError: contains every mistake as ``path:line:column: text``.
        LimitError: the file is too large, is nested too deeply, or has too many values.
        NotFoundError: the file does not exist.
    """
    mistakes = YamlMistakes()
    value = document.parse(
        document.decode(document.read_bytes(path), str(path)), str(path), mistakes
    )
    validate(value, "waivers", mistakes)
    mistakes.raise_if_any()
    items = get_member(value, "waivers")
    found = []
    for fields in items if isinstance(items, SequenceNode) else ():
        if not isinstance(fields, MappingNode):
            continue
        texts = {name: str(text) for name, text in fields.items()}
        if texts["code"] not in _CODES and not _PROGRAM.fullmatch(texts["code"]):
            proposal = suggest_word(texts["code"], _CODES)
            mistakes.add(fields["code"].at, f"unknown code `{texts['code'][:80]}`{proposal}")
        expires = datetime.max.replace(tzinfo=UTC)
        try:
            day = datetime.strptime(texts.pop("expires"), "%Y-%m-%d")  # noqa: DTZ007 - a date
            expires = day.replace(tzinfo=UTC) + timedelta(days=1)
        except (ValueError, OverflowError):
            mistakes.add(fields["expires"].at, "`expires`: the date does not exist")
        origin = f"{fields.at.file}:{fields.at.line}"
        found.append(Waiver(origin=origin, expires=expires, **texts))
    mistakes.raise_if_any()
    return tuple(found)
