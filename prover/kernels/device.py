"""How kernels are declared: Python functions that Numba compiles, and which of them the host may call.

Modules that import this one hold kernels and nothing else. They are imported where kernels are compiled and by tests
that call a kernel's parts; everything else calls `prover.kernels.native.entry`.

`kernel` declares a compiled function. `intrinsic` declares one whose LLVM code is emitted by hand. `export` makes a
kernel callable from the host, with a signature of its own. Kernels index arrays without bounds checks: the host checks
shapes. They allocate nothing, which the compiler enforces: scratch memory comes from the host, or from the stack when
it is small and its size known (`stack_rows`). Nothing here runs in constant time.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numba
import numba.extending
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.np import arrayobj

_njit: Any = numba.njit
intrinsic: Any = numba.extending.intrinsic
_literal_intrinsic: Any = numba.extending.intrinsic(prefer_literal=True)

ELEMENT = types.UniTuple(types.uint64, 4)
PAIR = types.UniTuple(ELEMENT, 2)
_SCALARS = {
    "u64": types.uint64,
    "i64": types.int64,
    "u32": types.uint32,
    "i32": types.int32,
    "i16": types.int16,
    "i8": types.int8,
    "u8": types.uint8,
    "bool": types.boolean,
    "fq": ELEMENT,
    "fq2": PAIR,
}
_GROUPS = {"g1": "fq", "g2": "fq2"}

# Whether Python code may call a kernel that is no export. Wrappers cost a quarter of the compile time.
callable_from_python = True


@dataclass(frozen=True)
class Export:
    """A kernel the host may call. group: "g1", "g2" or "" for kernels that know no group."""

    function: Any
    parameters: tuple[str, ...]
    result: str
    group: str


# By module, then by name and group.
EXPORTS: dict[str, dict[tuple[str, str], Export]] = {}


def kernel(function: Any) -> Any:
    """Compile `function` where it is used; free of the GIL, with C's arithmetic errors, without heap memory."""
    wrapped = not callable_from_python
    options = {"no_cpython_wrapper": wrapped, "no_cfunc_wrapper": True}
    return _njit(nogil=True, error_model="numpy", _nrt=False, **options)(function)


def export(signature: str, result: str = "", groups: tuple[str, ...] = ("g1", "g2")) -> Callable[[Any], Any]:
    """Let the host call a kernel by its name. `signature` has the types of its parameters, `result` that of its result.

    Types: `u64`, `i64`, `u8` and so on for numbers, `u64[:,:]` for contiguous arrays, `fq` for a field element as a
    tuple of four limbs. A kernel that serves both groups of points uses `coordinate` for a coordinate, and `like` for a
    value whose type tells the group: the host does not pass it. Such a kernel is exported twice, for G1 and G2,
    or for those `groups` that it has.
    """
    parameters = tuple(signature.split(", "))
    generic = "like" in parameters or "coordinate" in parameters

    def declare(function: Any) -> Any:
        compiled = kernel(function)
        exports = EXPORTS.setdefault(function.__module__, {})
        for group in groups if generic else [""]:
            chosen = tuple(_GROUPS[group] if part == "coordinate" else part for part in parameters)
            exports[function.__name__, group] = Export(compiled, chosen, result, group)
        return compiled

    return declare


def numba_type(kind: str, group: str) -> Any:
    """The Numba type of a signature's element."""
    if kind == "like":
        return _SCALARS[_GROUPS[group]]
    name, _, dimensions = kind.partition("[")
    return types.Array(_SCALARS[name], dimensions.count(":"), "C") if dimensions else _SCALARS[name]


@_literal_intrinsic
def stack_rows(typing_context, rows, width):
    """An uninitialised uint64 array (rows, width) on the stack; both numbers are literal. Not to be returned."""
    if not (isinstance(rows, types.IntegerLiteral) and isinstance(width, types.IntegerLiteral)):
        return None
    kind = types.Array(types.uint64, 2, "C")
    count, columns = rows.literal_value, width.literal_value

    def generate(context, builder, signature, arguments):
        intp = context.get_value_type(types.intp)
        data = cgutils.alloca_once(builder, ir.ArrayType(ir.IntType(64), count * columns))
        array = arrayobj.make_array(kind)(context, builder)
        arrayobj.populate_array(
            array,
            data=builder.bitcast(data, array.data.type),
            shape=[intp(count), intp(columns)],
            strides=[intp(8 * columns), intp(8)],
            itemsize=intp(8),
            meminfo=None,
        )
        return array._getvalue()

    return kind(rows, width), generate
