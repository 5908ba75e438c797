"""Several threads can list one open directory at the same time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from bundler.content.files.safe_directory import Directory


def test_concurrent_listings_of_a_directory_are_complete(tmp_path):
    names = [f"{number:03}" for number in range(300)]
    for name in names:
        (tmp_path / name).touch()
    with Directory.open(tmp_path) as directory, ThreadPoolExecutor(8) as executor:
        seen = list(executor.map(lambda _: directory.list_names(), range(400)))
    assert all(listing == names for listing in seen)
