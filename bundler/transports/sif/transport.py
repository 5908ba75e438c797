"""``sif:FILE``: an image of Apptainer or Singularity, for reading only.

The root directory becomes the only layer. The environment and the runscript of the definition file
become a program in it. The layer and the config are identical to those that containers/image
creates.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from bundler.content.files.safe_directory import RegularFile
from bundler.content.streams import drain
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
from bundler.transports.sif import file_format
from bundler.transports.sif.squashfs_layer import SCRIPT, SquashfsConverter

if TYPE_CHECKING:
    from bundler.ports import OpenOptions


class SifSource(SyntheticSource):
    """Source of the image in a SIF file.

    Raises:
        MalformedError, UnsupportedError: the file is not a SIF file, or has no readable root
            directory.
        NotFoundError, MediumError: the file cannot be read.
    """

    def __init__(self, reference: UnnamedReference, options: OpenOptions) -> None:
        with ExitStack() as stack:
            self._file = stack.enter_context(RegularFile.open(Path(reference.path)))
            self._sif = file_format.read(self._file)
            super().__init__(reference, options, stack.pop_all())

    def create(self) -> tuple[dict[str, object], Layers]:
        """Convert the root directory to a layer, and create the config."""
        script = self._sif.create_script()
        layer = SquashfsConverter(self._file, self._sif, self.options).create_layer(script)
        self.resources.enter_context(layer)
        content = self.create_hashing_reader(layer, self.subject)
        drain(content)
        blob = content.descriptor()
        created = timestamps.format_nanoseconds(self._sif.modified * 10**9)
        comment = f"imported from SIF, uuid: {self._sif.id}"
        config: dict[str, object] = {
            "created": created,
            "architecture": self._sif.architecture,
            "os": "linux",
            "config": {"Cmd": ["bash" if script is None else f"/{SCRIPT}"]},
            "rootfs": {"type": "layers", "diff_ids": [blob.digest.text]},
            "history": [
                create_history_entry(blob.digest, created, comment),
                {
                    "created": created,
                    "created_by": '/bin/sh -c #(nop) CMD ["bash"]',
                    "empty_layer": True,
                },
            ],
        }
        entry = Descriptor(media_types.OCI_LAYER, blob.digest, blob.size)
        return config, [(entry, layer)]


class SifTransport(ReadOnlyTransport):
    """The transport ``sif:``."""

    hint = (
        "copy to docker-archive:FILE, then build an image from it: apptainer build NEW.sif "
        "docker-archive:FILE"
    )

    def parse(self, text: str, /) -> UnnamedReference:
        """Parse ``FILE``.

        Raises:
            InvalidReferenceError: the path is missing.
        """
        if not text or "\0" in text:
            raise InvalidReferenceError(f"sif:{text[:200]}: no file", hint="write sif:FILE")
        return UnnamedReference("sif", text)

    def source(self, reference: UnnamedReference, options: OpenOptions, /) -> SifSource:
        """Open the file for reading."""
        return SifSource(reference, options)


TRANSPORT = SifTransport()
