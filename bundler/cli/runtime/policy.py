"""Check of images against policy.json, subject to the global options that override it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler import transports
from bundler.errors import PolicyFileError
from bundler.trust import policy as policies

if TYPE_CHECKING:
    from bundler.cli.options.command import GlobalOptions
    from bundler.config.settings import Settings
    from bundler.oci.descriptor import Descriptor
    from bundler.ports import PolicyCheck, Source


def create_policy_check(
    settings: Settings, options: GlobalOptions, *, required: bool
) -> PolicyCheck | None:
    """Return the check that every image's manifest has to pass; None if every image is accepted.

    Args:
        settings: locates policy.json.
        options: ``--insecure-policy`` and ``--require-signed``.
        required: whether a missing policy.json is an error.

    Raises:
        PolicyFileError: if policy.json is invalid, or is required and missing.
    """
    if options.insecure_policy:
        return None
    policy = settings.load_policy()
    if policy is None:
        if required or options.require_signed:
            paths = ", ".join(map(str, settings.paths.policy_json))
            raise PolicyFileError(
                f"policy.json: no such file (expected one of {paths})",
                hint="create one, name one with --policy, or accept every image with "
                "--insecure-policy",
            )
        return None
    accepted: set[str] = set()

    def check(source: Source, reference: str, descriptor: Descriptor, raw: bytes) -> None:  # noqa: ARG001 - for the verification of signatures
        if reference not in accepted:
            policies.check(
                policy,
                transports.parse(reference),
                policies.refuse_signature,
                require_signed=options.require_signed,
            )
            accepted.add(reference)

    return check
