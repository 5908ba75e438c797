"""Directories that several processes create, lock and remove."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing

import pytest

from bundler.content.files import file_lock
from bundler.content.files.locked_directory import LockedDirectory
from bundler.content.files.safe_directory import Directory
from bundler.errors import LockedError, MalformedError, MediumError, UsageError

ROUNDS = 100
WRITER = """
import sys
from pathlib import Path
from contextlib import closing
from bundler.errors import LockedError
from bundler.oci.digest import Digest
from bundler.content.streams import VerifiedReader
from bundler.ports import Node
from bundler.transports.directory.transport import DirectoryDestination
from bundler.transports.directory.tree import DirectoryTreeDestination
from bundler.transports.oci_layout.transport import LayoutDestination
from io import BytesIO

kinds = {
    "layout": LayoutDestination,
    "shared": lambda path: LayoutDestination(path / sys.argv[2], path / "blobs"),
    "directory": DirectoryDestination,
    "tree": DirectoryTreeDestination,
}
for line in sys.stdin:
    try:
        with closing(kinds[sys.argv[1]](Path(line.strip()))) as destination:
            if sys.argv[2] == "fails":
                raise LookupError
            data = sys.argv[2].encode()
            digest = Digest.of(data)
            content = VerifiedReader(BytesIO(data), "blob", digest=digest, size=len(data))
            destination.push(Node("layer", "a/b", digest, len(data)), content)
        print("written", flush=True)
    except (LockedError, LookupError) as error:
        print(type(error).__name__, flush=True)
    except Exception as error:
        print(repr(error), flush=True)
"""


@pytest.fixture(params=["layout", "shared", "directory", "tree"])
def kind(request):
    return request.param


def run_at_once(tmp_path, kind, *roles):
    """Let processes open the same new directory, again and again; return their results."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, kind, role],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={"PYTHONPATH": ":".join(sys.path)},
        )
        for role in roles
    ]
    try:
        for number in range(ROUNDS):
            for process in processes:
                process.stdin.write(f"{tmp_path}/{number}/new/images\n")
                process.stdin.flush()
            yield [process.stdout.readline().strip() for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def test_one_of_two_processes_writes_a_new_directory(tmp_path, kind):
    for results in run_at_once(tmp_path, kind, "one", "two"):
        assert "written" in results
        assert set(results) <= {"written", "LockedError"}


def test_process_that_fails_does_not_disturb_another_one(tmp_path, kind):
    for failed, written in run_at_once(tmp_path, kind, "fails", "one"):
        assert failed in ("LookupError", "LockedError")
        assert written in ("written", "LockedError")
        assert written == "written" or failed == "LookupError"


def test_new_directory_is_removed_if_it_stays_empty(tmp_path):
    LockedDirectory.create(tmp_path / "a/b").close()
    assert list(tmp_path.iterdir()) == []


def test_directory_that_existed_stays(tmp_path):
    (tmp_path / "a").mkdir()
    LockedDirectory.create(tmp_path / "a").close()
    assert (tmp_path / "a").is_dir()


def test_created_directories_are_listed_parents_first(tmp_path):
    with LockedDirectory.create(tmp_path / "a/b") as directory:
        assert directory.created == [tmp_path / "a", tmp_path / "a/b"]
        (tmp_path / "a/b/file").touch()
    with LockedDirectory.create(tmp_path / "a/b") as directory:
        assert directory.created == []


def test_parent_that_another_process_uses_stays(tmp_path):
    created = LockedDirectory.create(tmp_path / "a/b")
    with Directory.open(tmp_path / "a") as parent:
        file_lock.lock(parent)
        created.close()
    assert [path.name for path in (tmp_path / "a").iterdir()] == []


def test_process_that_cannot_lock_does_not_remove_the_directory(tmp_path):
    with LockedDirectory.create(tmp_path / "a"):
        with pytest.raises(LockedError):
            LockedDirectory.create(tmp_path / "a")
        assert (tmp_path / "a").is_dir()


def test_shared_lock_keeps_the_directory_until_the_last_one_closes_it(tmp_path):
    first = LockedDirectory.create(tmp_path / "a", shared=True)
    with closing(LockedDirectory.create(tmp_path / "a", shared=True)) as second:
        first.close()
        assert (tmp_path / "a").is_dir()
        second.enter("b", create=True).close()


def test_file_in_place_of_directory_is_refused(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "nowhere").symlink_to("missing")
    for name in ("file", "nowhere", "nowhere/below"):
        with pytest.raises(UsageError):
            LockedDirectory.create(tmp_path / name)
    with pytest.raises((MalformedError, MediumError)):
        LockedDirectory.create(tmp_path / "file/below")
