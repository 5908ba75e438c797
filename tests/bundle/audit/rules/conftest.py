"""Rules and bundles to apply them to."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from bundler.bundle.audit.images import open_images
from bundler.bundle.audit.location import Location
from bundler.bundle.audit.rules.documents import rules_file, waivers_file
from bundler.bundle.audit.rules.evaluate import Verdict, evaluate
from bundler.bundle.audit.rules.former import read_former
from bundler.bundle.audit.rules.reading.read_images import read_location
from bundler.bundle.audit.rules.run_programs import add_program_results
from bundler.cancel import Cancellation
from bundler.config.settings import Settings
from bundler.events import discard
from bundler.ports import OpenOptions
from tests.fakes import bundles, images

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NAME = "docker.io/library/app:1"
NOW = datetime(2026, 12, 1, tzinfo=UTC)


@pytest.fixture
def load_rules(tmp_path: Path) -> Callable[[str], rules_file.RuleSet]:
    """Load rules from the text of a rules file."""

    def load(text: str) -> rules_file.RuleSet:
        path = tmp_path / "gate.yaml"
        path.write_text(text)
        return rules_file.load(path)

    return load


@pytest.fixture
def audit(
    tmp_path: Path, load_rules: Callable[[str], rules_file.RuleSet]
) -> Iterator[Callable[..., Verdict]]:
    """Audit a bundle with these images by one rule, ``CODE: SETTINGS``."""
    stack, numbers = ExitStack(), count()

    def run(
        rule: str,
        named: images.Image | dict[str, images.Image] | None = None,
        *,
        waivers: str | None = None,
        location: str | None = None,
        since: dict[str, images.Image] | None = None,
        programs: str = "{}",
        **members: Any,
    ) -> Verdict:
        if location is None:
            found = named if isinstance(named, dict) else {NAME: named or images.image()}
            location = str(bundles.write(tmp_path / f"bundle{next(numbers)}", found, **members))
        rules = load_rules(f"rules:\n  {rule}\nprograms: {programs}\n")
        accepted = ()
        if waivers is not None:
            path = tmp_path / "waivers.yaml"
            path.write_text(waivers)
            accepted = waivers_file.load(path)
        opened = stack.enter_context(open_images(Location((location,)), OpenOptions(Settings)))
        executor = stack.enter_context(ThreadPoolExecutor(2))
        audited = read_location(
            opened,
            rules.depth,
            executor,
            Cancellation(),
            emit=discard,
            now=NOW,
            extras=rules.extras,
        )
        audited = add_program_results(audited, rules.rules, Cancellation())
        if since is not None:
            former = read_former(bundles.write(tmp_path / f"former{next(numbers)}", since))
            audited = replace(audited, former=former.images)
        return evaluate(rules, audited, accepted)

    with stack:
        yield run
