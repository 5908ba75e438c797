"""The ecosystems whose packages are found, one module each; ``DETECTORS`` lists them.

A detector is a value: the files that it reads, and a function that parses one file. A file that
cannot be parsed is a ``PackageFileError``, which becomes a finding.
"""

from bundler.bundle.audit.packages.ecosystems import (
    apk,
    debian_copyright,
    dpkg,
    executables,
    java,
    npm,
    os_release,
    python,
    ruby,
)
from bundler.bundle.audit.packages.ecosystems.rpm import database as rpm

DETECTORS = (
    os_release.DETECTOR,
    dpkg.DETECTOR,
    debian_copyright.DETECTOR,
    apk.DETECTOR,
    rpm.DETECTOR,
    python.DETECTOR,
    python.EGG_DETECTOR,
    npm.DETECTOR,
    executables.DETECTOR,
    java.DETECTOR,
    ruby.DETECTOR,
)
