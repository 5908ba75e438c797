"""The check of images by policy.json, for the commands that read images from a source."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING

from bundler import transports
from bundler.trust import policy as policies

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import ExitStack

    from bundler.cancel import Cancellation
    from bundler.config.policy_json import Policy
    from bundler.trust.requirements import SignatureVerifier


class PolicyFileCheck:
    """``PolicyCheck`` with the rules of a policy. Thread-safe.

    ``resources`` is closed at the end of the run, which removes temporary keyrings.
    """

    def __init__(
        self,
        policy: Policy,
        cancellation: Cancellation,
        resources: ExitStack,
        *,
        require_signed: bool,
    ) -> None:
        self._policy = policy
        self._cancellation = cancellation
        self._resources = resources
        self._require_signed = require_signed
        self._lock = threading.Lock()
        self._verifier: SignatureVerifier | None = None
        self._accepted: set[str] = set()

    def check_reference(self, reference: str, /) -> None:
        """Check what the policy decides without regard to signatures."""
        self._is_accepted(reference)

    def check_manifest(
        self, reference: str, manifest: bytes, read_signatures: Callable[[], Sequence[bytes]], /
    ) -> None:
        """Check a manifest, and its signatures if the policy requires them."""
        if self._is_accepted(reference):
            return
        from bundler.trust import requirements  # noqa: PLC0415 - for signatures only

        with self._lock:
            if self._verifier is None:
                self._verifier = self._resources.enter_context(
                    requirements.SignatureVerifier(self._cancellation)
                )
        parsed = transports.parse(reference)
        signed = requirements.SignedManifest(parsed, manifest, read_signatures)
        verify = partial(self._verifier.verify, signed)
        policies.check(self._policy, parsed, verify, require_signed=self._require_signed)

    def _is_accepted(self, reference: str) -> bool:
        """Return whether no signature is needed; raise if no signature helps."""
        if reference in self._accepted:
            return True
        accepted = policies.check_reference(
            self._policy, transports.parse(reference), require_signed=self._require_signed
        )
        if accepted:
            self._accepted.add(reference)
        return accepted
