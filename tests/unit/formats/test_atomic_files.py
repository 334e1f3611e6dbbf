"""Files appear whole or not at all."""

import os
import stat

import pytest

from prover.errors import FormatError
from prover.formats.files import atomic_write
from prover.formats.wtns import write_wtns
from tests.unit.formats import samples


def test_a_failure_while_writing_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fail_half_way() -> None:
        with atomic_write(path) as stream:
            stream.write(b"new")
            raise KeyError("something went wrong")

    with pytest.raises(KeyError):
        fail_half_way()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_old_content_stays_until_the_new_is_complete(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with atomic_write(path) as stream:
        stream.write(b"new")
        stream.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"


def test_a_symbolic_link_keeps_pointing_where_it_did(tmp_path):
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with atomic_write(tmp_path / "link") as stream:
        stream.write(b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


def test_a_device_is_written_to_and_not_replaced(tmp_path):
    read_end, write_end = os.pipe()
    with atomic_write(f"/dev/fd/{write_end}") as stream:
        stream.write(b"through the pipe")
    os.close(write_end)
    with os.fdopen(read_end, "rb") as stream:
        assert stream.read() == b"through the pipe"


def test_a_witness_is_readable_by_its_owner_only_and_other_files_follow_the_umask(tmp_path):
    before = os.umask(0o022)
    try:
        write_wtns(tmp_path / "a.wtns", samples.witness(1))
        with atomic_write(tmp_path / "public"):
            pass
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.wtns").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "public").stat().st_mode) == 0o644


@pytest.mark.parametrize("name", ["no/such/folder/file", "", "x" * 300, "zero\0byte"])
def test_a_place_that_cannot_be_written_is_a_clear_error(tmp_path, name):
    path = f"{tmp_path}/{name}"
    with pytest.raises(FormatError, match=r"cannot be written|zero byte"), atomic_write(path) as stream:
        stream.write(b"")
    assert list(tmp_path.iterdir()) == []
