"""Tar archives of layers, valid and invalid, member by member."""

from __future__ import annotations

import gzip
import io
import tarfile

from tests.fakes import images
from tests.fakes.memory import MemoryStore


def member(name, data=b"", *, kind=tarfile.REGTYPE, **facts):
    """Create one member; ``facts`` are header attributes (``mode=0o600``, ``linkname="x"``)."""
    entry = tarfile.TarInfo(name)
    entry.type, entry.size, entry.mtime, entry.mode = kind, len(data), 1_000_000_000, 0o755
    for key, value in facts.items():
        setattr(entry, key, value)
    return entry, data


def directory(name, **facts):
    return member(name, kind=tarfile.DIRTYPE, **facts)


def symlink(name, target, **facts):
    return member(name, kind=tarfile.SYMTYPE, linkname=target, **facts)


def hard_link(name, target, **facts):
    return member(name, kind=tarfile.LNKTYPE, linkname=target, **facts)


def pack(*members, format=tarfile.PAX_FORMAT):  # noqa: A002 - as tarfile calls it
    """Create an uncompressed tar archive."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format, errors="surrogateescape") as archive:
        for entry, data in members:
            archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def layer(*members):
    """Create a layer of ``members``, compressed with gzip."""
    tar = pack(*members)
    data = gzip.compress(tar, compresslevel=1, mtime=0)
    return images.Layer(images.Blob(images.OCI["gzip"], data), images.sha256(tar))


class TarStore(MemoryStore):
    """A store whose layers are tar archives, each with one file of the given bytes."""

    def add_image(self, name=None, *, layers=(b"a layer",), **facts):
        tars = [pack(member(f"file{number}", data)) for number, data in enumerate(layers)]
        return super().add_image(name, layers=tars, **facts)
