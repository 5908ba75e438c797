"""Help under Skopeo's name."""

from __future__ import annotations

import pytest

from bundler.cli.frontends.skopeo.arguments.flag_tables import COMMANDS
from bundler.cli.frontends.skopeo.arguments.help_and_completion import format_help


@pytest.mark.parametrize("name", ["copy", "sync"])
def test_help_states_the_default_of_skopeo_for_all_images(name: str):
    (line,) = [row for row in format_help(COMMANDS[name]).splitlines() if "--all" in row]
    assert line.endswith("Copy all images of an index (default: the one for this machine).")


def test_help_of_logout_keeps_the_native_text_of_all():
    (line,) = [row for row in format_help(COMMANDS["logout"]).splitlines() if "--all" in row]
    assert "registries" in line
