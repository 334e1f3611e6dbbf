"""Folders of compiled kernels: old ones go, and never one that a process uses."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from prover.kernels import cache


def _old_folder(parent: Path, name: str, days: float) -> Path:
    folder = parent / name
    folder.mkdir(parents=True)
    (folder / "a.kernels").write_bytes(b"code")
    (folder / cache._LOCK).touch()
    os.utime(folder / cache._LOCK, (time.time() - 86400 * days,) * 2)
    return folder


def test_a_new_version_removes_old_folders_but_for_the_newest_and_those_used_of_late(tmp_path, monkeypatch):
    monkeypatch.setenv("GELAP_CACHE_DIR", str(tmp_path))
    ages = {"a": 9, "b": 8, "c": 7, "d": 6, "e": 5}
    old = {name: _old_folder(tmp_path / "kernels", name, days) for name, days in ages.items()}
    current = cache.kernel_folder.__wrapped__()
    assert [name for name, folder in old.items() if folder.exists()] == ["c", "d", "e"]
    assert current.is_dir()
    recent = [_old_folder(tmp_path / "kernels", f"recent{number}", 0.5) for number in range(6)]
    cache._remove_old(tmp_path / "kernels")
    assert all(folder.exists() for folder in recent)
    assert not any(folder.exists() for folder in old.values())


_HOLDER = """
import sys
from pathlib import Path
from prover.kernels import cache
cache._hold(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_a_folder_that_a_process_uses_is_not_removed_before_the_process_ends(tmp_path):
    parent = tmp_path / "kernels"
    folder = _old_folder(parent, "used", 9)
    for number in range(cache._KEPT_FOLDERS):
        _old_folder(parent, f"newer{number}", 2)
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout.readline() == "held\n"
    os.utime(folder / cache._LOCK, (time.time() - 86400 * 9,) * 2)
    cache._remove_old(parent)
    assert (folder / "a.kernels").exists()
    holder.communicate()
    cache._remove_old(parent)
    assert not folder.exists()


def test_a_folder_removed_while_a_process_waits_for_it_is_made_again(tmp_path, monkeypatch):
    folder = _old_folder(tmp_path, "old", 9)
    genuine, removals = cache._is_still_there, []

    def removed_meanwhile(descriptor, path):
        if not removals:
            removals.append(shutil.rmtree(folder))
        return genuine(descriptor, path)

    monkeypatch.setattr(cache, "_is_still_there", removed_meanwhile)
    cache._hold(folder)
    assert len(removals) == 1
    assert (folder / cache._LOCK).exists()
