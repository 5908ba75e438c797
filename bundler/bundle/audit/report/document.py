"""The report as JSON, for other programs; ``schemas/audit-report.schema.json`` describes it.

Layers, packages and sets of packages are lists; other members refer to them by their positions,
so that content that images share is listed once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bundler import __version__
from bundler.bundle.audit.secret_text import looks_secret
from bundler.oci.json import timestamps

if TYPE_CHECKING:
    from bundler.bundle.audit.report.record import (
        Report,
        ReportedBundle,
        ReportedImage,
        ReportedPlatform,
    )

TYPE = "airbundle/audit-report/v1"


def create_document(report: Report) -> dict[str, Any]:
    """Return the report as JSON. Members without a value are absent; sizes are in bytes."""
    value: dict[str, Any] = {
        "_type": TYPE,
        "created": timestamps.format_utc(report.created),
        "tool": {"name": "airbundle", "version": __version__},
        "location": report.location,
        "conclusion": report.conclusion,
        "reason": report.reason,
        "authenticated": report.is_authenticated,
    }
    if report.bundle is not None:
        value["bundle"] = _describe_bundle(report.bundle)
    if report.problem is not None:
        return value | {"problem": report.problem}
    if report.verdict is not None:
        verdict = report.verdict.to_json()
        value |= {name: verdict[name] for name in ("rules", "passed", "findings", "waived")}
    if report.since is not None:
        value["since"] = {
            "path": report.since.path,
            "digest": report.since.digest.text,
            **report.since.difference.to_json(),
        }
    if report.vulnerabilities is not None:
        value["vulnerabilities"] = report.vulnerabilities.to_json()
    return value | {
        "totalSize": report.total_size,
        "images": [_describe_image(image) for image in report.images],
        "layers": [
            {
                "digest": layer.digest,
                "mediaType": layer.media_type,
                "size": layer.size,
                "images": list(layer.images),
                "isLayer": layer.is_layer,
            }
            for layer in report.layers
        ],
        "packages": [
            {key: item for key, item in each.package.to_json().items() if key != "layer"}
            | {"images": each.images}
            for each in report.packages
        ],
        "packageSets": [
            {"layer": each.layer, "packages": list(each.packages)} for each in report.package_sets
        ],
        "gaps": [
            {key: item for key in gap.__slots__ if (item := getattr(gap, key))}
            for gap in report.gaps
        ],
    }


def _describe_bundle(bundle: ReportedBundle) -> dict[str, Any]:
    inventory = bundle.inventory
    return _omit_empty(
        {
            "stream": inventory.stream,
            "serial": inventory.serial,
            "format": inventory.format,
            "created": timestamps.format_utc(inventory.created),
            "expires": inventory.expires and timestamps.format_utc(inventory.expires),
            "complete": inventory.complete,
            "tool": {"name": inventory.tool.name, "version": inventory.tool.version},
            "inventory": {"digest": bundle.digest.text, "size": bundle.size},
            "signers": [_omit_empty({"key": key, "name": name}) for key, name in bundle.signers],
            "statedSigners": list(bundle.stated_signers),
        }
    )


def _describe_image(image: ReportedImage) -> dict[str, Any]:
    audited, listed = image.audited, image.audited.listed
    value: dict[str, Any] = {
        "name": audited.name,
        "digest": audited.digest and audited.digest.text,
        "size": image.sizes.size,
        "unique": image.sizes.unique,
        "packages": image.packages,
        "artifactTypes": list(filter(None, audited.artifact_types)),
        "platforms": [_describe_platform(platform) for platform in image.platforms],
    }
    if listed is not None:
        value |= {
            "mediaType": listed.media_type,
            "origin": listed.origin,
            "source": listed.source,
            "rename": listed.rename,
            "replaces": listed.replaces and listed.replaces.text,
            "referrers": [referrer.to_json() for referrer in listed.referrers],
            "signatures": [signature.to_json() for signature in listed.signatures],
            "verified": [verified.to_json() for verified in listed.verified],
            "leftBehind": list(listed.left_behind),
            "absentLayers": [layer.digest.text for layer in listed.absent_layers or ()],
        }
    return _omit_empty(value)


def _describe_platform(platform: ReportedPlatform) -> dict[str, Any]:
    properties, contents = platform.audited.properties, platform.audited.contents
    visible = properties.hide_secrets()
    distribution = contents and contents.packages.distribution
    return _omit_empty(
        {
            "platform": platform.audited.name,
            "digest": platform.audited.image.digest.text,
            "size": platform.audited.size,
            "created": properties.created,
            "user": properties.user,
            "runsAsRoot": properties.runs_as_root,
            "entrypoint": list(visible.entrypoint),
            "command": list(visible.command),
            "ports": list(properties.ports),
            "secretVariables": [
                name for name, text in properties.environment if looks_secret(name, text)
            ],
            "labels": dict(visible.labels),
            "base": properties.base,
            "distribution": distribution and (distribution.name or distribution.id),
            "layers": list(platform.layers),
            "packageSets": list(platform.package_sets),
            "gap": platform.gap,
        }
    )


def _omit_empty(value: dict[str, Any]) -> dict[str, Any]:
    return {key: item for key, item in value.items() if item not in (None, "", [], {})}
