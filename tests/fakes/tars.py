"""Tars of layers, good and bad, member by member."""

from __future__ import annotations

import io
import tarfile

from tests.fakes.memory import MemoryStore


def member(name, data=b"", *, kind=tarfile.REGTYPE, **facts):
    """One member; ``facts`` are attributes of its header (``mode=0o600``, ``linkname="x"``)."""
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
    """An uncompressed tar."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format, errors="surrogateescape") as archive:
        for entry, data in members:
            archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


class TarStore(MemoryStore):
    """A store whose layers are tars, each with one file of the bytes that were asked for."""

    def add_image(self, name=None, *, layers=(b"a layer",), **facts):
        tars = [pack(member(f"file{number}", data)) for number, data in enumerate(layers)]
        return super().add_image(name, layers=tars, **facts)
