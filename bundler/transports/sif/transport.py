"""``sif:FILE``: an image of Apptainer or Singularity, as one layer; for reading only.

Its root directory becomes the layer, and what its definition file says of an environment and of a
runscript becomes a program in it. The config is made here as containers/image makes it.
"""

from __future__ import annotations

import threading
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bundler.content.files.safe_directory import FileSlice, RegularFile
from bundler.content.streams.reader import new_buffer
from bundler.content.streams.verified import VerifiedReader
from bundler.errors import InvalidReferenceError, NotFoundError, ReadOnlyTransportError
from bundler.oci import media_types
from bundler.oci.json import timestamps
from bundler.ports import SynthesizesManifests
from bundler.transports.shared.synthetic_image import SyntheticImage, added
from bundler.transports.sif import file_format, squashfs_layer

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from typing import NoReturn

    from bundler.content.streams.reader import Reader
    from bundler.oci.descriptor import Descriptor
    from bundler.oci.digest import Digest
    from bundler.ports import Node, OpenOptions
    from bundler.transports.sif.file_format import SifFile

_SCRIPT = "podman/runscript"


@dataclass(frozen=True, slots=True)
class SifReference:
    """``sif:FILE``; the image has no name."""

    path: str

    @property
    def transport(self) -> str:
        """``sif``."""
        return "sif"

    @property
    def name(self) -> None:
        """None: there is only this image."""
        return

    def __str__(self) -> str:
        return f"sif:{self.path}"


class SifSource(SynthesizesManifests):
    """Reads a SIF file; its files are packed into a layer when the image is first asked for.

    Raises:
        MalformedError, UnsupportedError: it is none, or has no root directory to read.
        NotFoundError, MediumError: it cannot be read.
    """

    def __init__(self, reference: SifReference, options: OpenOptions) -> None:
        self._what = str(reference)
        self._options = options
        self._making = threading.Lock()
        self._image: SyntheticImage | None = None
        with ExitStack() as opened:
            self._file = opened.enter_context(RegularFile.open(Path(reference.path)))
            self._sif = file_format.read(self._file)
            self._opened = opened.pop_all()

    def resolve(self, name: str | None = None, /) -> Descriptor:
        """The image.

        Raises:
            LimitError, MalformedError, UnsupportedError: its files cannot be packed.
        """
        if name is not None:
            raise NotFoundError(f"{self._what}: no image {name!r}, the only one has no name")
        return self._made().root

    def open(self, target: Node, /, offset: int = 0) -> AbstractContextManager[Reader]:
        """What was made here."""
        return self._made().open(target, offset)

    def close(self) -> None:
        """Let go of the file, and of the layer."""
        self._opened.close()

    def _made(self) -> SyntheticImage:
        with self._making:
            if self._image is None:
                script = _script(self._sif.definition)
                programs = {} if script is None else {_SCRIPT: script}
                layer = squashfs_layer.make(self._file, self._sif, programs, self._options)
                self._opened.enter_context(layer)
                entry = self._hashed(layer)
                command = "bash" if script is None else f"/{_SCRIPT}"
                config = _config(self._sif, command, entry.digest)
                self._image = SyntheticImage.of(self._what, config, [(entry, layer)])
            return self._image

    def _hashed(self, layer: RegularFile) -> Descriptor:
        content = VerifiedReader(
            FileSlice(layer, 0, layer.size),
            self._what,
            digest=None,
            size=None,
            media_type=media_types.OCI_LAYER,
            observe=lambda _: self._options.cancellation.check(),
        )
        buffer = new_buffer()
        while content.readinto(buffer):
            pass
        return content.descriptor()


class SifTransport:
    """``sif:``."""

    def parse(self, text: str, /) -> SifReference:
        """Read ``FILE``."""
        if not text or "\0" in text:
            raise InvalidReferenceError(f"sif:{text[:200]}: no file", hint="write sif:FILE")
        return SifReference(text)

    def source(self, reference: SifReference, options: OpenOptions, /) -> SifSource:
        """Open a file for reading."""
        return SifSource(reference, options)

    def destination(self, reference: SifReference, options: OpenOptions, /) -> NoReturn:  # noqa: ARG002 - the port's form
        """There is nothing to write."""
        raise ReadOnlyTransportError(
            str(reference),
            reference.transport,
            hint="write docker-archive:FILE, and build from that: apptainer build NEW.sif "
            "docker-archive:FILE",
        )


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
            added(diff_id, created, f"imported from SIF, uuid: {sif.id}"),
            {
                "created": created,
                "created_by": '/bin/sh -c #(nop) CMD ["bash"]',
                "empty_layer": True,
            },
        ],
    }


TRANSPORT = SifTransport()
