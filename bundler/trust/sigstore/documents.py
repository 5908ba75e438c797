"""JSON documents of untrusted signatures; an invalid document is an invalid signature."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from bundler.errors import LimitError, MalformedError, SigstoreSignatureError
from bundler.oci.json.table import Table

if TYPE_CHECKING:
    from collections.abc import Collection

    from bundler.errors import SignatureProblem


def parse_document(raw: bytes, subject: str, problem: SignatureProblem, *, limit: int) -> Table:
    """Parse a JSON object; the errors of its members name ``problem``.

    Raises:
        SigstoreSignatureError: ``raw`` is too large, or is not a strict JSON object.
    """
    try:
        table = Table.parse(raw, subject, limit=limit)
    except (LimitError, MalformedError) as error:
        raise SigstoreSignatureError(error.message, problem=problem) from None
    return Table(table.value, subject, partial(SigstoreSignatureError, problem=problem))


def require_members(table: Table, names: Collection[str]) -> None:
    """Check that ``table`` has exactly the members ``names``.

    Raises:
        SigstoreSignatureError: a member is missing or unknown.
    """
    table.refuse_unknown(names)
    for name in names:
        if name not in table.value:
            raise table.problem(f"{name} is missing")
