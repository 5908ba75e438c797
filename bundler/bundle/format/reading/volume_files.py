"""The files of a bundle on several volumes, of which some may be missing."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING

from bundler.bundle.format.files import bundle_paths
from bundler.bundle.format.files.bundle_files import DirectoryScan
from bundler.bundle.format.inventory.parse_inventory import MAX_INVENTORY
from bundler.bundle.format.inventory.presupposed import HeldBlob
from bundler.bundle.format.plan import sealed_plan
from bundler.bundle.format.reading.directory_files import DirectoryFiles
from bundler.bundle.format.reading.files import BundleFiles
from bundler.errors import BundlerError, NotFoundError, UsageError, VolumesOwedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from bundler.bundle.format.plan.sealed_plan import PlannedContent, SealedPlan
    from bundler.bundle.format.reading.files import StoredFile
    from bundler.oci.digest import Digest


@dataclass(frozen=True, slots=True)
class Volume:
    """A volume that is present."""

    number: int
    """The number that its checksum file states; the plan has the digest of that file."""
    files: DirectoryFiles


def find_volume_number(path: Path) -> int | None:
    """Return the number of the volume in a directory; None: it is not one volume of a bundle.

    A directory to which several volumes were copied is a bundle like others.
    """
    try:
        names = [item.name for item in path.iterdir()]
    except OSError:
        return None
    numbers = [number for name in names if (number := bundle_paths.parse_volume_name(name))]
    return numbers[0] if len(numbers) == 1 and bundle_paths.PLAN in names else None


def group_volumes(paths: Sequence[Path]) -> list[tuple[Path, ...]]:
    """Group the directories that are different volumes of one bundle; other paths are alone.

    A volume that is given again belongs to another group.
    """
    groups: list[dict[int, Path]] = []
    of_bundle: dict[bytes, list[dict[int, Path]]] = {}
    for path in paths:
        number = find_volume_number(path) or 0
        plan = _read_plan(path) if number else None
        known = [] if plan is None else of_bundle.setdefault(plan, [])
        group = next((item for item in known if number not in item), None)
        if group is None:
            group = {}
            groups.append(group)
            known.append(group)
        group[number] = path
    return [tuple(group.values()) for group in groups]


def _read_plan(path: Path) -> bytes | None:
    """Return the plan of a volume; None if it cannot be read, which its use will report."""
    try:
        with DirectoryFiles(path) as files:
            return files.read(bundle_paths.PLAN, MAX_INVENTORY)
    except BundlerError:
        return None


class VolumeFiles(BundleFiles):
    """The files of the volumes at ``paths``, in the order of their numbers; each file once.

    Nothing is authenticated: ``plan`` and ``contents`` say what the volumes state.

    Raises:
        UsageError: one is no volume, is one of another bundle, or is given twice.
        NotFoundError: one does not exist, or its export was interrupted.
        MediumError: one cannot be read.
        MalformedError, LimitError, UnsupportedError: the plan is not valid.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self.location = " ".join(map(str, paths))
        with ExitStack() as stack:
            found: dict[int, Volume] = {}
            self.raw_plan = b""
            for path in paths:
                files = stack.enter_context(DirectoryFiles(path))
                number = find_volume_number(path)
                if number is None:
                    if files.get_size(bundle_paths.PLAN) is not None:
                        raise NotFoundError(
                            f"{path}: an unfinished volume",
                            hint="run the interrupted export or copy again",
                        )
                    raise UsageError(
                        f"{path}: not a volume of a bundle",
                        hint="specify the directories of the volumes, or one bundle",
                    )
                raw = files.read(bundle_paths.PLAN, MAX_INVENTORY)
                self._compare_plan(raw, path)
                if number in found:
                    first = found[number].files.location
                    raise UsageError(
                        f"{path}: volume {number} again, which is also in {first}",
                        hint="specify each volume once",
                    )
                found[number] = Volume(number, files)
            self.plan: SealedPlan = sealed_plan.parse_sealed_plan(self.raw_plan)
            if max(found) > len(self.plan.volumes):
                raise UsageError(
                    f"{found[max(found)].files.location}: volume {max(found)} of a bundle with"
                    f" {len(self.plan.volumes)}"
                )
            self._resources = stack.pop_all()
        self.volumes = tuple(found[number] for number in sorted(found))
        self.reads_announced = False
        """Whether the inventory is read as each volume announces it, without the last volume."""

    def _compare_plan(self, raw: bytes, path: Path) -> None:
        """Refuse a volume whose plan differs from that of the volumes before it."""
        self.raw_plan = self.raw_plan or raw
        if raw != self.raw_plan:
            expected, got = map(sealed_plan.parse_sealed_plan, (self.raw_plan, raw))
            same = (expected.stream, expected.serial) == (got.stream, got.serial)
            raise UsageError(
                f"{path}: a volume of another bundle (expected {expected.stream} {expected.serial},"
                f" got {'another plan' if same else f'{got.stream} {got.serial}'})",
                hint="specify the volumes of one bundle only",
            )

    @property
    def numbers(self) -> frozenset[int]:
        """The numbers of the volumes that are present."""
        return frozenset(volume.number for volume in self.volumes)

    @property
    def is_complete(self) -> bool:
        """Whether all volumes of the plan are present."""
        return len(self.volumes) == len(self.plan.volumes)

    @property
    def has_inventory(self) -> bool:
        """Whether the last volume, which has the inventory, is present and finished."""
        return self.get_size(bundle_paths.INVENTORY) is not None

    @cached_property
    def contents(self) -> dict[Digest, PlannedContent]:
        """The announced content, by digest, as the plan has its list."""
        raw = self.read(bundle_paths.CONTENTS, sealed_plan.MAX_CONTENTS)
        listed = sealed_plan.parse_contents(raw, self.plan.contents)
        return {item.digest: item for item in listed}

    def list_elsewhere(self) -> dict[Digest, HeldBlob]:
        """Return the content that is on volumes which are not present."""
        present = self.numbers
        return {
            digest: HeldBlob(digest, item.size)
            for digest, item in self.contents.items()
            if item.volume not in present and self._find_volume(digest) is None
        }

    def check_complete(self) -> None:
        """Check that all volumes are present.

        Raises:
            VolumesOwedError: some are not.
        """
        if owed := {volume.number for volume in self.plan.volumes} - self.numbers:
            raise self.create_owed_error(owed)

    def create_owed_error(self, owed: Iterable[int]) -> VolumesOwedError:
        """Return the error that volumes are missing, by their numbers."""
        name = f"bundle {self.plan.stream} {self.plan.serial}"
        return VolumesOwedError(name, owed, len(self.plan.volumes))

    def _find_volume(self, digest: Digest) -> int | None:
        path = bundle_paths.find_path("oci", digest, digest, manifest=False)
        return self.get_size(path)

    def scan(self) -> DirectoryScan:
        """List the files of all volumes; a file that several have is that of the first one."""
        scans = [volume.files.scan() for volume in reversed(self.volumes)]
        return DirectoryScan(
            {path: item for found in scans for path, item in found.entries.items()},
            sum(found.ignored for found in scans),
            tuple(chain.from_iterable(found.foreign for found in scans)),
            {path: parts for found in scans for path, parts in found.joined.items()},
        )

    def list_names(self, folder: str) -> list[str]:
        """Return the names in a directory on any of the volumes."""
        found = (volume.files.list_names(folder) for volume in self.volumes)
        return sorted({*chain.from_iterable(found)})

    def list_signatures(self) -> list[str]:
        """Return the names of the signatures of the inventory."""
        found = (volume.files.list_signatures() for volume in self.volumes)
        return sorted({*chain.from_iterable(found)})

    def open(self, path: str, offset: int = 0, *, uncached: bool = False) -> StoredFile:
        """Open a file on the first volume that has it."""
        return self._find_files(path).open(path, offset, uncached=uncached)

    def read(self, path: str, limit: int) -> bytes:
        """Read a small file on the first volume that has it."""
        if path == bundle_paths.INVENTORY and self.reads_announced:
            path = bundle_paths.ANNOUNCED
        return self._find_files(path).read(path, limit)

    def get_size(self, path: str) -> int | None:
        """Return the size of a file on the first volume that has it."""
        sizes = (volume.files.get_size(path) for volume in self.volumes)
        return next((size for size in sizes if size is not None), None)

    def has_next(self) -> bool:
        """Return False: volumes are not renewed in place."""
        return False

    def check_connected(self) -> None:
        """Check that each volume is still the one at its path."""
        for volume in self.volumes:
            volume.files.check_connected()

    def close(self) -> None:
        """Close all volumes."""
        self._resources.close()

    def _find_files(self, path: str) -> DirectoryFiles:
        for volume in self.volumes:
            if volume.files.get_size(path) is not None:
                return volume.files
        digest = bundle_paths.parse_digest(path)
        planned = None if digest is None else self.contents.get(digest)
        if planned is not None and planned.volume not in self.numbers:
            raise self.create_owed_error([planned.volume])
        raise NotFoundError(f"{self.location}: no volume has {path}", path=path)
