"""``sif:FILE``: an image of Apptainer or Singularity, for reading only.

The root directory becomes the only layer. The environment and the runscript of the definition file
become a program in it. Layer and config are the same that containers/image creates.
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
from bundler.transports.shared.path_transport import UnnamedReference
from bundler.transports.shared.synthetic_image import (
    Layers,
    ReadOnlyTransport,
    SyntheticSource,
    create_history_entry,
)
from bundler.transports.sif import file_format, squashfs_layer

if TYPE_CHECKING:
    from bundler.oci.digest import Digest
    from bundler.ports import OpenOptions
    from bundler.transports.sif.file_format import SifFile

_SCRIPT = "podman/runscript"


class SifSource(SyntheticSource):
    """Source of the image in a SIF file.

    Raises:
        MalformedError, UnsupportedError: not a SIF file, or without a readable root directory.
        NotFoundError, MediumError: the file cannot be read.
    """

    def __init__(self, reference: UnnamedReference, options: OpenOptions) -> None:
        with ExitStack() as stack:
            self._file = stack.enter_context(RegularFile.open(Path(reference.path)))
            self._sif = file_format.read(self._file)
            super().__init__(reference, options, stack.pop_all())

    def create(self) -> tuple[dict[str, object], Layers]:
        """Convert the root directory to a layer, and create the config."""
        script = _create_script(self._sif.definition)
        programs = {} if script is None else {_SCRIPT: script}
        layer = squashfs_layer.create_layer(self._file, self._sif, programs, self.options)
        self.resources.enter_context(layer)
        content = self.create_hashing_reader(layer, self.subject)
        drain(content)
        blob = content.descriptor()
        entry = Descriptor(media_types.OCI_LAYER, blob.digest, blob.size)
        command = "bash" if script is None else f"/{_SCRIPT}"
        return _create_config(self._sif, command, blob.digest), [(entry, layer)]


class SifTransport(ReadOnlyTransport):
    """The transport ``sif:``."""

    hint = (
        "write docker-archive:FILE, and build an image from it: apptainer build NEW.sif "
        "docker-archive:FILE"
    )

    def parse(self, text: str, /) -> UnnamedReference:
        """Parse ``FILE``.

        Raises:
            InvalidReferenceError: there is no file.
        """
        if not text or "\0" in text:
            raise InvalidReferenceError(f"sif:{text[:200]}: no file", hint="write sif:FILE")
        return UnnamedReference("sif", text)

    def source(self, reference: UnnamedReference, options: OpenOptions, /) -> SifSource:
        """Open the file for reading."""
        return SifSource(reference, options)


def _create_script(definition: bytes) -> bytes | None:
    """Return the sections ``%environment`` and ``%runscript`` as a script; None if both are empty.

    The sections are parsed as by containers/image, comments within ``%runscript`` included.
    """
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
    body = "\n".join("\n".join(lines) for lines in sections.values())
    return f"#!/bin/bash\n{body}\n".encode("utf-8", "surrogateescape")


def _create_config(sif: SifFile, command: str, diff_id: Digest) -> dict[str, object]:
    created = timestamps.format_nanoseconds(sif.modified * 10**9)
    return {
        "created": created,
        "architecture": sif.architecture,
        "os": "linux",
        "config": {"Cmd": [command]},
        "rootfs": {"type": "layers", "diff_ids": [diff_id.text]},
        "history": [
            create_history_entry(diff_id, created, f"imported from SIF, uuid: {sif.id}"),
            {
                "created": created,
                "created_by": '/bin/sh -c #(nop) CMD ["bash"]',
                "empty_layer": True,
            },
        ],
    }


TRANSPORT = SifTransport()
