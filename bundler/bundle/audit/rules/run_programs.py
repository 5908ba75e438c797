"""Run the programs of a rules file on the layers of images, each layer once for each program."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from bundler.bundle.audit.rules.audited import UNREADABLE
from bundler.bundle.audit.rules.programs import LayerResult
from bundler.copy.parallel import run_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from bundler.bundle.audit.rules.audited import AuditedLocation
    from bundler.bundle.audit.rules.documents.rules_file import ActiveRule
    from bundler.bundle.audit.rules.programs import Program
    from bundler.cancel import Cancellation
    from bundler.oci.descriptor import Descriptor
    from bundler.oci.digest import Digest
    from bundler.ports import Source

MAX_OUTPUT = 1024 * 1024
_CHUNK = 64 * 1024  # the size of a pipe
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def add_program_results(
    audited: AuditedLocation, rules: Iterable[ActiveRule], cancellation: Cancellation
) -> AuditedLocation:
    """Run the programs of ``rules`` on the layers of the images to which they apply.

    Images whose layers were not read are left out. A program that cannot be started, is killed, or
    exceeds a limit has no status.

    Raises:
        IntegrityError: a layer does not match its digest.
    """
    active = [(item, item.program) for item in rules if item.program is not None]
    tasks: dict[tuple[str, Digest], Callable[[], LayerResult]] = {}
    for item, program in active:
        for image in filter(item.applies_to, audited.images):
            if image.resolved is None:
                continue
            source = image.resolved.source
            for platform in image.platforms:
                facts = {"AIRBUNDLE_IMAGE": image.name, "AIRBUNDLE_PLATFORM": platform.name}
                for layer in platform.image.manifest.layers if platform.contents else ():
                    task = partial(_run, program, source, layer, facts, cancellation)
                    tasks.setdefault((program.name, layer.digest), task)
    if not active:
        return audited
    with ThreadPoolExecutor(len(os.sched_getaffinity(0)), "programs") as executor:
        results = dict(zip(tasks, run_all(executor, [*tasks.values()], cancellation), strict=True))
    images = []
    for image in audited.images:
        names = [program.name for item, program in active if item.applies_to(image)]
        platforms = []
        for platform in image.platforms:
            contents = platform.contents
            if contents is not None:
                digests = [layer.digest for layer in platform.image.manifest.layers]
                own = {name: tuple(results[name, digest] for digest in digests) for name in names}
                contents = replace(contents, programs=own)
            platforms.append(replace(platform, contents=contents))
        images.append(replace(image, platforms=tuple(platforms)))
    return replace(audited, images=tuple(images))


def _run(
    program: Program,
    source: Source,
    layer: Descriptor,
    facts: Mapping[str, str],
    cancellation: Cancellation,
) -> LayerResult:
    """Run a program on a layer, which is read to its end and verified."""
    import tempfile  # noqa: PLC0415 - only with programs

    from bundler.bundle.audit.layers.scan import open_layer  # noqa: PLC0415 - as above
    from bundler.content.run_program import run_program  # noqa: PLC0415 - as above

    environment = {
        "PATH": _PATH,
        "LANG": "C.UTF-8",
        "TMPDIR": tempfile.gettempdir(),
        "AIRBUNDLE_LAYER": layer.digest.text,
        **{name: value.replace("\0", "") for name, value in facts.items()},
    }
    try:
        with open_layer(source, layer, cancellation) as tar:
            result = run_program(
                program.arguments,
                iter(lambda: tar.read(_CHUNK), b""),
                cancellation,
                max_output=MAX_OUTPUT,
                timeout=program.timeout,
                environment=environment,
                errors_size=4096,
            )
    except OSError as error:
        problem = f"the program cannot be started: {error.strerror}"
        return LayerResult(layer.digest, None, problem)
    except UNREADABLE as error:
        return LayerResult(layer.digest, None, error.message)
    if result.status < 0:
        return LayerResult(layer.digest, None, f"the program was killed by signal {-result.status}")
    output = (result.output + b"\n" + result.errors).decode(errors="replace")
    lines = filter(None, map(str.strip, output.splitlines()))
    text = next(lines, "the program states no reason")
    return LayerResult(layer.digest, result.status, text)
