"""Bits, ranges and choices."""

from collections.abc import Sequence

from prover.circuit.builder import Builder
from prover.circuit.linear import LinearCombination, Operand, weighted_sum

Bit = LinearCombination


def assert_bit(builder: Builder, value: Operand) -> None:
    """Demand that a value is 0 or 1."""
    builder.constrain(value, 1 - value, 0)


def from_bits(bits: Sequence[Bit]) -> LinearCombination:
    """The number with these bits, least significant first; no constraint."""
    return weighted_sum((1 << i, bit) for i, bit in enumerate(bits))


def to_bits(builder: Builder, value: Operand, count: int) -> list[Bit]:
    """The `count` bits of a value, least significant first: proves `0 <= value < 2^count`. count + 1 constraints.

    `count` must be at most 253, below the field's size: with more bits a value would have two forms.
    """
    if not 1 <= count <= 253:
        raise ValueError("a value has one form in bits for 1 to 253 bits; use to_bits_below for more")
    bits = builder.hint_bits(value, count)
    for bit in bits:
        assert_bit(builder, bit)
    builder.constrain_equal(from_bits(bits), value)
    return bits


def to_bits_below(builder: Builder, value: Operand, bound: int) -> list[Bit]:
    """The bits of a value, least significant first, as an integer in [0, bound): the only such form if bound <= r.

    A bit where `bound - 1` has a 0 may be 1 only if some higher bit is 0 where `bound - 1` has a 1. `equal` is 1 as
    long as all higher ones of `bound - 1` are matched, so that `bit * (1 - equal - bit) = 0` says this and, once
    `equal` is 0, that the bit is a bit: such positions cost nothing extra. One constraint for each bit, about one more
    for each one of `bound - 1`, and one for the sum. The same idea is in zcash's bellman (`into_bits_le_strict`).
    """
    largest = bound - 1
    bits = builder.hint_bits(value, largest.bit_length())
    equal: Operand = 1
    ones: list[Bit] = []
    for position in reversed(range(len(bits))):
        bit = bits[position]
        if largest >> position & 1:
            assert_bit(builder, bit)
            ones.append(bit)
            continue
        for one in ones:
            equal = builder.product(equal, one)
        ones.clear()
        builder.constrain(bit, 1 - equal - bit, 0)
    builder.constrain_equal(from_bits(bits), value)
    return bits


def assert_range(builder: Builder, value: Operand, count: int) -> None:
    """Demand `0 <= value < 2^count`, count <= 253."""
    to_bits(builder, value, count)


def is_nonzero(builder: Builder, value: Operand) -> Bit:
    """1 if the value is not 0, else 0. Three constraints.

    `flag = value * inverse` is 0 for the value 0, and `(1 - flag) * value = 0` makes it 1 for any other. The last
    constraint fixes the inverse of 0 at 0: no wire of a satisfied circuit may be free to change.
    """
    inverse = builder.hint_inverse(value)
    flag = builder.product(value, inverse)
    builder.constrain(value, 1 - flag, 0)
    builder.constrain(inverse, 1 - flag, 0)
    return flag


def assert_nonzero(builder: Builder, value: Operand) -> None:
    """Demand that a value is not 0, by showing its inverse."""
    builder.constrain(value, builder.hint_inverse(value), 1)


def swap_if(builder: Builder, bit: Bit, left: Operand, right: Operand) -> tuple[LinearCombination, LinearCombination]:
    """`(left, right)` for bit 0, `(right, left)` for bit 1. One constraint. The caller guarantees a bit."""
    shift = builder.product(right - left, bit)
    return left + shift, right - shift
