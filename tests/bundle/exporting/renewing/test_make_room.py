"""The space that becomes free if the former bundle is removed."""

from __future__ import annotations

from bundler.bundle.exporting.renewing.make_room import compute_freed_space
from bundler.bundle.format.files.bundle_files import BundleFile

ONE, OTHER = (7, 1), (7, 2)


def test_hard_links_are_freed_once_and_only_if_no_name_remains():
    single = BundleFile("images/a/1", "file", 100)
    both = [BundleFile(f"images/{name}/2", "file", 1_000, ONE) for name in "ab"]
    partly = [BundleFile(f"images/{name}/3", "file", 10_000, OTHER) for name in "ab"]
    kept = BundleFile("images/b/4", "file", 100_000)
    removed = [single, *both, partly[0]]
    assert compute_freed_space(removed, [single, *both, *partly, kept]) == 1_100
