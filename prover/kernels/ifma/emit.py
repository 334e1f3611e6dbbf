"""LLVM code for eight field elements at a time.

An element is five vectors of eight 52-bit limbs, least significant first: LLVM's `[5 x <8 x i64>]`. AVX-512 IFMA
multiplies the low 52 bits of two lanes and adds the low or the high 52 bits of the product to a third, so limbs have to
be carried, that is, below 2^52, before they are multiplied. Before they are carried they may be small signed numbers.

Multiplication is Montgomery's with R = 2^260: for a * b < 84 modulus^2 the result is below twice the modulus, since
2^260 is 84 times a 254-bit prime like BN254's. See Gueron and Krasnov, "Accelerating big integer arithmetic using Intel
IFMA extensions" (2016).
"""

from llvmlite import ir

from prover.kernels.constants import LANE_BITS, LANE_LIMBS, LANE_R_BITS, LANES, lane_limbs_of
from prover.kernels.cpu.emit import I64

LIMBS = LANE_LIMBS
BITS = LANE_BITS
MASK = (1 << BITS) - 1
R_BITS = LANE_R_BITS
VECTOR = ir.VectorType(I64, LANES)
ELEMENT = ir.ArrayType(VECTOR, LIMBS)
BOOLEANS = ir.VectorType(ir.IntType(1), LANES)
I32 = ir.IntType(32)

Limbs = list[ir.Value]


def splat(value: int) -> ir.Constant:
    """The same number in every lane."""
    return ir.Constant(VECTOR, [I64(value)] * LANES)


def constant(value: int) -> Limbs:
    """An integer below 2^260 in every lane."""
    return [splat(limb) for limb in lane_limbs_of(value)]


def limbs(builder: ir.IRBuilder, element: ir.Value) -> Limbs:
    return [builder.extract_value(element, i) for i in range(LIMBS)]


def element(builder: ir.IRBuilder, parts: Limbs) -> ir.Value:
    value = ir.Constant(ELEMENT, ir.Undefined)
    for i, part in enumerate(parts):
        value = builder.insert_value(value, part, i)
    return value


def _call(builder: ir.IRBuilder, name: str, arguments: list[ir.Value]) -> ir.Value:
    function = builder.module.globals.get(name)
    if function is None:
        function = ir.Function(builder.module, ir.FunctionType(VECTOR, [VECTOR] * len(arguments)), name)
    return builder.call(function, arguments)


def low(builder: ir.IRBuilder, addend: ir.Value, a: ir.Value, b: ir.Value) -> ir.Value:
    """addend + the low 52 bits of the product of the low 52 bits of a and b."""
    return _call(builder, "llvm.x86.avx512.vpmadd52l.uq.512", [addend, a, b])


def high(builder: ir.IRBuilder, addend: ir.Value, a: ir.Value, b: ir.Value) -> ir.Value:
    """addend + the high 52 bits of the product of the low 52 bits of a and b."""
    return _call(builder, "llvm.x86.avx512.vpmadd52h.uq.512", [addend, a, b])


def add(builder: ir.IRBuilder, a: Limbs, b: Limbs) -> Limbs:
    """Limb by limb, not carried."""
    return [builder.add(x, y) for x, y in zip(a, b, strict=True)]


def subtract(builder: ir.IRBuilder, a: Limbs, b: Limbs) -> Limbs:
    """Limb by limb, not carried."""
    return [builder.sub(x, y) for x, y in zip(a, b, strict=True)]


def carry(builder: ir.IRBuilder, parts: Limbs) -> Limbs:
    """Limbs below 2^52 of the same number, which lies in [0, 2^260); limbs may be negative before."""
    carried = list(parts)
    for i in range(LIMBS - 1):
        carried[i + 1] = builder.add(carried[i + 1], builder.ashr(carried[i], splat(BITS)))
        carried[i] = builder.and_(carried[i], splat(MASK))
    return carried


def select(builder: ir.IRBuilder, mask: ir.Value, a: Limbs, b: Limbs) -> Limbs:
    """a in the lanes of `mask`, b in the others."""
    return [builder.select(mask, x, y) for x, y in zip(a, b, strict=True)]


def _funnel(builder: ir.IRBuilder, upper: ir.Value, lower: ir.Value, distance: int) -> ir.Value:
    """The low 64 bits of upper:lower shifted right."""
    shifted = builder.lshr(lower, splat(distance))
    return builder.or_(shifted, builder.shl(upper, splat(64 - distance)))


def unpack(builder: ir.IRBuilder, words: list[ir.Value]) -> Limbs:
    """Four vectors of 64-bit words -> five of 52-bit limbs."""
    mask = splat(MASK)
    parts = [builder.and_(words[0], mask)]
    for i in range(1, 4):
        parts.append(builder.and_(_funnel(builder, words[i], words[i - 1], 64 - 12 * i), mask))
    return [*parts, builder.lshr(words[3], splat(16))]


def pack(builder: ir.IRBuilder, parts: Limbs) -> list[ir.Value]:
    """Five vectors of carried limbs of a number below 2^256 -> four of 64-bit words."""
    words = []
    for i in range(4):
        upper = builder.shl(parts[i + 1], splat(BITS - 12 * i))
        lower = builder.lshr(parts[i], splat(12 * i)) if i else parts[i]
        words.append(builder.or_(lower, upper))
    return words


_EVEN, _ODD = [0, 8, 2, 10, 4, 12, 6, 14], [1, 9, 3, 11, 5, 13, 7, 15]
_EVEN_PAIRS, _ODD_PAIRS = [0, 1, 4, 5, 8, 9, 12, 13], [2, 3, 6, 7, 10, 11, 14, 15]


def transpose(builder: ir.IRBuilder, rows: list[ir.Value]) -> list[ir.Value]:
    """Eight rows of eight words -> eight columns; the way back is the same."""

    def shuffle(a: ir.Value, b: ir.Value, order: list[int]) -> ir.Value:
        return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(I32, LANES), [I32(i) for i in order]))

    columns: list[ir.Value] = [None] * LANES
    for parity, interleave in enumerate((_EVEN, _ODD)):
        twos = [shuffle(rows[i], rows[i + 1], interleave) for i in range(0, LANES, 2)]
        for shift, pairs in ((0, _EVEN_PAIRS), (2, _ODD_PAIRS)):
            upper, lower = shuffle(twos[0], twos[1], pairs), shuffle(twos[2], twos[3], pairs)
            columns[parity + shift] = shuffle(upper, lower, _EVEN_PAIRS)
            columns[parity + shift + 4] = shuffle(upper, lower, _ODD_PAIRS)
    return columns


class LaneField:
    """Emits the operations of F_modulus. Below, p is the modulus."""

    def __init__(self, modulus: int) -> None:
        self.modulus = modulus
        self._limbs = constant(modulus)
        self._minus_inverse = splat(-pow(modulus, -1, 1 << BITS) % (1 << BITS))
        # Entry k: the largest multiple of p that is at most k * 2^253, limb by limb.
        multiples = [lane_limbs_of((k << 253) // modulus * modulus) for k in range(LANES)]
        self._multiples = [ir.Constant(VECTOR, [I64(multiple[i]) for multiple in multiples]) for i in range(LIMBS)]

    def multiple(self, times: int) -> Limbs:
        return constant(times * self.modulus)

    def multiply(self, builder: ir.IRBuilder, a: Limbs, b: Limbs) -> Limbs:
        """Carried, below p + a * b / 2^260; the factors are carried."""
        total = [splat(0)] * (2 * LIMBS)
        for i in range(LIMBS):
            for j in range(LIMBS):
                total[i + j] = low(builder, total[i + j], a[j], b[i])
                total[i + j + 1] = high(builder, total[i + j + 1], a[j], b[i])
        return self._divide(builder, total)

    def square(self, builder: ir.IRBuilder, a: Limbs) -> Limbs:
        """As `multiply` of a by itself, with the products of different limbs computed once."""
        total = [splat(0)] * (2 * LIMBS)
        for i in range(LIMBS):
            for j in range(i + 1, LIMBS):
                total[i + j] = low(builder, total[i + j], a[i], a[j])
                total[i + j + 1] = high(builder, total[i + j + 1], a[i], a[j])
        total = [builder.shl(value, splat(1)) for value in total]
        for i in range(LIMBS):
            total[2 * i] = low(builder, total[2 * i], a[i], a[i])
            total[2 * i + 1] = high(builder, total[2 * i + 1], a[i], a[i])
        return self._divide(builder, total)

    def _divide(self, builder: ir.IRBuilder, total: Limbs) -> Limbs:
        """A number of ten limbs, not carried, divided by 2^260 modulo p."""
        for i in range(LIMBS):
            factor = low(builder, splat(0), total[i], self._minus_inverse)
            for j in range(LIMBS):
                total[i + j] = low(builder, total[i + j], factor, self._limbs[j])
                total[i + j + 1] = high(builder, total[i + j + 1], factor, self._limbs[j])
            total[i + 1] = builder.add(total[i + 1], builder.lshr(total[i], splat(BITS)))
        return carry(builder, total[LIMBS:])

    def reduce(self, builder: ir.IRBuilder, parts: Limbs) -> Limbs:
        """Carried and below 1.7 p, for a number in [2^213, 2^256) whose limbs need not be carried.

        The top three bits look up a multiple of p to take off. They are read before carrying: what the lower limbs
        would add changes the number by less than 2^213, which is less than the distance of k * 2^253 from a multiple
        of p for every k.
        """
        index = builder.lshr(parts[LIMBS - 1], splat(253 - BITS * (LIMBS - 1)))
        name = "llvm.x86.avx512.permvar.di.512"
        return carry(
            builder,
            [
                builder.sub(part, _call(builder, name, [table, index]))
                for part, table in zip(parts, self._multiples, strict=True)
            ],
        )

    def subtract_once(self, builder: ir.IRBuilder, parts: Limbs) -> Limbs:
        """The canonical form of a carried number below 2 p."""
        less = carry(builder, subtract(builder, parts, self._limbs))
        negative = builder.icmp_signed("<", less[LIMBS - 1], splat(0))
        return select(builder, negative, parts, less)

    def is_multiple(self, builder: ir.IRBuilder, parts: Limbs, most: int) -> ir.Value:
        """<8 x i1>: may the number be one of p, 2 p .. most * p? Compares the lowest limb of a carried number."""
        found = ir.Constant(BOOLEANS, [ir.IntType(1)(0)] * LANES)
        for times in range(1, most + 1):
            candidate = splat(times * self.modulus & MASK)
            found = builder.or_(found, builder.icmp_unsigned("==", parts[0], candidate))
        return found

    def is_nonzero(self, builder: ir.IRBuilder, parts: Limbs, most: int) -> ir.Value:
        """<8 x i1>: is the carried number anything but p, 2 p .. most * p? Compares all limbs."""
        nonzero = ir.Constant(BOOLEANS, [ir.IntType(1)(1)] * LANES)
        for times in range(1, most + 1):
            unequal = ir.Constant(BOOLEANS, [ir.IntType(1)(0)] * LANES)
            for part, candidate in zip(parts, self.multiple(times), strict=True):
                unequal = builder.or_(unequal, builder.icmp_unsigned("!=", part, candidate))
            nonzero = builder.and_(nonzero, unequal)
        return nonzero
