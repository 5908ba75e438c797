"""Archives of docker save, and their contents."""

from __future__ import annotations

import json

from bundler.oci.digest import Digest
from bundler.ports import OpenOptions

OPTIONS = OpenOptions(load_settings=None)


def image(*layers, tags=("example.com/app:1",), **named):
    """The members of an archive with one image, as ``docker save`` orders them."""
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [Digest.of(layer).text for layer in layers]},
        }
    ).encode()
    names = [f"{Digest.of(layer).hex}/layer.tar" for layer in layers]
    entry = {"Config": f"{Digest.of(config).hex}.json", "RepoTags": list(tags), "Layers": names}
    return {
        **dict(zip(names, named.get("stored", layers), strict=True)),
        entry["Config"]: config,
        "manifest.json": json.dumps([entry | named.get("entry", {})]).encode(),
    }
