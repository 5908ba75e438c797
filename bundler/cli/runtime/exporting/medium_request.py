"""The part of the request of ``export`` and ``relay`` that is about the medium."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bundler.cli.runtime import volume_prompts

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bundler.bundle.exporting.export import ExportRequest
    from bundler.cli.options.medium import MediumOptions
    from bundler.cli.runtime.context import CommandRun


def add_medium(
    request: ExportRequest, medium: MediumOptions, run: CommandRun, *, may_ask: bool
) -> ExportRequest:
    """Return ``request`` with the options of the medium, after the carried program is prepared.

    ``may_ask``: whether the directories of further volumes may be asked for on a terminal.
    """
    program: Mapping[str, Path] = {}
    if medium.with_program:
        from bundler.cli.runtime.exporting.carried_program import prepare_files  # noqa: PLC0415 - on request

        program = prepare_files(run)
    return replace(
        request,
        duplicate_blobs=medium.duplicate_blobs,
        parents=medium.parents,
        on_system_disk=medium.on_system_disk,
        read_back=medium.read_back,
        program=program,
        media_profile=medium.media_profile,
        volumes=medium.volumes,
        volume_size=medium.volume_size,
        split=medium.split,
        ask_for_volume=volume_prompts.find_question(may_ask=may_ask),
    )
