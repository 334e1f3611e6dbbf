"""The CUDA sources: which units there are, and which files each is made of."""

import re
from collections.abc import Iterator
from pathlib import Path

SOURCE_FOLDER = Path(__file__).resolve().parent
SHIM_FOLDER = SOURCE_FOLDER / "shim"

_INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)


def units() -> list[str]:
    """Names of all units, sorted: `laws` is laws.cu."""
    return sorted(path.stem for path in SOURCE_FOLDER.glob("*.cu"))


def unit_path(unit: str) -> Path:
    """Where the source of `unit` lies; raises ValueError when there is no such unit."""
    path = SOURCE_FOLDER / f"{unit}.cu"
    if not path.is_file():
        raise ValueError(f"there is no CUDA unit {unit!r}; there are: {', '.join(units())}")
    return path


def included_files(source: Path, folders: tuple[Path, ...] = (SOURCE_FOLDER,)) -> list[Path]:
    """`source` and every file that it includes with quotes, directly or not, each once, in the order of first sight.

    Conditions around an #include are not evaluated: a file is listed if it may be included.
    """
    return list(_walk(source, folders, set()))


def read_files(source: Path, folders: tuple[Path, ...] = (SOURCE_FOLDER,)) -> list[tuple[str, bytes]]:
    """The names and contents of `included_files`."""
    return [(path.name, path.read_bytes()) for path in included_files(source, folders)]


def _walk(path: Path, folders: tuple[Path, ...], seen: set[Path]) -> Iterator[Path]:
    if path in seen:
        return
    seen.add(path)
    yield path
    for name in _INCLUDE.findall(_COMMENT.sub(" ", path.read_text())):
        for folder in (path.parent, *folders):
            if (folder / name).is_file():
                yield from _walk(folder / name, folders, seen)
                break
