"""Who says whether an image may be copied: policy.json, and the flags that go before it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler import transports
from bundler.errors import PolicyFileError
from bundler.trust import policy as policies

if TYPE_CHECKING:
    from bundler.cli.options.global_options import ProgramOptions
    from bundler.config.settings import Settings
    from bundler.oci.descriptor import Descriptor
    from bundler.ports import PolicyCheck, Source


def admit(settings: Settings, said: ProgramOptions) -> PolicyCheck | None:
    """What to ask of every image's manifest; None: nothing, for no policy was written.

    Raises:
        PolicyFileError: policy.json is not in order, or is missing where there has to be one.
    """
    if said.insecure_policy:
        return None
    policy = settings.policy()
    if policy is None:
        if said.policy_must_exist or said.require_signed:
            places = ", ".join(map(str, settings.paths.policy_json))
            raise PolicyFileError(
                f"no policy.json says which images to trust; there could be one at {places}",
                hint="write one of them, name one with --policy, or trust every image with "
                "--insecure-policy",
            )
        return None
    admitted: set[str] = set()

    def decide(source: Source, reference: str, descriptor: Descriptor, raw: bytes) -> None:  # noqa: ARG001 - signatures will need them
        if reference not in admitted:
            policies.check(
                policy,
                transports.parse(reference),
                policies.refuse_signature,
                require_signed=said.require_signed,
            )
            admitted.add(reference)

    return decide
