from __future__ import annotations

import os
from pathlib import Path

import pytest

from bundler.bundle.media import filesystem
from bundler.errors import MediumError
from tests.fakes import bundles, images

GIB = 2**30


def check_directory(
    bundle: Path, *, mountinfo: Path = filesystem.MOUNTINFO, **options: object
) -> None:
    """Check a directory on the medium that contains it."""
    medium = filesystem.inspect(bundle, mountinfo=mountinfo)
    filesystem.check_directory(bundle, medium, **options)


@pytest.fixture
def mounted(tmp_path: Path):
    """Return a function that creates a medium and its line in mountinfo."""

    def mount(file_system: str, options: str = "rw,nosuid", *, name: str = "stick") -> Path:
        stick = tmp_path / name
        stick.mkdir(exist_ok=True)
        point = str(stick.resolve()).replace(" ", "\\040")
        info = tmp_path / "mountinfo"
        with info.open("a") as file:
            file.write("22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n")
            file.write(f"36 22 8:17 / {point} {options} shared:7 - {file_system} /dev/sdb1 rw\n")
        return stick

    mount.info = tmp_path / "mountinfo"
    return mount


@pytest.mark.parametrize(
    ("file_system", "largest", "hard_links", "removable"),
    [
        ("vfat", 2**32 - 1, False, True),
        ("exfat", None, False, True),
        ("ntfs3", None, True, True),
        ("ext4", None, True, False),
    ],
)
def test_limits_follow_from_the_file_system_type(
    mounted, file_system, largest, hard_links, removable
):
    stick = mounted(file_system)
    found = filesystem.inspect(stick / "plant-7" / "new", mountinfo=mounted.info)
    assert found.mount_point == stick
    assert found.file_system == file_system
    assert found.largest_file == largest
    assert found.hard_links is hard_links
    assert found.removable is removable
    assert found.free > 0
    assert found.device == "/dev/sdb1"
    unmount = f"the medium at {stick} may be unmounted now: umount {stick}"
    stays = f"everything is stored on the disk mounted at {stick}"
    assert found.completion_message == (unmount if removable else stays)


def test_mount_point_with_a_space_is_parsed(mounted):
    stick = mounted("exfat", name="MY STICK")
    assert filesystem.inspect(stick, mountinfo=mounted.info).mount_point == stick


def test_last_mount_on_a_mount_point_applies(mounted):
    mounted("ext4")
    stick = mounted("vfat")
    assert filesystem.inspect(stick, mountinfo=mounted.info).file_system == "vfat"


def test_mount_point_is_compared_by_whole_components(mounted, tmp_path: Path):
    mounted("vfat")
    other = tmp_path / "stick-2"
    other.mkdir()
    assert filesystem.inspect(other, mountinfo=mounted.info).file_system == "ext4"


@pytest.mark.parametrize("text", ["", "nonsense\n", "1 2 3 - \n", "\udcff\udcfe - x y z\n"])
def test_unreadable_mountinfo_sets_no_limits(tmp_path: Path, text: str):
    info = tmp_path / "mountinfo"
    info.write_bytes(text.encode("utf-8", "surrogateescape"))
    for path in (info, tmp_path / "absent"):
        found = filesystem.inspect(tmp_path, mountinfo=path)
        assert found.file_system == ""
        assert found.largest_file is None


def test_mountinfo_of_this_machine_is_parsed(tmp_path: Path):
    assert filesystem.inspect(tmp_path).file_system


def test_blob_of_4_gib_is_refused_on_fat(mounted):
    stick = mounted("vfat")
    medium = filesystem.inspect(stick, mountinfo=mounted.info)
    filesystem.check_largest_file(stick, medium, 2**32 - 1)
    with pytest.raises(MediumError) as raised:
        filesystem.check_largest_file(stick, medium, 2**32)
    assert raised.value.path == str(stick)
    assert "exFAT" in (raised.value.hint or "")
    assert raised.value.exit_status == 5


def test_blob_of_4_gib_is_accepted_on_exfat(mounted):
    stick = mounted("exfat")
    medium = filesystem.inspect(stick, mountinfo=mounted.info)
    filesystem.check_largest_file(stick, medium, 2**32)


@pytest.mark.parametrize("below", ["", "plant-7"])
def test_read_only_medium_is_refused(mounted, below):
    stick = mounted("vfat", "ro,nosuid")
    with pytest.raises(MediumError) as raised:
        check_directory(stick / below, mountinfo=mounted.info)
    assert raised.value.path == str(stick / below)
    assert str(stick) in (raised.value.hint or "")


def test_file_with_the_name_of_the_directory_is_refused(tmp_path: Path):
    (tmp_path / "b").write_text("x")
    for directory in (tmp_path / "b", tmp_path / "b" / "c"):
        with pytest.raises(MediumError) as raised:
            check_directory(directory)
        assert raised.value.path == str(tmp_path / "b")


@pytest.mark.parametrize("name", ["holiday.jpg", "images/holiday.jpg", "docs/x"])
def test_directory_with_other_files_is_refused_with_a_hint(tmp_path: Path, name: str):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(MediumError, match=name.removesuffix("/x")) as raised:
        check_directory(tmp_path)
    assert str(tmp_path / "bundle") in (raised.value.hint or "")


def test_other_files_are_found_in_a_relative_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "stick").mkdir()
    (tmp_path / "stick" / "holiday.jpg").touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MediumError, match="holiday") as caught:
        check_directory(Path("stick"), stream="plant-7")
    assert caught.value.hint.endswith("such as stick/plant-7")


def test_foreign_image_layout_is_refused(tmp_path: Path):
    """An export would remove its images from index.json."""
    layout = images.write_layout(tmp_path / "layout", bundles.sample())
    with pytest.raises(MediumError) as raised:
        check_directory(layout)
    assert raised.value.path == str(layout)


def test_damaged_image_layout_is_refused(tmp_path: Path):
    (tmp_path / "index.json").write_text("{")
    with pytest.raises(MediumError) as raised:
        check_directory(tmp_path)
    assert raised.value.path == str(tmp_path)


def test_empty_directory_and_new_medium_are_accepted(tmp_path: Path):
    check_directory(tmp_path)
    check_directory(tmp_path / "plant-7")
    (tmp_path / "System Volume Information").mkdir()
    (tmp_path / ".Trash-1000").mkdir()
    check_directory(tmp_path)


@pytest.mark.parametrize("form", ["oci", "dir"])
def test_directory_of_a_bundle_with_other_files_is_accepted(tmp_path: Path, form: str):
    bundle = bundles.write(tmp_path / "b", form=form)
    (bundle / "notes.txt").write_text("ours too")
    check_directory(bundle)


def test_directory_of_an_interrupted_first_export_is_accepted(tmp_path: Path):
    (tmp_path / "blobs" / "sha256").mkdir(parents=True)
    (tmp_path / ".airbundle-0011223344556677.part").write_bytes(b"")
    (tmp_path / "oci-layout").write_text("{}")
    check_directory(tmp_path)


def test_directory_without_write_permission_is_refused(tmp_path: Path):
    directory = tmp_path / "b"
    directory.mkdir(mode=0o500)
    if os.access(directory, os.W_OK):  # root may write everywhere
        return
    with pytest.raises(MediumError) as raised:
        check_directory(directory)
    assert raised.value.path == str(directory)


def test_missing_parent_directories_are_refused_unless_requested(tmp_path: Path):
    """A missing mount point must not become a directory on the system disk."""
    directory = tmp_path / "stick" / "plant-7"
    with pytest.raises(MediumError) as raised:
        check_directory(directory)
    assert raised.value.path == str(directory.parent)
    assert "--parents" in (raised.value.hint or "")
    check_directory(directory, parents=True)


@pytest.fixture
def media(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory for media, on which none is mounted."""
    root = tmp_path / "media"
    (root / "stick").mkdir(parents=True)
    monkeypatch.setattr(filesystem, "MEDIA_ROOTS", (root.resolve(),))
    (tmp_path / "mountinfo").write_text("22 1 8:1 / / rw - ext4 /dev/sda1 rw\n")
    return root


@pytest.mark.parametrize("below", ["", "plant-7", "ships/plant-7"])
def test_empty_mount_point_is_refused(media: Path, mounted, below: str):
    directory = media / "stick" / below
    with pytest.raises(MediumError) as raised:
        check_directory(directory, parents=True, mountinfo=mounted.info)
    assert raised.value.path == str(media / "stick")
    assert "--on-system-disk" in (raised.value.hint or "")
    check_directory(directory, parents=True, on_system_disk=True, mountinfo=mounted.info)


def test_empty_mount_point_behind_a_symbolic_link_is_refused(media: Path, mounted):
    link = media.parent / "link"
    link.symlink_to(media / "stick")
    with pytest.raises(MediumError) as raised:
        check_directory(link / "plant-7", mountinfo=mounted.info)
    assert raised.value.path == str(link)


def test_empty_mounted_medium_is_accepted(media: Path, mounted):
    line = f"36 22 8:17 / {media.resolve() / 'stick'} rw - ext4 /dev/sdb1 rw\n"
    mounted.info.write_text(mounted.info.read_text() + line)
    check_directory(media / "stick", mountinfo=mounted.info)
    check_directory(media / "stick/b", mountinfo=mounted.info)


def test_mount_point_with_files_is_accepted(media: Path, mounted):
    (media / "stick" / "notes.txt").touch()
    check_directory(media / "stick" / "plant-7", mountinfo=mounted.info)


def test_empty_directory_outside_media_roots_is_accepted(media: Path, mounted, tmp_path: Path):
    (tmp_path / "bundles").mkdir()
    check_directory(tmp_path / "bundles" / "plant-7", mountinfo=mounted.info)


def test_mount_point_is_accepted_if_mounts_are_unknown(media: Path):
    check_directory(media / "stick" / "plant-7", mountinfo=media / "absent")
