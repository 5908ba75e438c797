"""VERIFY.txt: how to verify and import this very bundle, with and without this program.

It is listed in SHA256SUMS, so it is written before ``bundle.json``: it holds nothing that only
the end of an export knows. Every line of commands begins with four blanks and can be pasted.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from bundler.bundle.format import directory, store
from bundler.errors import InvalidReferenceError
from bundler.oci.reference import ImageReference

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bundler.bundle.format.inventory import BundledImage, Inventory
    from bundler.trust.keys import PrivateKey, PublicKey

_MAX_IMAGES = 50


def render(contents: Inventory, keys: Sequence[PrivateKey]) -> bytes:
    """The text for a bundle with these ``contents`` that ``keys`` are about to sign.

    Of ``contents``, only what does not change from one export of the same to the next is used.
    """
    parts = [
        _beginning(contents),
        _signatures([key.public for key in keys]),
        _FILES,
        _images(contents),
    ]
    return "\n".join(parts).encode("utf-8", "backslashreplace")


def _beginning(contents: Inventory) -> str:
    return f"""\
BUNDLE {contents.stream}

Run the commands below in this directory. Verify first; import only what verified.
Get the signer's public key (here: signer.pub) from somewhere else than this medium.


WITH AIRBUNDLE

    airbundle verify . --key signer.pub
    airbundle ls .
    airbundle import . docker://registry.example:5000 --key signer.pub


WITHOUT AIRBUNDLE

1. The signature covers {directory.INVENTORY}. Both must come from the signer.
"""


def _signatures(keys: Sequence[PublicKey]) -> str:
    if not keys:
        name = directory.INVENTORY
        return f"""\
This bundle was not signed when it was made: its maker is unknown. If it was signed later,
there is a file {name}.<16 digits of the key's id>.sig beside it, and this verifies it:

{_openssl(f"{directory.INVENTORY}.????????????????.sig", "ecdsa-p256")}
"""
    lines = []
    for key in keys:
        lines += [
            f"Signed by the key with the fingerprint (SHA-256 of its DER form):\n{key.fingerprint}",
            f"\n{_openssl(directory.signature_name(key.id), key.algorithm)}\n",
        ]
    lines.append(
        "The fingerprint of the public key that you have:\n\n"
        "    openssl pkey -pubin -in signer.pub -outform DER | sha256sum\n"
    )
    return "\n".join(lines)


def _openssl(signature: str, algorithm: str) -> str:
    if algorithm == "ed25519":
        return (
            "    openssl pkeyutl -verify -pubin -inkey signer.pub -rawin "
            f"-in {directory.INVENTORY} -sigfile {signature}"
        )
    return (
        f"    openssl dgst -sha256 -verify signer.pub -signature {signature} {directory.INVENTORY}"
    )


_FILES = f"""\
2. {directory.INVENTORY} names the digest of {directory.SUMS}, and that lists all other files.

    grep -o '"sums":{{[^}}]*}}' {directory.INVENTORY} | grep -o 'sha256:[0-9a-f]*' | cut -d: -f2 \
| sed 's/$/  {directory.SUMS}/' | sha256sum -c --strict -
    sha256sum -c --strict --quiet {directory.SUMS}
"""


def _images(contents: Inventory) -> str:
    lines = [
        "3. Each image is copied by its name here to the name that you want. Set the target first.",
        "",
        "    TARGET=${TARGET:-docker://registry.example:5000}",
        "",
    ]
    lines += [f"    {_skopeo(image, contents)}" for image in contents.images[:_MAX_IMAGES]]
    more = len(contents.images) - _MAX_IMAGES
    if more > 0:
        lines.append(f"\nand {more:,} more: their names stand in {directory.INVENTORY}.")
    return "\n".join([*lines, ""])


def _skopeo(image: BundledImage, contents: Inventory) -> str:
    source = shlex.quote(_source(image, contents))
    # Without --all, skopeo would take the one platform of an index that it runs on itself.
    # A sparse index has children that are not here, and only its author knows which to copy.
    every = "--multi-arch=index-only" if image.index == "sparse" else "--all"
    target = shlex.quote(_target(image))
    return f'skopeo copy {every} --preserve-digests {source} "$TARGET"/{target}'


def _source(image: BundledImage, contents: Inventory) -> str:
    if contents.format == "dir":
        return f"dir:{directory.image_path(image.digest)}"
    return f"oci:.:{store.name_in_index(image)}"


def _target(image: BundledImage) -> str:
    if image.rename is not None:
        return image.rename
    try:
        reference = ImageReference.parse(image.reference)
    except InvalidReferenceError:
        return image.reference
    return f"{reference.path}:{reference.tag or f'sha256-{image.digest.hex[:12]}'}"
