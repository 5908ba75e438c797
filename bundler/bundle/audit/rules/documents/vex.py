"""The member ``vex`` of a rules file: the signers whose statements about vulnerabilities count."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.bundle.audit.packages.claims.vex_signers import VexSigner
from bundler.bundle.audit.rules.rule import RuleSettings
from bundler.config import config_file
from bundler.config.yaml.context import YamlContext
from bundler.config.yaml.document import MappingNode, get_member
from bundler.trust.sigstore.certificates import OidcIdentity
from bundler.trust.sigstore.keys import parse_public_key
from bundler.trust.sigstore.trusted_root import read_trusted_root

if TYPE_CHECKING:
    from pathlib import Path

    from bundler.config.yaml.document import SequenceNode, YamlMistakes


def read_signers(
    items: SequenceNode, folder: Path, mistakes: YamlMistakes
) -> tuple[VexSigner, ...]:
    """Read the signers, with their keys and trusted roots; paths are relative to ``folder``.

    ``items`` have been validated; files that do not exist are added to ``mistakes``.

    Raises:
        ConfigError, UnsupportedError, LimitError: a file is not a public key or a trusted root.
    """
    context = YamlContext("", folder, {}, mistakes)
    found = []
    for fields in items:
        assert isinstance(fields, MappingNode)  # noqa: S101 - validated
        scopes = RuleSettings(fields, mistakes).get_texts("images")
        path = context.resolve_path(get_member(fields, "key") or get_member(fields, "trustedRoot"))
        if path is None or not path.exists():
            continue
        if "key" in fields:
            key = parse_public_key(config_file.read(path, required=True), str(path))
            found.append(VexSigner(f"key {key.id[:16]} ({path.name})", scopes, (key,)))
        else:
            identity = OidcIdentity(str(fields["issuer"]), str(fields["identity"]))
            root = read_trusted_root(path)
            found.append(VexSigner(identity.subject, scopes, identity=identity, root=root))
    return tuple(found)
