"""Proofs that a transparency log contains an entry: a path in its Merkle tree, and a checkpoint.

A checkpoint is a note that the log signs: its origin, the size of the tree and the root hash. The
proof is useless without it, and it must be about the root that the path leads to.

https://www.rfc-editor.org/rfc/rfc9162#section-2.1.3
https://github.com/C2SP/C2SP/blob/main/tlog-checkpoint.md
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bundler.errors import SigstoreSignatureError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bundler.trust.sigstore.keys import VerificationKey

_MAX_PATH = 63
_MAX_CHECKPOINT = 64 * 1024
_MAX_SIGNATURES = 64
_HASH_SIZE = 32
_SIGNATURE_LINE = re.compile("\u2014 ([^\\s+]{1,255}) ([A-Za-z0-9+/=]{8,2048})")
_SIZE = re.compile(r"[0-9]{1,19}")
_KEY_ID_SIZE = 4
_ED25519 = b"\x01"


@dataclass(frozen=True, slots=True)
class InclusionProof:
    """A path from an entry to the root of a tree, unverified."""

    log_index: int
    tree_size: int
    root_hash: bytes = field(repr=False)
    hashes: tuple[bytes, ...] = field(repr=False)
    checkpoint: str = field(repr=False)


def verify_inclusion(
    proof: InclusionProof, body: bytes, key: VerificationKey, origin: str | None
) -> None:
    """Verify that the log with ``key`` contains the entry ``body``.

    Args:
        proof: the proof.
        body: the entry.
        key: the key of the log.
        origin: the name of the log; None: the key identifies it.

    Raises:
        SigstoreSignatureError: the path does not lead to a root that the log signed.
    """
    leaf = hashlib.sha256(b"\x00" + body).digest()
    root = compute_root(proof.log_index, proof.tree_size, leaf, proof.hashes)
    if root is None or root != proof.root_hash:
        raise _create_error("the inclusion proof does not lead to its root hash")
    size, signed_root = verify_checkpoint(proof.checkpoint, key, origin)
    if (size, signed_root) != (proof.tree_size, root):
        raise _create_error("the checkpoint is for a different tree from the inclusion proof")


def compute_root(index: int, size: int, leaf: bytes, path: Sequence[bytes]) -> bytes | None:
    """Compute the root hash of a tree from a leaf and its path; None if they do not fit."""
    if not 0 <= index < size or len(path) > _MAX_PATH:
        return None
    node, last, result = index, size - 1, leaf
    for sibling in path:
        if last == 0 or len(sibling) != _HASH_SIZE:
            return None
        if node & 1 or node == last:
            result = hashlib.sha256(b"\x01" + sibling + result).digest()
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            result = hashlib.sha256(b"\x01" + result + sibling).digest()
        node, last = node >> 1, last >> 1
    return result if last == 0 else None


def verify_checkpoint(
    checkpoint: str, key: VerificationKey, origin: str | None
) -> tuple[int, bytes]:
    """Verify the log's signature of a checkpoint; return the size and the root hash of the tree.

    Raises:
        SigstoreSignatureError: the checkpoint is malformed, or is not signed with ``key``.
    """
    text, separator, signatures = checkpoint.partition("\n\n")
    lines = [_SIGNATURE_LINE.fullmatch(line) for line in signatures.split("\n")[:-1]]
    if (
        len(checkpoint) > _MAX_CHECKPOINT
        or not separator
        or not signatures.endswith("\n")
        or len(lines) > _MAX_SIGNATURES
        or not all(lines)
    ):
        raise _create_error("the checkpoint is malformed")
    signed = f"{text}\n".encode()
    if not any(match is not None and _is_signed(match, signed, key) for match in lines):
        raise _create_error("the checkpoint is not signed by the trusted log")
    fields = text.split("\n")
    if origin is not None and fields[0] != origin:
        raise _create_error(f"the checkpoint is of another log: {fields[0][:80]!r}")
    try:
        size, root = fields[1], base64.b64decode(fields[2], validate=True)
    except (IndexError, ValueError):
        raise _create_error("the checkpoint is malformed") from None
    if not _SIZE.fullmatch(size):
        raise _create_error("the size in the checkpoint is malformed")
    return int(size), root


def _is_signed(match: re.Match[str], signed: bytes, key: VerificationKey) -> bool:
    """Return whether a line of a note is a valid signature by ``key``."""
    try:
        decoded = base64.b64decode(match[2], validate=True)
    except ValueError:
        return False
    key_id, signature = decoded[:_KEY_ID_SIZE], decoded[_KEY_ID_SIZE:]
    if key_id != compute_key_id(match[1], key):
        return False
    try:
        key.verify(signature, signed)
    except SigstoreSignatureError:
        return False
    return True


def compute_key_id(name: str, key: VerificationKey) -> bytes:
    """Return the first bytes of the signature of a note, which identify the key."""
    raw = key.raw_ed25519
    hashed = key.spki if raw is None else name.encode() + b"\n" + _ED25519 + raw
    return hashlib.sha256(hashed).digest()[:_KEY_ID_SIZE]


def _create_error(message: str) -> SigstoreSignatureError:
    return SigstoreSignatureError(message, problem="log")
