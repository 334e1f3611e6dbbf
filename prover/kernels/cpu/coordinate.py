"""Arithmetic of point coordinates: F_q for G1, F_q2 = F_q[i] / (i^2 + 1) for G2.

One name serves both fields: the type of the argument, a tuple of four limbs or a pair of such tuples (real part first),
selects the code at compile time. So the group law is written once. All values are in Montgomery form and canonical.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import overload

from prover.kernels.cpu import emit, field
from prover.kernels.cpu.emit import LIMBS
from prover.kernels.cpu.field import FQ, FQ_ONE, ZERO
from prover.kernels.device import intrinsic, kernel

FQ_TYPE = field.ELEMENT
FQ2_TYPE = types.UniTuple(FQ_TYPE, 2)

FQ2_ONE = (FQ_ONE, ZERO)

_PAIR = ir.ArrayType(emit.ELEMENT, 2)


class _QuadraticExtension:
    """Emits F_q2 arithmetic on top of F_q's; multiplications are functions of their own, as in F_q."""

    @staticmethod
    def _parts(builder, a):
        return builder.extract_value(a, 0), builder.extract_value(a, 1)

    @staticmethod
    def _pair(builder, real, imaginary):
        pair = builder.insert_value(ir.Constant(_PAIR, ir.Undefined), real, 0)
        return builder.insert_value(pair, imaginary, 1)

    def add(self, builder, a, b):
        (a0, a1), (b0, b1) = self._parts(builder, a), self._parts(builder, b)
        return self._pair(builder, FQ.add(builder, a0, b0), FQ.add(builder, a1, b1))

    def sub(self, builder, a, b):
        (a0, a1), (b0, b1) = self._parts(builder, a), self._parts(builder, b)
        return self._pair(builder, FQ.sub(builder, a0, b0), FQ.sub(builder, a1, b1))

    def neg(self, builder, a):
        a0, a1 = self._parts(builder, a)
        return self._pair(builder, FQ.neg(builder, a0), FQ.neg(builder, a1))

    def mul(self, builder, a, b):
        return emit.outlined(builder, "gelap_fq2_mul", _PAIR, [a, b], self._karatsuba)

    def square(self, builder, a):
        return emit.outlined(builder, "gelap_fq2_square", _PAIR, [a], self._complex_square)

    def _karatsuba(self, builder, a, b):
        (a0, a1), (b0, b1) = self._parts(builder, a), self._parts(builder, b)
        low, high = FQ.mul(builder, a0, b0), FQ.mul(builder, a1, b1)
        cross = FQ.mul(builder, FQ.add_for_product(builder, a0, a1), FQ.add_for_product(builder, b0, b1))
        imaginary = FQ.sub(builder, FQ.sub(builder, cross, low), high)
        return self._pair(builder, FQ.sub(builder, low, high), imaginary)

    def _complex_square(self, builder, a):
        """(a0 + a1 i)^2 = (a0 + a1)(a0 - a1) + (2 a0) a1 i"""
        a0, a1 = self._parts(builder, a)
        real = FQ.mul(builder, FQ.add_for_product(builder, a0, a1), FQ.sub(builder, a0, a1))
        return self._pair(builder, real, FQ.mul(builder, FQ.add_for_product(builder, a0, a0), a1))

    def equal(self, builder, a, b):
        (a0, a1), (b0, b1) = self._parts(builder, a), self._parts(builder, b)
        return builder.and_(emit.equal(builder, a0, b0), emit.equal(builder, a1, b1))

    def is_zero(self, builder, a):
        a0, a1 = self._parts(builder, a)
        return builder.and_(emit.is_zero(builder, a0), emit.is_zero(builder, a1))


class _Base:
    """F_q with the same operations as the extension."""

    add, sub, neg, mul = FQ.add, FQ.sub, FQ.neg, FQ.mul
    equal, is_zero = staticmethod(emit.equal), staticmethod(emit.is_zero)

    @staticmethod
    def square(builder, a):
        return FQ.mul(builder, a, a)


_FIELDS = {FQ_TYPE: _Base(), FQ2_TYPE: _QuadraticExtension()}


def _operation(name, result, *arguments):
    """The signature and code generator of operation `name` in the field that all `arguments` belong to."""
    element = arguments[0]
    if element not in _FIELDS or any(argument != element for argument in arguments):
        return None
    emitted = getattr(_FIELDS[element], name)
    signature = (result or element)(*arguments)
    return signature, lambda context, builder, signature, values: emitted(builder, *values)


@intrinsic
def add(typing_context, a, b):
    return _operation("add", None, a, b)


@intrinsic
def sub(typing_context, a, b):
    return _operation("sub", None, a, b)


@intrinsic
def neg(typing_context, a):
    return _operation("neg", None, a)


@intrinsic
def mul(typing_context, a, b):
    return _operation("mul", None, a, b)


@intrinsic
def square(typing_context, a):
    return _operation("square", None, a)


@intrinsic
def equal(typing_context, a, b):
    return _operation("equal", types.boolean, a, b)


@intrinsic
def is_zero(typing_context, a):
    return _operation("is_zero", types.boolean, a)


def _constant(like, limbs):
    """The element whose real part has these Montgomery limbs, in the field of `like`."""
    if like not in _FIELDS:
        return None

    def generate(context, builder, signature, arguments):
        element = ir.Constant(emit.ELEMENT, [emit.I64(int(limb)) for limb in limbs])
        if like == FQ_TYPE:
            return element
        return ir.Constant(_PAIR, [element, ir.Constant(emit.ELEMENT, [emit.I64(0)] * LIMBS)])

    return like(like), generate


@intrinsic
def one(typing_context, like):
    """The one of the field that `like` belongs to."""
    return _constant(like, FQ_ONE)


@intrinsic
def zero(typing_context, like):
    """The zero of the field that `like` belongs to."""
    return _constant(like, ZERO)


def _pointer(context, builder, array_type, arguments, element):
    """Address of a coordinate in a contiguous uint64 array of two dimensions; `arguments` begin: array, row, slot."""
    array, row, slot = arguments[:3]
    if not isinstance(array_type, types.Array) or (array_type.ndim, array_type.layout) != (2, "C"):
        raise TypeError("coordinates are kept in contiguous arrays of two dimensions")
    structure = context.make_array(array_type)(context, builder, array)
    width = builder.extract_value(structure.shape, 1)
    limbs = LIMBS if element == FQ_TYPE else 2 * LIMBS
    offset = builder.add(builder.mul(row, width), builder.mul(slot, emit.I64(limbs)))
    address = cgutils.pointer_add(builder, structure.data, builder.mul(offset, emit.I64(8)))
    return builder.bitcast(address, context.get_value_type(element).as_pointer())


@intrinsic
def load(typing_context, array, row, slot, like):
    """Coordinate number `slot` of row `row` of a uint64 array (n, width); `like` is any value of the wanted field."""

    def generate(context, builder, signature, arguments):
        pointer = _pointer(context, builder, array, arguments, like)
        return builder.load(pointer, align=8)

    return like(array, types.intp, types.intp, like), generate


@intrinsic
def store(typing_context, array, row, slot, value):
    """Write coordinate number `slot` of row `row` of a uint64 array (n, width)."""

    def generate(context, builder, signature, arguments):
        pointer = _pointer(context, builder, array, arguments, value)
        builder.store(arguments[3], pointer, align=8)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, value), generate


@kernel
def fq2_inverse(a):
    """1 / (a0 + a1 i) = (a0 - a1 i) / (a0^2 + a1^2); the inverse of zero is zero."""
    real, imaginary = a
    norm = field.fq_add(field.fq_mul(real, real), field.fq_mul(imaginary, imaginary))
    inverse = field.fq_inverse(norm)
    return field.fq_mul(real, inverse), field.fq_neg(field.fq_mul(imaginary, inverse))


def inverse(a):
    """1 / a in F_q or F_q2, zero for zero; only inside kernels."""
    raise NotImplementedError("coordinates are inverted inside kernels only")


@overload(inverse)
def _inverse(a):
    if a == FQ_TYPE:
        return lambda a: field.fq_inverse(a)
    if a == FQ2_TYPE:
        return lambda a: fq2_inverse(a)
    return None


def group_marker(width: int) -> tuple:
    """A value whose type tells a kernel its group: a coordinate of the points whose affine form has `width` limbs."""
    return {8: FQ_ONE, 16: FQ2_ONE}[width]
