"""Arithmetic of F_r in eight lanes, and vectors of F_r elements in and out of them.

Values are carried. "Small" ones are below 1.7 r: what all operations return but `difference`, which returns one below
3.7 r, the most that `mul` takes. In memory an element takes four 64-bit words, as in the portable kernels; which
Montgomery form it is in matters only to products.
"""

from typing import Any

from llvmlite import ir
from numba import types

from protocol.field import R
from prover.kernels.cpu.emit import I64
from prover.kernels.device import intrinsic
from prover.kernels.ifma import emit
from prover.kernels.ifma.emit import VECTOR, LaneField, Limbs
from prover.kernels.ifma.lanes import LANES, array_data, word_address

FR = LaneField(R)
# Words of eight elements in memory, and of one.
_BLOCK_WORDS = 32
_WORDS = 4


def _binary(work: Any, a: Any, b: Any) -> Any:
    if not a == b == LANES:
        return None

    def generate(context, builder, signature, arguments):
        return emit.element(builder, work(builder, *(emit.limbs(builder, value) for value in arguments)))

    return LANES(LANES, LANES), generate


def _minus(builder: ir.IRBuilder, a: Limbs, b: Limbs) -> Limbs:
    """a - b + 2 r, not carried."""
    return emit.add(builder, emit.subtract(builder, a, b), FR.multiple(2))


@intrinsic
def mul(typing_context, a, b):
    """a * b / 2^260, small."""
    return _binary(FR.multiply, a, b)


@intrinsic
def small_sum(typing_context, a, b):
    """a + b, small, for small values."""
    return _binary(lambda builder, a, b: FR.reduce(builder, emit.add(builder, a, b)), a, b)


@intrinsic
def difference(typing_context, a, b):
    """a - b + 2 r, for small values."""
    return _binary(lambda builder, a, b: emit.carry(builder, _minus(builder, a, b)), a, b)


@intrinsic
def small_difference(typing_context, a, b):
    """a - b, small, for small values."""
    return _binary(lambda builder, a, b: FR.reduce(builder, _minus(builder, a, b)), a, b)


@intrinsic
def any_lanes(typing_context):
    """A value of eight elements; its content means nothing."""
    return LANES(), lambda context, builder, signature, arguments: ir.Constant(emit.ELEMENT, ir.Undefined)


def _is_rows(array: Any) -> bool:
    return isinstance(array, types.Array) and (array.ndim, array.layout, array.dtype) == (2, "C", types.uint64)


def _shuffle(builder: ir.IRBuilder, a: ir.Value, b: ir.Value, order: list[int]) -> ir.Value:
    i32 = ir.IntType(32)
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(i32, len(order)), [i32(i) for i in order]))


_LOW_HALVES, _HIGH_HALVES = [0, 1, 2, 3, 8, 9, 10, 11], [4, 5, 6, 7, 12, 13, 14, 15]


def _to_words(builder: ir.IRBuilder, rows: list[ir.Value]) -> list[ir.Value]:
    """Four rows of two elements -> four vectors, one for each word."""
    words = []
    for k in (0, 2):
        order = [k, k + 4, k + 8, k + 12, k + 1, k + 5, k + 9, k + 13]
        first, second = _shuffle(builder, rows[0], rows[1], order), _shuffle(builder, rows[2], rows[3], order)
        words += [_shuffle(builder, first, second, halves) for halves in (_LOW_HALVES, _HIGH_HALVES)]
    return words


def _to_rows(builder: ir.IRBuilder, words: list[ir.Value]) -> list[ir.Value]:
    """Four vectors, one for each word -> four rows of two elements."""
    rows = []
    for k in (0, 2, 4, 6):
        interleave = [k, k + 8, k, k + 8, k + 1, k + 9, k + 1, k + 9]
        low, high = (_shuffle(builder, words[i], words[i + 1], interleave) for i in (0, 2))
        rows.append(_shuffle(builder, low, high, [0, 1, 10, 11, 4, 5, 14, 15]))
    return rows


@intrinsic
def load_elements(typing_context, array, row):
    """Rows row .. row + 7 of a uint64 array (n, 4); any numbers below 2^256."""
    if not _is_rows(array):
        return None

    def generate(context, builder, signature, arguments):
        data = array_data(context, builder, array, arguments[0])
        start = builder.mul(arguments[1], I64(_WORDS))
        rows = [
            builder.load(word_address(builder, data, builder.add(start, I64(word)), VECTOR), align=8)
            for word in range(0, _BLOCK_WORDS, emit.LANES)
        ]
        return emit.element(builder, emit.unpack(builder, _to_words(builder, rows)))

    return LANES(array, types.intp), generate


@intrinsic
def store_elements(typing_context, array, row, value):
    """Write small elements to rows row .. row + 7 of a uint64 array (n, 4), canonical."""
    if not _is_rows(array) or value != LANES:
        return None

    def generate(context, builder, signature, arguments):
        data = array_data(context, builder, array, arguments[0])
        start = builder.mul(arguments[1], I64(_WORDS))
        canonical = FR.subtract_once(builder, emit.limbs(builder, arguments[2]))
        for place, words in enumerate(_to_rows(builder, emit.pack(builder, canonical))):
            offset = builder.add(start, I64(place * emit.LANES))
            builder.store(words, word_address(builder, data, offset, VECTOR), align=8)
        return context.get_dummy_value()

    return types.void(array, types.intp, LANES), generate


@intrinsic
def broadcast(typing_context, table, row):
    """Row `row` of a uint64 array (n, 5), one element as 52-bit limbs, in every lane."""
    if not _is_rows(table):
        return None

    def generate(context, builder, signature, arguments):
        data = array_data(context, builder, table, arguments[0])
        start = builder.mul(arguments[1], I64(emit.LIMBS))
        parts = []
        for i in range(emit.LIMBS):
            limb = builder.load(word_address(builder, data, builder.add(start, I64(i)), I64), align=8)
            first = builder.insert_element(ir.Constant(VECTOR, ir.Undefined), limb, ir.IntType(32)(0))
            parts.append(_shuffle(builder, first, first, [0] * emit.LANES))
        return emit.element(builder, parts)

    return LANES(table, types.intp), generate


@intrinsic
def transpose_rows(typing_context, source, source_row, target, target_row):
    """Eight rows of `target` = eight rows of `source` with lanes and rows exchanged; rows as `spill` writes them."""
    if not (_is_rows(source) and _is_rows(target)):
        return None

    def generate(context, builder, signature, arguments):
        width = emit.LIMBS * emit.LANES

        def addresses(kind: Any, array: ir.Value, row: ir.Value, limb: int) -> list[ir.Value]:
            data = array_data(context, builder, kind, array)
            start = builder.mul(row, I64(width))
            places = [lane * width + limb * emit.LANES for lane in range(emit.LANES)]
            return [word_address(builder, data, builder.add(start, I64(place)), VECTOR) for place in places]

        for limb in range(emit.LIMBS):
            rows = [builder.load(address, align=8) for address in addresses(source, arguments[0], arguments[1], limb)]
            columns = emit.transpose(builder, rows)
            for column, address in zip(columns, addresses(target, arguments[2], arguments[3], limb), strict=True):
                builder.store(column, address, align=8)
        return context.get_dummy_value()

    return types.void(source, types.intp, target, types.intp), generate
