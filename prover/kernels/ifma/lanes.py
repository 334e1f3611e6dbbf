"""The Numba type of eight field elements, and how they get from memory to registers and back.

Points are addressed by numbers: the address of a point in memory, with the lowest bit set when the opposite of the
point is meant (points are aligned, so the bit is free). The arrays behind the addresses must be kept alive by the
caller. A coordinate is `LANES` for G1 and a pair of them for G2; `like`, as in `prover.kernels.cpu.coordinate`, names
the group.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.datamodel import models
from numba.extending import register_model

from prover.kernels.constants import SPILLED
from prover.kernels.cpu.coordinate import FQ2_TYPE, FQ_TYPE
from prover.kernels.cpu.emit import I64
from prover.kernels.device import intrinsic
from prover.kernels.ifma import emit
from prover.kernels.ifma.emit import BOOLEANS, ELEMENT, VECTOR

I8 = ir.IntType(8)
I32 = ir.IntType(32)
_HALF = ir.VectorType(I64, emit.LANES // 2)
# Bytes of an element in memory, and of two side by side: one load.
_ELEMENT_BYTES = 32
_ROW_BYTES = 64


class _LanesType(types.Type):
    def __init__(self) -> None:
        super().__init__(name="Lanes")


LANES = _LanesType()
PAIR = types.UniTuple(LANES, 2)
PAIR_MODEL = ir.ArrayType(ELEMENT, 2)


@register_model(_LanesType)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, front_type: Any) -> None:
        super().__init__(manager, front_type, ELEMENT)


def coordinate_type(like: Any) -> Any:
    """The type of eight coordinates in the group of `like`; None for anything else."""
    return {FQ_TYPE: LANES, FQ2_TYPE: PAIR}.get(like)


def pair(builder: ir.IRBuilder, real: ir.Value, imaginary: ir.Value) -> ir.Value:
    value = builder.insert_value(ir.Constant(PAIR_MODEL, ir.Undefined), real, 0)
    return builder.insert_value(value, imaginary, 1)


def mask_to_byte(builder: ir.IRBuilder, mask: ir.Value) -> ir.Value:
    return builder.bitcast(mask, I8)


def byte_to_mask(builder: ir.IRBuilder, byte: ir.Value) -> ir.Value:
    return builder.bitcast(byte, BOOLEANS)


def array_data(context: Any, builder: ir.IRBuilder, array_type: Any, array: ir.Value) -> ir.Value:
    return context.make_array(array_type)(context, builder, array).data


def word_address(builder: ir.IRBuilder, data: ir.Value, index: ir.Value, pointee: ir.Type) -> ir.Value:
    address = cgutils.pointer_add(builder, data, builder.mul(index, I64(8)))
    return builder.bitcast(address, pointee.as_pointer())


def _addresses(context: Any, builder: ir.IRBuilder, array_type: Any, array: ir.Value, index: ir.Value) -> list[Any]:
    """Eight point addresses, as integers without the sign bit."""
    data = array_data(context, builder, array_type, array)
    found = []
    for lane in range(emit.LANES):
        place = builder.add(index, I64(lane))
        number = builder.load(word_address(builder, data, place, I64), align=8)
        found.append(builder.and_(number, I64(-2)))
    return found


def _load(builder: ir.IRBuilder, address: ir.Value, offset: int, kind: ir.Type) -> ir.Value:
    pointer = builder.inttoptr(builder.add(address, I64(offset)), kind.as_pointer())
    return builder.load(pointer, align=8)


def _elements(builder: ir.IRBuilder, rows: list[ir.Value]) -> tuple[ir.Value, ir.Value]:
    """Eight rows of two packed elements -> the first and the second elements."""
    words = emit.transpose(builder, rows)
    first, second = (emit.element(builder, emit.unpack(builder, part)) for part in (words[:4], words[4:]))
    return first, second


def _is_addresses(array: Any) -> bool:
    return isinstance(array, types.Array) and (array.ndim, array.layout, array.dtype) == (1, "C", types.uint64)


@intrinsic
def load_points(typing_context, addresses, index, like):
    """(x, y) of the points at addresses[index : index + 8]; the sign bits are ignored."""
    kind = coordinate_type(like)
    if kind is None or not _is_addresses(addresses):
        return None

    def generate(context, builder, signature, arguments):
        rows = _addresses(context, builder, addresses, arguments[0], arguments[1])
        if kind == LANES:
            x, y = _elements(builder, [_load(builder, row, 0, VECTOR) for row in rows])
        else:
            x = pair(builder, *_elements(builder, [_load(builder, row, 0, VECTOR) for row in rows]))
            y = pair(builder, *_elements(builder, [_load(builder, row, _ROW_BYTES, VECTOR) for row in rows]))
        return context.make_tuple(builder, signature.return_type, [x, y])

    return types.UniTuple(kind, 2)(addresses, types.intp, like), generate


@intrinsic
def load_both_x(typing_context, left, right, index, like):
    """The x of the points at left[index : index + 8], and of those at right[index : index + 8]."""
    kind = coordinate_type(like)
    if kind is None or not (_is_addresses(left) and _is_addresses(right)):
        return None

    def generate(context, builder, signature, arguments):
        left_rows = _addresses(context, builder, left, arguments[0], arguments[2])
        right_rows = _addresses(context, builder, right, arguments[1], arguments[2])
        if kind == LANES:
            order = ir.Constant(ir.VectorType(I32, emit.LANES), [I32(i) for i in range(emit.LANES)])
            rows = [
                builder.shuffle_vector(_load(builder, a, 0, _HALF), _load(builder, b, 0, _HALF), order)
                for a, b in zip(left_rows, right_rows, strict=True)
            ]
            both = list(_elements(builder, rows))
        else:
            both = [
                pair(builder, *_elements(builder, [_load(builder, row, 0, VECTOR) for row in rows]))
                for rows in (left_rows, right_rows)
            ]
        return context.make_tuple(builder, signature.return_type, both)

    return types.UniTuple(kind, 2)(left, right, types.intp, like), generate


@intrinsic
def prefetch_points(typing_context, addresses, index, like):
    """Ask for the points at addresses[index : index + 8] early."""
    kind = coordinate_type(like)
    if kind is None or not _is_addresses(addresses):
        return None

    def generate(context, builder, signature, arguments):
        byte_pointer = I8.as_pointer()
        signature_type = ir.FunctionType(ir.VoidType(), [byte_pointer, I32, I32, I32])
        function = cgutils.get_or_insert_function(builder.module, signature_type, "llvm.prefetch.p0i8")
        for address in _addresses(context, builder, addresses, arguments[0], arguments[1]):
            for offset in range(0, _ROW_BYTES if kind == LANES else 2 * _ROW_BYTES, 64):
                pointer = builder.inttoptr(builder.add(address, I64(offset)), byte_pointer)
                builder.call(function, [pointer, I32(0), I32(3), I32(1)])
        return context.get_dummy_value()

    return types.void(addresses, types.intp, like), generate


@intrinsic
def signs(typing_context, addresses, index):
    """A bit a lane: is the opposite of the point at addresses[index + lane] meant?"""
    if not _is_addresses(addresses):
        return None

    def generate(context, builder, signature, arguments):
        data = array_data(context, builder, addresses, arguments[0])
        numbers = builder.load(word_address(builder, data, arguments[1], VECTOR), align=8)
        bits = builder.and_(numbers, emit.splat(1))
        return mask_to_byte(builder, builder.icmp_unsigned("!=", bits, emit.splat(0)))

    return types.uint8(addresses, types.intp), generate


@intrinsic
def store_points(typing_context, address, x, y):
    """Write eight affine points, one after the other, from `address` on."""
    if x not in (LANES, PAIR) or x != y:
        return None

    def generate(context, builder, signature, arguments):
        start, *coordinates = arguments
        if x == LANES:
            rows_of_two = [coordinates]
        else:
            rows_of_two = [[builder.extract_value(c, i) for i in range(2)] for c in coordinates]
        for slot, (first, second) in enumerate(rows_of_two):
            words = [word for part in (first, second) for word in emit.pack(builder, emit.limbs(builder, part))]
            for lane, row in enumerate(emit.transpose(builder, words)):
                offset = _ROW_BYTES * (lane * len(rows_of_two) + slot)
                pointer = builder.inttoptr(builder.add(start, I64(offset)), VECTOR.as_pointer())
                builder.store(row, pointer, align=8)
        return context.get_dummy_value()

    return types.void(types.uint64, x, y), generate


def _is_spill(array: Any) -> bool:
    return isinstance(array, types.Array) and (array.ndim, array.layout, array.dtype) == (2, "C", types.uint64)


def _spill_address(context, builder, array_type, arguments, kind):
    width = SPILLED if kind == LANES else 2 * SPILLED
    data = array_data(context, builder, array_type, arguments[0])
    model = ELEMENT if kind == LANES else PAIR_MODEL
    return word_address(builder, data, builder.mul(arguments[1], I64(width)), model)


@intrinsic
def spill(typing_context, array, row, value):
    """Write eight elements to row `row` of a uint64 array (n, SPILLED or 2 * SPILLED), limbs as they are."""
    if not _is_spill(array) or value not in (LANES, PAIR):
        return None

    def generate(context, builder, signature, arguments):
        builder.store(arguments[2], _spill_address(context, builder, array, arguments, value), align=8)
        return context.get_dummy_value()

    return types.void(array, types.intp, value), generate


@intrinsic
def unspill(typing_context, array, row, like):
    """Read what `spill` wrote; `like` is a value of the kind wanted."""
    if not _is_spill(array) or like not in (LANES, PAIR):
        return None

    def generate(context, builder, signature, arguments):
        return builder.load(_spill_address(context, builder, array, arguments, like), align=8)

    return like(array, types.intp, like), generate


@intrinsic
def load_words(typing_context, address, slot, like):
    """Coordinate number `slot` of the one point at `address`, as `load` of the portable kernels returns it."""
    kind = coordinate_type(like)
    if kind is None:
        return None

    def generate(context, builder, signature, arguments):
        width = _ELEMENT_BYTES if kind == LANES else 2 * _ELEMENT_BYTES
        place = builder.add(builder.and_(arguments[0], I64(-2)), builder.mul(arguments[1], I64(width)))
        return builder.load(builder.inttoptr(place, context.get_value_type(like).as_pointer()), align=8)

    return like(types.uint64, types.intp, like), generate


@intrinsic
def write_words(typing_context, address, words):
    """Copy a uint64 array (n,) to `address`."""
    if not _is_addresses(words):
        return None

    def generate(context, builder, signature, arguments):
        array = context.make_array(words)(context, builder, arguments[1])
        target = builder.inttoptr(arguments[0], I64.as_pointer())
        cgutils.raw_memcpy(builder, target, array.data, array.nitems, 8, align=8)
        return context.get_dummy_value()

    return types.void(types.uint64, words), generate
