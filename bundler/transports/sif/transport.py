"""``sif:FILE``: an image of Apptainer or Singularity, as one layer; for reading only.

Its root directory becomes the layer, and what its definition file says of an environment and of a
runscript becomes a program in it. The config is made here as containers/image makes it.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from bundler.content.files.safe_directory import RegularFile
from bundler.content.streams.reader import drain
from bundler.errors import InvalidReferenceError
from bundler.oci import media_types
from bundler.oci.descriptor import Descriptor
from bundler.oci.json import timestamps
from bundler.transports.shared.path_reference import UnnamedReference
from bundler.transports.shared.synthetic_image import (
    ReadOnlyTransport,
    SyntheticImage,
    SyntheticSource,
    history_entry,
)
from bundler.transports.sif import file_format, squashfs_layer

if TYPE_CHECKING:
    from bundler.oci.digest import Digest
    from bundler.ports import OpenOptions
    from bundler.transports.sif.file_format import SifFile

_SCRIPT = "podman/runscript"


class SifSource(SyntheticSource):
    """Reads a SIF file; its files are packed into a layer when the image is first asked for.

    Raises:
        MalformedError, UnsupportedError: it is none, or has no root directory to read.
        NotFoundError, MediumError: it cannot be read.
    """

    def __init__(self, reference: UnnamedReference, options: OpenOptions) -> None:
        with ExitStack() as opened:
            self._file = opened.enter_context(RegularFile.open(Path(reference.path)))
            self._sif = file_format.read(self._file)
            super().__init__(reference, options, opened.pop_all())

    def create(self) -> SyntheticImage:
        """Pack the files into a layer."""
        script = _script(self._sif.definition)
        programs = {} if script is None else {_SCRIPT: script}
        layer = squashfs_layer.create_layer(self._file, self._sif, programs, self.options)
        self.resources.enter_context(layer)
        content = self.verified_reader(layer, self.subject)
        drain(content)
        blob = content.descriptor()
        entry = Descriptor(media_types.OCI_LAYER, blob.digest, blob.size)
        command = "bash" if script is None else f"/{_SCRIPT}"
        return SyntheticImage.create(_config(self._sif, command, blob.digest), [(entry, layer)])


class SifTransport(ReadOnlyTransport):
    """``sif:``."""

    hint = (
        "write docker-archive:FILE, and build from that: apptainer build NEW.sif "
        "docker-archive:FILE"
    )

    def parse(self, text: str, /) -> UnnamedReference:
        """Read ``FILE``."""
        if not text or "\0" in text:
            raise InvalidReferenceError(f"sif:{text[:200]}: no file", hint="write sif:FILE")
        return UnnamedReference("sif", text)

    def source(self, reference: UnnamedReference, options: OpenOptions, /) -> SifSource:
        """Open a file for reading."""
        return SifSource(reference, options)


def _script(definition: bytes) -> bytes | None:
    """What a definition's ``%environment`` and ``%runscript`` say, as a program; None: nothing."""
    sections: dict[str, list[str]] = {"%environment": [], "%runscript": []}
    section: list[str] | None = None
    for line in definition.removesuffix(b"\n").decode("utf-8", "surrogateescape").split("\n"):
        text = line.strip()
        if text.startswith("%"):
            section = sections.get(text)
        elif section is sections["%environment"] and (not text or text.startswith("#")):
            continue
        elif section is not None:
            section.append(text)
    if not any(sections.values()):
        return None
    said = "\n".join("\n".join(lines) for lines in sections.values())
    return f"#!/bin/bash\n{said}\n".encode("utf-8", "surrogateescape")


def _config(sif: SifFile, command: str, diff_id: Digest) -> dict[str, object]:
    created = timestamps.format_nanoseconds(sif.modified * 10**9)
    return {
        "created": created,
        "architecture": sif.architecture,
        "os": "linux",
        "config": {"Cmd": [command]},
        "rootfs": {"type": "layers", "diff_ids": [diff_id.text]},
        "history": [
            history_entry(diff_id, created, f"imported from SIF, uuid: {sif.id}"),
            {
                "created": created,
                "created_by": '/bin/sh -c #(nop) CMD ["bash"]',
                "empty_layer": True,
            },
        ],
    }


TRANSPORT = SifTransport()
