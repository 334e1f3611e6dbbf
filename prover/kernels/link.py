"""Turns an object file into bytes that run wherever they are put, so that loading kernels needs no linker.

Only what LLVM emits for kernels on x86-64 Linux is understood: ELF, position-independent code and constants, the
relocations R_X86_64_PC32, PLT32 and 64 (System V ABI, AMD64 supplement, section 4.4). Anything else is `NotLinkable`,
and the object file is kept for LLVM's own loader.
"""

import struct
from dataclasses import dataclass, field
from typing import NamedTuple

_ELF64_LITTLE = b"\x7fELF\x02\x01"
_X86_64 = 62
_SHT_SYMTAB, _SHT_RELA, _SHT_NOBITS = 2, 4, 8
_SHF_WRITE, _SHF_ALLOC = 1, 2
_R_64, _R_PC32, _R_PLT32 = 1, 2, 4
# jmp *(%rip), followed by the address to jump to.
_JUMP = bytes.fromhex("ff2500000000")
_STUB_BYTES = 16


class NotLinkable(Exception):
    pass


@dataclass
class Linked:
    """code: aligned to 64 bytes wherever it is put; symbols: offsets in it.

    inner: (place, target): at offset `place` goes the address of offset `target`. outer: (place, name): at `place` goes
    the address of a function of the C library.
    """

    code: bytearray = field(default_factory=bytearray)
    symbols: dict[str, int] = field(default_factory=dict)
    inner: list[tuple[int, int]] = field(default_factory=list)
    outer: list[tuple[int, str]] = field(default_factory=list)

    def append(self, content: bytes, alignment: int) -> int:
        """Where `content` was put."""
        self.code.extend(bytes(-len(self.code) % max(1, alignment)))
        self.code.extend(content)
        return len(self.code) - len(content)


class _Section(NamedTuple):
    name: int
    type: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    info: int
    alignment: int
    entry_size: int


class _Symbol(NamedTuple):
    name: int
    info: int
    other: int
    section: int
    value: int
    size: int


def _text(table: bytes, start: int) -> str:
    return table[start : table.index(b"\0", start)].decode()


def link(data: bytes) -> Linked:
    """Lay out an object file's code and constants one after the other. Raises NotLinkable."""
    if not data.startswith(_ELF64_LITTLE) or struct.unpack_from("<H", data, 18)[0] != _X86_64:
        raise NotLinkable("not an ELF file for x86-64")
    (start,) = struct.unpack_from("<Q", data, 40)
    count, names_index = struct.unpack_from("<HH", data, 60)
    sections = [_Section(*struct.unpack_from("<IIQQQQIIQQ", data, start + 64 * i)) for i in range(count)]

    def content(section: _Section) -> bytes:
        return data[section.offset : section.offset + section.size]

    names = content(sections[names_index])
    linked = Linked()
    places: dict[int, int] = {}
    for index, section in enumerate(sections):
        name = _text(names, section.name)
        if not section.flags & _SHF_ALLOC or name.startswith((".eh_frame", ".note")) or not section.size:
            continue
        if section.type == _SHT_NOBITS or (section.flags & _SHF_WRITE and not name.startswith(".data.rel.ro")):
            raise NotLinkable(f"{name} holds variables")
        places[index] = linked.append(content(section), section.alignment)

    (table,) = (section for section in sections if section.type == _SHT_SYMTAB)
    symbol_names = content(sections[table.link])
    symbols = [_Symbol(*fields) for fields in struct.iter_unpack("<IBBHQQ", content(table))]
    stubs: dict[str, int] = {}

    def place_of(symbol: _Symbol) -> int:
        if symbol.section in places:
            return places[symbol.section] + symbol.value
        if symbol.section:
            raise NotLinkable("a symbol is in no section that is kept")
        name = _text(symbol_names, symbol.name)
        if name not in stubs:
            stubs[name] = linked.append(_JUMP + bytes(8), _STUB_BYTES)
            linked.outer.append((stubs[name] + len(_JUMP), name))
        return stubs[name]

    for section in sections:
        if section.type != _SHT_RELA or section.info not in places:
            continue
        for offset, info, addend in struct.iter_unpack("<QQq", content(section)):
            kind, place = info & 0xFFFFFFFF, places[section.info] + offset
            target = place_of(symbols[info >> 32]) + addend
            if kind in (_R_PC32, _R_PLT32):
                struct.pack_into("<i", linked.code, place, target - place)
            elif kind == _R_64:
                linked.inner.append((place, target))
            else:
                raise NotLinkable(f"relocation {kind}")
    for symbol in symbols:
        if symbol.info >> 4 == 1 and symbol.section in places:
            linked.symbols[_text(symbol_names, symbol.name)] = place_of(symbol)
    return linked
