"""The name in a signature is compared with that of the image as by containers/image."""

from __future__ import annotations

import pytest

from bundler.config.policy_json import SignedIdentity
from bundler.oci.reference import ImageReference
from bundler.trust.policy.signed_identity import accepts_name

DIGEST = "@sha256:" + "a" * 64
OTHER = "@sha256:" + "b" * 64
EXACT = SignedIdentity("matchExact")
DEFAULT = SignedIdentity()
REPOSITORY = SignedIdentity("matchRepository")
REFERENCE = SignedIdentity("exactReference", "docker.io/library/busybox:1")
NAME = SignedIdentity("exactRepository", "r.example/a/b")
REMAP = SignedIdentity("remapIdentity", prefix="mirror.example/m", signed_prefix="r.example/a")
DOMAIN = SignedIdentity("remapIdentity", prefix="mirror.example", signed_prefix="r.example:5000")
SHORT = SignedIdentity("remapIdentity", prefix="r.example/a", signed_prefix="docker.io")


@pytest.mark.parametrize(
    ("identity", "image", "signed", "accepted"),
    [
        (EXACT, "r.example/a:1", "r.example/a:1", True),
        (EXACT, "busybox:1", "docker.io/library/busybox:1", True),
        (EXACT, "docker.io/library/busybox:1", "busybox:1", True),
        (EXACT, "r.example/a:1", "r.example/a:2", False),
        (EXACT, "r.example/a:latest", "r.example/a", False),
        (EXACT, "r.example/a", "r.example/a", False),
        (EXACT, f"r.example/a{DIGEST}", f"r.example/a{DIGEST}", True),
        (EXACT, f"r.example/a{DIGEST}", f"r.example/a{OTHER}", False),
        (EXACT, f"r.example/a{DIGEST}", "r.example/a:1", False),
        (EXACT, f"r.example/a:1{DIGEST}", "r.example/a:1", False),
        (EXACT, None, "r.example/a:1", False),
        (DEFAULT, "r.example/a:1", "r.example/a:1", True),
        (DEFAULT, "r.example/a:1", "r.example/a:2", False),
        (DEFAULT, "r.example/a:1", f"r.example/a{DIGEST}", False),
        (DEFAULT, f"r.example/a{DIGEST}", "r.example/a:1", True),
        (DEFAULT, f"r.example/a{DIGEST}", f"r.example/a{OTHER}", True),
        (DEFAULT, f"r.example/a{DIGEST}", "r.example/a", False),
        (DEFAULT, f"r.example/a{DIGEST}", "r.example/b:1", False),
        (DEFAULT, f"r.example/a:1{DIGEST}", "r.example/a:1", False),
        (DEFAULT, "r.example/a", "r.example/a:1", False),
        (DEFAULT, None, "r.example/a:1", False),
        (REPOSITORY, "r.example/a:1", "r.example/a:2", True),
        (REPOSITORY, "r.example/a:1", "r.example/a", True),
        (REPOSITORY, "r.example/a:1", "r.example/a/b:1", False),
        (REPOSITORY, None, "r.example/a:1", False),
        (REFERENCE, None, "busybox:1", True),
        (REFERENCE, "r.example/a:1", "docker.io/library/busybox:1", True),
        (REFERENCE, "r.example/a:1", "r.example/a:1", False),
        (REFERENCE, None, "busybox", False),
        (NAME, None, "r.example/a/b:1", True),
        (NAME, None, "r.example/a/b", True),
        (NAME, None, "r.example/a/bc:1", False),
        (REMAP, "mirror.example/m:1", "r.example/a:1", True),
        (REMAP, "mirror.example/m/x:1", "r.example/a/x:1", True),
        (REMAP, "mirror.example/mx:1", "r.example/ax:1", False),
        (REMAP, "mirror.example/mx:1", "mirror.example/mx:1", True),
        (REMAP, "mirror.example/m:1", "mirror.example/m:1", False),
        (REMAP, f"mirror.example/m{DIGEST}", "r.example/a:7", True),
        (REMAP, None, "r.example/a:1", False),
        (DOMAIN, "mirror.example/m:1", "r.example:5000/m:1", True),
        (DOMAIN, "mirror.example:80/m:1", "r.example:5000/m:1", False),
        (SHORT, "r.example/a/x:1", "docker.io/x:1", False),
        (SHORT, "r.example/a/x/y:1", "docker.io/x/y:1", True),
        (SHORT, "r.example/a:1", "docker.io:1", False),
        *((item, "r.example/a:1", bad, False)
          for item in (EXACT, DEFAULT, REPOSITORY, REFERENCE, NAME, REMAP)
          for bad in ("", "UPPER/a:1", "r.example/a:1 ", "docker://r.example/a:1", "a" * 64, "\0")),
    ],
)  # fmt: skip
def test_name_is_accepted(identity, image, signed, accepted):
    name = None if image is None else ImageReference.parse(image)
    assert accepts_name(identity, name, signed) is accepted
