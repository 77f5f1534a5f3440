"""Archives: only what is wanted comes out, under its own name; a hostile one is refused in one line."""

import errno
import gzip
import io
import random
import re
import stat
import tarfile
import zipfile
from contextlib import suppress

import pytest

from lop.common.errors import InputError
from lop.data import unpack as module
from lop.data.unpack import unpack


def tar_gz(path, *members):
    """Members are names and contents, or TarInfo."""
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
    """Members are names, or ZipInfo, and contents."""
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
    """A folder in a folder, so that what leaves it is seen."""
    (tmp_path / "in").mkdir()
    return tmp_path / "in" / "out"


def take(archive, out, most=100, check=lambda file: None, names=("a.bin",)):
    unpack(archive, out, [out / name for name in names], most, check)


def refused(archive, out, **options):
    with pytest.raises(InputError) as error:
        take(archive, out, **options)
    assert archive.name in str(error.value)
    assert "\n" not in str(error.value)
    assert not list(out.parent.rglob("*.*"))
    return str(error.value)


@pytest.mark.parametrize("pack", [tar_gz, zipped])
def test_only_what_is_wanted(pack, tmp_path, out):
    archive = pack(tmp_path / "archive", ("x/a.bin", b"good"), ("x/other", b"no"))
    take(archive, out)
    assert [path.name for path in out.iterdir()] == ["a.bin"]
    assert (out / "a.bin").read_bytes() == b"good"


@pytest.mark.parametrize("pack", [tar_gz, zipped])
@pytest.mark.parametrize("name", ["../a.bin", "/tmp/a.bin", "x/../../a.bin", "..\\a.bin"])
def test_a_path_out_of_the_folder(pack, name, tmp_path, out):
    archive = pack(tmp_path / "archive", (name, b"evil"), ("a.bin", b"good"))
    assert "found a path out of the folder" in refused(archive, out)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_a_tar(kind, tmp_path, out):
    told = refused(tar_gz(tmp_path / "archive", special("a.bin", kind)), out)
    assert "found a link" in told or "found a device" in told


def test_a_link_in_a_zip(tmp_path, out):
    info = zipfile.ZipInfo("a.bin")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    assert "found a link" in refused(zipped(tmp_path / "archive", (info, b"/etc/passwd")), out)


@pytest.mark.parametrize("pack", [tar_gz, zipped])
def test_bombs(pack, tmp_path, out, monkeypatch):
    large = pack(tmp_path / "large", ("a.bin", bytes(1_000_000)))
    assert "found 1000000 bytes, allowed: 100 at most" in refused(large, out)
    many = pack(tmp_path / "many", ("b", bytes(1_000)), ("c", bytes(1_000)), ("d", bytes(1_000)))
    monkeypatch.setattr(module, "MOST_BYTES", 2_500)
    assert "found 3 members of 3000 bytes" in refused(many, out)
    monkeypatch.setattr(module, "MOST_MEMBERS", 1)
    assert "found 2 members" in refused(many, out)


@pytest.mark.parametrize("pack", [tar_gz, zipped])
def test_damaged(pack, tmp_path, out):
    archive = pack(tmp_path / "archive", ("a.bin", bytes(range(100))))
    whole = archive.read_bytes()
    archive.write_bytes(whole[: len(whole) // 2])
    assert "not a whole archive" in refused(archive, out)
    archive.write_bytes(whole[:60] + b"????" + whole[64:])
    assert "not a whole archive" in refused(archive, out)
    archive.write_bytes(gzip.compress(b"no tar"))
    assert "not a whole archive" in refused(archive, out)


def test_what_does_not_pass_its_check_does_not_get_its_name(tmp_path, out):
    told = refused(zipped(tmp_path / "archive", ("a.bin", b"bad")), out, check=bad)
    assert "member 'a.bin': a.bin is bad" in told


def bad(file):
    if file.read_bytes() == b"bad":
        raise InputError(f"{file.name} is bad")


@pytest.mark.parametrize("pack", [tar_gz, zipped])
@pytest.mark.parametrize(
    ("members", "told"),
    [
        ([("b.bin", b"bad")], "b.bin is bad"),
        ([("x", b"")], "found no b.bin in it"),
        ([("b.bin", b"new"), ("x/a.bin", b"another")], "member 'x/a.bin': found a second a.bin, allowed: one"),
        ([("../b.bin", b"new")], "found a path out of the folder"),
    ],
)
def test_an_archive_that_is_refused_changes_nothing(pack, members, told, tmp_path, out):
    out.mkdir()
    (out / "a.bin").write_bytes(b"good")
    archive = pack(tmp_path / "archive", ("a.bin", b"new"), *members)
    with pytest.raises(InputError, match=re.escape(told)):
        take(archive, out, check=bad, names=("a.bin", "b.bin"))
    assert [(path.name, path.read_bytes()) for path in out.iterdir()] == [("a.bin", b"good")]


def test_what_a_killed_process_left_is_deleted(tmp_path, out):
    (out / ".building-killed").mkdir(parents=True)
    take(zipped(tmp_path / "archive", ("a.bin", b"good")), out)
    assert [path.name for path in out.iterdir()] == ["a.bin"]


def test_gzips_checksum_is_read(tmp_path, out):
    archive = tar_gz(tmp_path / "archive", ("a.bin", b"good"))
    whole = archive.read_bytes()
    archive.write_bytes(whole[:-8] + bytes(4) + whole[-4:])
    assert "not a whole archive: CRC check failed" in refused(archive, out)
    archive.write_bytes(whole + b"more")
    assert "not a whole archive" in refused(archive, out)


def test_more_after_the_last_member_than_is_allowed(tmp_path, out, monkeypatch):
    archive = tar_gz(tmp_path / "archive", ("a.bin", b"good"))
    archive.write_bytes(archive.read_bytes() + gzip.compress(bytes(50_000)))
    monkeypatch.setattr(module, "MOST_BYTES", 50_000)
    assert "found more than 50000 bytes" in refused(archive, out)


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_damage_anywhere_in_a_zip(method, tmp_path, out):
    archive = tmp_path / "archive"
    with zipfile.ZipFile(archive, "w", method) as packed:
        packed.writestr("a.bin", random.Random(0).randbytes(200))
    whole, rng = archive.read_bytes(), random.Random(0)
    for _ in range(100):
        place = rng.randrange(30, len(whole))
        archive.write_bytes(whole[:place] + rng.randbytes(2) + whole[place + 2 :])
        with suppress(InputError):
            take(archive, out, most=300)


def test_a_full_disk_is_no_matter_of_the_archive(tmp_path, out):
    def full(file):
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        take(zipped(tmp_path / "archive", ("a.bin", b"good")), out, check=full)
