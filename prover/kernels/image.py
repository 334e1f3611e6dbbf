"""Files of machine code: the compiled kernels of one unit, with a table of what is in them.

    8 bytes     MAGIC
    32 bytes    SHA-256 of the rest
    4 bytes     length of the table, little-endian
    the table   JSON: {"exports": {name: [symbol, [parameter types], result type]},
                       "symbols": {symbol: offset}, "inner": ..., "outer": ...}, see `prover.kernels.link`
    the rest    machine code that is copied into memory, or, when the table has no "symbols", an object file for LLVM

An image is written to a temporary name and renamed, so readers see all of it or nothing.
"""

import ctypes
import hashlib
import json
import mmap
import os
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from prover.errors import KernelError

MAGIC = b"GELAPK01"
_HEAD = len(MAGIC) + 32

# What a kernel may call outside its image.
C_FUNCTIONS = ("memcpy", "memmove", "memset")

# What a kernel returns when array argument i is not one it can use: UNSUITABLE - i. Numba uses numbers above.
UNSUITABLE = -1000

# By name: symbol, parameter types, result type.
Exports = Mapping[str, tuple[str, tuple[str, ...], str]]


def file_name(unit: str) -> str:
    return unit.replace(":", "-") + ".kernels"


def make_image(code: bytes, exports: Exports) -> bytes:
    """An image of an object file's code, ready to run where this is possible."""
    from prover.kernels.link import NotLinkable, link

    table: dict[str, Any] = {"exports": exports}
    try:
        linked = link(code)
        table |= {"symbols": linked.symbols, "inner": linked.inner, "outer": linked.outer}
        code = bytes(linked.code)
    except NotLinkable:
        pass
    text = json.dumps(table).encode()
    body = len(text).to_bytes(4, "little") + text + code
    return MAGIC + hashlib.sha256(body).digest() + body


def store(folder: Path, unit: str, image: bytes) -> None:
    """Write a unit's image, all or nothing."""
    import tempfile

    descriptor, temporary = tempfile.mkstemp(prefix=".new-", dir=folder)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(image)
        os.replace(temporary, folder / file_name(unit))
    except BaseException:
        os.unlink(temporary)
        raise


def is_intact(content: bytes) -> bool:
    """Is this a whole image?"""
    head, body = content[:_HEAD], content[_HEAD:]
    return head == MAGIC + hashlib.sha256(body).digest()


class Image:
    """Kernels in memory, ready to be called; never unloaded."""

    def __init__(self, exports: Exports, address_of: Callable[[str], int]) -> None:
        self._exports = exports
        self._address_of = address_of

    def find(self, name: str) -> tuple[int, tuple[str, ...], str]:
        """Address, parameter types and result type of a kernel."""
        symbol, parameters, result = self._exports[name]
        return self._address_of(symbol), parameters, result


def load_image(content: bytes) -> Image:
    """Put the machine code of an intact image into memory. Raises KernelError when the system does not allow it."""
    body = content[_HEAD:]
    length = int.from_bytes(body[:4], "little")
    table, code = json.loads(body[4 : 4 + length]), body[4 + length :]
    exports = table["exports"]
    if "symbols" not in table:
        return Image(exports, _with_llvm(code).get_function_address)
    base = _mapped(code, table["inner"], table["outer"])
    return Image(exports, lambda symbol: base + table["symbols"][symbol])


# Memory that holds code, kept for as long as the process lives.
_pages: list[Any] = []


def _mapped(code: bytes, inner: list[tuple[int, int]], outer: list[tuple[int, str]]) -> int:
    """Address of a copy of `code` that can be executed and no longer be written."""
    pages = mmap.mmap(-1, len(code))
    first = ctypes.c_char.from_buffer(pages)
    base = ctypes.addressof(first)
    pages.write(code)
    library = ctypes.CDLL(None, use_errno=True)
    for place, target in inner:
        struct.pack_into("<Q", pages, place, base + target)
    for place, name in outer:
        if name not in C_FUNCTIONS:
            raise KernelError(f"a compiled kernel calls {name}; remove the folder `gelap info` names as kernel cache")
        struct.pack_into("<Q", pages, place, ctypes.cast(getattr(library, name), ctypes.c_void_p).value or 0)
    protection = mmap.PROT_READ | mmap.PROT_EXEC
    if library.mprotect(ctypes.c_void_p(base), ctypes.c_size_t(len(code)), protection):
        reason = os.strerror(ctypes.get_errno())
        raise KernelError(f"the system does not let this process run code it has loaded ({reason}); allow it to")
    _pages.append((pages, first))
    return base


def _with_llvm(code: bytes) -> Any:
    """An engine of LLVM that has loaded an object file."""
    from llvmlite import binding

    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    machine = binding.Target.from_default_triple().create_target_machine()
    engine = binding.create_mcjit_compiler(binding.parse_assembly(""), machine, use_lmm=True)
    engine.add_object_file(binding.ObjectFileRef.from_data(code))
    engine.finalize_object()
    _pages.append(engine)
    return engine
