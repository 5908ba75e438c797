"""The policy that decides on the images of an import, for its check, its report and its receipt."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from bundler.oci.digest import Digest
    from bundler.signature_ports import PolicyCheck


@dataclass(frozen=True, slots=True)
class PolicyUse:
    """A policy.json that is applied, or the reason why none is."""

    status: Literal["applied", "none", "ignored"]
    """``none``: there is no policy.json. ``ignored``: the user ignores it."""
    digest: Digest | None = None
    """The SHA-256 of the policy.json that is applied."""
    path: str = ""
    """The file that is applied."""
    require_signed: bool = False
    """Whether images are rejected for which the policy requires no signature."""
    check: PolicyCheck | None = field(default=None, repr=False, compare=False)
    """The check that every image has to pass; None: no check."""

    def to_json(self) -> dict[str, Any]:
        """Return the member ``policy`` of a receipt; members that are unset are absent."""
        value: dict[str, Any] = {"status": self.status}
        if self.digest is not None:
            value["digest"] = self.digest.text
        if self.require_signed:
            value["requireSigned"] = True
        return value


NO_POLICY = PolicyUse("none")
