"""Only the requested files of an archive are unpacked, and hostile archives are rejected."""

import errno
import gzip
import io
import random
import stat
import tarfile
import zipfile
from contextlib import suppress

import pytest
from refusals import refusal

from lop.common.errors import InputError
from lop.data import unpack as module
from lop.data.unpack import unpack


def tar_gz(path, *members):
    """Write a tar.gz archive of members, each (name, content) or TarInfo."""
    with tarfile.open(path, "w:gz") as tar:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                tar.addfile(member)
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                tar.addfile(info, io.BytesIO(member[1]))
    return path


def zipped(path, *members):
    """Write a zip archive of members (name or ZipInfo, content)."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def special(name, kind):
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = "/etc/passwd"
    return info


@pytest.fixture
def out(tmp_path):
    """Return a folder in an otherwise empty one, so that files written outside are detected."""
    (tmp_path / "in").mkdir()
    return tmp_path / "in" / "out"


def take(archive, out, most=100, check=lambda file: None, names=("a.bin",)):
    unpack(archive, out, [out / name for name in names], most, check)


def refused(archive, out, *facts, **options):
    """Check that nothing is unpacked, and that the error names the archive and the facts."""
    with refusal(archive, *facts):
        take(archive, out, **options)
    assert not list(out.parent.rglob("*.*"))


@pytest.mark.parametrize(
    ("pack", "folder"), [(tar_gz, special("a.bin", tarfile.DIRTYPE)), (zipped, ("a.bin/", b""))], ids=["tar", "zip"]
)
def test_only_requested_files_are_unpacked(pack, folder, tmp_path, out):
    """A folder with the name of a file is none."""
    archive = pack(tmp_path / "archive", folder, ("x/a.bin", b"good"), ("x/other", b"no"))
    take(archive, out)
    assert [path.name for path in out.iterdir()] == ["a.bin"]
    assert (out / "a.bin").read_bytes() == b"good"


@pytest.mark.parametrize("pack", [tar_gz, zipped])
@pytest.mark.parametrize("name", ["../a.bin", "/tmp/a.bin", "x/../../a.bin", "..\\a.bin"])
def test_paths_outside_the_folder_are_rejected(pack, name, tmp_path, out):
    archive = pack(tmp_path / "archive", (name, b"evil"), ("a.bin", b"good"))
    refused(archive, out, repr(name))


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (tarfile.SYMTYPE, "link"),
        (tarfile.LNKTYPE, "link"),
        (tarfile.CHRTYPE, "device"),
        (tarfile.FIFOTYPE, "device"),
    ],
)
def test_links_and_devices_in_a_tar_are_rejected(kind, name, tmp_path, out):
    refused(tar_gz(tmp_path / "archive", special("a.bin", kind)), out, "a.bin", name)


def test_links_in_a_zip_are_rejected(tmp_path, out):
    info = zipfile.ZipInfo("a.bin")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    refused(zipped(tmp_path / "archive", (info, b"/etc/passwd")), out, "a.bin", "link")


@pytest.mark.parametrize("pack", [tar_gz, zipped])
def test_decompression_bombs_are_rejected(pack, tmp_path, out, monkeypatch):
    large = pack(tmp_path / "large", ("a.bin", bytes(1_000_000)))
    refused(large, out, "a.bin", 1000000, 100)
    many = pack(tmp_path / "many", ("b", bytes(1_000)), ("c", bytes(1_000)), ("d", bytes(1_000)))
    monkeypatch.setattr(module, "MOST_BYTES", 2_500)
    refused(many, out, 3000, 2500)
    monkeypatch.setattr(module, "MOST_MEMBERS", 1)
    refused(many, out, 2, 1)


@pytest.mark.parametrize("pack", [tar_gz, zipped])
def test_damaged_archives_are_rejected(pack, tmp_path, out):
    archive = pack(tmp_path / "archive", ("a.bin", bytes(range(100))))
    whole = archive.read_bytes()
    for damaged in (whole[: len(whole) // 2], whole[:60] + b"????" + whole[64:], gzip.compress(b"no tar")):
        archive.write_bytes(damaged)
        refused(archive, out)


def test_file_that_fails_its_check_is_not_kept(tmp_path, out):
    refused(zipped(tmp_path / "archive", ("x/a.bin", b"bad")), out, "x/a.bin", "a.bin is bad", check=bad)


def bad(file):
    if file.read_bytes() == b"bad":
        raise InputError(f"{file.name} is bad")


@pytest.mark.parametrize("pack", [tar_gz, zipped])
@pytest.mark.parametrize(
    ("members", "fact"),
    [
        ([("b.bin", b"bad")], "b.bin is bad"),
        ([("x", b"")], "b.bin"),
        ([("b.bin", b"new"), ("x/a.bin", b"another")], "x/a.bin"),
        ([("../b.bin", b"new")], "../b.bin"),
    ],
)
def test_rejected_archive_changes_nothing(pack, members, fact, tmp_path, out):
    out.mkdir()
    (out / "a.bin").write_bytes(b"good")
    archive = pack(tmp_path / "archive", ("a.bin", b"new"), *members)
    with refusal(archive, fact):
        take(archive, out, check=bad, names=("a.bin", "b.bin"))
    assert [(path.name, path.read_bytes()) for path in out.iterdir()] == [("a.bin", b"good")]


def test_leftovers_of_a_killed_process_are_deleted(tmp_path, out):
    (out / ".building-killed").mkdir(parents=True)
    take(zipped(tmp_path / "archive", ("a.bin", b"good")), out)
    assert [path.name for path in out.iterdir()] == ["a.bin"]


def test_gzip_checksum_is_verified(tmp_path, out):
    archive = tar_gz(tmp_path / "archive", ("a.bin", b"good"))
    whole = archive.read_bytes()
    archive.write_bytes(whole[:-8] + bytes(4) + whole[-4:])
    refused(archive, out, "CRC")
    archive.write_bytes(whole + b"more")
    refused(archive, out)


def test_too_many_bytes_after_the_last_member_are_rejected(tmp_path, out, monkeypatch):
    archive = tar_gz(tmp_path / "archive", ("a.bin", b"good"))
    archive.write_bytes(archive.read_bytes() + gzip.compress(bytes(50_000)))
    monkeypatch.setattr(module, "MOST_BYTES", 50_000)
    refused(archive, out, 50000)


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_damaged_zip_raises_only_input_errors(method, tmp_path, out):
    archive = tmp_path / "archive"
    with zipfile.ZipFile(archive, "w", method) as packed:
        packed.writestr("a.bin", random.Random(0).randbytes(200))
    whole, rng = archive.read_bytes(), random.Random(0)
    for _ in range(100):
        place = rng.randrange(30, len(whole))
        archive.write_bytes(whole[:place] + rng.randbytes(2) + whole[place + 2 :])
        with suppress(InputError):
            take(archive, out, most=300)


def test_full_disk_is_not_reported_as_a_damaged_archive(tmp_path, out):
    def full(file):
        raise OSError(errno.ENOSPC, "No space left on device")

    with refusal("No space left on device", error=OSError):
        take(zipped(tmp_path / "archive", ("a.bin", b"good")), out, check=full)
