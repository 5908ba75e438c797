"""The check of images by policy.json, for the commands that read images from a source."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING

from bundler import transports
from bundler.config.policy_json import SignedBy
from bundler.trust.policy import policy as policies

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import ExitStack

    from bundler.bundle.importing.policy_use import PolicyUse
    from bundler.cancel import Cancellation
    from bundler.cli.runtime.context import CommandRun
    from bundler.config.policy_json import Policy
    from bundler.ports import Reference
    from bundler.signature_ports import MetRequirement
    from bundler.trust.policy.requirements import SignatureVerifier


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
        self._accepted: dict[str, tuple[MetRequirement, ...] | None] = {}
        self._parsed: dict[str, Reference] = {}

    def check_reference(self, reference: str, /) -> None:
        """Check what the policy decides without regard to signatures."""
        self._check_reference(reference)

    def expect_signatures(self, reference: str, signatures: Sequence[bytes], /) -> None:
        """Announce signatures; those of requirements with keys of GPG are verified together."""
        _, required = policies.find_requirements(self._policy, self._parse(reference))
        for requirement in required:
            if isinstance(requirement, SignedBy):
                self._open_verifier().expect(requirement, signatures)

    def check_manifest(
        self, reference: str, manifest: bytes, read_signatures: Callable[[], Sequence[bytes]], /
    ) -> tuple[MetRequirement, ...]:
        """Check a manifest, and its signatures if the policy requires them."""
        if (accepted := self._check_reference(reference)) is not None:
            return accepted
        from bundler.trust.policy import requirements  # noqa: PLC0415 - for signatures only

        parsed = self._parse(reference)
        signed = requirements.SignedManifest(parsed, manifest, read_signatures)
        verify = partial(self._open_verifier().verify, signed)
        return policies.check(self._policy, parsed, verify, require_signed=self._require_signed)

    def _open_verifier(self) -> SignatureVerifier:
        from bundler.trust.policy import requirements  # noqa: PLC0415 - for signatures only

        with self._lock:
            if self._verifier is None:
                self._verifier = self._resources.enter_context(
                    requirements.SignatureVerifier(self._cancellation)
                )
            return self._verifier

    def _check_reference(self, reference: str) -> tuple[MetRequirement, ...] | None:
        """Return what the image meets if no signature is needed; raise if no signature helps."""
        if reference not in self._accepted:
            self._accepted[reference] = policies.check_reference(
                self._policy, self._parse(reference), require_signed=self._require_signed
            )
        return self._accepted[reference]

    def _parse(self, reference: str) -> Reference:
        """Parse a reference, which is that of several calls."""
        if reference not in self._parsed:
            self._parsed[reference] = transports.parse(reference)
        return self._parsed[reference]


def find_policy(run: CommandRun) -> PolicyUse:
    """Return the policy that an import applies, also if it accepts every image.

    Raises:
        PolicyFileError: policy.json is invalid, or is required and missing.
    """
    from bundler.bundle.importing.policy_use import NO_POLICY, PolicyUse  # noqa: PLC0415 - for imports

    options = run.context.options
    if options.insecure_policy:
        return PolicyUse("ignored")
    if (policy := run.context.load_policy()) is None:
        return NO_POLICY
    check = PolicyFileCheck(
        policy, run.cancellation, run.threads, require_signed=options.require_signed
    )
    return PolicyUse("applied", policy.digest, policy.origin, options.require_signed, check)
