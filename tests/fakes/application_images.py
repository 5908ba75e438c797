"""1,000 images of applications with their packages, for a large report and its benchmark."""

from __future__ import annotations

import json

from tests.fakes import images

IMAGES, BASES, RUNTIMES = 1_000, 30, 60
RULES = """
rules:
  not-root: warning
  digest-pinned: warning
  max-age: {days: 25, severity: note}
  sbom: warning
  signed: warning
  forbidden-packages: {packages: ['part-.*-[0-5]@'], severity: warning}
"""
"""Rules with about ten findings for each image, none of which is an error."""


def create_images() -> dict[str, images.Image]:
    """Create images of three layers: one of 30 bases, one of 60 runtimes, and their own.

    A base has 350 packages of Debian, a runtime 80 of npm. Each image has 60 of PyPI, and every
    fourth installs 10 more of Debian, so that its layer states all of them again. This is the
    density of images of applications on Debian.
    """
    statuses = [
        "".join(
            f"Package: lib{base % 7}-{n}\nStatus: install ok installed\nArchitecture: amd64\n"
            f"Version: {base}.{n}-1+deb12u{n % 9}\nSource: source-{n // 2}\n\n"
            for n in range(350)
        )
        for base in range(BASES)
    ]
    copyright_file = (
        b"Format: https://www.debian.org/x\n\nFiles: *\nLicense: GPL-2+ and LGPL-2.1+\n"
    )
    bases = [
        images.layer(
            {
                "etc/os-release": b'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian 12"\n',
                "var/lib/dpkg/status": status.encode(),
                **{
                    f"usr/share/doc/lib{base % 7}-{n}/copyright": copyright_file for n in range(350)
                },
            }
        )
        for base, status in enumerate(statuses)
    ]
    runtimes = [
        images.layer(
            {
                f"opt/runtime/node_modules/module-{runtime % 20}-{n}/package.json": json.dumps(
                    {"name": f"module-{runtime % 20}-{n}", "version": f"{runtime}.0.{n}"}
                    | {"license": "MIT" if n % 3 else "Apache-2.0"}
                ).encode()
                for n in range(80)
            }
        )
        for runtime in range(RUNTIMES)
    ]
    named = {}
    for n in range(IMAGES):
        files = {
            f"usr/lib/python3/site-packages/part_{n % 150}_{k}-1.{n}.{k}.dist-info/METADATA": (
                f"Metadata-Version: 2.1\nName: part-{n % 150}-{k}\nVersion: 1.{n}.{k}\n"
                "License: BSD-3-Clause\n"
            ).encode()
            for k in range(60)
        }
        if n % 4 == 0:
            more = "".join(
                f"Package: tool-{k}\nStatus: install ok installed\nArchitecture: amd64\n"
                f"Version: {n}.{k}\n\n"
                for k in range(10)
            )
            files["var/lib/dpkg/status"] = (statuses[n % BASES] + more).encode()
        config = {
            "config": {
                "User": "" if n % 2 else "app",
                "Labels": {
                    "org.opencontainers.image.title": f"Service {n}",
                    "org.opencontainers.image.source": f"https://git.example.com/team/service-{n}",
                    "org.opencontainers.image.revision": f"{n:040x}",
                },
            },
            "created": "2026-10-01T00:00:00Z",
        }
        layers = (bases[n % BASES], runtimes[n % RUNTIMES], images.layer(files))
        named[f"registry.example.com/team-{n % 40}/service-{n}:v{n}"] = images.image(
            *layers, config=config
        )
    return named
