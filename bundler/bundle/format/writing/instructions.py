"""VERIFY.txt: the commands to verify and import a bundle, with and without this program.

SHA256SUMS lists it, so its content does not depend on ``bundle.json``, and is the same for every
export of the same images. Every command line begins with four spaces and can be pasted.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from bundler.bundle.format.files import bundle_paths
from bundler.bundle.format.writing import store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bundler.bundle.format.inventory.inventory import BundledImage, Format
    from bundler.trust.keys import PublicKey

_MAX_IMAGES = 50
_MAX_OMISSIONS = 50

_INCOMPLETE = """\
This bundle is incomplete: the export left out images or layers that it could not read.

"""

_PRESUPPOSED = f"""\
The target must have {{number}} of the blobs already: {bundle_paths.PRESUPPOSED} lists them, with
repositories that have them. airbundle import checks each one before it pushes anything. skopeo
copies an image only if the repository of its target name has them.

"""

_VOLUMES = """\
This is one of {number} volumes. airbundle takes the directories of several volumes, in any order.
To verify this volume alone: plan.json has the SHA-256 of its checksum file VOLUME-<n>.sha256, and
plan.json.<16 digits>.sig signs plan.json, as bundle.json is signed (below).

    grep -o '"digest":"sha256:[0-9a-f]*"' plan.json | grep -q "$(sha256sum VOLUME-*.sha256 | \
cut -c1-64)" && sha256sum -c --strict --quiet VOLUME-*.sha256

For the other commands, copy the files of all volumes into one directory.

"""

_INTRODUCTION = """\
BUNDLE {stream}

{note}Run the commands below in {place}. Verify the bundle before you import it.
Get the signer's public key (here: signer.pub) from another source, not from this medium.


WITH AIRBUNDLE

{name}    airbundle verify {bundle} --key signer.pub
    airbundle ls {bundle}
    airbundle import {bundle} docker://registry.example:5000 --key signer.pub

At a site with a trust file, leave --key out: the file states the keys.
{carried}

WITHOUT AIRBUNDLE

{extract}1. Verify the signature, which covers bundle.json.
"""

_EXTRACT = """\
0. Extract the signed files from the archive.

    for NAME in {names}; do tar -xOf "$ARCHIVE" "$NAME" > "$NAME"; done

"""

_HASH = f"sha256sum -c --strict --quiet {bundle_paths.CHECKSUM_FILE}"
_HASH_MEMBERS = f"""\
while read -r DIGEST NAME; do tar -xOf "$ARCHIVE" "$NAME" | sha256sum | grep -q "^$DIGEST " \
|| echo "$NAME: FAILED"; done < {bundle_paths.CHECKSUM_FILE} | tee failed.txt; test ! -s failed.txt

To copy many images, unpack the archive once with tar -xf: the result is the same bundle in a
directory, which all of these programs read faster."""

_FILES = f"""\
2. Verify {bundle_paths.CHECKSUM_FILE}, whose digest is in {bundle_paths.INVENTORY}, then all \
files that it lists.

    grep -o '"sums":{{[^}}]*}}' {bundle_paths.INVENTORY} | grep -o 'sha256:[0-9a-f]*' \
| cut -d: -f2 | sed 's/$/  {bundle_paths.CHECKSUM_FILE}/' | sha256sum -c --strict -
    HASH

3. Count the different keys whose signatures verified: as many as the site requires, by its trust
file, must have signed. Compare stream, serial and dates with those that the exporting side names,
with the last receipt and with the clock. No command below does this; airbundle import does.

    grep -oE '"(stream|serial|created|expires)":("[^"]*"|[0-9]+)' {bundle_paths.INVENTORY}
"""

_PARTS = """\
Some blobs are stored in parts (.000, .001 ...), because the medium stores no larger files. Skopeo
does not read them: continue in a copy of this directory on another file system, and join them.

    for first in blobs/*/*.000; do cat "${first%.000}".??? > "${first%.000}"; done
    for file in blobs/sha256/*; do case $file in *.*) ;; *) echo "${file##*/}  $file";; esac; done \
| sha256sum -c --strict --quiet -
"""

_PROGRAM = """\
The directory {program} contains airbundle for Linux on x86-64 and
arm64, which needs neither an installation nor libraries. Before you start it, {check}
    sh {program}/airbundle verify . --key signer.pub

Without a shell:

    {program}/linux-x86_64/airbundle verify . --key signer.pub
    {program}/linux-aarch64/airbundle verify . --key signer.pub

With Python 3.11 or newer alone:

    python3 {program}/airbundle.pyz verify . --key signer.pub
"""

_CHECK = f"""\
verify the signature
as in step 1, {bundle_paths.CHECKSUM_FILE} with the first command of step 2, then its files:

    grep ' {{program}}/' {bundle_paths.CHECKSUM_FILE} | sha256sum -c --strict --quiet -"""
_CHECK_VOLUME = "verify\nthis volume alone, as described at the beginning.\n"

_COSIGN = f"""\
Or, with cosign 3:

    cosign verify-blob --key signer.pub --insecure-ignore-tlog \
--bundle {bundle_paths.SIGSTORE_BUNDLE} {bundle_paths.INVENTORY}"""


def render(
    stream: str,
    bundle_format: Format,
    images: Sequence[BundledImage],
    keys: Sequence[PublicKey],
    *,
    complete: bool = True,
    presupposed: int = 0,
    in_parts: bool = False,
    archive: bool = False,
    program: str | None = None,
    volumes: int = 0,
) -> bytes:
    """Return the text for a bundle of ``images`` that is signed by ``keys``.

    If it is not ``complete``, or if it lacks ``presupposed`` blobs that its target has, the text
    says so before the commands. ``in_parts``: the bundle has blobs that are stored in parts.
    ``archive``: the bundle is an archive, and not a directory.
    ``program`` is the directory of the carried program.
    ``volumes`` is their number; 0: the bundle is in one directory.
    """
    lines = [
        *([_PARTS] if in_parts else []),
        "4. Set the target, then copy the images. You may change the target names.",
        "",
        "    TARGET=${TARGET:-docker://registry.example:5000}",
        "",
    ]
    for image in images[:_MAX_IMAGES]:
        name = store.format_name(image, bundle_format)
        source = shlex.quote(f"dir:{name}" if bundle_format == "dir" else f"oci:.:{name}")
        if archive:
            source = f'oci-archive:"$ARCHIVE":{shlex.quote(name)}'
        reference = image.reference
        tag = reference.tag or f"sha256-{image.digest.hex[:12]}"
        target = image.rename or f"{reference.path}:{tag}"
        # Without --all, skopeo copies only the platform on which it runs. The manifests of a
        # sparse index are not all in the bundle, so only the index itself can be copied.
        scope = "--multi-arch=index-only" if image.index == "sparse" else "--all"
        lines.append(
            f'    skopeo copy {scope} --preserve-digests {source} "$TARGET"/{shlex.quote(target)}'
        )
    more = len(images) - _MAX_IMAGES
    if more > 0:
        lines.append(f"\nand {more:,} more images, whose names are in {bundle_paths.INVENTORY}.")
    lines += _list_omissions(images)
    note = "" if complete else _INCOMPLETE
    if volumes:
        note += _VOLUMES.format(number=volumes)
    if presupposed:
        note += _PRESUPPOSED.format(number=f"{presupposed:,}")
    carried = (
        f"{program} contains the program; see step 2 before you start it.\n" if program else ""
    )
    extracted = [bundle_paths.INVENTORY, bundle_paths.CHECKSUM_FILE]
    extracted += [bundle_paths.format_signature_name(key.id) for key in keys]
    if any(key.algorithm == "ecdsa-p256" for key in keys):
        extracted.append(bundle_paths.SIGSTORE_BUNDLE)
    check = _CHECK_VOLUME if volumes else _CHECK.format(program=program)
    parts = [
        _INTRODUCTION.format(
            stream=stream,
            note=note,
            carried=carried,
            place="the directory of the archive" if archive else "this directory",
            name=f"    ARCHIVE=${{ARCHIVE:-{stream}{bundle_paths.ARCHIVE_SUFFIX}}}\n" * archive,
            bundle='"$ARCHIVE"' if archive else ".",
            extract=_EXTRACT.format(names=" ".join(extracted)) if archive else "",
        ),
        _render_signatures(keys),
        _FILES.replace("HASH", _HASH_MEMBERS if archive else _HASH),
        *([] if program is None else [_PROGRAM.format(program=program, check=check)]),
        *lines,
        "",
    ]
    return "\n".join(parts).encode("utf-8", "backslashreplace")


def _list_omissions(images: Sequence[BundledImage]) -> list[str]:
    """Return the lines on foreign layers, and on content that is not in the bundle."""
    lines = []
    if any(image.absent_layers is not None for image in images):
        lines += ["", "skopeo does not copy foreign layers to a registry; airbundle import does."]
    partial = [image for image in images if image.is_partial]
    if partial:
        from bundler.bundle.format.inventory.omissions import Omissions  # noqa: PLC0415 - rare

        omissions = Omissions.of(partial).describe()
        lines += ["", *omissions[:_MAX_OMISSIONS]]
        if (more := len(omissions) - _MAX_OMISSIONS) > 0:
            lines.append(f"and {more:,} more, which {bundle_paths.INVENTORY} lists.")
    return lines


def _render_signatures(keys: Sequence[PublicKey]) -> str:
    if not keys:
        name = bundle_paths.INVENTORY
        return f"""\
This bundle was not signed when it was created: its signer is unknown. If it was signed later,
the directory contains {name}.<16 digits of the key ID>.sig. To verify that signature:

{_format_openssl(f"{bundle_paths.INVENTORY}.????????????????.sig", "ecdsa-p256")}

{_COSIGN}
"""
    lines = []
    cosign = f"{_COSIGN}\n"
    for key in keys:
        lines += [
            "Signed by the key with the fingerprint (SHA-256 of the DER-encoded public key):",
            key.fingerprint,
            f"\n{_format_openssl(bundle_paths.format_signature_name(key.id), key.algorithm)}\n",
        ]
        if key.algorithm == "ecdsa-p256" and cosign:
            lines.append(cosign)
            cosign = ""  # the sigstore bundle contains the first signature on P-256
    lines.append(
        "Print the fingerprint of your public key, and compare it:\n\n"
        "    openssl pkey -pubin -in signer.pub -outform DER | sha256sum\n"
    )
    return "\n".join(lines)


def _format_openssl(signature: str, algorithm: str) -> str:
    if algorithm == "ed25519":
        return (
            "    openssl pkeyutl -verify -pubin -inkey signer.pub -rawin "
            f"-in {bundle_paths.INVENTORY} -sigfile {signature}"
        )
    command = f"openssl dgst -sha256 -verify signer.pub -signature {signature}"
    return f"    {command} {bundle_paths.INVENTORY}"
