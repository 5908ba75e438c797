"""Archives of bundles, made as docs/format.md describes them, independent of the program."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from tests.fakes import bundles

if TYPE_CHECKING:
    from pathlib import Path

    from bundler.trust.keys import PrivateKey

Members = list[tuple[str, bytes]]
END = bytes(1024)


def pack(members: Members, end: bytes = END) -> bytes:
    """Return an archive of ``members`` in the given order."""
    return b"".join(pack_member(name, data) for name, data in members) + end


def pack_member(name: str, data: bytes, *, size: int | None = None, **fields: Any) -> bytes:
    """Return a member; ``fields`` are those of ``create_header``."""
    header = create_header(name, len(data) if size is None else size, **fields)
    return header + data + bytes(-len(data) % 512)


def create_header(
    name: str, size: int, *, kind: bytes = b"0", link: bytes = b"", mode: int = 0o644
) -> bytes:
    """Return a header in the format ustar, of root and of 1970."""
    block = bytearray(512)
    block[0 : len(name)] = name.encode()
    block[100:148] = b"%07o\0" % mode + b"0000000\0" * 2 + b"%011o\0" % size + b"00000000000\0"
    block[148:156] = b" " * 8
    block[156:157] = kind
    block[157 : 157 + len(link)] = link
    block[257:265] = b"ustar\x0000"
    block[329:345] = b"0000000\0" * 2
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def list_members(bundle: Path, keys: tuple[PrivateKey, ...] = ()) -> Members:
    """Return the members of an archive with the content of the bundle in a directory."""
    inventory = json.loads((bundle / "bundle.json").read_bytes())
    blobs = sorted(
        (bundle / "blobs/sha256").iterdir(), key=lambda path: is_layer(path.read_bytes())
    )
    contents = "".join(f"sha256:{path.name} {path.stat().st_size} 1\n" for path in blobs).encode()
    plan = {
        "_type": "airbundle/plan/v1",
        **{name: inventory[name] for name in ("stream", "serial", "created", "images")},
        "contents": {
            "path": "CONTENTS",
            "digest": f"sha256:{hashlib.sha256(contents).hexdigest()}",
            "size": len(contents),
            "count": len(blobs),
        },
    }
    raw = json.dumps(plan, sort_keys=True, separators=(",", ":")).encode() + b"\n"
    front = [("plan.json", raw)]
    front += [(f"plan.json.{key.public.id[:16]}.sig", key.sign(raw)) for key in keys]
    front.append(("CONTENTS", contents))
    front += [(f"blobs/sha256/{path.name}", path.read_bytes()) for path in blobs]
    names = ["SHA256SUMS", "VERIFY.txt", "index.json", "oci-layout", "bundle.json"]
    names += sorted(path.name for path in bundle.glob("bundle.json.*"))
    return front + [(name, (bundle / name).read_bytes()) for name in names]


def is_layer(content: bytes) -> bool:
    """Whether ``content`` is that of a layer, and not of a manifest or a config."""
    return not content.startswith(b"{")


def write(path: Path, keys: tuple[PrivateKey, ...] = ()) -> Path:
    """Write an archive with the sample images."""
    bundle = bundles.write(path.with_suffix(".directory"), keys=keys)
    path.write_bytes(pack(list_members(bundle, keys)))
    return path
