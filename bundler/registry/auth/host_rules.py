"""Rules for hosts in responses of a registry: its token service, and redirect targets.

A host belongs to a registry if it has the same name (on any port), if it is in the same site, or if
the user specified it as the token service of the registry. ``docs/security.md`` states the rules.
"""

from __future__ import annotations

from dataclasses import dataclass

from bundler.errors import RefusedRequestError, Remedy, UntrustedTokenServiceError
from bundler.registry.auth.origin import (
    Origin,
    check_redirect,
    find_scope,
    is_same_site,
    join_location,
    resolve_location,
)


@dataclass(frozen=True, slots=True)
class HostRules:
    """The rules for one registry."""

    registry: str
    """``host[:port]`` as the user wrote it, for messages."""
    token_service: str | None = None
    """The URL of a token service that may receive the credentials; None if unset."""
    trusts_all: bool = False
    """Whether all hosts in responses of the registry belong to it, as in Skopeo."""
    look_up_hosts: bool = True
    """Whether host names are resolved, which is often impossible behind a proxy."""

    def belongs(self, registry: Origin, target: Origin) -> bool:
        """Return whether ``target`` belongs to the registry.

        Such a host may receive the credentials as a token service, and its certificate is not
        verified if that of the registry is not.
        """
        if self.trusts_all:
            return True
        if self.token_service is not None and Origin.of(self.token_service) == target:
            return True
        return is_same_site(registry, target, look_up_hosts=self.look_up_hosts)

    def keeps_authorization(self, registry: Origin, target: Origin) -> bool:
        """Return whether a request to ``target`` may carry the registry's Authorization header.

        Another port of the same host is another origin, which receives the header only under
        Skopeo's rule.
        """
        return target == registry or (self.trusts_all and target.host == registry.host)

    def check_target(self, registry: Origin, target: Origin) -> None:
        """Check that a request to ``target``, a host from a response, is allowed.

        Raises:
            RegistryError: ``target`` has a forbidden address.
        """
        scope = find_scope(target.host, look_up_hosts=self.look_up_hosts)
        if not self.trusts_all or scope == "forbidden":
            check_redirect(registry, target, look_up_hosts=self.look_up_hosts)

    def resolve_location(self, base: str, location: str) -> str:
        """Return the absolute URL of a Location header in the response to a request for ``base``.

        Raises:
            RegistryError: ``location`` is not a valid URL, or redirects from HTTPS to HTTP.
        """
        return (join_location if self.trusts_all else resolve_location)(base, location)

    def check_token_service(self, registry: Origin, url: str) -> None:
        """Check that a request to a token service, or to its redirect target, is allowed.

        Raises:
            RegistryError: ``url`` has a forbidden address, or uses plain HTTP although the registry
                uses HTTPS.
        """
        target = Origin.of(url)
        if target.scheme == "http" and registry.scheme == "https" and not self.trusts_all:
            raise RefusedRequestError(
                f"{registry}: refused the token service {target} without TLS",
                hint="begin its URL with https:// in the configuration of the registry",
            )
        self.check_target(registry, target)

    def check_realm(self, registry: Origin, realm: Origin) -> None:
        """Check that a token service may receive the credentials.

        Raises:
            UntrustedTokenServiceError: the service does not belong to the registry.
        """
        if self.belongs(registry, realm):
            return
        insecure = " --tls-verify=false" if registry.scheme == "http" else ""
        raise UntrustedTokenServiceError(
            f"{registry}: credentials are not sent to the token service {realm}, which belongs to "
            "another domain",
            token_service=str(realm),
        ).suggest(
            Remedy(f"airbundle login{insecure} --token-service {realm} {self.registry}"),
            Remedy(f"set tokenService: {realm} for this registry", in_file=True),
            prefix="if you trust it: ",
        )
