"""Archives are parsed as by other tar readers, or refused."""

from __future__ import annotations

import io
import tarfile
import time

import pytest
from hypothesis import given, strategies as st

from bundler.content.archives import tar_header, tar_index
from bundler.content.files.safe_directory import RegularFile
from bundler.errors import BundlerError, LimitError, MalformedError, NotFoundError

LONG = "directory/" * 30 + "file"


def pack(members, form=tarfile.PAX_FORMAT):
    """Create a tar archive of (name, data) or (name, type, link name)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for name, *rest in members:
            entry = tarfile.TarInfo(name)
            if len(rest) == 1:
                entry.size = len(rest[0])
                archive.addfile(entry, io.BytesIO(rest[0]))
            else:
                entry.type, entry.linkname = rest
                archive.addfile(entry)
    return buffer.getvalue()


@pytest.fixture
def index(tmp_path):
    """A function that returns the members of an archive, with their contents."""

    def read(data, **named):
        (tmp_path / "a.tar").write_bytes(data)
        with RegularFile.open(tmp_path / "a.tar") as file:
            members = tar_index.index(file, **named)
            return {
                name: tar_index.open_member(file, member).read()
                if member.kind == "file"
                else member.target
                for name, member in members.items()
            }

    return read


def header(archive, member=0):
    """Return the offset of the header of a member of at most 512 bytes."""
    return member * 1024


def patched(data, offset, field):
    """Return ``data`` with ``field`` at ``offset`` of its first header, and a valid checksum."""
    block = bytearray(data[:512])
    block[offset : offset + len(field)] = field
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block) + data[512:]


@pytest.mark.parametrize(
    "form",
    [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT],
    ids=["ustar", "gnu", "pax"],
)
def test_every_tar_format_is_read(index, form):
    members = [("a", b"1"), ("d/b", b"2" * 5000), ("empty", b""), ("./c", b"3")]
    if form != tarfile.USTAR_FORMAT:
        members.append((LONG, b"long"))
    expected = {name.removeprefix("./"): data for name, data in members}
    assert index(pack([("d/", tarfile.DIRTYPE, ""), *members], form)) == expected


@given(
    st.dictionaries(
        st.text(
            st.characters(exclude_categories=["C", "Z"], exclude_characters="/\\"), min_size=1
        ).filter(lambda name: name not in (".", "..")),
        st.binary(max_size=2000),
        max_size=5,
    ),
    st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]),
)
def test_compressed_archives_are_indexed(tmp_path_factory, files, form):
    path = tmp_path_factory.mktemp("tar") / "a.tar"
    path.write_bytes(pack(files.items(), form))
    with RegularFile.open(path) as file:
        members = tar_index.index(file)
        read = {
            name: tar_index.open_member(file, member).read() for name, member in members.items()
        }
    assert read == files


@given(st.data())
def test_damaged_archive_is_read_or_raises_bundler_error(tmp_path_factory, data):
    """For any changed bytes, the result is an index within the file, or a BundlerError."""
    whole = bytearray(pack([("a", b"1" * 600), (LONG, b"2"), ("l", tarfile.SYMTYPE, "a")]))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    whole = whole[: data.draw(st.integers(0, len(whole)))]
    path = tmp_path_factory.mktemp("tar") / "a.tar"
    path.write_bytes(whole)
    with RegularFile.open(path) as file:
        try:
            members = tar_index.index(file, links=True)
        except BundlerError:
            return
        for member in members.values():
            assert 0 <= member.offset <= member.offset + member.size <= len(whole)
            assert not member.name.startswith("/")
            assert ".." not in member.name.split("/")


@pytest.mark.parametrize("name", ["/abs", "../up", "a/../../up", "a/..", "..", "a\\b"])
def test_name_outside_the_archive_is_refused(index, name):
    with pytest.raises(MalformedError):
        index(pack([(name, b"x")]))


@pytest.mark.parametrize(
    "kind",
    [
        tarfile.CHRTYPE,
        tarfile.BLKTYPE,
        tarfile.FIFOTYPE,
        tarfile.SYMTYPE,
        tarfile.LNKTYPE,
        b"S",
        b"V",
    ],
    ids=["character", "block", "pipe", "symbolic", "hard", "sparse", "volume"],
)
def test_special_members_are_refused(index, kind):
    with pytest.raises(MalformedError):
        index(pack([("a", kind, "b")]))


def test_links_are_kept_where_they_are_allowed(index):
    members = [
        ("d/symbolic", tarfile.SYMTYPE, "../file"),
        ("d/hard", tarfile.LNKTYPE, "file"),
        ("file", b"x"),
    ]
    read = index(pack(members), links=True)
    assert read == {"d/symbolic": "file", "d/hard": "file", "file": b"x"}


def test_number_of_followed_links_is_limited(tmp_path):
    chain = [(f"l{number}", tarfile.SYMTYPE, f"l{number + 1}") for number in range(40)]
    (tmp_path / "a.tar").write_bytes(pack([*chain, ("l40", b"x")]))
    with RegularFile.open(tmp_path / "a.tar") as file:
        members = tar_index.index(file, links=True)
    assert tar_index.find(members, "./l30", "test").name == "l40"
    with pytest.raises(MalformedError):
        tar_index.find(members, "l0", "test")
    with pytest.raises(NotFoundError):
        tar_index.find(members, "none", "test")
    with pytest.raises(MalformedError):
        tar_index.find(members, "../l40", "test")


def test_duplicate_member_name_is_refused(index):
    with pytest.raises(MalformedError):
        index(pack([("a", b"1"), ("./a", b"2")]))


def test_truncated_archive_is_refused(index):
    data = pack([("a", b"1" * 600), ("b", b"2")])
    for end in (0, 511, 512, 1000, 1536, 2048, 2560):
        with pytest.raises(MalformedError):
            index(data[:end])


@pytest.mark.parametrize(
    ("offset", "field"),
    [
        (124, b"\xff" * 12),
        (124, b"\x80" + b"\xff" * 11),
        (124, b"-0000000001\0"),
        (124, b"99999999999\0"),
        (124, b"\x80" + b"\0" * 3 + (2**60).to_bytes(8, "big")),
        (124, b"77777777777\0"),
        (0, b"\xff\xfe"),
    ],
    ids=["negative", "huge-binary", "signed", "no-octal", "behind-the-end", "large", "no-utf-8"],
)
def test_header_with_invalid_field_is_refused(index, offset, field):
    with pytest.raises(MalformedError):
        index(patched(pack([("a", b"x")]), offset, field))


def test_wrong_header_checksum_is_refused(index):
    data = bytearray(pack([("a", b"x")]))
    data[0] ^= 1
    with pytest.raises(MalformedError):
        index(bytes(data))


@pytest.mark.parametrize(
    "records",
    [b"8 path=a\n", b"x path=a\n", b"12 path=a\n\n\n\n", b"8 path=\n9 path=b\n", b"999 path=a\n"],
    ids=["length", "no-number", "no-end", "twice", "too-long"],
)
def test_damaged_extended_header_is_refused(index, records):
    entry = tarfile.TarInfo("x")
    entry.type, entry.size = tarfile.XHDTYPE, len(records)
    block = entry.tobuf(tarfile.USTAR_FORMAT) + records.ljust(512, b"\0")
    with pytest.raises(MalformedError):
        index(block + pack([("a", b"x")]))


def test_extended_header_with_many_records_is_parsed_once():
    data = b"".join(b"11 %06d=\n" % number for number in range(87_000))
    began = time.process_time()
    assert len(list(tar_header.parse_pax(data, "a"))) == 87_000
    assert time.process_time() - began < 3  # quadratic parsing took ten seconds


def test_message_truncates_long_name():
    with pytest.raises(NotFoundError) as caught:
        tar_index.find({}, "n" * 100_000, "a")
    assert len(str(caught.value)) < 300


def test_global_header_that_renames_members_is_refused(index):
    buffer = io.BytesIO()
    with tarfile.open(
        fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT, pax_headers={"path": "evil"}
    ) as archive:
        archive.addfile(tarfile.TarInfo("a"))
    with pytest.raises(MalformedError):
        index(buffer.getvalue())


def test_huge_extended_header_is_refused(index):
    entry = tarfile.TarInfo("x")
    entry.type, entry.size = tarfile.GNUTYPE_LONGNAME, 2 * 1024 * 1024
    with pytest.raises(LimitError):
        index(entry.tobuf(tarfile.GNU_FORMAT) + b"x" * 2 * 1024 * 1024)


def test_too_many_members_are_refused(index, monkeypatch):
    monkeypatch.setattr(tar_index, "MAX_MEMBERS", 3)
    with pytest.raises(LimitError):
        index(pack([(str(number), b"") for number in range(4)]))


def test_total_length_of_names_is_limited(index, monkeypatch):
    monkeypatch.setattr(tar_index, "_MAX_NAMES", 1000)
    assert len(index(pack([(f"{number:090}", b"") for number in range(11)]))) == 11
    with pytest.raises(LimitError):
        index(pack([(f"{number:090}", b"") for number in range(12)]))


@pytest.mark.parametrize(("counts", "content"), [("first", b"1"), ("last", b"2")])
def test_repeated_members_are_read_where_they_are_allowed(index, counts, content):
    assert index(pack([("a", b"1"), ("./a", b"2")]), repeated=counts) == {"a": content}


def test_missing_end_is_accepted_where_members_may_repeat(index):
    data = pack([("a", b"1" * 600), ("b", b"2")])
    assert list(index(data[:2560], repeated="first")) == ["a", "b"]
    for end in (0, 511, 512, 1000, 2048, 2100, 2561):
        with pytest.raises(MalformedError):
            index(data[:end], repeated="first")
